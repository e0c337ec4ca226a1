"""The spectral start: vectors whose products approximate the positive PMI of the counts."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from exact2vec.counts.counts import unigram
from exact2vec.loss.workers import Workers

OVERSAMPLING = 20
POWER_ITERATIONS = 2


class Start(NamedTuple):
    inputs: Tensor
    outputs: Tensor
    bias: Tensor


def positive_pmi(counts: csr_array) -> csr_array:
    """max(0, log n_cw N / (N_c N_w)), nats, float32, as a sparse matrix."""
    rows = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    columns = np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel()
    cells = counts.tocoo()
    pmi = np.log(cells.data * rows.sum() / (rows[cells.row] * columns[cells.col]))
    kept = pmi > 0
    return csr_array((pmi[kept].astype(np.float32), (cells.row[kept], cells.col[kept])), shape=counts.shape)


def spectral_start(counts: csr_array, vector_size: int, *, seed: int, workers: Workers) -> Start:
    """inputs = A√S, outputs = B√S from the rank-`vector_size` randomized SVD A S Bᵀ of the positive PMI; bias = log p(w).

    Columns beyond the rank of the matrix are small and random, so that training can use them.
    Source: Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1.
    """
    random = np.random.default_rng(seed)
    left, values, right = workers.run(lambda: _randomized_svd(positive_pmi(counts), vector_size, random))
    scale = np.sqrt(values)
    vectors = [0.01 * random.standard_normal((size, vector_size)) for size in counts.shape]
    used = values > 1e-6 * max(values.max(initial=0.0), 1e-30)
    for vector, basis in zip(vectors, (left, right), strict=True):
        vector[:, : len(values)][:, used] = (basis * scale)[:, used]
    inputs, outputs = (torch.from_numpy(vector.astype(np.float32)) for vector in vectors)
    column_totals = np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel()
    return Start(inputs, outputs, torch.from_numpy(np.log(unigram(column_totals)).astype(np.float32)))


def _randomized_svd(matrix: csr_array, rank: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    transposed = matrix.T.tocsr()
    size = min(rank + OVERSAMPLING, *matrix.shape)
    basis = _orthonormal(matrix @ random.standard_normal((matrix.shape[1], size)).astype(np.float32))
    for _ in range(POWER_ITERATIONS):
        basis = _orthonormal(matrix @ _orthonormal(transposed @ basis))
    right, values, small = torch.linalg.svd(torch.from_numpy(transposed @ basis), full_matrices=False)
    rank = min(rank, size)
    left = torch.from_numpy(basis) @ small.T
    return left[:, :rank].numpy(), values[:rank].numpy(), right[:, :rank].numpy()


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(torch.linalg.qr(torch.from_numpy(np.ascontiguousarray(matrix)))[0].numpy())
