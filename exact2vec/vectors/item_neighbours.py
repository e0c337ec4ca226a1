"""Item-kNN, the baseline that recommendations are measured beside: similar items are added up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.credit import CreditRule, credit_counts
from exact2vec.parallel import Workers
from exact2vec.vectors.item_parts import summed_rows
from exact2vec.vectors.neighbours import largest_places
from exact2vec.vectors.ranking import Questions, Scores, ranked


@dataclass(frozen=True)
class NeighbourRule:
    """s(i, w) = n_iw / (d_i^source_power · d_w^target_power), of the `nearest` w of each i.

    n are baskets with both items; `shared`: each counts 1 / (k − 1) in a basket of k items, as
    credit without rounds. d are baskets with the item. All w are kept where `nearest` is None.
    """

    shared: bool = True
    source_power: float = 1.0
    target_power: float = 0.5
    nearest: int | None = None


NEIGHBOUR_RULES = tuple(
    NeighbourRule(shared, source, target, nearest)
    for shared in (True, False)
    for source in (0.5, 1.0)
    for target in (0.25, 0.5)
    for nearest in (None, 100)
)


@dataclass(frozen=True)
class ItemNeighbours:
    """Scores of every item for a context: Σ_i s(i, w)."""

    similarities: csr_array

    @classmethod
    def of_pairs(
        cls, pairs: csr_array, baskets_with: NDArray[np.int64], rule: NeighbourRule
    ) -> "ItemNeighbours":
        """From the counts n_iw of pairs, as `NeighbourRule` says they are counted."""
        times = np.maximum(baskets_with, 1.0)
        of_row = np.repeat(times**-rule.source_power, np.diff(pairs.indptr))
        values = pairs.data * of_row * (times**-rule.target_power)[pairs.indices]
        whole = csr_array((values, pairs.indices, pairs.indptr), shape=pairs.shape)
        return cls(whole if rule.nearest is None else nearest_of_rows(whole, rule.nearest))

    def scores(self, contexts: csr_array) -> Scores:
        """One row a context."""
        return summed_rows(contexts, self.similarities, np.ones(self.similarities.shape[0]))


def nearest_of_rows(matrix: csr_array, nearest: int) -> csr_array:
    """The `nearest` largest cells of each row, equal ones in the order of their columns."""
    kept = np.ones(matrix.nnz, np.bool_)
    for row in np.flatnonzero(np.diff(matrix.indptr) > nearest):
        cells = slice(matrix.indptr[row], matrix.indptr[row + 1])
        kept[cells] = False
        kept[cells.start + largest_places(matrix.data[cells], nearest)] = True
    starts = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return csr_array((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)


def pair_counts(baskets: csr_array, *, shared: bool, workers: Workers) -> csr_array:
    """How many baskets hold both items; `shared`: 1 / (k − 1) for a basket of k items.

    Very long baskets count in parts: see `cut_long`.
    """
    popularity = np.ones(baskets.shape[1])
    rule = CreditRule(target_power=0.0 if shared else -1.0)
    return credit_counts(baskets, popularity, rule, workers=workers)


def choose_neighbours(
    baskets: csr_array, questions: Questions, k: int = 20, *, workers: Workers
) -> NeighbourRule:
    """The item-kNN of the largest recall@k on `questions`, of a grid."""
    best, recall = NEIGHBOUR_RULES[0], -1.0
    times = np.bincount(baskets.indices, minlength=baskets.shape[1])
    asked = questions.contexts, questions.targets
    for shared in (True, False):
        pairs = pair_counts(baskets, shared=shared, workers=workers)
        for rule in (one for one in NEIGHBOUR_RULES if one.shared == shared):
            neighbours = ItemNeighbours.of_pairs(pairs, times, rule)
            found = float(ranked(neighbours.scores, *asked, k).recall.mean())
            best, recall = (rule, found) if found > recall else (best, recall)
    return best
