"""The composed part: how rows are thinned, its formula, and that it learns."""

import numpy as np
import pytest
import torch
from item_problems import ITEMS, cut, matrix_of, popularity_of, tasty_baskets

from exact2vec.errors import InputError
from exact2vec.parallel import Workers
from exact2vec.train.composed_items import ComposedSettings, thinned, train_composed
from exact2vec.train.inputs import Score
from exact2vec.vectors.composed_items import Composed, weights_of_items
from exact2vec.vectors.item_model import mean_nll, target_probabilities
from exact2vec.vectors.item_parts import Popularity
from exact2vec.vectors.ranking import Questions

PLAIN = ComposedSettings(
    vector_size=4, epochs=5, by_direction=False, temperature=1.0, rate=0.05, block_rows=64
)
DIRECTION = ComposedSettings(vector_size=4, epochs=5, temperature=0.3, rate=0.05, block_rows=64)


def test_rows_are_cut_anew_each_pass():
    """Each item of a row is kept or asked for; of two and more items, one is of either kind."""
    baskets = matrix_of(tasty_baskets(300))
    weights = weights_of_items(popularity_of(baskets)[1], 0.5)
    sizes, kept_shares, cuts = np.diff(baskets.indptr), [], set()
    for number in range(30):
        rows = thinned(baskets, 0.6, weights, 1, number)
        known = rows.excluded.toarray() != 0
        asked = rows.counts.matrix.toarray() != 0
        np.testing.assert_array_equal(known | asked, baskets.toarray() != 0)
        assert not (known & asked).any()
        assert (known.sum(axis=1)[sizes > 1] >= 1).all()
        assert (asked.sum(axis=1)[sizes > 1] >= 1).all()
        assert not asked[sizes == 1].any()
        totals = rows.counts.totals.numpy()
        np.testing.assert_allclose(totals, np.where(sizes > 1, 1, 0), rtol=1e-6)
        kept_shares.append(known[sizes > 3].sum() / sizes[sizes > 3].sum())
        cuts.add(known.tobytes())
    assert len(cuts) == 30
    # forcing one of each kind moves the share by less than a tenth
    assert np.mean(kept_shares) == pytest.approx(0.6, abs=0.06)


@pytest.mark.parametrize("by_direction", [False, True])
def test_is_its_formula(by_direction):
    random = np.random.default_rng(1)
    inputs, outputs = random.standard_normal((2, ITEMS, 3)).astype(np.float32)
    bias, weights = random.standard_normal(ITEMS).astype(np.float32), random.uniform(0.5, 2, ITEMS)
    part = Composed(inputs, outputs, bias, weights, by_direction, 0.4)
    contexts = [set(), {3}, {1, 5, 8}]
    found = part.probabilities(matrix_of(contexts))
    for row, context in enumerate(contexts):
        x = sum((weights[i] * inputs[i] / np.sqrt(len(context)) for i in context), np.zeros(3))
        score = Score(by_direction, 0.4)
        u = torch.from_numpy(outputs).double()
        if by_direction:
            u = u / u.norm(dim=1, keepdim=True)
        z = torch.from_numpy(bias) + u @ score.scaled(torch.from_numpy(x)[None])[0]
        # float32 products of numbers below 10, divided by .4
        np.testing.assert_allclose(found[row], z.softmax(0).numpy(), rtol=2e-5)


@pytest.mark.parametrize("settings", [PLAIN, DIRECTION], ids=["plain", "by direction"])
def test_learns_what_goes_together(settings):
    baskets = matrix_of(tasty_baskets(400))
    popularity = popularity_of(baskets)[0]
    questions = Questions(*cut(tasty_baskets(300, seed=5)))
    losses, found = [], []
    for threads in (1, 3):
        with Workers(threads) as workers:
            passes = list(
                train_composed(baskets, popularity, settings, workers=workers, questions=questions)
            )
        losses.extend(record.validation.nll for record, _ in passes)
        part = passes[-1][1]
        found.append([part.inputs.tobytes(), part.outputs.tobytes(), part.bias.tobytes()])
    assert found[0] == found[1]
    assert losses[-1] < losses[0]
    asked = questions.contexts, questions.targets
    of_part, of_popularity = (
        mean_nll(target_probabilities(one, *asked)) for one in (part, Popularity(popularity))
    )
    assert of_part < of_popularity - 0.3


def test_rows_of_one_item_teach_nothing():
    baskets = matrix_of([{0}, {1}, {2}, set()])
    with Workers(1) as workers, pytest.raises(InputError, match="--model mixture"):
        next(train_composed(baskets, popularity_of(baskets)[0], PLAIN, workers=workers))
