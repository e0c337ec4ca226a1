"""The package of an earlier commit beside today's, in one process: as `exact2vec_before`."""

import importlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

NAME = "exact2vec_before"
IMPORTED = re.compile(
    r"\bexact2vec(?=\.)|\b(?<=import )exact2vec\b|\b(?<=from )exact2vec(?= import)"
)


def folder_of(revision: str) -> Path:
    """A folder that holds the package of `revision` under its other name; made once a commit."""
    root = Path(__file__).parents[1]
    commit = subprocess.check_output(
        ["git", "rev-parse", f"{revision}^{{commit}}"], cwd=root, text=True
    ).strip()
    folder = Path(tempfile.gettempdir()) / f"{NAME}-{commit[:12]}"
    if not (folder / NAME).exists():
        archive = subprocess.check_output(["git", "archive", commit, "exact2vec"], cwd=root)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            with tarfile.open(fileobj=io.BytesIO(archive)) as sources:
                sources.extractall(scratch, filter="data")
            _rename(Path(scratch) / "exact2vec")
            folder.mkdir(exist_ok=True)
            (Path(scratch) / "exact2vec").rename(folder / NAME)
    return folder


def _rename(package: Path) -> None:
    for source in package.rglob("*.py"):
        source.write_text(IMPORTED.sub(NAME, source.read_text()))


def package_before(revision: str) -> Any:
    """The module, imported."""
    sys.path.insert(0, str(folder_of(revision)))
    return importlib.import_module(NAME)
