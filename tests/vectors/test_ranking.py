"""Recall, ndcg, hits, reciprocal rank, coverage and NLL, by hand and against a full sort."""

import numpy as np
import pytest
from item_problems import ITEMS, cut, matrix_of, tasty_baskets

from exact2vec.vectors.ranking import mean_of_rows, ranked


def test_by_hand():
    """Six items, k = 2. Row 0 knows item 0 and is asked 1 and 3; row 1 is asked 5, a tie with 4."""
    scores = np.array([[9.0, 0.5, 0.3, 0.1, 0.1, 0.0], [0.1, 0.1, 0.1, 0.1, 0.3, 0.3]])
    contexts, targets = matrix_of([{0}, set()], 6), matrix_of([{1, 3}, {5}], 6)
    found = ranked(lambda some: scores.copy(), contexts, targets, k=2)
    assert found.recommended.tolist() == [[1, 2], [4, 5]]
    assert found.recall.tolist() == [0.5, 1]
    assert found.hit.tolist() == [1, 1]
    assert found.reciprocal.tolist() == [1, 0.5]
    gain = 1 / np.log2(3)
    np.testing.assert_allclose(found.ndcg, [1 / (1 + gain), gain], rtol=1e-15)
    np.testing.assert_allclose(found.nats, -np.log([0.5 * 0.1, 0.3]), rtol=1e-15)
    assert found.coverage == 4 / 6
    measures = found.measures()
    assert measures["recall@2"].value == 0.75
    assert measures["nll"].n == 3
    assert measures["nll"].value == pytest.approx(-np.log(0.5 * 0.1 * 0.3) / 3)


def test_against_a_full_sort():
    """Scores with many ties: larger first, equal ones in the order of the items."""
    random, k = np.random.default_rng(2), 5
    contexts, targets = cut(tasty_baskets(150, seed=3))
    scores = random.integers(0, 6, contexts.shape) / 8
    at = iter(np.flatnonzero(np.diff(targets.indptr)).tolist())
    found = ranked(
        lambda some: scores[[next(at) for _ in range(some.shape[0])]], contexts, targets, k
    )
    rows = np.flatnonzero(np.diff(targets.indptr))
    for number, row in enumerate(rows):
        known = set(contexts[[row]].indices.tolist())
        order = sorted(set(range(ITEMS)) - known, key=lambda item: (-scores[row, item], item))
        places = [order.index(item) + 1 for item in targets[[row]].indices]
        assert found.recommended[number].tolist() == order[:k]
        assert found.reciprocal[number] == 1 / min(places)
        assert found.recall[number] == np.mean(np.array(places) <= k)


def test_fewer_items_than_asked_for():
    contexts, targets = matrix_of([{0, 1}], 4), matrix_of([{3}], 4)
    found = ranked(lambda some: np.ones((1, 4)), contexts, targets, k=3)
    assert found.recommended.tolist() == [[2, 3, -1]]
    assert found.coverage == 0.5


def test_rows_without_targets_are_left_out():
    contexts, targets = matrix_of([{0}, {1}]), matrix_of([set(), {2}])
    found = ranked(lambda some: np.ones(some.shape), contexts, targets)
    assert len(found.recall) == 1
    nothing = ranked(lambda some: np.ones(some.shape), contexts, matrix_of([set(), set()]))
    assert np.isnan(nothing.measures()["mrr"].value)


def test_the_interval_is_that_of_the_mean():
    """For 400 draws of deviation 1 the mean is within ±1.96/20, and the interval as wide."""
    values = np.random.default_rng(4).normal(3, 1, 400)
    values = 3 + (values - values.mean()) / values.std()
    found = mean_of_rows(values, np.ones(400))
    assert found.value == pytest.approx(3)
    np.testing.assert_allclose(found.interval, (3 - 1.96 / 20, 3 + 1.96 / 20), atol=0.01)
    assert found == mean_of_rows(values, np.ones(400))
