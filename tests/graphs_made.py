"""Graphs for tests, and what walks on them should count, in full."""

import numpy as np
from scipy.sparse import csr_array


def weights_of(size=40, seed=3, most=4):
    """A symmetric matrix of weights: two dense parts, a tail, each node with some edge."""
    random = np.random.default_rng(seed)
    upper = np.triu(random.random((size, size)) < 0.06, 1)
    upper[: size // 3, : size // 3] |= np.triu(random.random((size // 3,) * 2) < 0.5, 1)
    upper[np.arange(size - 1), np.arange(1, size)] = True
    whole = upper * random.integers(1, most, (size, size))
    return csr_array((whole + whole.T).astype(np.float64))


def dense_counts(weights, hops):
    """n(c, w) = d_c Σ_h a_h (P^h)_cw · 2 / (hops + 1), by powers of a dense matrix."""
    whole = weights.toarray()
    degrees = whole.sum(axis=1)
    step = whole / degrees[:, None]
    power, found = np.eye(len(whole)), np.zeros(whole.shape)
    for hop in range(1, hops + 1):
        power = power @ step
        found += (hops + 1 - hop) / hops * power
    return degrees[:, None] * found * 2 / (hops + 1)


def edge_list(weights):
    """(name, name, weight) of each edge, once."""
    cells = weights.tocoo()
    triples = zip(cells.row, cells.col, cells.data, strict=True)
    return [(f"n{one}", f"n{other}", weight) for one, other, weight in triples if one < other]
