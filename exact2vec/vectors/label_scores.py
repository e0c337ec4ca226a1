"""What node vectors say of labels: logistic regression on some nodes, judged on the others.

One regression a label against the rest (liblinear, C = 1) on vectors of length 1. Each node of the
test part is given as many labels as it has, the most probable ones.

Source: Tang and Liu 2009; Perozzi, Al-Rfou and Skiena 2014 (the protocol).
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact2vec.errors import InputError, UsageError
from exact2vec.parallel import Workers
from exact2vec.storage.files import text_lines
from exact2vec.vectors.queries import unit_rows
from exact2vec.vectors.vectors import Vectors

SHARES = (0.5, 0.9)
SPLITS = 10
Fit = Callable[[NDArray[Any], NDArray[np.bool_], NDArray[Any]], NDArray[np.float64]]
Splits = Sequence[tuple[float, int]]  # the share that is trained on, and the number of the split
Watch = Callable[[Splits], Iterable[tuple[float, int]]]  # the same splits, shown as they pass


@dataclass(frozen=True)
class LabelScore:
    """Micro and macro F1, means over the splits, with the standard errors of the means.

    `trained` is the share of the labelled nodes that were trained on. `micro_of_splits` and
    `macro_of_splits` are those of each split.
    """

    trained: float
    micro: float
    micro_error: float
    macro: float
    macro_error: float
    micro_of_splits: list[float]
    macro_of_splits: list[float]

    @classmethod
    def of_splits(cls, trained: float, found: Sequence[tuple[float, float]]) -> "LabelScore":
        """Of (micro, macro) of each split."""
        micro, macro = np.array(found).T
        errors = [float(each.std(ddof=1) / np.sqrt(len(found))) for each in (micro, macro)]
        means = [float(each.mean()) for each in (micro, macro)]
        lists = micro.tolist(), macro.tolist()
        return cls(trained, means[0], errors[0], means[1], errors[1], *lists)


@dataclass(frozen=True)
class LabelScores:
    """What labels say of node vectors.

    `labelled` nodes have labels, `isolated` of them no vector: they are zeros to the regression.
    `strangers` are labelled names that are no nodes, which are left out.
    """

    labelled: int
    labels: int
    isolated: int
    strangers: int
    scores: list[LabelScore]


@dataclass(frozen=True)
class Labels:
    """Which of the `labels` each of the `nodes` has: (node, label)."""

    nodes: list[str]
    labels: list[str]
    has: NDArray[np.bool_]

    @classmethod
    def read(cls, path: str | Path) -> "Labels":
        """Of lines "node TAB label", several of them for a node with several labels."""
        pairs = []
        for number, line in enumerate(text_lines(Path(path)), start=1):
            if not (line := line.rstrip("\r\n")).strip():
                continue
            fields = line.split("\t")
            if len(fields) != 2 or not all(field.strip() for field in fields):
                raise InputError(
                    f"{path}, line {number}: wanted node TAB label, got {line[:60]!r}; "
                    "a node with several labels has several lines"
                )
            pairs.append((fields[0], fields[1]))
        if not pairs:
            raise InputError(f"{path}: no labels; wanted lines of node TAB label")
        return cls.of_pairs(pairs)

    @classmethod
    def of_pairs(cls, pairs: Sequence[tuple[str, str]]) -> "Labels":
        nodes, labels = (sorted({pair[side] for pair in pairs}) for side in (0, 1))
        place = {name: number for number, name in enumerate(nodes)}
        column = {name: number for number, name in enumerate(labels)}
        has = np.zeros((len(nodes), len(labels)), bool)
        for node, label in pairs:
            has[place[node], column[label]] = True
        return cls(nodes, labels, has)

    def of_nodes(self, kept: Sequence[int]) -> "Labels":
        """Those of some nodes, with the labels that these have."""
        has = self.has[list(kept)]
        used = has.any(axis=0)
        labels = [self.labels[label] for label in np.flatnonzero(used)]
        return Labels([self.nodes[number] for number in kept], labels, has[:, used])


def label_scores(
    vectors: Vectors,
    labels: Labels,
    *,
    which: Any = None,
    shares: Sequence[float] = SHARES,
    splits: int = SPLITS,
    seed: int = 1,
    threads: int | None = None,
    watch: Watch = iter,
) -> LabelScores:
    """F1 of the labels of nodes, at each share of them that is trained on, by liblinear."""
    isolated = set(vectors.settings.get("isolated", ()))
    kept = [at for at, node in enumerate(labels.nodes) if node in vectors or node in isolated]
    known = labels.of_nodes(kept)
    with_vector = [at for at, node in enumerate(known.nodes) if node in vectors]
    if len(with_vector) < 4:
        raise InputError(
            f"{len(with_vector)} of {len(labels.nodes):,} labelled nodes have a vector; "
            "names of nodes are compared as text: are they spelled as among the edges?"
        )
    rows = np.zeros((len(known.nodes), vectors.vector_size))
    rows[with_vector] = np.stack([vectors.vector(known.nodes[at], which) for at in with_vector])
    rows = np.asarray(unit_rows(rows.astype(np.float32)), np.float64)
    fit = partial(liblinear, threads=threads)
    work = [(share, split) for share in shares for split in range(splits)]
    found = [split_scores(rows, known.has, *one, seed, fit) for one in watch(work)]
    scores = [
        LabelScore.of_splits(share, found[at * splits : (at + 1) * splits])
        for at, share in enumerate(shares)
    ]
    return LabelScores(
        len(known.nodes),
        len(known.labels),
        len(known.nodes) - len(with_vector),
        len(labels.nodes) - len(kept),
        scores,
    )


def share_score(
    rows: NDArray[Any], has: NDArray[np.bool_], share: float, splits: int, seed: int, fit: Fit
) -> LabelScore:
    """F1 of all splits where this share of the nodes is trained on; see `split_scores`."""
    found = [split_scores(rows, has, share, split, seed, fit) for split in range(splits)]
    return LabelScore.of_splits(share, found)


def split_scores(
    rows: NDArray[Any], has: NDArray[np.bool_], share: float, split: int, seed: int, fit: Fit
) -> tuple[float, float]:
    """Micro and macro F1 of one split; one node at least is trained on, and one is judged.

    `fit(rows, has, new rows)` gives the scores of labels.
    """
    order = np.random.default_rng([seed, split]).permutation(len(rows))
    trained, tested = np.split(order, [max(1, min(len(rows) - 1, round(share * len(rows))))])
    scores = fit(rows[trained], has[trained], rows[tested])
    return f1_scores(as_many_labels(scores, has[tested]), has[tested])


def as_many_labels(scores: NDArray[np.float64], has: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The labels of largest score, as many for each node as it has.

    >>> as_many_labels(np.array([[.2, .9, .5]]), np.array([[True, True, False]])).tolist()
    [[False, True, True]]
    """
    rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(rank < has.sum(axis=1, keepdims=True))


