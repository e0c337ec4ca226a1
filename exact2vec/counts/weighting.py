"""Weightings: what makes the weighted pairs n(c, w), which the loss is over, of the counts k(c, w).

Counts are plain and additive, so that those of parts merge. Nothing else in the package knows
what a window is, but the procedures that count by one.
"""

from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.errors import InputError, UsageError
from exact2vec.jit import compiled
from exact2vec.options import checked

STATED_WINDOW = 5  # strengths of a prior are given in the pairs of this window
Names = NDArray[np.integer[Any]] | NDArray[np.floating[Any]]  # a number for each row or column


@runtime_checkable
class Weighting(Protocol):
    """n(c, w) = k(c, w) / unit · s_c · s_w, with a factor s for each row and each column."""

    @property
    def unit(self) -> float:
        """The count k of one pair."""

    def keep(self, times: Names, total: float) -> NDArray[np.float64]:
        """s of names that were counted `times` among `total`, each in (0, 1]."""

    def weigh(
        self, counts: csr_array, row_keep: NDArray[np.float64], column_keep: NDArray[np.float64]
    ) -> csr_array:
        """n(c, w) of k(c, w), float32, in the same cells."""

    def strength_in_pairs(self, strength: float) -> float:
        """A strength of shrinkage in pairs of this weighting, given in those of window 5."""

    def pairs(self, times: Names, keep: NDArray[np.float64]) -> NDArray[np.float64]:
        """About how many weighted pairs names have that were counted `times`, with these s."""


@dataclass(frozen=True)
class WindowWeighting:
    """Text: k / window · s_c · s_w, where s_w is the share of the word's tokens that survive.

    k(c, w) sums window + 1 − distance over the pairs. The share is the one that subsampling with
    t = `sample` would keep in expectation, min(1, √(t/f_w) + t/f_w). f_w is the word's share of
    the kept training tokens. `sample` = 0 keeps all. Source: word2vec.c.
    """

    window: int = 5
    sample: float = 1e-3

    def __post_init__(self) -> None:
        checked(window=self.window, sample=self.sample)

    @property
    def unit(self) -> float:
        return self.window

    def keep(self, times: Names, total: float) -> NDArray[np.float64]:
        if self.sample == 0:
            return np.ones(len(times))
        unseen = np.full(len(times), np.inf)
        ratio = np.divide(self.sample * total, times, out=unseen, where=np.asarray(times) > 0)
        return np.asarray(np.minimum(1.0, np.sqrt(ratio) + ratio), np.float64)

    def weigh(
        self, counts: csr_array, row_keep: NDArray[np.float64], column_keep: NDArray[np.float64]
    ) -> csr_array:
        values = np.empty(counts.nnz, np.float32)
        arrays = counts.indptr, counts.indices, counts.data
        if not _weigh(*arrays, row_keep, column_keep, 1 / self.window, values):
            raise UsageError(
                f"sample = {self.sample:g} gives weights too small for a float32; "
                "use a larger one, or 0 for none"
            )
        return csr_array((values, counts.indices, counts.indptr), shape=counts.shape)

    def strength_in_pairs(self, strength: float) -> float:
        """The strength that stands for as many tokens.

        Far from the ends of its document, a token has Σ_d 2 (window + 1 − d) / window pairs,
        which is window + 1.
        >>> WindowWeighting(5).strength_in_pairs(150), WindowWeighting(2).strength_in_pairs(150)
        (150.0, 75.0)
        """
        return strength * ((self.window + 1) / (STATED_WINDOW + 1))

    def pairs(self, times: Names, keep: NDArray[np.float64]) -> NDArray[np.float64]:
        """As many as there are far from the ends of a document.

        >>> WindowWeighting(5).pairs(np.array([10, 30]), np.array([1, 0.5])).tolist()
        [37.5, 56.25]
        """
        tokens = times * keep
        return np.asarray(tokens * ((self.window + 1) * tokens.sum() / max(1, times.sum())))


@dataclass(frozen=True)
class PlainWeighting:
    """Counts as they are: n = k. A strength of shrinkage is in these counts."""

    @property
    def unit(self) -> float:
        return 1

    def keep(self, times: Names, total: float) -> NDArray[np.float64]:
        return np.ones(len(times))

    def weigh(
        self, counts: csr_array, row_keep: NDArray[np.float64], column_keep: NDArray[np.float64]
    ) -> csr_array:
        values = counts.data.astype(np.float32)
        if not (values > 0).all():
            raise InputError("some counts are too small for a float32; scale the matrix up")
        return csr_array((values, counts.indices, counts.indptr), shape=counts.shape)

    def strength_in_pairs(self, strength: float) -> float:
        return strength

    def pairs(self, times: Names, keep: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(times, np.float64)


KINDS: dict[str, type[WindowWeighting] | type[PlainWeighting]] = {
    "window": WindowWeighting,
    "plain": PlainWeighting,
}


def fields_of(weighting: Weighting) -> dict[str, Any]:
    """What a run folder holds of a weighting: its kind and its numbers.

    >>> fields_of(WindowWeighting(2, 0.01))
    {'kind': 'window', 'window': 2, 'sample': 0.01}
    """
    kind = next(name for name, kind in KINDS.items() if isinstance(weighting, kind))
    return {"kind": kind, **numbers_of(weighting)}


def numbers_of(weighting: Weighting) -> dict[str, Any]:
    """The numbers of a weighting by name."""
    found: dict[str, Any] = asdict(weighting)  # type: ignore[call-overload]
    return found


def weighting_of(fields: dict[str, Any]) -> Weighting:
    """The weighting of such fields.

    >>> weighting_of({"kind": "plain"})
    PlainWeighting()
    """
    return KINDS[fields["kind"]](**{name: fields[name] for name in fields if name != "kind"})


def column_sums(matrix: csr_array, row_weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ_c of weight · n(c, w), of each word w, float64; `matrix.T @ row_weights` without a copy."""
    sums = np.zeros(matrix.shape[1])
    _add_columns(matrix.indptr, matrix.indices, matrix.data, row_weights, sums)
    return sums


@compiled
def _add_columns(starts, words, counts, row_weights, sums):
    for row in range(len(starts) - 1):
        for cell in range(starts[row], starts[row + 1]):
            sums[words[cell]] += counts[cell] * row_weights[row]


@compiled
def _weigh(starts, words, counts, row_keep, column_keep, scale, values):
    """Fill in the weighted counts; False where one is too small for a float32."""
    smallest = np.float32(np.inf)
    for row in range(len(starts) - 1):
        weight = scale * row_keep[row]
        for cell in range(starts[row], starts[row + 1]):
            values[cell] = np.float32(counts[cell] * weight * column_keep[words[cell]])
            smallest = min(smallest, values[cell])
    return smallest > 0
