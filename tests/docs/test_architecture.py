"""docs/architecture.md names functions where they are, and its picture is that of the imports."""

import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
STEPS = [
    (file, name)
    for file, names in re.findall(r"^\| [^|]+ \| `([^`|]+)` \| ([^|]+) \|$", TEXT, re.MULTILINE)
    for name in re.findall(r"`([^`]+)`", names)
]


@pytest.fixture(scope="module")
def architecture():
    path = ROOT / "docs" / "make_architecture.py"
    spec = importlib.util.spec_from_file_location("make_architecture", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_row_of_the_ways_is_read_here():
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    headings = [line for line in rows if line == "| what happens | file | where |"]
    assert len(headings) == 2
    files = re.findall(r"^\| [^|]+ \| `([^`|]+)` \| `.*` \|$", TEXT, re.MULTILINE)
    assert len(files) == len(rows) - len(headings)


@pytest.mark.parametrize(("file", "name"), STEPS)
def test_each_function_is_defined_in_its_file(file, name):
    body = ast.parse((ROOT / "exact2vec" / file).read_text()).body
    for part in name.split("."):
        (found,) = (node for node in body if getattr(node, "name", None) == part)
        body = found.body


def test_the_picture_is_that_of_the_imports(architecture):
    seen = (ROOT / "docs" / "see" / "house.svg").read_text(encoding="utf-8")
    made = architecture.picture()
    assert made == seen, "run: python docs/make_architecture.py > docs/see/house.svg"


def test_boxes_stand_above_what_they_import(architecture):
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": {"c"}}
    assert architecture.levels(graph) == [["c"], ["b", "d"], ["a"]]
    assert architecture.without_detours(graph) == {"a": {"b"}, "b": {"c"}, "c": set(), "d": {"c"}}
    with pytest.raises(ValueError, match="import each other"):
        architecture.levels({"a": {"b"}, "b": {"a"}, "c": set()})
