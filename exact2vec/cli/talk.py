"""stderr is talk: where it is closed or full, the work goes on without."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any


class Talk:
    """A stream whose writes do not fail. Behind the first that would, all is thrown away."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._heard = True

    def write(self, text: str) -> int:
        """How many characters were taken."""
        if self._heard:
            try:
                self._stream.write(text)
            except (OSError, ValueError):  # ValueError: it is closed on our side
                self._give_up()
        return len(text)

    def flush(self) -> None:
        """Send what was written."""
        if self._heard:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._give_up()

    def _give_up(self) -> None:
        """What is buffered would fail again when the interpreter ends: it goes to nowhere."""
        self._heard = False
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def talk_may_fail() -> Iterator[None]:
    """stderr is a Talk meanwhile."""
    before = sys.stderr
    if before is not None:
        sys.stderr = Talk(before)
    try:
        yield
    finally:
        sys.stderr = before


def open_closed_streams() -> None:
    """Give the numbers of closed standard streams to nothing, or a file of ours would get them."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)
    if sys.stderr is None:  # numpy 2.0 looks at its `write` while it is imported
        sys.stderr = os.fdopen(2, "w")
