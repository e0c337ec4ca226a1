"""Loops compiled by numba, cached between runs; the compilation can be announced.

The type checker of the tests wraps every function; what is compiled is the function inside
(`inspect.unwrap`). numba sees a change of the file that a loop stands in, not of one it imports:
after a change of loss/engine/kernels.py delete the loops cached beside it (*.nbi, *.nbc).
"""

import contextlib
import hashlib
import inspect
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numba
from numba.core import caching, event

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
            loop: Any = numba.njit(nogil=True, cache=True, **how)(plain)
            loop._cache = _ForgivingCache(loop._cache)
        except RuntimeError:  # neither the package's folder nor one of the user can be written
            loop = numba.njit(nogil=True, **how)(plain)
        found: Loop = loop
        return found

    return compile_later


class _SignedFiles(caching.IndexDataCacheFile):
    """Compiled loops on the disk, each with its SHA-256: a damaged one is not run."""

    def _save_data(self, name: str, data: Any) -> None:
        packed = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(hashlib.sha256(packed).digest() + packed)

    def _load_data(self, name: str) -> Any:
        with open(self._data_path(name), "rb") as file:
            digest, packed = file.read(32), file.read()
        if hashlib.sha256(packed).digest() != digest:
            raise ValueError("it is damaged")
        return pickle.loads(packed)


class _ForgivingCache:
    """numba's cache of a loop; where it cannot be read or written, the loop is compiled anew."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        files = cache._cache_file
        base = f"{cache._impl.filename_base}.signed"
        cache._cache_file = _SignedFiles(files._cache_path, base, files._source_stamp)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled loop, or None."""
        try:
            return self._cache.load_overload(signature, target_context)
        except Exception as error:  # unpickling damaged bytes raises anything
            _tell_trouble(error)
            with contextlib.suppress(Exception):
                self._cache.flush()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Keep it for later runs, if that is possible."""
        try:
            self._cache.save_overload(signature, data)
        except Exception as error:
            _tell_trouble(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)


_listeners: list[Callable[[str], None]] = []
_told: set[str] = set()


def _tell_trouble(error: Exception) -> None:
    """Say once that the cache is of no use."""
    if not _told:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        line = f"the cache of compiled loops is ignored ({why}); loops are compiled anew"
        _told.add(line)
        if _listeners:
            _listeners[-1](line)
        else:
            warnings.warn(line, RuntimeWarning, stacklevel=2)


def inlined(function: Loop) -> Loop:
    """A part of compiled loops, inlined where it is called."""
    loop: Loop = numba.njit(inline="always")(inspect.unwrap(function))
    return loop


@contextlib.contextmanager
def compilation_announced(say: Callable[[str], None]) -> Iterator[None]:
    """`say` one line when the first loop is compiled; silent when all come from the cache."""
    listener = _Announcer(say)
    event.register("numba:compile", listener)
    _listeners.append(say)
    try:
        yield
    finally:
        _listeners.remove(say)
        event.unregister("numba:compile", listener)


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
