"""The house: imports go one way, and importing is light.

The public names and the options are what they say.
"""

import ast
import inspect
import subprocess
import sys
import time
from pathlib import Path

import pytest

import exact2vec
from exact2vec.options import COUNTING, OPTIONS, TRAINING

ROOT = Path(exact2vec.__file__).parent
ROOMS = [
    "errors",
    "options",
    "parallel",
    "jit",
    "display",
    "storage",
    "loss",
    "counts",
    "vectors",
    "train",
    "pages",
    "estimator",
    "cli",
    "__main__",
]
SOURCES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_in_one_direction(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
        for name in names:
            parts = (name or "").split(".")
            if parts[0] == "exact2vec" and len(parts) > 1:
                assert ROOMS.index(parts[1]) <= ROOMS.index(room(path)), f"{path} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_can_be_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 600


def test_public_names_resolve():
    assert exact2vec.__all__ == sorted(exact2vec.__all__)
    for name in exact2vec.__all__:
        assert getattr(exact2vec, name).__name__ == name
        assert getattr(exact2vec, name).__doc__
        assert name in dir(exact2vec)
    with pytest.raises(AttributeError, match="nonsense"):
        exact2vec.nonsense  # noqa: B018


def test_importing_and_help_are_light():
    heavy = {"torch", "numpy", "scipy", "rich", "matplotlib"}
    code = f"import sys, exact2vec, exact2vec.cli; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.check_output([sys.executable, "-m", "exact2vec", "--help"])
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.6


def test_defaults_stand_in_one_table():
    from exact2vec.counts.read import Text

    for function in (
        exact2vec.Exact2Vec.__init__,
        exact2vec.count_text,
        exact2vec.fit,
        Text.__init__,
    ):
        for name, parameter in inspect.signature(function).parameters.items():
            if name in OPTIONS:
                assert parameter.default == OPTIONS[name].default, (
                    f"{function.__qualname__}({name}=)"
                )
    assert set(exact2vec.Exact2Vec().get_params()) == {
        option.name for option in COUNTING + TRAINING
    }


def test_every_command_is_documented():
    from exact2vec.cli import main

    commands = (ROOT.parent / "docs" / "cli.md").read_text()
    for name, command in main.commands.items():
        assert "Example" in command.help, name
        assert f"## {name}" in commands


def test_the_page_of_the_command_line_is_up_to_date():
    docs = ROOT.parent / "docs"
    code = subprocess.check_output([sys.executable, str(docs / "make_cli.py")], text=True)
    assert code == (docs / "cli.md").read_text(), "run: python docs/make_cli.py > docs/cli.md"
