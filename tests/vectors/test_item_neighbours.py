"""Item-kNN: its scores by hand, its choice, and the evaluation that it stands beside."""

from dataclasses import replace

import numpy as np
import pytest
from item_problems import cut, made_mixture, matrix_of, tasty_baskets

import exact2vec as e2v
from exact2vec.errors import InputError
from exact2vec.parallel import Workers
from exact2vec.vectors.item_evaluation import evaluate_items
from exact2vec.vectors.item_model import ItemModel
from exact2vec.vectors.item_neighbours import (
    NEIGHBOUR_RULES,
    ItemNeighbours,
    NeighbourRule,
    choose_neighbours,
    nearest_of_rows,
    pair_counts,
)
from exact2vec.vectors.ranking import Questions, ranked

BASKETS = matrix_of([{0, 1}, {0, 1, 2}, {0, 3}], 4)
TIMES = np.array([3, 2, 1, 1])


def test_pairs_by_hand():
    with Workers(1) as workers:
        plain = pair_counts(BASKETS, shared=False, workers=workers).toarray()
        shared = pair_counts(BASKETS, shared=True, workers=workers).toarray()
    assert plain.tolist() == [[0, 2, 1, 1], [2, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]]
    assert shared.tolist() == [[0, 1.5, 0.5, 1], [1.5, 0, 0.5, 0], [0.5, 0.5, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize("nearest", [None, 2])
def test_scores_are_sums_of_similarities(nearest):
    rule = NeighbourRule(False, 1.0, 0.5, nearest)
    with Workers(1) as workers:
        pairs = pair_counts(BASKETS, shared=False, workers=workers)
    similar = pairs.toarray() / TIMES[:, None] / np.sqrt(TIMES)
    if nearest:
        similar[0, 3] = 0  # as large as that of 2, which stands before it
    found = ItemNeighbours.of_pairs(pairs, TIMES, rule).scores(matrix_of([{0, 1}, {3}, set()], 4))
    np.testing.assert_allclose(found, [similar[0] + similar[1], similar[3], np.zeros(4)])


def test_the_nearest_of_a_row_are_its_largest_cells():
    matrix = matrix_of([set(range(5)), {1, 3}], 5)
    matrix.data[:] = [1, 5, 3, 5, 4, 2, 1]
    assert nearest_of_rows(matrix, 3).toarray().tolist() == [[0, 5, 0, 5, 4], [0, 2, 0, 1, 0]]


def test_the_best_of_the_grid_is_chosen():
    baskets, questions = matrix_of(tasty_baskets()), Questions(*cut(tasty_baskets(300, seed=5)))
    times = np.bincount(baskets.indices, minlength=baskets.shape[1])
    with Workers(2) as workers:
        chosen = choose_neighbours(baskets, questions, 3, workers=workers)
        pairs = {one: pair_counts(baskets, shared=one, workers=workers) for one in (True, False)}

    def recall(rule):
        neighbours = ItemNeighbours.of_pairs(pairs[rule.shared], times, rule)
        return ranked(neighbours.scores, questions.contexts, questions.targets, 3).recall.mean()

    assert recall(chosen) == max(map(recall, NEIGHBOUR_RULES))


def test_held_out_rows_are_ranked_beside_the_baselines():
    names = [[f"i{item}" for item in basket] for basket in tasty_baskets(400)]
    baskets = e2v.count_baskets(names, min_count=1, held_out=0.2, validation=0.2)
    popularity = made_mixture().popularity[: len(baskets.items.words)]
    mixture = replace(made_mixture(), popularity=popularity / popularity.sum())
    size = len(popularity)
    mixture = replace(
        mixture, counts=mixture.counts[:size, :size], baskets_with=mixture.baskets_with[:size]
    )
    found = evaluate_items(ItemModel((mixture,), (1.0,)), baskets)
    assert found.targets == baskets.held_out.targets.nnz
    assert found.rows == len(baskets.held_out)
    assert "nll" not in found.measures["item-kNN"]
    assert found.measures["popularity"]["recall@20"].n == found.rows
    with pytest.raises(InputError, match="--held-out"):
        evaluate_items(ItemModel((mixture,), (1.0,)), replace(baskets, held_out=None))
