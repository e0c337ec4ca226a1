"""Expected co-occurrences of random walks on a graph: what DeepWalk samples, nothing drawn.

    n(c, w) = d_c Σ_h a_h (P^h)_cw · 2 / (hops + 1),      a_h = (hops + 1 − h) / hops

P = D⁻¹A is the transition matrix of the weights A, d_c the weight of the edges of c. A walk from c
is at w after h steps with probability (P^h)_cw. A row sums to d_c, whatever `hops` is, so a node
has as many observations as edges. The diagonal, a walk that comes back, stays.

Most cells are below chance, N_c N_w / N. Where they are too many, each row keeps those above, or
above a multiple of chance, and the rest of its total is spread over all columns as a background,
see `Background`.

Source: Perozzi, Al-Rfou and Skiena 2014 (the walks); Qiu et al. 2018 (their expectation).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.walk_loops import LANES, new_scratch, walked_rows
from exact2vec.loss.background import Background
from exact2vec.parallel import Workers

CHUNK_ROWS = 256  # of one job


@dataclass(frozen=True)
class Walks:
    """Walks of so many hops over `weights` (sources × nodes); how rows and hops are weighted.

    `reach` are the probabilities of a step, `hop_weights` the a_h, `totals` the d_c. `scales`
    multiply Σ_h a_h (P^h)_cw, so that rows sum to their totals also where walks end early.
    `column_totals` are the N_w.
    """

    reach: csr_array
    hop_weights: NDArray[np.float64]
    totals: NDArray[np.float64]
    scales: NDArray[np.float64]
    column_totals: NDArray[np.float64]

    @classmethod
    def of(cls, weights: csr_array, hops: int) -> "Walks":
        """The walks over a square matrix of weights of edges, none twice.

        >>> walks = Walks.of(csr_array([[0, 2.0], [2.0, 0]]), 2)
        >>> walks.hop_weights, walks.totals, walks.scales
        (array([1. , 0.5]), array([2., 2.]), array([1.33333333, 1.33333333]))
        """
        hop_weights = np.arange(hops, 0, -1) / hops
        totals = np.asarray(weights.sum(axis=1), np.float64).ravel()
        reach = transitions(weights)
        reached = summed_hops(reach, hop_weights, np.ones(len(totals)))
        scales = np.divide(totals, reached, out=np.zeros_like(totals), where=reached > 0)
        back = csr_array(reach.T)
        return cls(reach, hop_weights, totals, scales, summed_hops(back, hop_weights, scales))

    @property
    def shares(self) -> NDArray[np.float64]:
        """p_w = N_w / N."""
        return np.asarray(self.column_totals / self.column_totals.sum())

    @property
    def groups(self) -> int:
        """How many groups of rows are walked together."""
        return -(-len(self.totals) // LANES)

    def rows(self, first: int, last: int, *, least: float, spare: "Spare") -> "WalkedRows":
        """The cells of some rows that are above `least` times chance; all where it is 0."""
        reach = self.reach.indptr, self.reach.indices, self.reach.data
        how = self.hop_weights, self.scales, self.shares
        with spare.lent(len(self.totals)) as scratch:
            return WalkedRows(*walked_rows(first, last, *reach, *how, float(least), scratch))


class Spare:
    """Scratch of jobs that are done, for those to come: as many as threads, not as jobs."""

    def __init__(self) -> None:
        self._free: SimpleQueue[Any] = SimpleQueue()

    @contextmanager
    def lent(self, size: int) -> Iterator[Any]:
        """Scratch for a job, which leaves it as it was."""
        try:
            scratch = self._free.get_nowait()
        except Empty:
            scratch = new_scratch(size)
        yield scratch
        self._free.put(scratch)


@dataclass(frozen=True)
class WalkedRows:
    """Cells of some rows: how many each keeps, their columns and n; the background of each row.

    `errors` are Σ |n − background| over the cells that were cut, `work` the steps of the walks.
    """

    kept: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[np.float64]
    amounts: NDArray[np.float64]
    errors: NDArray[np.float64]
    reached: int
    work: int


@dataclass(frozen=True)
class WalkCounts:
    """n(c, w), float64, and the background of what was cut, None where nothing was."""

    cells: csr_array
    background: Background | None


def transitions(weights: csr_array) -> csr_array:
    """P = D⁻¹A; a row without edges stays empty.

    >>> transitions(csr_array([[0, 1.0, 3.0], [1.0, 0, 0], [3.0, 0, 0]])).toarray()[0].tolist()
    [0.0, 0.25, 0.75]
    """
    totals = np.asarray(weights.sum(axis=1)).ravel()
    values = weights.data / np.repeat(totals, np.diff(weights.indptr))
    return csr_array((values, weights.indices, weights.indptr), shape=weights.shape)


def walk_counts(walks: Walks, *, least: float, workers: Workers) -> WalkCounts:
    """The counts of all rows, in chunks that do not depend on the threads; see `Walks.rows`."""
    size, spare = len(walks.totals), Spare()
    parts = workers.map(
        lambda first: walks.rows(first, min(first + CHUNK_ROWS, size), least=least, spare=spare),
        range(0, size, CHUNK_ROWS),
    )
    amounts, errors = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("amounts", "errors")
    )
    background = Background(amounts, walks.shares, errors) if amounts.any() else None
    return WalkCounts(_joined(parts, walks.reach.shape), background)


def _joined(parts: list[WalkedRows], shape: tuple[int, int]) -> csr_array:
    """The matrix of all parts, which are used up: so they are in memory about once."""
    starts = np.concatenate([[0], np.cumsum(np.concatenate([part.kept for part in parts]))])
    wide = np.int64 if starts[-1] > np.iinfo(np.int32).max else np.int32
    columns, values = np.empty(starts[-1], wide), np.empty(starts[-1])
    end = len(values)
    while parts:
        part = parts.pop()
        first = end - len(part.values)
        columns[first:end], values[first:end] = part.columns, part.values
        end = first
    return csr_array((values, columns, starts.astype(wide)), shape=shape)


def summed_hops(
    reach: csr_array, hop_weights: NDArray[np.float64], start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Σ_h a_h P^h v, of a vector or of the columns of a matrix."""
    found, now = np.zeros_like(start), start
    for weight in hop_weights:
        now = reach @ now
        found += weight * now
    return found
