import by_hand
import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from exact2vec.parallel import Workers
from exact2vec.train import spectral_start as start


def symmetric(size, rate, seed=0):
    upper = np.triu(np.random.default_rng(seed).poisson(rate, (size, size)))
    return csr_array((upper + upper.T).astype(np.float32))


def test_the_matrix_is_the_weighted_positive_pmi():
    counts = symmetric(9, 1.0)
    totals = counts.sum(axis=1).astype(float)
    weights = np.linspace(0.5, 2, 9)
    with Workers(2) as workers:
        margin = start.Margin(totals, weights)
        found = start.weighted_pmi(counts, margin, margin, workers)
    expected = (
        np.array(by_hand.positive_pmi(counts.toarray().tolist())) * weights[:, None] * weights
    )
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6, atol=1e-6)
    assert found.nnz == np.count_nonzero(expected > 1e-6)


def test_the_product_is_scipys():
    counts, vectors = (
        symmetric(50, 0.2),
        np.random.default_rng(1).standard_normal((50, 7)).astype(np.float32),
    )
    with Workers(2) as workers:
        np.testing.assert_allclose(
            start.product(counts, vectors, workers), counts @ vectors, rtol=1e-5, atol=1e-5
        )


def test_full_rank_products_are_the_positive_pmi_times_the_stretch():
    dense = symmetric(7, 3.0).toarray()
    dense[:, 3] = dense[3] = 0
    with Workers(2) as workers:
        found = start.spectral_start(csr_array(dense), 7, seed=1, workers=workers)
    pmi = np.nan_to_num(
        np.array(by_hand.positive_pmi(np.delete(np.delete(dense, 3, 0), 3, 1).tolist()))
    )
    products = (found.inputs @ found.outputs.T).numpy()
    np.testing.assert_allclose(
        np.delete(np.delete(products, 3, 0), 3, 1), start.STRETCH * pmi, rtol=0, atol=1e-2
    )
    assert torch.isfinite(found.bias).all()
    torch.testing.assert_close(found.bias.exp().sum(), torch.tensor(1.0))


@pytest.mark.parametrize("size", [1, 5, 300])
def test_the_start_does_not_depend_on_threads(size):
    counts = csr_array(np.array([[7.0]], np.float32)) if size == 1 else symmetric(size, 0.5)
    starts = []
    for threads in (1, 2):
        with Workers(threads) as workers:
            starts.append(start.spectral_start(counts, 10, seed=1, workers=workers))
    for one, two in zip(*starts, strict=True):
        assert torch.equal(one, two)
