"""The scripts of the pages, checked by TypeScript where it is at hand."""

import shutil
import subprocess

import pytest

from exact2vec.pages import explorer, report
from exact2vec.pages.html import PARTS

OPTIONS = (
    *("--noEmit", "--allowJs", "--checkJs", "--target", "es2022"),
    *("--lib", "es2022,dom,dom.iterable", "--moduleDetection", "legacy", "--strict", "false"),
)


def compiler():
    """The command of TypeScript's compiler: on the path, or what npx finds without a download."""
    if tsc := shutil.which("tsc"):
        return [tsc]
    if npx := shutil.which("npx"):
        command = [npx, "--no-install", "tsc"]
        asked = subprocess.run([*command, "--version"], capture_output=True, text=True)
        if asked.returncode == 0 and asked.stdout.startswith("Version"):
            return command
    pytest.skip("no TypeScript here: npm install --global typescript")


def complaints(scripts):
    result = subprocess.run(
        [*compiler(), *OPTIONS, *map(str, scripts)], capture_output=True, text=True
    )
    return result.stdout


@pytest.mark.parametrize("module", [explorer, report], ids=["explorer", "report"])
def test_scripts_of_a_page_are_sound(module):
    assert complaints(PARTS / name for name in module.SCRIPTS) == ""


def test_a_mistake_in_a_script_is_noticed(tmp_path):
    source = (PARTS / "loss.js").read_text()
    (tmp_path / "loss.js").write_text(source.replace("Math.log1p", "Math.log1q"))
    assert "log1q" in complaints([tmp_path / "loss.js"])


def test_every_script_asks_to_be_checked():
    scripts = sorted(PARTS.glob("*.js"))
    assert {path.name for path in scripts} == {*explorer.SCRIPTS, *report.SCRIPTS}
    for path in scripts:
        assert path.read_text().startswith('// @ts-check\n"use strict";\n')