def f1_scores(given: NDArray[np.bool_], has: NDArray[np.bool_]) -> tuple[float, float]:
    """Micro and macro F1 = 2 · right / (given + wanted), over all labels; 0 where it is 0 / 0.

    >>> f1_scores(np.array([[1, 0], [1, 0]]) > 0, np.array([[1, 0], [0, 1]]) > 0)
    (0.5, 0.3333333333333333)
    """
    right, both = (given & has).sum(axis=0), given.sum(axis=0) + has.sum(axis=0)
    each = 2 * right / np.maximum(both, 1)
    return float(2 * right.sum() / max(1, both.sum())), float(each.mean())


def liblinear(
    rows: NDArray[Any], has: NDArray[np.bool_], new: NDArray[Any], *, threads: int | None = None
) -> NDArray[np.float64]:
    """The scores of each label for new rows, one regression a label."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise UsageError(
            "labels are judged with scikit-learn: pip install 'exact2vec[labels]'"
        ) from error

    def scores(those: NDArray[np.bool_]) -> NDArray[np.float64]:
        if those.all() or not those.any():
            return np.full(len(new), np.inf if those.all() else -np.inf)
        model = LogisticRegression(C=1.0, solver="liblinear").fit(rows, those)
        return np.asarray(model.decision_function(new))

    with Workers(threads) as workers, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return np.column_stack(workers.map(scores, has.T))
