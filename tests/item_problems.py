"""Baskets made for tests: several tastes, so that what is in a basket predicts the rest of it."""

import numpy as np
from scipy.sparse import csr_array

from exact2vec.counts.credit import CreditRule, credit_counts
from exact2vec.parallel import Workers
from exact2vec.vectors.item_parts import Mixture

ITEMS = 23
RULE = CreditRule(kappa=2.0, rounds=1, source_power=0.25, background=0.3)


def matrix_of(baskets, size=ITEMS):
    """Baskets as rows, their items sorted."""
    starts = np.cumsum([0, *map(len, baskets)])
    items = np.array([item for basket in baskets for item in sorted(basket)], np.int32)
    return csr_array((np.ones(len(items)), items, starts), shape=(len(baskets), size))


def tasty_baskets(count=200, seed=0, size=ITEMS):
    """Items of a basket are of one of three tastes, mostly; the last item stands nowhere."""
    tastes = np.random.default_rng(0).dirichlet(np.full(size - 1, 0.3), 3)
    random = np.random.default_rng([1, seed])
    return [
        set(random.choice(size - 1, random.integers(1, 7), p=tastes[taste]).tolist())
        for taste in random.integers(0, 3, count)
    ]


def cut(baskets, seed=1):
    """(contexts, targets): one target of every basket of two items and more."""
    random = np.random.default_rng(seed)
    contexts, targets = [], []
    for basket in baskets:
        target = {int(random.choice(sorted(basket)))} if len(basket) > 1 else set()
        contexts.append(basket - target)
        targets.append(target)
    return matrix_of(contexts), matrix_of(targets)


def popularity_of(baskets):
    times = np.bincount(baskets.indices, minlength=baskets.shape[1])
    smoothed = np.where(times > 0, times, 0.5)
    return smoothed / smoothed.sum(), times


def made_mixture(rule=RULE, table=None):
    baskets = matrix_of(tasty_baskets())
    popularity, times = popularity_of(baskets)
    with Workers(2) as workers:
        counts = credit_counts(baskets, popularity, rule, workers=workers)
    return Mixture(counts, rule, popularity, times, table)
