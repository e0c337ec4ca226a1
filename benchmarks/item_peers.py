"""Other methods on rows of items: how each scores what comes next, its settings chosen as ours.

Popularity, item-kNN and EASE; ALS and BPR of implicit; item2vec by gensim. A climb chooses the
settings by recall on the part that chooses; then all training rows are fitted.

A row that was not trained on is folded in. ALS solves for its vector. BPR and item2vec have no
rule for it: it gets the mean of the vectors of its items. The users of a table have vectors of
their own in BPR.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from item_data import Data, rows_of
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix, vstack

from exact2vec.counts.counts import unigram
from exact2vec.parallel import Workers
from exact2vec.train.item_training import item_times
from exact2vec.vectors.item_neighbours import ItemNeighbours, choose_neighbours, pair_counts
from exact2vec.vectors.item_parts import Popularity
from exact2vec.vectors.ranking import Scorer, ranked

SEEDS = [1, 2, 3]
RIDGES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
MOST_OF_EASE = 9000  # items whose V × V matrix is inverted

Settings = dict[str, Any]
Scorers = dict[str, Scorer]  # ways to score by one trained model
Fitted = Callable[[csr_array, Settings, int], Scorers]  # of rows, settings and a seed
Spent = dict[str, float]

Grid = dict[str, tuple[Sequence[Any], int]]

# What may be tried of each setting, in order; the climb begins at the place that stands behind.
GRIDS: dict[str, Grid] = {
    "ALS": {
        "factors": ((8, 16, 32, 64, 128), 2),
        "regularization": ((0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0), 3),
        "alpha": ((0.3, 1.0, 3.0, 10.0, 30.0, 100.0), 1),
        "iterations": ((5, 15, 30), 1),
    },
    "BPR": {
        "factors": ((8, 16, 32, 64, 128), 2),
        "regularization": ((0.001, 0.003, 0.01, 0.03, 0.1), 2),
        "learning_rate": ((0.01, 0.03, 0.1, 0.3), 1),
        "iterations": ((25, 50, 100, 200), 1),
    },
    "item2vec": {
        "epochs": ((5, 10, 20), 1),
        "ns_exponent": ((-0.5, 0.0, 0.5, 0.75, 1.0), 3),
        "vector_size": ((16, 32, 64, 128), 2),
        "negative": ((5, 20), 0),
        "window": ((5, 10, 30), 1),
    },
}
# Where a fit takes a minute there are fewer values, and where it takes more, none.
FEWER: dict[tuple[str, str], Grid | None] = {
    ("gowalla", "ALS"): {
        "factors": ((64, 128), 1),
        "regularization": ((3.0, 10.0, 30.0), 1),
        "alpha": ((3.0, 10.0), 1),
        "iterations": ((15,), 0),
    },
    ("gowalla", "BPR"): {
        "factors": ((64, 128), 0),
        "regularization": ((0.003, 0.01, 0.03), 1),
        "learning_rate": ((0.05,), 0),
        "iterations": ((100,), 0),
    },
    ("gowalla", "item2vec"): None,
    ("retail", "BPR"): {
        "factors": ((16, 32, 64, 128), 1),
        "regularization": ((0.003, 0.01, 0.03), 1),
        "learning_rate": ((0.03, 0.1), 0),
        "iterations": ((25, 50), 0),
    },
    ("retail", "item2vec"): {
        "epochs": ((2, 5, 10), 0),
        "ns_exponent": ((0.0, 0.5, 0.75, 1.0), 2),
        "vector_size": ((32, 64), 1),
        "negative": ((5,), 0),
        "window": ((5, 10), 0),
    },
}
MOST_TRIES = 20
SCALES: tuple[float, ...] = (1.0, 3.0, 10.0)  # of the mean of item vectors, beside the biases


@dataclass(frozen=True)
class Model:
    """A way to score what comes next, and what it took to choose and to train it."""

    name: str
    settings: Any
    scorer: Scorer
    spent: Spent


Peer = Callable[[Data, Workers, list[int]], Iterator[Model]]


@contextmanager
def clock() -> Iterator[Spent]:
    """Seconds and CPU seconds of what is inside."""
    spent: Spent = {}
    began, cpu = time.perf_counter(), time.process_time()
    yield spent
    spent["seconds"] = round(time.perf_counter() - began, 1)
    spent["cpu_seconds"] = round(time.process_time() - cpu, 1)


def popularity(data: Data, workers: Workers, seeds: list[int]) -> Iterator[Model]:
    with clock() as spent:
        times = item_times(data.baskets).astype(np.float64)
        scorer = Popularity(unigram(times)).probabilities
    yield Model("popularity", {}, scorer, spent)


def neighbours(data: Data, workers: Workers, seeds: list[int]) -> Iterator[Model]:
    with clock() as spent:
        rule = choose_neighbours(data.fitted, data.chooses, data.k, workers=workers)
        pairs = pair_counts(data.baskets, shared=rule.shared, workers=workers)
        scorer = ItemNeighbours.of_pairs(pairs, item_times(data.baskets), rule).scores
        del pairs
    yield Model("item-kNN", asdict(rule), scorer, spent)


def closed_form(data: Data, workers: Workers, seeds: list[int]) -> Iterator[Model]:
    """EASE, where its matrix fits."""
    if data.baskets.shape[1] <= MOST_OF_EASE:
        with clock() as spent:
            found = {ridge: recall(data, ease(data.fitted, ridge)) for ridge in RIDGES}
            ridge = max(RIDGES, key=lambda one: found[one])
            scorer = ease(data.baskets, ridge)
        yield Model("EASE", {"ridge": ridge}, scorer, spent)


def ease(baskets: csr_array, ridge: float) -> Scorer:
    """Scores X·B, B = I − P / diag P, P = (XᵀX + ridge · I)⁻¹. Source: Steck 2019."""
    gram = (baskets.T @ baskets).toarray()
    gram[np.diag_indices_from(gram)] += ridge
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return lambda contexts: np.asarray(contexts @ weights)


def recall(data: Data, scorer: Scorer) -> float:
    """Of the part that chooses."""
    asked = data.chooses.contexts, data.chooses.targets
    return float(ranked(scorer, *asked, data.k).recall.mean())


@dataclass(frozen=True)
class Try:
    """Settings and the way to score by them that was best, by recall on the part that chooses."""

    settings: Settings
    way: str
    recall: float


def climbed(grid: Grid, worth: Callable[[Settings], tuple[str, float]]) -> tuple[Try, list[Try]]:
    """The best of a climb: a step of one setting at a time, as long as one helps; and all tries."""
    tries: dict[tuple[int, ...], Try] = {}

    def tried(at: tuple[int, ...]) -> Try:
        if at not in tries:
            settings = {name: grid[name][0][place] for name, place in zip(grid, at, strict=True)}
            tries[at] = Try(settings, *worth(settings))
        return tries[at]

    best, before = tuple(start for _, start in grid.values()), None
    tried(best)
    while best != before and len(tries) < MOST_TRIES:
        before = best
        for axis, (values, _) in enumerate(grid.values()):
            for step in (1, -1):
                place = best[axis] + step
                while 0 <= place < len(values):
                    at = (*best[:axis], place, *best[axis + 1 :])
                    if tried(at).recall <= tried(best).recall:
                        break
                    best, place = at, place + step
    return tried(best), list(tries.values())


def fitted_peer(name: str, fitted: Fitted) -> Peer:
    """The peer of a grid: chosen once, and then trained with each seed."""

    def models(data: Data, workers: Workers, seeds: list[int]) -> Iterator[Model]:
        grid = FEWER.get((data.name, name), GRIDS[name])
        if grid is None:
            return
        seen = data.fitted
        if data.kind == "table":  # what is known of the rows that choose is known of users too
            seen = csr_array(vstack([data.fitted, data.chooses.contexts]))

        def worth(settings: Settings) -> tuple[str, float]:
            ways = fitted(seen, settings, SEEDS[0]).items()
            return max(((way, recall(data, one)) for way, one in ways), key=lambda one: one[1])

        with clock() as choosing:
            best, tries = climbed(grid, worth)
        for seed in seeds:
            with clock() as training:
                scorer = fitted(data.baskets, best.settings, seed)[best.way]
            spent = {what: round(choosing[what] + training[what], 1) for what in choosing}
            said = {**best.settings, "way": best.way, "seed": seed, "training": training}
            yield Model(name, said | {"tries": [asdict(one) for one in tries]}, scorer, spent)

    return models


def als(rows: csr_array, settings: Settings, seed: int) -> Scorers:
    """The vector of each row is solved for. Source: Hu, Koren and Volinsky 2008."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):  # it has threads of its own
        model = AlternatingLeastSquares(**settings, random_state=seed)
        model.fit(_plain(rows), show_progress=False)

    def scores(contexts: csr_array) -> NDArray[np.float64]:
        users = model.recalculate_user(np.arange(contexts.shape[0]), _plain(contexts))
        return np.asarray(users @ model.item_factors.T, np.float64)

    return {"solved": scores}


