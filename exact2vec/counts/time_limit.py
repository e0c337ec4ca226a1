"""Matches of a user's pattern, with a limit of time: some patterns take for ever on some lines."""

import functools
import re
import signal
import threading
from types import FrameType

from exact2vec.errors import InputError

LINE_SECONDS = 5.0  # of the processor, for a line
MEGABYTE_SECONDS = 10.0  # more for each million characters of it


def matches_in_time(pattern: re.Pattern[str], text: str) -> list[str]:
    """The matches within the stretches between white space; InputError where they take too long.

    The clock is a signal, which Python's matching looks at. So there is no limit outside the main
    thread, on Windows, and in programs that use this signal.
    """
    if not _clock_is_free():
        return _matches(pattern, text)
    seconds = LINE_SECONDS + MEGABYTE_SECONDS * len(text) / 1e6
    before = signal.signal(signal.SIGVTALRM, functools.partial(_give_up, pattern, text, seconds))
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        return _matches(pattern, text)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _matches(pattern: re.Pattern[str], text: str) -> list[str]:
    return [match[0] for stretch in text.split() for match in pattern.finditer(stretch) if match[0]]


def _clock_is_free() -> bool:
    return (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL
    )


def _give_up(
    pattern: re.Pattern[str], text: str, seconds: float, number: int, frame: FrameType | None
) -> None:
    raise InputError(
        f"the pattern {pattern.pattern!r} takes more than {seconds:.3g} s on {text[:40]!r}: "
        "a repeat inside a repeat, such as (a+)+, may take for ever; write a plainer one"
    )
