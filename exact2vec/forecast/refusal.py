"""What cannot fit is refused before the work, with the number and the flags that help."""

import math
from collections.abc import Callable

from exact2vec import machine
from exact2vec.errors import ResourceError

MARGIN = 0.85  # of the room that a smaller training should need: what is said of it is rough
INSIST = "--anyway tries it all the same"


def refuse_what_cannot_fit(
    more: float,
    held: int,
    help_with: str,
    *,
    smaller: Callable[[int], float] | None = None,
    words: int = 0,
) -> None:
    """ResourceError where `more` bytes beyond those that are `held` cannot be had.

    `help_with` are the flags that make it less. Where they hold --max-vocab, `smaller` says what
    so many words would need; there are `words` now.
    """
    room = machine.room()
    if room is None or more <= room.bytes:
        return
    fits = "" if smaller is None else _largest_that_fits(smaller, words, room.bytes)
    raise ResourceError(
        f"this would take about {_gigabytes(held + more)} of memory, {_gigabytes(more)} of it "
        f"still to come, and {room.limit} leaves {_gigabytes(room.bytes)}: "
        f"use {fits}{help_with}; {INSIST}"
    )


def _largest_that_fits(smaller: Callable[[int], float], words: int, room: int) -> str:
    """ "--max-vocab N or ", with the largest round N that fits; nothing where none does."""
    low, high = 0, words
    while high - low > max(1, words // 1000):
        middle = (low + high) // 2
        low, high = (middle, high) if smaller(middle) <= MARGIN * room else (low, middle)
    if low < 2:
        return ""
    scale = 10 ** max(0, int(math.log10(low)) - 1)
    return f"--max-vocab {low // scale * scale}, "


def _gigabytes(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
