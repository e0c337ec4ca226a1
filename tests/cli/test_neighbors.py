"""The command `neighbors`: unknown words, sums of words, flags that do not fit."""

import subprocess
import sys

import pytest
from command_line import call


def test_unknown_words_are_named_with_their_neighbours_in_spelling(run):
    result = call("neighbors", run, "caat", "--trained-only")
    assert (
        result.exit_code,
        "'caat' is not among the 10 words; nearest: cat" in result.stderr,
    ) == (3, True), result.stderr
    assert call("neighbors", run, "cat - -").exit_code == 2
    assert len(call("neighbors", run, "cat", "-n", "99").stdout.splitlines()) == 10


def test_words_that_cancel_out_and_more_words_than_there_are(run):
    result = call("neighbors", run, "cat - cat")
    assert (result.exit_code, "cancel out" in result.stderr) == (2, True), result.stderr
    assert "there are 9 besides" in call("neighbors", run, "cat", "-n", "99").stderr


def test_what_neighbors_would_ignore_is_said(run):
    assert "--weighted needs --given" in call("neighbors", run, "cat", "--weighted").stderr
    assert call("neighbors", run, "cat", "--given", "--which", "inputs").exit_code == 2
    assert "'cat' was asked more than once" in call("neighbors", run, "cat", "cat").stderr
    assert "there are 10" in call("neighbors", run, "cat", "--given", "-n", "99").stderr


@pytest.mark.parametrize(
    "command",
    ["neighbors RUN cat", "neighbors RUN cat --given", "export RUN OUT.vec --force", "check RUN"],
)
def test_a_light_command_does_not_load_torch(command, run, tmp_path):
    names = {"RUN": str(run), "OUT.vec": str(tmp_path / "out.vec")}
    arguments = [names.get(word, word) for word in command.split()]
    code = (
        "import sys\nfrom exact2vec.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
