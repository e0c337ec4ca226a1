"""What is installed from a wheel trains where nothing else is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = "the cat sat on the mat\na dog sat on the log\n" * 50


def done(*command, folder):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [*map(str, command)], cwd=folder, capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.mark.soak
def test_a_wheel_installs_and_trains(tmp_path):
    pytest.importorskip("build", reason="pip install build")
    sources = tmp_path / "sources"
    shutil.copytree(ROOT / "exact2vec", sources / "exact2vec")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    done(sys.executable, "-m", "build", "--outdir", tmp_path, sources, folder=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    done(sys.executable, "-m", "venv", "empty", folder=tmp_path)
    programs = tmp_path / "empty" / "bin"
    constraints = ROOT / "constraints.txt"
    done(programs / "pip", "install", "-q", "-c", constraints, wheel, folder=tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    flags = ("--vector-size=4", "--min-count=1", "--epochs=1")
    done(programs / "exact2vec", "train", "text.txt", "-o", "run", *flags, folder=tmp_path)
    near = done(programs / "exact2vec", "neighbors", "run", "cat", "-n", 2, folder=tmp_path)
    assert "cat" in near
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000  # the parts of the page came
