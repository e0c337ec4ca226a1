"""Signals that ask a training to stop: it does so between two steps, or at once if asked again."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

ASKING = ("SIGINT", "SIGTERM", "SIGHUP")


class Stopping:
    """Whether stopping was asked for. Until training `waits` for it, a signal stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self.waits = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """What a signal calls."""
        if self.asked or not self.waits:
            raise KeyboardInterrupt
        self.asked = True


@contextlib.contextmanager
def stopping() -> Iterator[Stopping]:
    """Signals ask meanwhile, but for those that are ignored, as SIGHUP is under nohup."""
    asking, before = Stopping(), {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in ASKING if hasattr(signal, name)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, asking.ask)
    try:
        yield asking
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
