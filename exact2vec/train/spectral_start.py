"""The spectral start: vectors whose products approximate the positive PMI of the counts, frequent words first."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from exact2vec.counts.counts import unigram
from exact2vec.jit import compiled, vectorized
from exact2vec.parallel import Workers

OVERSAMPLING = 12
PRODUCTS = 4  # with the matrix
WEIGHT_POWER = 0.25
STRETCH = 1.4  # of the products: the exact loss likes them larger than the PMI
CHUNKS = 64  # of rows


class Start(NamedTuple):
    """inputs and outputs (words × dim), bias = log p(w); float32."""

    inputs: Float[Tensor, "word dim"]
    outputs: Float[Tensor, "word dim"]
    bias: Float[Tensor, " word"]


def spectral_start(counts: csr_array, vector_size: int, *, seed: int, workers: Workers) -> Start:
    """inputs and outputs with x_c·u_w ≈ 1.4 · PMI⁺(c, w), from the `vector_size` eigenvectors of largest |λ| of a symmetric matrix; bias = log p(w).

        A = diag(ω) max(0, log n_cw N / (N_c N_w)) diag(ω),  ω = (N_c / mean N_c)^¼

    x = √(1.4 |λ|) v / ω, u = sign(λ) x: dividing the weights out again makes the products of frequent words the most accurate. `counts` must be symmetric.
    Columns beyond the rank of the matrix are small and random, so that training can use them; beyond the number of words they are 0, and stay so.
    Source: subspace iteration and Rayleigh-Ritz as in Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.3.
    """
    random = np.random.default_rng(seed)
    totals = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    weights = np.where(
        totals > 0, (np.maximum(totals, 1e-300) / totals[totals > 0].mean()) ** WEIGHT_POWER, 1.0
    )
    matrix = weighted_pmi(counts, totals, weights, workers)
    values, vectors = _eigenvectors(matrix, vector_size, random, workers)
    scale = np.sqrt(STRETCH * np.abs(values))
    inputs, outputs = (0.01 * random.standard_normal((len(totals), vector_size)) for _ in range(2))
    inputs[:, len(totals) :] = outputs[:, len(totals) :] = 0
    used = np.flatnonzero(np.abs(values) > 1e-6 * max(np.abs(values).max(initial=0.0), 1e-30))
    inputs[:, used] = vectors[:, used] * scale[used] / weights[:, None]
    outputs[:, used] = inputs[:, used] * np.sign(values[used])
    column_totals = np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel()
    return Start(
        *(
            torch.from_numpy(array.astype(np.float32))
            for array in (inputs, outputs, np.log(unigram(column_totals)))
        )
    )


def weighted_pmi(
    counts: csr_array, totals: NDArray[np.float64], weights: NDArray[np.float64], workers: Workers
) -> csr_array:
    """ω_c ω_w max(0, log n_cw N / (N_c N_w)), nats, float32, its zeros not stored."""
    values = np.empty(counts.nnz, np.float32)
    logs = np.log(np.maximum(totals, 1e-300)) - 0.5 * np.log(totals.sum())
    kept = np.empty(len(totals), np.int64)
    edges = _edges(counts.indptr)
    workers.map(
        lambda chunk: _fill_pmi(
            edges[chunk],
            edges[chunk + 1],
            counts.indptr,
            counts.indices,
            counts.data,
            logs,
            weights,
            values,
            kept,
        ),
        range(CHUNKS),
    )
    starts = np.concatenate([[0], np.cumsum(kept)])
    words, positive = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float32)
    workers.map(
        lambda chunk: _take_positive(
            edges[chunk],
            edges[chunk + 1],
            counts.indptr,
            counts.indices,
            values,
            starts,
            words,
            positive,
        ),
        range(CHUNKS),
    )
    return csr_array((positive, words, starts), shape=counts.shape)


def product(
    matrix: csr_array, vectors: Float32[np.ndarray, "column dim"], workers: Workers
) -> Float32[np.ndarray, "row dim"]:
    """matrix @ vectors, each row summed by one thread in the order of its cells."""
    found = np.empty((matrix.shape[0], vectors.shape[1]), np.float32)
    edges = _edges(matrix.indptr)
    workers.map(
        lambda chunk: _multiply(
            edges[chunk],
            edges[chunk + 1],
            matrix.indptr,
            matrix.indices,
            matrix.data,
            vectors,
            found,
        ),
        range(CHUNKS),
    )
    return found


def _eigenvectors(
    matrix: csr_array, rank: int, random: np.random.Generator, workers: Workers
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The `rank` eigenvalues of largest size of a symmetric matrix (fewer where it is smaller), and their vectors in columns."""
    size = min(rank + OVERSAMPLING, matrix.shape[0])
    basis = random.standard_normal((matrix.shape[0], size)).astype(np.float32)
    image = product(matrix, basis, workers)
    for _ in range(PRODUCTS - 1):
        basis = workers.run(lambda image=image: _orthonormal(image))  # type: ignore[misc]
        image = product(matrix, basis, workers)

    def rayleigh_ritz() -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        small = (torch.from_numpy(basis).T @ torch.from_numpy(image)).double()
        values, rotation = torch.linalg.eigh((small + small.T) / 2)
        largest = values.abs().argsort(descending=True, stable=True)[:rank]
        return values[largest].numpy(), (
            torch.from_numpy(basis) @ rotation[:, largest].float()
        ).numpy()

    return workers.run(rayleigh_ritz)


def _orthonormal(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(torch.linalg.qr(torch.from_numpy(matrix))[0].numpy())


def _edges(starts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Rows cut into chunks of about as many cells."""
    edges = np.searchsorted(starts, np.linspace(0, starts[-1], CHUNKS + 1))
    edges[0], edges[-1] = 0, len(starts) - 1
    return edges.astype(np.int64)


@compiled
def _fill_pmi(first, last, starts, words, counts, logs, weights, values, kept):  # type: ignore[no-untyped-def]
    for row in range(first, last):
        positive = 0
        for cell in range(starts[row], starts[row + 1]):
            pmi = np.log(np.float64(counts[cell])) - logs[row] - logs[words[cell]]
            values[cell] = weights[row] * weights[words[cell]] * max(0.0, pmi)
            positive += values[cell] > 0
        kept[row] = positive


@compiled
def _take_positive(first, last, starts, words, values, new_starts, new_words, new_values):  # type: ignore[no-untyped-def]
    for row in range(first, last):
        place = new_starts[row]
        for cell in range(starts[row], starts[row + 1]):
            if values[cell] > 0:
                new_words[place], new_values[place] = words[cell], values[cell]
                place += 1


@vectorized
def _multiply(first, last, starts, words, values, vectors, found):  # type: ignore[no-untyped-def]
    for row in range(first, last):
        found[row] = 0
        for cell in range(starts[row], starts[row + 1]):
            value, word = values[cell], words[cell]
            for place in range(vectors.shape[1]):
                found[row, place] += value * vectors[word, place]
