"""The examples are short, they run, and what they print has the properties that they tell."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from processes import output_of
from topics import NOUNS

EXAMPLES = Path(__file__).parents[1] / "examples"


def printed(name, *arguments):
    return output_of("-W", "error", EXAMPLES / name, *arguments)


def losses(text, pattern=r"loss (\d+\.\d+) nats"):
    return [float(loss) for loss in re.findall(pattern, text)]


def test_each_example_is_at_most_thirty_lines_and_is_run_here():
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {"text.py", "table.py", "ratings.py", "loss.py"}
    for name in names:
        lines = (EXAMPLES / name).read_text().splitlines()
        assert len(lines) <= 30, name
        assert f"python examples/{name}" in "\n".join(lines[:5]), name


def test_a_text(tmp_path):
    random = np.random.default_rng(0)
    lines = [" ".join(random.choice(topic.split(), 9)) for topic in NOUNS for _ in range(200)]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    text = printed("text.py", tmp_path / "text.txt")
    held_out = losses(text, r"(\d\.\d{3}) (?:nats|after)")
    assert len(held_out) == 2
    assert max(held_out) < math.log(15)  # the loss of guessing
    word, *near = re.findall(r"\w+", re.search(r"^near (.*)$", text, re.MULTILINE)[1])
    (topic,) = (topic for topic in NOUNS if word in topic)
    assert set(topic.split()) - {word} == set(near[:4])


def test_a_table():
    text = printed("table.py")
    assert losses(text) == sorted(losses(text), reverse=True)
    pairs = dict(re.findall(r"(\w+) goes with (\w+),", text))
    tea, nails = {"tea", "milk", "sugar"}, {"nails", "hammer", "glue"}
    for item, other in pairs.items():
        assert {item, other} <= tea or {item, other} <= nails
        assert item != other
    assert set(pairs) == tea | nails


def test_a_table_of_users_and_items():
    text = printed("ratings.py")
    users = re.search(r"^like cook 0: (.*)$", text, re.MULTILINE)[1].split(", ")
    assert set(users) == {f"cook {number}" for number in (1, 2, 3, 4)}
    items = re.search(r"^like saw: (.*)$", text, re.MULTILINE)[1].split(", ")
    assert set(items) == {"nails", "hammer", "glue"}
    first, last = losses(text, r"loss (\d+\.\d+)")
    floor = float(re.search(r"entropy of the counts, (\d+\.\d+)", text)[1])
    assert floor < last < first
    assert last - floor < 0.1


def test_the_loss_in_a_training_loop():
    text = printed("loss.py")
    assert losses(text) == sorted(losses(text), reverse=True)
    floor = float(re.search(r"entropy of the counts, (\d+\.\d+)", text)[1])
    assert losses(text)[-1] == pytest.approx(floor, rel=0.1)
    assert floor < losses(text)[-1]
