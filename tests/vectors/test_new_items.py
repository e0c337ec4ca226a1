"""Items that no row held: the formula by hand, and that features say where they are recommended."""

import math

import numpy as np
import pytest
from item_problems import made_mixture, matrix_of
from scipy.sparse import coo_array

import exact2vec as e2v
from exact2vec.counts.features import Features
from exact2vec.errors import InputError
from exact2vec.vectors.item_model import ItemModel
from exact2vec.vectors.item_parts import Popularity
from exact2vec.vectors.new_items import NewItems, WithNewItems

RANDOM = np.random.default_rng(3)
MIXTURE = made_mixture()
SIZE, NEW = len(MIXTURE.popularity), 3
DRAWN = [RANDOM.standard_normal((size, 4)).astype(np.float32) for size in (NEW, SIZE, SIZE)]
BIAS = RANDOM.standard_normal(SIZE).astype(np.float32)
MADE = NewItems(["a", "b", "c"], *DRAWN, BIAS, MIXTURE.popularity, 700)
PARTS = MIXTURE, Popularity(MIXTURE.popularity)
MODEL = WithNewItems(ItemModel(PARTS, (0.7, 0.3)), MADE)
CONTEXTS = [{1, 4, 9}, {2}, {0, 5, SIZE + 1}, set(), set(range(SIZE)), {SIZE, SIZE + 2}]


def exps(x, outputs, bias):
    """exp(b + x·u) of each output, in floats."""
    return [
        math.exp(float(b) + sum(float(one) * float(two) for one, two in zip(x, u, strict=True)))
        for u, b in zip(outputs, bias, strict=True)
    ]


def test_it_is_its_formula():
    u, x, outputs = DRAWN
    sums = [sum(exps(row, outputs, BIAS)) for row in x]
    zero = [0.0] * NEW
    for v in range(NEW):
        mean = sum(
            float(MIXTURE.popularity[i]) * exps(x[i], u, zero)[v] / sums[i] for i in range(SIZE)
        )
        assert MADE.new_bias[v] == pytest.approx(math.log(1 / 700 / mean))
    found = MODEL.probabilities(matrix_of([{1, 4, 9}], SIZE + NEW))[0]
    weights = {i: float(MIXTURE.source_weights[i]) for i in (1, 4, 9)}
    for v in range(NEW):
        wanted = 0.0
        for i, weight in weights.items():
            of_new = exps(x[i], u, MADE.new_bias)
            wanted += weight * of_new[v] / (sums[i] + sum(of_new)) / sum(weights.values())
        assert found[SIZE + v] == pytest.approx(wanted)


def test_a_row_sums_to_one_and_trained_items_share_the_rest():
    contexts = matrix_of(CONTEXTS, SIZE + NEW)
    found = MODEL.probabilities(contexts)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    assert not found[contexts.nonzero()].any()
    before = MODEL.model.probabilities(matrix_of(CONTEXTS[:2], SIZE))
    rest = 1 - found[:2, SIZE:].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[:2, :SIZE], rest * before)
    assert found[3, SIZE:] == pytest.approx(1 / 700)  # of nothing
    seen = MODEL.probabilities(contexts, exclude_seen=False)
    np.testing.assert_allclose(seen.sum(axis=1), 1, atol=1e-12)
    assert seen[2, SIZE + 1] > 0


def test_reasons_are_the_shares_of_the_items():
    _, x, outputs = DRAWN
    context = np.array([1, 4, SIZE])
    parts = []
    for i in (1, 4):
        of_new = exps(x[i], DRAWN[0], MADE.new_bias)
        whole = sum(exps(x[i], outputs, BIAS)) + sum(of_new)
        parts.append(float(MIXTURE.source_weights[i]) * of_new[2] / whole)
    wanted = [part / sum(parts) for part in parts]
    np.testing.assert_allclose(MODEL.reasons(context, SIZE + 2), [*wanted, 0])
    of_trained = MODEL.model.reasons(context[:2], 7)
    np.testing.assert_allclose(MODEL.reasons(context, 7), [*of_trained, 0])


def test_features_say_where_a_new_item_comes_next():
    baskets = [["tea", "milk", "bun"], ["ale", "rye", "nuts"], ["tea", "bun"], ["ale", "nuts"]] * 30
    items = ["tea", "milk", "bun", "ale", "rye", "nuts", "cake", "gin", "salt"]
    kinds = [0, 0, 0, 1, 1, 1, 0, 1]  # of salt nothing is known
    matrix = coo_array((np.ones(8), (range(8), kinds)), shape=(9, 2))
    features = Features(matrix, items, ["mild", "hot"])
    model = e2v.Exact2Vec(vector_size=3, epochs=20, prior=(1, 1), model="mixture")
    counted = e2v.count_baskets(baskets, held_out=0, validation=0)
    vectors = model.fit(counted, features=features).wv
    (mild, hot) = vectors.recommend([["tea"], ["ale"]], topn=9, new_items=True)
    assert [name for name, _ in mild if name in ("cake", "gin")] == ["cake", "gin"]
    assert [name for name, _ in hot if name in ("cake", "gin")] == ["gin", "cake"]
    assert {name for name, _ in mild} == {*items} - {"tea", "salt"}
    assert sum(p for _, p in mild) == pytest.approx(1)
    assert {name for name, _ in vectors.recommend(["tea"])} < {*items} - {"cake", "gin"}
    with pytest.raises(InputError, match="no new items are known: train with --features"):
        e2v.Exact2Vec(vector_size=3, epochs=1).fit(counted).wv.recommend("tea", new_items=True)
