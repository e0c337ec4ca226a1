"""What a model of a graph says of edges that it has not seen, beside what degrees alone say.

An edge is scored against pairs without one, drawn evenly among those of the whole graph. A degree
product needs no model and is often most of a score, so it always stands beside.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exact2vec.errors import InputError
from exact2vec.vectors.queries import log_softmax
from exact2vec.vectors.vectors import Vectors

KEY = b"exact2vec non-edges 0"
SCORES = ("x·u + b + log N", "log p")
ROWS = 256  # of log-probabilities at once
DRAWS = 256  # hashes at once, each of 4 pairs
Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class LinkScore:
    """AUC and average precision of edges among pairs without one, as many, by a score."""

    score: str
    auc: float
    precision: float


@dataclass(frozen=True)
class LinkScores:
    """What is said of `edges`; `strangers` of them have an end without vector and are left out.

    `by` names the score that was the better one on validation edges, or the first where there are
    none. `degrees` is that of the product of degrees.
    """

    edges: int
    strangers: int
    by: str
    model: LinkScore
    degrees: LinkScore
    others: list[LinkScore]


def link_scores(
    vectors: Vectors, edges: Pairs, whole: Pairs, validation: Pairs, strangers: int
) -> LinkScores:
    """Of edges, given as pairs of numbers of nodes.

    `whole` are the `pair_keys` of all edges of the graph, seen or not, sorted.
    """
    if not len(edges):
        raise InputError("no edge to judge has a vector at both ends: hold out more of them")
    pairs = np.concatenate([edges, non_edges(len(vectors), whole, len(edges))])
    true = np.arange(len(pairs)) < len(edges)
    by = SCORES[0]
    if len(validation):
        absent = non_edges(len(vectors), whole, len(edges) + len(validation))[len(edges) :]
        chosen = np.concatenate([validation, absent])
        right = np.arange(len(chosen)) < len(validation)
        found = pair_scores(vectors, chosen)
        by = max(SCORES, key=lambda name: auc(found[name], right))
    found = pair_scores(vectors, pairs)
    judged = {name: judge(name, found[name], true) for name in found}
    degrees = np.asarray(vectors.vocabulary.counts, np.float64)
    product = degrees[pairs[:, 0]] * degrees[pairs[:, 1]]
    others = [one for name, one in judged.items() if name != by]
    of_degrees = judge("product of degrees", product, true)
    return LinkScores(len(edges), strangers, by, judged[by], of_degrees, others)


def pair_scores(vectors: Vectors, pairs: Pairs) -> dict[str, NDArray[np.float64]]:
    """The mean of both directions of each pair, by each of SCORES."""
    one, other = pairs.T
    totals = np.log(np.maximum(np.asarray(vectors.vocabulary.counts, np.float64), 1e-300))
    forth, back = _joint(vectors, one, other), _joint(vectors, other, one)
    plain = (forth + totals[one] + back + totals[other]) / 2
    sums = np.empty(len(vectors))
    every = np.arange(len(vectors))
    for start in range(0, len(every), ROWS):
        rows = every[start : start + ROWS]
        raw = vectors.inputs[rows].astype(np.float64) @ vectors.outputs.T + vectors.bias
        sums[rows] = raw[:, 0] - log_softmax(raw)[:, 0]
    return dict(zip(SCORES, (plain, (forth - sums[one] + back - sums[other]) / 2), strict=True))


def _joint(vectors: Vectors, one: Pairs, other: Pairs) -> NDArray[np.float64]:
    products = np.einsum("ij,ij->i", vectors.inputs[one], vectors.outputs[other], dtype=np.float64)
    return np.asarray(products + vectors.bias[other])


def judge(name: str, scores: NDArray[np.float64], true: NDArray[np.bool_]) -> LinkScore:
    return LinkScore(name, auc(scores, true), average_precision(scores, true))


def auc(scores: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    """The share of pairs (edge, no edge) whose edge has the larger score; half of equal ones.

    >>> auc(np.array([3.0, 1.0, 2.0, 1.0]), np.array([True, True, False, False]))
    0.625
    """
    from scipy.stats import rankdata

    ranks, edges = rankdata(scores), int(true.sum())
    below = ranks[true].sum() - edges * (edges + 1) / 2
    return float(below / (edges * (len(true) - edges)))


def average_precision(scores: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    """Σ over distinct scores of the precision there × the share of edges with this score.

    >>> average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True])).__round__(4)
    0.8333
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    right = np.cumsum(true[order])[last]
    precision = right / (np.flatnonzero(last) + 1)
    return float((precision * np.diff(right, prepend=0)).sum() / true.sum())


def non_edges(nodes: int, whole: Pairs, wanted: int) -> Pairs:
    """Pairs of nodes without an edge, evenly drawn by a keyed hash; none twice.

    `whole` are the `pair_keys` of all edges, sorted.
    """
    if wanted > nodes * (nodes - 1) // 2 - len(whole):
        raise InputError(
            f"{wanted:,} pairs without an edge are wanted, as many as edges that are judged, but "
            f"the graph of {nodes:,} nodes has not so many: judge fewer edges"
        )
    taken: dict[int, None] = {}
    for drawn in _draws(nodes):
        keys = pair_keys(drawn[drawn[:, 0] != drawn[:, 1]], nodes)
        taken |= dict.fromkeys(keys[~np.isin(keys, whole)].tolist())
        if len(taken) >= wanted:
            break
    keys = np.array(list(taken)[:wanted], np.int64)
    return np.stack([keys // nodes, keys % nodes], axis=1)


def pair_keys(pairs: Pairs, nodes: int) -> Pairs:
    """A number for each pair of numbers of nodes, the same in both directions."""
    return np.asarray(pairs.min(axis=1) * nodes + pairs.max(axis=1), np.int64)


def _draws(nodes: int) -> Iterator[Pairs]:
    number = 0
    while True:
        digests = [
            hashlib.blake2b(str(number + more).encode(), digest_size=64, key=KEY).digest()
            for more in range(DRAWS)
        ]
        number += DRAWS
        drawn = np.frombuffer(b"".join(digests), ">u8").astype(np.float64) / 2.0**64
        yield np.minimum(nodes - 1, drawn * nodes).astype(np.int64).reshape(-1, 2)
