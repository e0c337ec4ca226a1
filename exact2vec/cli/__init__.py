"""The command line: arguments ↔ calls, nothing else. stdout is data, stderr is talk."""

from exact2vec.cli import checking, commands, drawing, recommending, training
from exact2vec.cli.support import main
from exact2vec.cli.talk import open_closed_streams

__all__ = ["checking", "commands", "drawing", "main", "recommending", "run", "training"]


def run() -> None:
    """The console entry point."""
    open_closed_streams()
    main(prog_name="exact2vec")
