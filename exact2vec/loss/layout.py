"""Where the classes of scores are: any shape as (outer, words, inner)."""

import math
from typing import NamedTuple

from torch import Tensor


class Layout(NamedTuple):
    """Scores of `shape` as (outer, words, inner): their classes are dimension `dim`."""

    shape: tuple[int, ...]
    dim: int
    outer: int
    words: int
    inner: int

    @property
    def rest(self) -> tuple[int, ...]:
        """The shape of class indices, and of one loss a row."""
        return self.shape[: self.dim] + self.shape[self.dim + 1 :]

    def scores(self, scores: Tensor) -> Tensor:
        """A tensor of `shape` as an engine takes it: (row, word) if it is, else `rows`."""
        return scores if self.dim == 1 and len(self.shape) == 2 else self.rows(scores)

    def rows(self, scores: Tensor) -> Tensor:
        """A tensor of `shape` as (outer, words, inner)."""
        return scores.reshape(self.outer, self.words, self.inner)


def layout_of(shape: tuple[int, ...], dim: int) -> Layout:
    return Layout(shape, dim, math.prod(shape[:dim]), shape[dim], math.prod(shape[dim + 1 :]))
