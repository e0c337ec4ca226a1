"""Every error that exact2vec raises on purpose, and the exit code of the command line.

    Exact2VecError
    ├── UsageError          2   an argument out of its range; an output that exists   (a ValueError)
    │   └── LossInputError      scores, targets or weights that a loss cannot take
    ├── InputError          3   data that cannot be counted or trained on             (a ValueError)
    │   └── UnknownWordError    a word without a vector, with its nearest spellings  (a KeyError)
    ├── CorruptFileError    4   a file of ours that is not what was written
    ├── ResourceError       5   memory, disk
    └── DivergedError       6   the loss ran away; the last good vectors are kept

A message says what was wanted, what came, and what to do.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar


class Exact2VecError(Exception):
    """Base class: everything that exact2vec raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(Exact2VecError, ValueError):
    """An argument is out of its range, or an output exists already."""

    exit_code = 2


class InputError(Exact2VecError, ValueError):
    """The data cannot be read, counted or trained on."""

    exit_code = 3


class UnknownWordError(InputError, KeyError):
    """A word has no vector.

    >>> str(UnknownWordError("quen", 32997, ["queen", "quiet"]))
    "'quen' is not among the 32,997 words; nearest: queen, quiet"
    """

    def __init__(
        self,
        word: str,
        size: int,
        nearest: Sequence[str] | Callable[[], Sequence[str]],
        why: str | None = None,
    ) -> None:
        super().__init__(word)
        self.word = word
        self.size = size
        self.why = why or f"{word!r} is not among the {size:,} words"
        self._nearest = nearest

    @property
    def nearest(self) -> Sequence[str]:
        """The nearest spellings; looked for when they are read, since that takes a while."""
        if callable(self._nearest):
            self._nearest = self._nearest()
        return self._nearest

    def __str__(self) -> str:  # KeyError would print the repr of the message
        hint = f"; nearest: {', '.join(self.nearest)}" if self.nearest else ""
        return self.why + hint

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.word, self.size, list(self.nearest), self.why)


class CorruptFileError(Exact2VecError):
    """A file of a run is missing, damaged, of an unknown version, or another run's."""

    exit_code = 4


class ResourceError(Exact2VecError, OSError):
    """There is not enough memory or disk."""

    exit_code = 5

    def __str__(self) -> str:  # OSError would print "None" parts
        return str(self.args[0])


class DivergedError(Exact2VecError):
    """The loss is not finite, or far above the start's."""

    exit_code = 6


class LossInputError(UsageError, RuntimeError, IndexError, TypeError):
    """Scores, targets or weights that a loss cannot take.

    It is each kind of error that torch raises there, so that code which catches torch's errors
    catches ours.
    """


class LossWarning(UserWarning):
    """A loss was computed, but its input looks like a mistake."""


class InputWarning(UserWarning):
    """Data was read, but a part of it was left out, or looks like a mistake."""
