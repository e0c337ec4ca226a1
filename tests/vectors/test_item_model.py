"""p(w | I): the formula, its sum, its parts; and what the interpolation is of."""

from dataclasses import replace

import numpy as np
import pytest
from item_problems import ITEMS, RULE, cut, made_mixture, matrix_of, tasty_baskets

from exact2vec.counts.credit import CreditRule
from exact2vec.vectors.item_model import (
    ItemModel,
    blocks,
    interpolation_shares,
    mean_nll,
    target_probabilities,
)
from exact2vec.vectors.item_parts import Popularity, outside

CONTEXTS = [set(), {0}, {1, 4, 7}, {ITEMS - 1}, set(range(ITEMS - 1)), set(range(ITEMS))]
TABLE = np.random.default_rng(3).dirichlet(np.full(ITEMS, 0.5), ITEMS)
every_mixture = pytest.mark.parametrize(
    "mixture",
    [
        made_mixture(),
        made_mixture(CreditRule(kappa=0.5)),
        made_mixture(table=TABLE),
        made_mixture(replace(RULE, background=0.0), TABLE),
    ],
    ids=["popularity", "no background", "table", "table, no background"],
)


def by_plain_loops(mixture, context):
    """The docstring of `Mixture`, item by item."""
    n, rule = mixture.counts.toarray(), mixture.rule
    found = []
    for w in range(ITEMS):
        above, weight = rule.background * mixture.popularity[w], rule.background
        for i in context:
            a = max(mixture.baskets_with[i], 1) ** -rule.source_power
            behind = mixture.popularity if mixture.table is None else mixture.table[i]
            above += a * (n[i, w] + rule.kappa * behind[w]) / (n[i].sum() + rule.kappa)
            weight += a
        found.append(above / weight if weight else mixture.popularity[w])
    return found


@every_mixture
def test_the_mixture_is_its_formula(mixture):
    found = mixture.probabilities(matrix_of(CONTEXTS))
    expected = [by_plain_loops(mixture, context) for context in CONTEXTS]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)


@every_mixture
def test_probabilities_of_the_others_sum_to_one(mixture):
    contexts = matrix_of(CONTEXTS)
    popularity = Popularity(mixture.popularity)
    model = ItemModel((mixture, popularity), (0.7, 0.3))
    found = model.probabilities(contexts)
    assert (found >= 0).all()
    np.testing.assert_allclose(found[:-1].sum(axis=1), 1, atol=1e-9)
    assert not found[-1].any()  # all items are known: nothing comes next
    for row, context in enumerate(CONTEXTS):
        assert not found[row, sorted(context)].any()
        others = [w for w in range(ITEMS) if w not in context]
        q = [outside(part.probabilities(contexts), contexts)[row] for part in model.parts]
        np.testing.assert_allclose(found[row], 0.7 * q[0] + 0.3 * q[1], rtol=1e-12)
        whole = popularity.probabilities(contexts)[row, others]
        if others:
            np.testing.assert_allclose(q[1][others], whole / whole.sum(), rtol=1e-12)


def test_nothing_known_gives_popularity():
    mixture = made_mixture(CreditRule(kappa=0.5))
    found = ItemModel((mixture,), (1.0,)).probabilities(matrix_of([set()]))
    np.testing.assert_allclose(found[0], mixture.popularity, rtol=1e-12)


@every_mixture
def test_reasons_are_the_shares_of_the_context(mixture):
    context, n = np.array([1, 4, 7]), mixture.counts.toarray()
    for item in (0, 2, ITEMS - 1):
        a = np.maximum(mixture.baskets_with[context], 1.0) ** -mixture.rule.source_power
        parts = a * n[context, item] / (n[context].sum(axis=1) + mixture.rule.kappa)
        whole = by_plain_loops(mixture, context)[item] * (mixture.rule.background + a.sum())
        found = mixture.reasons(context, item)
        np.testing.assert_allclose(found, parts / whole, rtol=1e-12)
        assert found.sum() < 1


def test_shares_are_those_of_the_largest_likelihood():
    """Of two and of three parts; moving a share either way makes it no more likely."""
    mixture = made_mixture()
    asked = cut(tasty_baskets(300, seed=5))
    parts = [mixture, Popularity(mixture.popularity), replace(mixture, table=TABLE)]
    probabilities = [target_probabilities(part, *asked) for part in parts]
    for some in (probabilities[:2], probabilities):
        shares = np.array(interpolation_shares(some))
        best = mean_nll(shares @ np.stack(some))
        assert shares.sum() == pytest.approx(1, abs=1e-12)
        assert best <= min(mean_nll(one) for one in some) + 1e-8  # a share of 1 is neared
        for one in range(len(some)):
            for other in set(range(len(some))) - {one}:
                moved = shares.copy()
                step = min(0.01, moved[one])
                moved[one], moved[other] = moved[one] - step, moved[other] + step
                assert mean_nll(moved @ np.stack(some)) >= best - 1e-7


def test_a_part_that_says_nothing_new_gets_nothing():
    good, bad = np.full(50, 0.2), np.full(50, 0.1)
    assert interpolation_shares([good, bad])[0] == pytest.approx(1, abs=1e-6)


def test_the_mixture_is_better_than_popularity():
    mixture = made_mixture()
    asked = cut(tasty_baskets(300, seed=5))
    losses = [
        mean_nll(target_probabilities(part, *asked))
        for part in (mixture, Popularity(mixture.popularity))
    ]
    assert losses[0] < losses[1] - 0.2


def test_blocks_cover_all_rows_whatever_fits():
    contexts = matrix_of(tasty_baskets(37))
    for largest in (1, 8 * ITEMS * 5, 10**9):
        some = list(blocks(contexts, largest))
        assert [row for rows in some for row in range(rows.start, rows.stop)] == list(range(37))
    some = matrix_of(CONTEXTS)
    asked = matrix_of([{3}, {1, 2}, set(), {0}, {ITEMS - 1}, set()])
    whole = target_probabilities(made_mixture(), some, asked)
    assert len(whole) == 5