def bpr(rows: csr_array, settings: Settings, seed: int) -> Scorers:
    """A row has the mean of its items' vectors, times a number, or its own if it was trained.

    implicit draws negatives by popularity, so scores are relative to it: log p_0 may be added.
    Source: Rendle and others 2009.
    """
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(**settings, random_state=seed, num_threads=1)
    model.fit(_plain(rows), show_progress=False)
    known = {row.tobytes(): number for number, row in enumerate(_each_row(rows))}
    log_p = np.log(unigram(item_times(rows).astype(np.float64)))

    def way(scale: float | None, with_popularity: bool) -> Scorer:
        def scores(contexts: csr_array) -> NDArray[np.float64]:
            users = (scale or 1.0) * _means(contexts, model.item_factors)
            users[:, -1] = 1  # of the biases
            for at, row in enumerate(_each_row(contexts) if scale is None else ()):
                if row.tobytes() in known:
                    users[at] = model.user_factors[known[row.tobytes()]]
            return np.asarray(users @ model.item_factors.T + with_popularity * log_p)

        return scores

    named: dict[str, float | None] = {
        f"mean of the items times {scale:g}": scale for scale in SCALES
    }
    named["own, else the mean of the items"] = None
    found = {name: way(scale, with_popularity=False) for name, scale in named.items()}
    more = {
        f"{name}, log p_0 added": way(scale, with_popularity=True) for name, scale in named.items()
    }
    return found | more


