"""Loops compiled by numba, cached between runs; the compilation can be announced.

The type checker of the tests wraps every function; what is compiled is the function inside
(`inspect.unwrap`). numba sees a change of the file that a loop stands in, not of one it imports:
after a change of loss/engine/kernels.py delete the loops cached beside it (*.nbi, *.nbc).
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numba
from numba.core import event

Loop = Callable[..., Any]
# sums may be reordered into vector lanes; NaN and infinity keep their meaning
REORDERED = {"reassoc", "nsz", "contract", "arcp"}


def compiled(function: Loop) -> Loop:
    """`function` compiled at its first call, without the interpreter's lock.

    It keeps the order of its floating-point operations.
    """
    return cached(error_model="numpy")(function)


def vectorized(function: Loop) -> Loop:
    """`compiled`, with float sums reordered so that they run in vector lanes.

    The bytes are the same on the same kind of processor.
    """
    return cached(error_model="numpy", fastmath=REORDERED)(function)


def cached(**how: Any) -> Callable[[Loop], Loop]:
    """Compiled by numba as `how` says, at the first call.

    It is kept for later runs where numba finds a folder to write (NUMBA_CACHE_DIR names one).
    """

    def compile_later(function: Loop) -> Loop:
        plain: Any = inspect.unwrap(function)
        try:
            loop: Loop = numba.njit(nogil=True, cache=True, **how)(plain)
        except RuntimeError:  # neither the package's folder nor one of the user can be written
            loop = numba.njit(nogil=True, **how)(plain)
        return loop

    return compile_later


def inlined(function: Loop) -> Loop:
    """A part of compiled loops, inlined where it is called."""
    loop: Loop = numba.njit(inline="always")(inspect.unwrap(function))
    return loop


@contextlib.contextmanager
def compilation_announced(say: Callable[[str], None]) -> Iterator[None]:
    """`say` one line when the first loop is compiled; silent when all come from the cache."""
    listener = _Announcer(say)
    event.register("numba:compile", listener)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        event.unregister("numba:compile", listener)  # type: ignore[no-untyped-call]


class _Announcer(event.Listener):
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said = False

    def on_start(self, event: Any) -> None:
        if not self._said:
            self._said = True
            self._say(
                "compiling the fast loops, once for this machine (under 20 s); "
                "later runs find them cached"
            )

    def on_end(self, event: Any) -> None:
        pass
