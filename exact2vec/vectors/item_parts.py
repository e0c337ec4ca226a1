"""Probabilities of the next item, given the items of a basket: the parts that a model is made of.

A part gives p(w | I) of every item w for each context I, a set of items. `outside` makes of it the
probability among the items that are not in the context yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.credit import CreditRule
from exact2vec.jit import compiled
from exact2vec.options import available_threads
from exact2vec.parallel import workers

ROWS_A_JOB = 16  # contexts that a thread takes at a time
TABLE_BYTES = 1 << 29  # a table of item × item, up to which it is held

Probabilities = Float64[np.ndarray, "context item"]


@runtime_checkable
class ItemPart(Protocol):
    """p(w | I) of every item, in the context or not; a row sums to 1."""

    @property
    def name(self) -> str: ...

    def probabilities(self, contexts: csr_array) -> Probabilities:
        """One row a context. `contexts` are context × item; their values do not count."""


@dataclass(frozen=True)
class Popularity:
    """p_0(w), whatever the context: the share of the training entries that w is."""

    popularity: Float64[np.ndarray, " item"]
    name: str = "popularity"

    def probabilities(self, contexts: csr_array) -> Probabilities:
        return np.tile(self.popularity, (contexts.shape[0], 1))


@dataclass(frozen=True)
class Mixture:
    """The mixture of the items' own probabilities, from credit counts n(i, w).

        p(w | I) = [a_0 p_0(w) + Σ_i a_i p(w | i)] / (a_0 + Σ_i a_i),      i in I
        p(w | i) = (n_iw + κ p_0(w | i)) / (N_i + κ)

    κ, a_0 and a_i are those of the `rule`; `baskets_with` are the d_i. p_0(w | i) is a row of
    `table` (item × item, rows sum to 1), or the `popularity` p_0(w) where there is none. With
    nothing in the context, or only items of no weight, it is the popularity.
    Source: interpolation with a prior, as Jelinek and Mercer 1980 and MacKay and Peto 1995.
    """

    counts: csr_array
    rule: CreditRule
    popularity: Float64[np.ndarray, " item"]
    baskets_with: NDArray[np.int64]
    table: NDArray[np.floating] | None = None
    name: str = "mixture"

    @cached_property
    def totals(self) -> Float64[np.ndarray, " item"]:
        """N_i, the credit that each item has as a source."""
        return np.asarray(self.counts.sum(axis=1), np.float64)

    @cached_property
    def source_weights(self) -> Float64[np.ndarray, " item"]:
        """a_i."""
        return self.rule.source_weights(self.baskets_with)

    def probabilities(self, contexts: csr_array) -> Probabilities:
        weights = self._weights(contexts)
        shares = 1 / (self.totals + self.rule.kappa)
        found = summed_rows(contexts, self.counts, self.source_weights * shares)
        known = shares * self.rule.kappa * self.source_weights
        popular = np.full(len(weights), self.rule.background)
        if self.table is None:
            popular += np.asarray(presence(contexts) @ known)
        else:
            found += (presence(contexts) * known[None, :]) @ self.table
        popular[np.diff(contexts.indptr) == 0] = weights[np.diff(contexts.indptr) == 0]

        def divide(first: int, last: int) -> None:
            rows = slice(first, last)
            found[rows] += popular[rows, None] * self.popularity
            found[rows] /= weights[rows, None]

        each_row(len(weights), divide)
        return found

    def reasons(self, context: NDArray[np.int64], item: int) -> Float64[np.ndarray, " source"]:
        """The share of p(item | context) that each item of the context gives by its counts.

        What is left to 1 is that of the popularity, or of the table.
        """
        shares = self.source_weights[context] / (self.totals[context] + self.rule.kappa)
        counted = self.counts[context][:, [item]].toarray().ravel() * shares
        one = csr_array(
            (np.ones(len(context)), context, [0, len(context)]), shape=(1, self.counts.shape[0])
        )
        total = self.probabilities(one)[0, item] * self._weights(one)[0]
        return np.asarray(counted / total)

    def _weights(self, contexts: csr_array) -> Float64[np.ndarray, " context"]:
        """a_0 + Σ a_i; 1 where the context is empty and a_0 is 0."""
        weights = np.asarray(presence(contexts) @ self.source_weights) + self.rule.background
        return np.where(weights > 0, weights, 1.0)


def outside(probabilities: Probabilities, contexts: csr_array) -> Probabilities:
    """q(w | I) = p(w | I) / (1 − Σ_{j in I} p(j | I)), 0 in the context; in place.

    The sum below is taken over the items outside, so nothing cancels. A context of all items has
    nothing outside, and a row of zeros.
    """
    probabilities[_entries(contexts)] = 0
    total = probabilities.sum(axis=1, keepdims=True)
    probabilities /= np.where(total > 0, total, 1)
    return probabilities


def summed_rows(
    contexts: csr_array, matrix: csr_array, scales: Float64[np.ndarray, " item"]
) -> Probabilities:
    """Σ_i scale_i · matrix_iw over the items i of each context; each row summed by one thread."""
    found = np.zeros((contexts.shape[0], matrix.shape[1]))
    cells = matrix.indptr, matrix.indices, matrix.data
    entries = contexts.indptr, contexts.indices
    each_row(
        contexts.shape[0],
        lambda first, last: _sum_rows(first, last, *entries, *cells, scales, found),
    )
    return found


def each_row(rows: int, loop: Callable[[int, int], object]) -> None:
    """`loop` over stretches of rows, on the worker threads of the process."""
    starts = range(0, rows, ROWS_A_JOB)
    workers(available_threads()).map(
        lambda start: loop(start, min(start + ROWS_A_JOB, rows)), starts
    )


def softmax_table(
    inputs: NDArray[np.float32], outputs: NDArray[np.float32], bias: NDArray[np.float32]
) -> Float64[np.ndarray, "item other"]:
    """p(w | i) = softmax over w of b_w + x_i·u_w, a row an item."""
    products = inputs @ outputs.T
    found = np.empty(products.shape)

    def softmax(first: int, last: int) -> None:
        scores = found[first:last]
        np.add(products[first:last], bias, out=scores, dtype=np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)

    each_row(len(found), softmax)
    return found


def presence(contexts: csr_array) -> csr_array:
    """The same cells with the value 1."""
    ones = np.ones(len(contexts.indices))
    return csr_array((ones, contexts.indices, contexts.indptr), shape=contexts.shape)


def _entries(contexts: csr_array) -> tuple[NDArray[np.int64], NDArray[np.integer]]:
    rows = np.repeat(np.arange(contexts.shape[0]), np.diff(contexts.indptr))
    return rows, contexts.indices


@compiled
def _sum_rows(first, last, starts, items, row_starts, columns, values, scales, found):
    for row in range(first, last):
        for place in range(starts[row], starts[row + 1]):
            item = items[place]
            scale = scales[item]
            for cell in range(row_starts[item], row_starts[item + 1]):
                found[row, columns[cell]] += scale * values[cell]
