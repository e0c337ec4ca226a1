import numpy as np
import torch
from scipy.sparse import csr_array

from exact2vec.loss.workers import Workers
from exact2vec.train.start import positive_pmi, spectral_start


def test_full_rank_products_are_the_positive_pmi():
    dense = np.random.default_rng(0).integers(0, 5, (7, 7)).astype(np.float32)
    dense[:, 3] = 0
    counts = csr_array(dense)
    with Workers(2) as workers:
        start = spectral_start(counts, 7, seed=1, workers=workers)
    np.testing.assert_allclose((start.inputs @ start.outputs.T).numpy(), positive_pmi(counts).toarray(), rtol=0, atol=1e-2)
    assert torch.isfinite(start.bias).all()
    torch.testing.assert_close(start.bias.exp().sum(), torch.tensor(1.0))


def test_the_start_does_not_depend_on_threads():
    counts = csr_array(np.random.default_rng(0).poisson(0.3, (300, 300)).astype(np.float32))
    starts = []
    for threads in (1, 2):
        with Workers(threads) as workers:
            starts.append(spectral_start(counts, 10, seed=1, workers=workers))
    for one, two in zip(*starts, strict=True):
        assert torch.equal(one, two)
