"""Credit counts: against plain loops, by hand, and for any number of threads."""

import numpy as np
import pytest
from checking import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from exact2vec.counts.credit import (
    CreditRule,
    credit_counts,
    credit_rounds,
    cut_long,
    longest_uncut,
    pairs_of,
)
from exact2vec.errors import UsageError
from exact2vec.parallel import Workers

RULES = [
    CreditRule(kappa=0.7, rounds=0),
    CreditRule(kappa=0.7, rounds=3),
    CreditRule(kappa=5.0, rounds=2, source_power=0.5, target_power=0.5, background=0.3),
]


def matrix_of(baskets, size):
    starts = np.cumsum([0, *map(len, baskets)])
    items = np.array([item for basket in baskets for item in sorted(basket)], np.int32)
    return csr_array((np.ones(len(items)), items, starts), shape=(len(baskets), size))


def made_baskets(seed=0, baskets=23, size=9):
    """Some of one item, one empty, an item that stands nowhere, one that stands alone."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(size - 2, 0.7))
    every = [
        set(random.choice(size - 2, random.integers(1, 6), replace=False, p=shares).tolist())
        for _ in range(baskets)
    ]
    return matrix_of([*every, set(), {size - 2}], size)


def popularity_of(baskets):
    times = baskets.sum(axis=0) + 0.5
    return times / times.sum()


def by_plain_loops(baskets, popularity, rule):
    """The formula of `credit_rounds`, pair by pair."""
    sets = [row.tolist() for row in np.split(baskets.indices, baskets.indptr[1:-1])]
    times = [sum(item in basket for basket in sets) for item in range(baskets.shape[1])]
    weight = [max(count, 1) ** -rule.source_power for count in times]
    credit = {
        (b, i, w): (len(basket) - 1) ** -rule.target_power / (len(basket) - 1)
        for b, basket in enumerate(sets)
        for i in basket
        for w in basket
        if i != w
    }
    for _ in range(rule.rounds):
        n = dense(credit, baskets.shape[1])
        score = {}
        for (b, i, w), own in credit.items():
            own_total = sum(credit[b, i, other] for other in sets[b] if other != i)
            above = n[i, w] - own + rule.kappa * popularity[w]
            score[b, i, w] = weight[i] * above / (n[i].sum() - own_total + rule.kappa)
        for b, i, w in credit:
            rest = sum(score[b, j, w] for j in sets[b] if j != w)
            share = score[b, i, w] / (rule.background * popularity[w] + rest)
            credit[b, i, w] = (len(sets[b]) - 1) ** -rule.target_power * share
    return dense(credit, baskets.shape[1])


def dense(credit, size):
    n = np.zeros((size, size))
    for (_, i, w), share in credit.items():
        n[i, w] += share
    return n


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_is_its_formula(rule, seed):
    baskets = made_baskets(seed)
    popularity = popularity_of(baskets)
    with Workers(2) as workers:
        found = credit_counts(baskets, popularity, rule, workers=workers)
    expected = by_plain_loops(baskets, popularity, rule)
    # a few hundred additions of numbers below 10
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-12)
    assert found.has_canonical_format
    assert not found.diagonal().any()


def test_three_baskets_by_hand():
    """{0, 1}, {0, 1}, {0, 2} with κ = 1 and p_0 = ½, ¼, ¼: pairs have nobody to share with.

    In {0, 1, 2} item 2 is predicted by 0 and by 1. Without that basket n_02 = 0, N_0 = 2,
    n_12 = 0, N_1 = 2, so both give κ p_0 / (2 + κ): half each. Item 0 is predicted by 1 with
    (2 + ½) / 3 and by 2 with ½ / 1: 5/8 and 3/8.
    """
    popularity = np.array([0.5, 0.25, 0.25])
    with Workers(1) as workers:
        two = matrix_of([{0, 1}, {0, 1}, {0, 2}], 3)
        rounds = credit_rounds(two, popularity, CreditRule(kappa=1.0), workers=workers)
        for _ in range(3):
            assert next(rounds).toarray().tolist() == [[0, 2, 1], [2, 0, 0], [1, 0, 0]]
        three = matrix_of([{0, 1}, {0, 1}, {0, 1, 2}], 3)
        rounds = credit_rounds(three, popularity, CreditRule(kappa=1.0), workers=workers)
        assert next(rounds).toarray().tolist() == [[0, 2.5, 0.5], [2.5, 0, 0.5], [0.5, 0.5, 0]]
        n = next(rounds).toarray()
    assert n[:, 2].tolist() == [0.5, 0.5, 0]
    np.testing.assert_allclose(n[1:, 0], [2 + 5 / 8, 3 / 8], rtol=1e-15)


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(RULES))
def test_every_target_has_its_credit(seed, rule):
    """Columns sum to a unit for each basket of two items and more, less what p_0 takes."""
    baskets = made_baskets(seed)
    sizes = np.diff(baskets.indptr)
    weights = np.where(sizes > 1, np.maximum(sizes - 1, 1.0) ** -rule.target_power, 0)
    with Workers(1) as workers:
        found = credit_counts(baskets, popularity_of(baskets), rule, workers=workers)
    most = np.asarray(baskets.T @ weights)
    totals = np.asarray(found.sum(axis=0))
    if rule.background and rule.rounds:
        assert (totals <= most).all()
        assert (totals[most > 0] < most[most > 0]).all()
    else:
        np.testing.assert_allclose(totals, most, rtol=1e-13)


def test_threads_change_no_byte():
    baskets = made_baskets(7, baskets=400, size=40)
    found = []
    for threads in (1, 2, 5):
        with Workers(threads) as workers:
            counts = credit_counts(baskets, popularity_of(baskets), RULES[2], workers=workers)
        found.append((counts.indptr.tobytes(), counts.indices.tobytes(), counts.data.tobytes()))
    assert found[0] == found[1] == found[2]


def test_long_baskets_are_cut_into_parts_that_keep_the_credit():
    """Over many seeds a pair of a basket of 13 has the credit of the whole, 1/12."""
    whole = matrix_of([set(range(13)), {0, 1, 2}], 13)
    assert pairs_of(whole) == 178
    assert cut_long(whole, 178, 1) is whole
    cut = cut_long(whole, 70, 1)
    assert sorted(np.diff(cut.indptr).tolist()) == [3, 4, 4, 5]
    assert pairs_of(cut) <= 70
    np.testing.assert_array_equal(cut.sum(axis=0), whole.sum(axis=0))
    popularity, times = popularity_of(whole), 300
    with Workers(2) as workers:
        sums = sum(
            credit_counts(
                whole[[0]], popularity, CreditRule(), workers=workers, most=52, seed=seed
            ).toarray()
            for seed in range(times)
        )
    off = sums / times - (1 - np.eye(13)) / 12
    # a pair stands together a quarter of the time, with 1/3: a deviation of .144 a draw
    assert np.abs(off).max() < 5 * 0.144 / np.sqrt(times)


def test_cutting_has_a_least_part():
    assert longest_uncut(np.array([50, 50]), 1) == 2
    assert longest_uncut(np.array([], np.int64), 1) == 2


@pytest.mark.parametrize("wrong", [{"kappa": 0}, {"rounds": -1}, {"background": -0.1}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        CreditRule(**wrong)
