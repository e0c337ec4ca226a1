"""What a model of what comes next is worth, beside popularity and item-kNN."""

from dataclasses import dataclass

import numpy as np

from exact2vec.counts.baskets import Baskets
from exact2vec.counts.counts import unigram
from exact2vec.errors import InputError
from exact2vec.options import available_threads
from exact2vec.parallel import Workers
from exact2vec.vectors.item_model import ItemModel
from exact2vec.vectors.item_neighbours import (
    ItemNeighbours,
    NeighbourRule,
    choose_neighbours,
    pair_counts,
)
from exact2vec.vectors.item_parts import Popularity
from exact2vec.vectors.ranking import Measure, Questions, ranked

K = 20


@dataclass(frozen=True)
class ItemEvaluation:
    """Measures by name (recall@20, ndcg@20, hit@20, mrr, nll) of each model by name.

    `nll` is the mean −log p of the targets among the items outside their contexts, nats a target;
    item-kNN has none, and there is no floor for it. `coverage` is the share of all items that is
    among the first 20 of some row. Equal scores stand in the order of the items: of more baskets
    first, then by name. `neighbours` is the item-kNN, chosen on the validation part. Measures
    compare where `held_out_digest` is equal.
    """

    rows: int
    targets: int
    held_out_digest: str | None
    measures: dict[str, dict[str, Measure]]
    coverage: dict[str, float]
    neighbours: NeighbourRule


def evaluate_items(
    model: ItemModel, baskets: Baskets, *, threads: int | None = None
) -> ItemEvaluation:
    """Measures on the held-out rows; each is cut once into what is shown and what is asked for.

    Raises InputError where nothing is held out.
    """
    cut = baskets.held_out
    if cut is None or not cut.targets.nnz:
        raise InputError(
            "no rows are held out, so nothing can be asked: train with --held-out above 0"
        )
    rows = baskets.known_rows  # as the model counts them, when its numbers are chosen
    times = np.bincount(rows.indices, minlength=rows.shape[1])
    popular = Popularity(unigram(times.astype(np.float64)))
    with Workers(threads or available_threads()) as workers:
        rule = NeighbourRule()
        if baskets.validation is not None:
            asked = Questions(baskets.validation.contexts, baskets.validation.targets)
            rule = choose_neighbours(baskets.training, asked, K, workers=workers)
        pairs = pair_counts(rows, shared=rule.shared, workers=workers)
    scorers = {
        "model": model.probabilities,
        "popularity": ItemModel((popular,), (1.0,)).probabilities,
        "item-kNN": ItemNeighbours.of_pairs(pairs, times, rule).scores,
    }
    found = {name: ranked(score, cut.contexts, cut.targets, K) for name, score in scorers.items()}
    measures = {
        name: {
            what: one
            for what, one in of_model.measures().items()
            if (name, what) != ("item-kNN", "nll")
        }
        for name, of_model in found.items()
    }
    coverage = {name: of_model.coverage for name, of_model in found.items()}
    sizes = len(found["model"].targets), int(cut.targets.nnz)
    return ItemEvaluation(*sizes, baskets.held_out_digest, measures, coverage, rule)