class Shuffled:
    """The rows as lists of words, each in another order whenever they are read."""

    def __init__(self, rows: csr_array, seed: int) -> None:
        self.rows, self.random = rows_of(rows), np.random.default_rng(seed)

    def __iter__(self) -> Iterator[list[str]]:
        for row in self.rows:
            yield [str(item) for item in self.random.permutation(row)]


def item2vec(rows: csr_array, settings: Settings, seed: int) -> Scorers:
    """Skip-grams of baskets by gensim. Source: Barkan and Koenigstein 2016.

    The mean of the items' vectors meets the vectors of the items, by cosine, or the outputs.
    """
    from gensim.models import Word2Vec

    model = Word2Vec(
        Shuffled(rows, seed),
        **settings,
        sg=1,
        min_count=1,
        sample=0,
        shrink_windows=False,
        workers=1,
        seed=seed,
    )
    inputs = np.zeros((rows.shape[1], model.vector_size))
    outputs = np.zeros_like(inputs)
    for word, place in model.wv.key_to_index.items():
        inputs[int(word)], outputs[int(word)] = model.wv.vectors[place], model.syn1neg[place]
    unit = inputs / np.maximum(np.linalg.norm(inputs, axis=1, keepdims=True), 1e-12)
    return {
        "vectors by cosine": lambda contexts: np.asarray(_means(contexts, unit) @ unit.T),
        "vectors and outputs": lambda contexts: np.asarray(_means(contexts, inputs) @ outputs.T),
    }


def _means(contexts: csr_array, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """The mean of the vectors of each context's items."""
    sizes = np.maximum(np.diff(contexts.indptr), 1)
    return np.asarray(contexts @ vectors.astype(np.float64)) / sizes[:, None]


def _each_row(rows: csr_array) -> list[NDArray[np.int32]]:
    return np.split(rows.indices.astype(np.int32), rows.indptr[1:-1])


def _plain(rows: csr_array) -> csr_matrix:
    """As implicit takes them."""
    indices, starts = rows.indices.astype(np.int32), rows.indptr.astype(np.int32)
    return csr_matrix((np.ones(rows.nnz, np.float32), indices, starts), shape=rows.shape)


PEERS: dict[str, Peer] = {
    "popularity": popularity,
    "item-kNN": neighbours,
    "EASE": closed_form,
    "ALS": fitted_peer("ALS", als),
    "BPR": fitted_peer("BPR", bpr),
    "item2vec": fitted_peer("item2vec", item2vec),
}
