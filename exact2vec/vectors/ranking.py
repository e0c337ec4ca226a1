"""How well scores rank the targets of rows: recall, ndcg, hits, reciprocal rank, coverage, NLL.

Items of a row's context are not ranked. Equal scores stand in the order of the items: those of
more baskets first, then by name.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.jit import compiled
from exact2vec.vectors.item_model import blocks
from exact2vec.vectors.item_parts import each_row

RESAMPLES = 1000
Scores = Float64[np.ndarray, "context item"]
Scorer = Callable[[csr_array], Scores]


@dataclass(frozen=True)
class Questions:
    """Rows cut into the items that are shown and those that are asked for (row × item each)."""

    contexts: csr_array
    targets: csr_array


@dataclass(frozen=True)
class Measure:
    """A mean over `n` rows (or targets), with a 95 % interval by bootstrap over rows."""

    value: float
    interval: tuple[float, float]
    n: int


@dataclass(frozen=True)
class Ranked:
    """What each row with targets has: numbers a row, float64.

    `recall`: share of its targets among the first k. `ndcg`: Σ 1/log2(1 + rank) of those, divided
    by that of min(k, targets) at the top. `hit`: whether one is there. `reciprocal`: 1 / the best
    rank of a target among all items outside the context. `nats`: Σ −log p of its targets, where
    scores are probabilities. `recommended`: the first k items, −1 where there are fewer.
    """

    k: int
    targets: Int[np.ndarray, " row"]
    recall: Float64[np.ndarray, " row"]
    ndcg: Float64[np.ndarray, " row"]
    hit: Float64[np.ndarray, " row"]
    reciprocal: Float64[np.ndarray, " row"]
    nats: Float64[np.ndarray, " row"]
    recommended: Int[np.ndarray, "row k"]
    items: int

    @property
    def coverage(self) -> float:
        """The share of all items that is among the first k of some row."""
        seen = np.unique(self.recommended)
        return float((seen >= 0).sum() / self.items)

    def measures(self, seed: int = 1) -> dict[str, Measure]:
        """recall, ndcg, hit, mrr and nll by name, each with its interval."""
        ones = np.ones(len(self.targets))
        per_row = {
            f"recall@{self.k}": (self.recall, ones),
            f"ndcg@{self.k}": (self.ndcg, ones),
            f"hit@{self.k}": (self.hit, ones),
            "mrr": (self.reciprocal, ones),
            "nll": (self.nats, self.targets.astype(np.float64)),
        }
        return {name: mean_of_rows(*sums, seed=seed) for name, sums in per_row.items()}


def ranked(score: Scorer, contexts: csr_array, targets: csr_array, k: int = 20) -> Ranked:
    """The targets of each row ranked by `score` among the items outside its context.

    Rows without targets are left out. `score` gives a block of contexts numbers, larger for what
    comes sooner; −log of them is `nats`.
    """
    rows = np.flatnonzero(np.diff(targets.indptr))
    contexts, targets = contexts[rows], targets[rows]
    nats, ranks = np.empty(targets.nnz), np.empty(targets.nnz, np.int64)
    tops = np.empty((len(rows), k), np.int32)
    for some in blocks(contexts):
        scores = score(contexts[some])
        here = slice(targets.indptr[some.start], targets.indptr[some.stop])
        ranks[here], tops[some] = ranks_and_tops(scores, contexts[some], targets[some], k)
        of_row = np.repeat(np.arange(len(scores)), np.diff(targets[some].indptr))
        with np.errstate(divide="ignore", invalid="ignore"):
            nats[here] = -np.log(scores[of_row, targets.indices[here]])
    return _of_ranks(ranks, nats, targets, tops, k)


def ranks_and_tops(
    scores: Scores, contexts: csr_array, targets: csr_array, k: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The rank of each target (1 is the first), and the first k items of each row.

    Those of the context are left out; −1 stands where there are fewer.
    """
    ranks = np.empty(targets.nnz, np.int64)
    tops = np.full((len(scores), k), -1, np.int32)
    known, wanted = (contexts.indptr, contexts.indices), (targets.indptr, targets.indices)
    each_row(
        len(scores),
        lambda first, last: _rank(first, last, scores, *known, *wanted, ranks, tops),
    )
    return ranks, tops


def mean_of_rows(
    sums: NDArray[np.float64], weights: NDArray[np.float64], *, seed: int = 1
) -> Measure:
    """Σ sums / Σ weights, with a 95 % interval by bootstrap over the rows."""
    total = weights.sum()
    if not total:
        return Measure(float("nan"), (float("nan"), float("nan")), 0)
    random = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    for draw in range(RESAMPLES):
        some = random.integers(0, len(sums), len(sums))
        means[draw] = sums[some].sum() / weights[some].sum()
    if not np.isfinite(means).all():
        return Measure(float(sums.sum() / total), (float("nan"), float("nan")), int(total))
    low, high = np.quantile(means, [0.025, 0.975])
    return Measure(float(sums.sum() / total), (float(low), float(high)), int(total))


def _of_ranks(
    ranks: NDArray[np.int64],
    nats: NDArray[np.float64],
    targets: csr_array,
    tops: NDArray[np.int32],
    k: int,
) -> Ranked:
    sizes = np.diff(targets.indptr)
    starts = targets.indptr[:-1]
    gains = np.where(ranks <= k, 1 / np.log2(1.0 + ranks), 0.0)
    ideal = np.concatenate([[0], np.cumsum(1 / np.log2(2.0 + np.arange(k)))])
    if not len(sizes):
        none = np.empty(0)
        return Ranked(k, sizes, none, none, none, none, none, tops, targets.shape[1])
    recall = np.add.reduceat((ranks <= k).astype(np.float64), starts) / sizes
    return Ranked(
        k,
        sizes,
        recall,
        np.add.reduceat(gains, starts) / ideal[np.minimum(sizes, k)],
        (recall > 0).astype(np.float64),
        1 / np.minimum.reduceat(ranks, starts),
        np.add.reduceat(nats, starts),
        tops,
        int(targets.shape[1]),
    )


@compiled
def _rank(first, last, scores, known_starts, known, wanted_starts, wanted, ranks, tops):
    """Overwrites the scores of known items with −∞, after which they come last."""
    k = tops.shape[1]
    best = np.empty(k)
    for row in range(first, last):
        here = scores[row]
        for place in range(known_starts[row], known_starts[row + 1]):
            here[known[place]] = -np.inf
        for place in range(wanted_starts[row], wanted_starts[row + 1]):
            target = wanted[place]
            value, above = here[target], 0
            for item in range(target):
                above += here[item] >= value
            for item in range(target + 1, len(here)):
                above += here[item] > value
            ranks[place] = above + 1
        filled = 0
        for item in range(len(here)):
            value = here[item]
            if value == -np.inf or (filled == k and not value > best[k - 1]):
                continue
            filled = min(filled + 1, k)
            at = filled - 1
            while at > 0 and best[at - 1] < value:
                best[at], tops[row, at] = best[at - 1], tops[row, at - 1]
                at -= 1
            best[at], tops[row, at] = value, item
