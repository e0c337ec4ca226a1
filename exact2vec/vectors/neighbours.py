"""Nearest rows by cosine, among many rows, asked many times."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact2vec.errors import UsageError
from exact2vec.vectors.queries import unit_rows

BLOCK_NUMBERS = 1 << 25  # of the scores of one block of queries


class Neighbours:
    """The rows of a matrix, compared by cosine; their lengths are divided out once.

    >>> rows = np.array([[1, 0], [2, 2], [0, 3]], np.float32)
    >>> numbers, cosines = Neighbours(rows).nearest(rows[:1], 2, [[0]])
    >>> numbers.tolist(), cosines.round(3).tolist()
    ([[1, 2]], [[0.7070000171661377, 0.0]])
    """

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self.rows = rows

    @cached_property
    def unit(self) -> NDArray[np.float32]:
        """The rows with length 1; a row of zeros stays zero."""
        return unit_rows(self.rows)

    def cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """(queries × rows), in [−1, 1]."""
        cosines = unit_rows(queries) @ self.unit.T
        return np.asarray(np.clip(cosines, -1, 1, out=cosines))

    def nearest(
        self, queries: NDArray[np.float32], topn: int, left_out: Any
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The numbers of the `topn` nearest rows of each query, and their cosines.

        Equal ones stand in order of their numbers. `left_out` are the numbers of the rows that are
        no neighbours, for each query as many: queries × k.
        """
        left_out = np.asarray(left_out, np.int64).reshape(len(queries), -1)
        topn = min(topn, len(self.rows) - left_out.shape[1])
        numbers = np.empty((len(queries), topn), np.int64)
        cosines = np.empty((len(queries), topn), np.float32)
        size = max(1, BLOCK_NUMBERS // max(1, len(self.rows)))
        for start in range(0, len(queries), size):
            some = slice(start, start + size)
            scores = self.cosines(queries[some])
            np.put_along_axis(scores, left_out[some], -np.inf, axis=1)
            for row, values in enumerate(scores, start):
                numbers[row] = largest_places(values, topn)
                cosines[row] = values[numbers[row]]
        return numbers, cosines


def largest_places(values: NDArray[np.floating[Any]], topn: int) -> NDArray[np.int64]:
    """The places of the `topn` largest values, the largest first, equal ones in order of place.

    >>> largest_places(np.array([2.0, 5.0, 2.0, 7.0, 2.0]), 4)
    array([3, 1, 0, 2])
    """
    if topn < 1:
        return np.empty(0, np.int64)
    least = np.partition(values, len(values) - topn)[len(values) - topn]
    above = np.flatnonzero(values > least)
    places = np.concatenate([above, np.flatnonzero(values == least)[: topn - len(above)]])
    return np.asarray(places[np.argsort(-values[places], kind="stable")])


def checked_topn(topn: Any) -> int:
    """How many are asked for; UsageError where that is no whole number of at least 1."""
    if isinstance(topn, bool) or not isinstance(topn, int | np.integer) or topn < 1:
        raise UsageError(f"topn must be an integer of at least 1; got {topn!r}")
    return int(topn)
