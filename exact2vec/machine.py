"""What the machine at hand leaves to this process: memory, and how it is given back.

What cannot fit is refused before the work, with the number and the flags that help.
"""

import ctypes
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from exact2vec.errors import ResourceError

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60  # bytes; a limit above it is none
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1  # of mallopt
LARGE = 4 << 20  # bytes of an array that is given back to the system when it is freed
KEPT = 64 << 20  # bytes of smaller ones that are kept for later
MARGIN = 0.85  # of the room that a smaller training should need: what is said of it is rough
INSIST = "--anyway tries it all the same"

SIGNS_OF_NO_MEMORY = (
    *("allocate memory", "bad_alloc", "out of memory", "failed to map segment"),
    *("unable to allocate", "bad allocation"),
)


class Room(NamedTuple):
    """How many bytes this process may still take, and what says so."""

    bytes: int
    limit: str


def resident_bytes() -> int:
    """What this process holds in memory now, 0 where the system does not say."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """The most that this process has held in memory, 0 where the system does not say."""
    return _status("VmHWM")


def processor_vendor() -> str:
    """As the processor says it, "GenuineIntel" or another; "" where the system does not say."""
    for line in _lines(PROC / "cpuinfo"):
        if line.startswith("vendor_id"):
            return line.split(":", 1)[1].strip()
    return ""


def room() -> Room | None:
    """The least of what the machine, its containers and the limits of the process leave.

    None where the system says nothing.
    """
    return min(_rooms(), default=None)


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
    left = room()
    if left is None or more <= left.bytes:
        return
    fits = "" if smaller is None else _largest_that_fits(smaller, words, left.bytes)
    raise ResourceError(
        f"this would take about {_gigabytes(held + more)} of memory, {_gigabytes(more)} of it "
        f"still to come, and {left.limit} leaves {_gigabytes(left.bytes)}: "
        f"use {fits}{help_with}; {INSIST}"
    )


def give_back_large_arrays() -> None:
    """Make glibc return each large array to the system when it is freed, and keep the small ones.

    By default it keeps some of the large ones, more and more as a process goes on. So the peak is
    lower, and is what is alive. The small ones would go back, too, where that is set alone; each
    page that comes again costs time. It is a setting of the whole process: for commands, not for a
    library.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, LARGE)
            mallopt(M_TRIM_THRESHOLD, KEPT)


def lacking(error: BaseException) -> str | None:
    """ "memory" or "threads" where an error says that there is not enough of it, else None.

    Libraries say so each in its way: torch by a RuntimeError, the loader of C by an ImportError.

    >>> lacking(RuntimeError("can't start new thread")), lacking(MemoryError()), lacking(OSError(5))
    ('threads', 'memory', None)
    """
    said = " ".join(map(str, _chain(error))).lower()
    if "start new thread" in said or "thread creation failed" in said:
        return "threads"
    if isinstance(error, MemoryError) or any(sign in said for sign in SIGNS_OF_NO_MEMORY):
        return "memory"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _rooms() -> Iterator[Room]:
    yield from _of_machine()
    yield from _of_process()
    yield from _of_containers()


def _of_machine() -> Iterator[Room]:
    available = _kilobytes(PROC / "meminfo", "MemAvailable")
    if available is not None:
        yield Room(available, "the machine")


def _of_process() -> Iterator[Room]:
    """What `ulimit -v` and `ulimit -d` leave of the process's address space."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    limits = ((resource.RLIMIT_AS, "VmSize", "-v"), (resource.RLIMIT_DATA, "VmData", "-d"))
    for which, taken, flag in limits:
        limit = resource.getrlimit(which)[0]
        if limit != resource.RLIM_INFINITY and limit < UNLIMITED:
            yield Room(max(0, limit - _status(taken)), f"ulimit {flag}")


def _of_containers() -> Iterator[Room]:
    """What is left of the limit of each control group that this process is in, of both versions."""
    for line in _lines(PROC / "self" / "cgroup"):
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top, limit, taken = CGROUPS, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            top, limit, taken = (
                CGROUPS / "memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            )
        else:
            continue
        # within a container the group itself may be mounted at the top
        group = top / path.lstrip("/")
        for folder in dict.fromkeys([group, *group.parents, top]):
            if folder == top or top in folder.parents:
                yield from _of_group(folder, limit, taken)


def _of_group(folder: Path, limit: str, taken: str) -> Iterator[Room]:
    most, now = _number(folder / limit), _number(folder / taken)
    if most is None or now is None or most >= UNLIMITED:
        return
    cached = [int(line.split()[1]) for line in _lines(folder / "memory.stat") if _is_cache(line)]
    yield Room(max(0, most - now + sum(cached[:1])), f"the container ({folder / limit})")


def _is_cache(line: str) -> bool:
    """Whether a line of memory.stat says how much of the files in memory can be dropped."""
    return line.startswith(("total_inactive_file ", "inactive_file "))


def _status(name: str) -> int:
    return _kilobytes(PROC / "self" / "status", name) or 0


def _kilobytes(path: Path, name: str) -> int | None:
    for line in _lines(path):
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


def _number(path: Path) -> int | None:
    """The number in a file, None where it holds none ("max")."""
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines() if os.access(path, os.R_OK) else []
    except OSError:
        return []


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
