"""CONTRIBUTING.md names files, functions and targets that exist, and the whole house."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
QUOTED = re.findall(r"`([^`\n]+)`", TEXT)
LINKS = re.findall(r"\]\(([^)]+)\)", TEXT)
MADE, OTHERS = {".venv"}, {"Figure"}
FILES = r"/|\.(py|md|toml|yaml)$"
PATHS = sorted({name for name in QUOTED if re.search(FILES, name)} - MADE | set(LINKS))
WORDS = {name for name in QUOTED if re.fullmatch(r"[A-Za-z_]+(\.[a-z_]+)?", name)}
NAMES = sorted(WORDS - set(PATHS) - OTHERS)


@pytest.mark.parametrize("path", PATHS)
def test_each_path_exists(path):
    assert (ROOT / path).exists(), path


def test_the_map_names_every_folder_and_every_file_beside_them():
    house = ROOT / "exact2vec"
    rooms = {f"exact2vec/{file.name}" for file in house.glob("*.py")}
    rooms |= {f"exact2vec/{file.parent.name}/" for file in house.glob("*/__init__.py")}
    unlisted = {"exact2vec/__init__.py", "exact2vec/__main__.py"}
    named = re.findall(r"^\| `(exact2vec/[^`]+)` \|", TEXT, re.MULTILINE)
    assert set(named) - {"exact2vec/loss/engine/"} == rooms - unlisted


@pytest.mark.parametrize("name", NAMES)
def test_each_function_and_class_is_in_the_package(name):
    sources = "\n".join(path.read_text() for path in (ROOT / "exact2vec").rglob("*.py"))
    assert re.search(rf"(def|class) {name.split('.')[-1]}\b|^{name}\b.* = ", sources, re.MULTILINE)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)`", TEXT))))
def test_each_target_of_make_is_there(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
