"""The commands, called in this process, and a text that is good to train on."""

import json

from click.testing import CliRunner

from exact2vec.cli import main

GOOD = "\n".join(["the cat sat on the mat", "the dog sat on the log", "a cat and a dog ran"] * 8)


def call(*arguments, given=None):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=given)


def train(folder, *arguments, given=None):
    return call(
        "train",
        *arguments,
        "-o",
        folder / "run",
        "--vector-size",
        "3",
        "--epochs",
        "2",
        given=given,
    )


def evaluated(*arguments):
    result = call("evaluate", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
