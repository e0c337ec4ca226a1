"""python -m exact2vec."""

from exact2vec.cli import run

run()
