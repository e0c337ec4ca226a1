"""The house: imports go one way, and importing is light.

The public names and the options are what they say.
"""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import exact2vec
from exact2vec.options import COUNTING, ITEM_MODEL, OPTIONS, TRAINING

ROOT = Path(exact2vec.__file__).parent
ROOMS = [
    "errors",
    "options",
    "machine",
    "parallel",
    "jit",
    "display",
    "storage",
    "loss",
    "counts",
    "vectors",
    "train",
    "forecast",
    "pages",
    "estimator",
    "cli",
    "__main__",
]
ENGINE = "exact2vec.loss.engine"
MUTUAL = {  # an operator of torch, and the loop that it stands for
    f"{ENGINE}.traced": {f"{ENGINE}.tiled_linear"},
    f"{ENGINE}.tiled_linear": {f"{ENGINE}.traced"},
}
SOURCES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
PLACES = ["exact2vec", "tests", "benchmarks", "docs", "examples"]
EVERY = sorted(path for place in PLACES for path in (ROOT.parent / place).rglob("*.py"))


def room(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_modules(path):
    """The modules of the package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("exact2vec"):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if is_module(name) else node.module for name in inside)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("exact2vec."))


def is_module(name):
    path = ROOT.joinpath(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").exists()


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_in_one_direction(path):
    for name in imported_modules(path):
        if name != "exact2vec":
            above = ROOMS.index(name.split(".")[1]) > ROOMS.index(room(path))
            assert not above, f"{path} imports {name}"


def test_no_two_files_import_each_other():
    imports = {module_name(path): set(imported_modules(path)) for path in SOURCES}
    assert "exact2vec.vectors.fold_in" in imports["exact2vec.vectors.vectors"]
    for one, others in imports.items():
        for other in others - {one} - MUTUAL.get(one, set()):
            assert one not in imports.get(other, ()), f"{one} and {other} import each other"


@pytest.mark.parametrize("path", EVERY, ids=lambda path: str(path.relative_to(ROOT.parent)))
def test_files_can_be_read_in_one_sitting(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 400


def test_public_names_resolve():
    assert exact2vec.__all__ == sorted(exact2vec._HOME)
    tree = ast.parse((ROOT / "__init__.py").read_text())
    seen_by_type_checkers = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("exact2vec.")
        for alias in node.names
    }
    assert seen_by_type_checkers == set(exact2vec.__all__)
    for name in exact2vec.__all__:
        assert getattr(exact2vec, name).__name__ == name
        assert getattr(exact2vec, name).__doc__
        assert name in dir(exact2vec)
    with pytest.raises(AttributeError, match="nonsense"):
        exact2vec.nonsense  # noqa: B018


def modules_after(code):
    """The modules of other packages and of this one that `code` loads, beside Python's own."""
    show = "print([name for name in sys.modules], file=sys.stderr)"
    command = [sys.executable, "-c", f"import sys\n{code}\n{show}"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True)
    return {
        name
        for name in ast.literal_eval(loaded.stderr.splitlines()[-1])
        if name.partition(".")[0] not in sys.stdlib_module_names
    }


def test_importing_loads_nothing_else():
    assert modules_after("import exact2vec") - modules_after("pass") == {"exact2vec"}


def test_help_loads_click_and_the_commands_alone():
    code = "from exact2vec.cli import main\nmain(['--help'], standalone_mode=False)"
    loaded = modules_after(code) - modules_after("pass")
    ours = {name for name in loaded if name.partition(".")[0] == "exact2vec"}
    assert {name.partition(".")[0] for name in loaded} == {"exact2vec", "click"}
    below = {"errors", "options", "machine", "display"}
    assert {name.split(".")[1] for name in ours - {"exact2vec"}} == {"cli", *below}


def test_defaults_stand_in_one_table():
    from exact2vec.counts.text import Text

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
        option.name for option in COUNTING + ITEM_MODEL + TRAINING
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


@pytest.mark.parametrize("function", [exact2vec.Exact2Vec, exact2vec.count_text, exact2vec.fit])
def test_every_argument_is_documented_with_its_default(function):
    _, _, arguments = function.__doc__.partition("\nArguments:\n")
    for name in inspect.signature(function).parameters:
        (entry,) = re.findall(rf"^    {name}: (.+(?:\n        .+)*)", arguments, re.M)
        if name in OPTIONS:
            words = " ".join(entry.split())
            assert words.endswith(f"default {OPTIONS[name].default!r}"), entry
