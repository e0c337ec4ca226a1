"""The guide to items runs, block after block, and its neighbours are of the same meal."""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import pytest
from command_line import call

GUIDE = (Path(__file__).parents[2] / "docs" / "items.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
MEALS = {
    "cake": {"flour", "eggs", "sugar", "cocoa", "vanilla"},
    "curry": {"rice", "lentils", "ginger", "coconut milk", "coriander"},
    "pasta": {"spaghetti", "tomatoes", "basil", "garlic", "olive oil"},
}


def outputs(code, language, names):
    """What a block prints; a command gives an output of its own."""
    if language == "python":
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
        yield printed.getvalue()
        return
    for line in code.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "exact2vec"
        result = call(*arguments)
        assert result.exit_code == 0, result.output
        yield result.stdout


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each block of the guide prints, one session of Python for all of its Python."""
    names = {"__name__": "guide"}
    with contextlib.chdir(tmp_path_factory.mktemp("guide")):
        return [output for language, code in BLOCKS for output in outputs(code, language, names)]


def test_neighbours_are_of_the_same_meal(printed):
    assert len(printed) == 17
    _, _, sugar, milk, given, loaded, *_, nutmeg, ranked = printed
    trained = printed[10]
    assert {line.split()[1] for line in sugar.splitlines()[1:]} < MEALS["cake"]
    assert {row["item"] for row in json.loads(milk)} < MEALS["curry"]
    best = [line.rsplit(maxsplit=2)[0] for line in given.splitlines()[1:4]]
    assert set(best) < MEALS["curry"] | {"salt"}
    assert set(re.findall(r"\('([a-z ]+)'", loaded)) < MEALS["cake"]
    assert "Baskets(570 rows, 16 items" in loaded
    assert set(re.findall(r"\('([a-z ]+)'", trained)) < MEALS["pasta"]
    assert {line.split()[2] for line in nutmeg.splitlines()[1:]} < MEALS["cake"]
    (new,) = [line.split() for line in ranked.splitlines() if line.startswith("nutmeg")]
    assert 0 < float(new[1]) < 100
    assert len(ranked.splitlines()) == 16


def test_recommendations_are_of_the_same_meal(printed):
    cake, curry, written, from_python = printed[6:10]
    measures = printed[12]
    names = [line.split()[0] for line in cake.splitlines()[1:]]
    assert names[0] in MEALS["cake"]
    assert set(names) < MEALS["cake"] | {"salt"}
    rows = json.loads(curry)
    assert {row["item"] for row in rows} < MEALS["curry"] | {"salt"}
    assert {one["item"] for row in rows for one in row["because"]} == {"rice", "lentils"}
    assert written == ""
    assert "recall@20" in measures
    one, several = from_python.splitlines()
    assert set(re.findall(r"\('([a-z ]+)'", one)) < MEALS["cake"] | {"salt"}
    assert set(re.findall(r"\('([a-z ]+)'", several)) <= MEALS["curry"] | MEALS["pasta"] | {"salt"}


def test_the_guide_names_the_defaults_as_they_are():
    from exact2vec.cli.item_inputs import DEFAULTS
    from exact2vec.options import OPTIONS

    assert DEFAULTS["validation"] == OPTIONS["held_out"].default == 0.02
    assert OPTIONS["min_count"].default == 5
    assert OPTIONS["target_share"].default == 0.2
    for said in ("Two per cent of the rows are held out, and two per cent", "a fifth of its items"):
        assert said in " ".join(GUIDE.split())
    assert "The default is five" in GUIDE
