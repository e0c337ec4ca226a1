"""The ridge of features is that of least squares, for any shape and any threads."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from shrinkage_problems import by_least_squares

from exact2vec.parallel import Workers
from exact2vec.vectors.ridge import FeatureRows, learned_share, ridge, ridge_penalty


def solved(features, targets, totals, strength, **how):
    start = torch.zeros(features.shape[1], targets.shape[1], dtype=torch.float64)
    with Workers(1) as workers:
        return ridge(
            FeatureRows(csr_array(features)),
            torch.from_numpy(targets),
            torch.as_tensor(totals, dtype=torch.float64),
            strength,
            start,
            workers,
            **how,
        ).numpy()


def test_a_ridge_of_three_rows_is_that_of_least_squares():
    features, targets = (
        np.array([[1, 0.5], [0, 2], [1, 1.0]]),
        np.array([[1.0, -2], [0.3, 4], [2, 2]]),
    )
    for totals, strength in (([3.0, 0, 800], 150.0), ([1.0, 2, 3], 0.0)):
        np.testing.assert_allclose(
            solved(features, targets, totals, strength, tolerance=1e-12),
            by_least_squares(features, targets, totals, strength),
            atol=1e-9,
        )


@given(
    st.integers(0, 10**6),
    st.integers(1, 30),
    st.integers(1, 20),
    st.integers(1, 40),
    st.sampled_from([0.0, 5.0, 1e4]),
)
def test_ridges_of_any_shape_reach_their_residual(seed, rows, size, dim, strength):
    random = np.random.default_rng(seed)
    features = random.random((rows, size)) * (random.random((rows, size)) < 0.3)
    features[:, -1] = features[:, 0]
    features[0] = 0
    totals = random.integers(0, 300, rows) * 1.0
    targets = random.standard_normal((rows, dim))
    found = solved(features, targets, totals, strength, tolerance=1e-3, most_steps=200)
    weights = learned_share(torch.from_numpy(totals), strength).numpy()[:, None]
    right = features.T @ (weights * targets)
    left = (
        right
        - features.T @ (weights * (features @ found))
        - ridge_penalty(torch.from_numpy(totals), strength) * found
    )
    assert (np.linalg.norm(left, axis=0) <= 1.001e-3 * np.linalg.norm(right, axis=0) + 1e-12).all()


def test_the_ridge_does_not_depend_on_threads_and_starts_warm():
    random = np.random.default_rng(0)
    features = csr_array(
        (random.random((400, 300)) * (random.random((400, 300)) < 0.05)).astype(np.float32)
    )
    targets, totals = (
        torch.from_numpy(random.standard_normal((400, 37)).astype(np.float32)),
        torch.from_numpy(random.integers(0, 999, 400) * 1.0),
    )
    rows, start = FeatureRows(features), torch.zeros(300, 37)
    found = []
    for threads in (1, 2, 3):
        with Workers(threads) as workers:
            found.append(ridge(rows, targets, totals, 150.0, start, workers))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    with Workers(1) as workers:
        assert torch.equal(ridge(rows, targets, totals, 150.0, found[0], workers), found[0])


def test_the_maps_do_not_vanish_as_the_strength_grows():
    random = np.random.default_rng(0)
    features, targets = random.random((300, 4)), random.standard_normal((300, 3))
    totals = np.full(300, 100.0)
    fitted = [
        np.linalg.norm(features @ solved(features, targets, totals, strength))
        for strength in (1.0, 1e3, 1e8)
    ]
    assert min(fitted[1:]) > 0.5 * fitted[0]
