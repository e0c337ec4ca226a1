"""The spectral start: vectors whose products approximate the positive PMI of the counts.

Products of frequent rows and words are the most accurate.
"""

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
SMALL = 0.01  # size of the random numbers beyond the rank
ASYMMETRY = 1e-5  # of a row's total, up to which counts are symmetric: they are rounded to float32


class Start(NamedTuple):
    """Inputs (contexts × dim), outputs (words × dim), bias = log p(w); float32."""

    inputs: Float[Tensor, "context dim"]
    outputs: Float[Tensor, "word dim"]
    bias: Float[Tensor, " word"]


class Margin(NamedTuple):
    """The totals of the rows or of the columns, and the weight ω of each."""

    totals: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, totals: NDArray[np.float64]) -> "Margin":
        """ω = (total / mean total)^¼; 1 where nothing was counted."""
        seen = totals > 0
        ratio = np.maximum(totals, 1e-300) / totals[seen].mean()
        return cls(totals, np.where(seen, ratio**WEIGHT_POWER, 1.0))

    def logs(self) -> NDArray[np.float64]:
        """log(total / √N)."""
        return np.asarray(np.log(np.maximum(self.totals, 1e-300)) - 0.5 * np.log(self.totals.sum()))


class Factors(NamedTuple):
    """A ≈ left · diag(sizes) · rightᵀ, the largest first; vectors in columns, sizes ≥ 0."""

    left: NDArray[np.float32]
    sizes: NDArray[np.float64]
    right: NDArray[np.float32]


def spectral_start(
    counts: csr_array,
    vector_size: int,
    *,
    seed: int,
    workers: Workers,
    totals: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> Start:
    """Inputs and outputs with x_c·u_w ≈ 1.4 · PMI⁺(c, w); bias = log p(w).

        A = diag(ω_c) max(0, log n_cw N / (N_c N_w)) diag(ω_w),  ω = (total / mean total)^¼

    With A ≈ Σ_k s_k p_k q_kᵀ over the `vector_size` largest s_k ≥ 0, x = √(1.4 s) p / ω_c and
    u = √(1.4 s) q / ω_w: dividing the weights out again makes the products of frequent words the
    most accurate. For symmetric counts p are eigenvectors and q = ±p; else both are singular
    vectors. Columns beyond the rank of the matrix are small and random, so that training can use
    them; beyond the number of rows or of words they are 0, and stay so.
    `totals` are those of rows and columns, where they are more than the sums of the cells.

    Source: subspace iteration and Rayleigh-Ritz as in Halko, Martinsson and Tropp 2011,
    algorithms 4.4 and 5.3; with singular vectors algorithm 5.1.
    """
    random = np.random.default_rng(seed)
    of_rows, of_columns = totals or (_sums(counts, 1), _sums(counts, 0))
    rows = Margin.of(of_rows)
    if is_symmetric(counts):
        columns = rows
        matrix = weighted_pmi(counts, rows, columns, workers)
        factors = _eigenvectors(matrix, vector_size, random, workers)
    else:
        columns = Margin.of(of_columns)
        matrix = weighted_pmi(counts, rows, columns, workers)
        factors = singular_vectors(matrix, vector_size, random, workers)
    inputs, outputs = (SMALL * random.standard_normal((size, vector_size)) for size in counts.shape)
    inputs[:, min(counts.shape) :] = outputs[:, min(counts.shape) :] = 0
    used = np.flatnonzero(factors.sizes > 1e-6 * max(factors.sizes.max(initial=0.0), 1e-30))
    scale = np.sqrt(STRETCH * factors.sizes[used])
    inputs[:, used] = factors.left[:, used] * scale / rows.weights[:, None]
    outputs[:, used] = factors.right[:, used] * scale / columns.weights[:, None]
    arrays = inputs, outputs, np.log(unigram(of_columns))
    return Start(*(torch.from_numpy(array.astype(np.float32)) for array in arrays))


def _sums(counts: csr_array, axis: int) -> NDArray[np.float64]:
    return np.asarray(counts.sum(axis=axis, dtype=np.float64)).ravel()


def is_symmetric(counts: csr_array) -> bool:
    """Whether counts are the same from both sides, by what they and their transpose make of signs.

    Source: Freivalds 1979.
    """
    if counts.shape[0] != counts.shape[1]:
        return False
    signs = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), counts.shape[0])
    sizes = counts @ np.ones(counts.shape[0], np.float32)
    return bool((abs(counts @ signs - counts.T @ signs) <= ASYMMETRY * sizes).all())


def weighted_pmi(
    counts: csr_array, row_margin: Margin, column_margin: Margin, workers: Workers
) -> csr_array:
    """ω_c ω_w max(0, log n_cw N / (N_c N_w)), nats, float32, its zeros not stored."""
    values = np.empty(counts.nnz, np.float32)
    kept = np.empty(counts.shape[0], np.int64)
    edges = _edges(counts.indptr)
    cells = counts.indptr, counts.indices
    margins = row_margin.logs(), column_margin.logs(), row_margin.weights, column_margin.weights
    workers.map(
        lambda chunk: _fill_pmi(
            edges[chunk], edges[chunk + 1], *cells, counts.data, *margins, values, kept
        ),
        range(CHUNKS),
    )
    starts = np.concatenate([[0], np.cumsum(kept)])
    words, positive = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float32)
    workers.map(
        lambda chunk: _take_positive(
            edges[chunk], edges[chunk + 1], *cells, values, starts, words, positive
        ),
        range(CHUNKS),
    )
    return csr_array((positive, words, starts), shape=counts.shape)


def product(
    matrix: csr_array, vectors: Float32[np.ndarray, "column dim"], workers: Workers
) -> Float32[np.ndarray, "row dim"]:
    """matrix @ vectors, each row summed by one thread in the order of its cells."""
    image = np.empty((matrix.shape[0], vectors.shape[1]), np.float32)
    edges = _edges(matrix.indptr)
    cells = matrix.indptr, matrix.indices, matrix.data
    workers.map(
        lambda chunk: _multiply(edges[chunk], edges[chunk + 1], *cells, vectors, image),
        range(CHUNKS),
    )
    return image


def _eigenvectors(
    matrix: csr_array, rank: int, random: np.random.Generator, workers: Workers
) -> Factors:
    """Those of the `rank` eigenvalues λ of largest size of a symmetric matrix; right = ±left.

    They are fewer where the matrix is smaller.
    """
    size = min(rank + OVERSAMPLING, matrix.shape[0])
    basis = random.standard_normal((matrix.shape[0], size)).astype(np.float32)
    image = product(matrix, basis, workers)
    for _ in range(PRODUCTS - 1):
        basis = workers.run(lambda image=image: orthonormal(image))  # type: ignore[misc]
        image = product(matrix, basis, workers)

    def rayleigh_ritz() -> Factors:
        small = (torch.from_numpy(basis).T @ torch.from_numpy(image)).double()
        values, rotation = torch.linalg.eigh((small + small.T) / 2)
        largest = values.abs().argsort(descending=True, stable=True)[:rank]
        vectors = (torch.from_numpy(basis) @ rotation[:, largest].float()).numpy()
        signs = values[largest].sign().float().numpy()
        return Factors(vectors, values[largest].abs().numpy(), vectors * signs)

    return workers.run(rayleigh_ritz)


def singular_vectors(
    matrix: csr_array, rank: int, random: np.random.Generator, workers: Workers
) -> Factors:
    """Those of the `rank` largest singular values of any matrix, fewer where it is smaller.

    Products with the matrix and its transpose alternate; the last one is with the transpose.
    """
    transposed = csr_array(matrix.T.tocsr())
    size = min(rank + OVERSAMPLING, *matrix.shape)
    image = random.standard_normal((matrix.shape[1], size)).astype(np.float32)
    for _ in range(PRODUCTS // 2):
        image = product(matrix, image, workers)
        basis = workers.run(lambda image=image: orthonormal(image))  # type: ignore[misc]
        image = product(transposed, basis, workers)

    def factors() -> Factors:
        """A ≈ Q Bᵀ with B = AᵀQ = V S Wᵀ, so A ≈ (Q W) S Vᵀ."""
        orthonormal, triangle = torch.linalg.qr(torch.from_numpy(image).double())
        right, sizes, left = torch.linalg.svd(triangle)
        vectors = torch.from_numpy(basis).double() @ left.T[:, :rank]
        return Factors(
            vectors.float().numpy(),
            sizes[:rank].numpy(),
            (orthonormal @ right[:, :rank]).float().numpy(),
        )

    return workers.run(factors)


def orthonormal(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """An orthonormal basis of the columns of a matrix, in as many columns."""
    return np.ascontiguousarray(torch.linalg.qr(torch.from_numpy(matrix))[0].numpy())


def _edges(starts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Rows cut into chunks of about as many cells."""
    edges = np.searchsorted(starts, np.linspace(0, starts[-1], CHUNKS + 1))
    edges[0], edges[-1] = 0, len(starts) - 1
    return edges.astype(np.int64)


@compiled
def _fill_pmi(
    first,
    last,
    starts,
    words,
    counts,
    row_logs,
    column_logs,
    row_weights,
    column_weights,
    values,
    kept,
):
    for row in range(first, last):
        positive = 0
        for cell in range(starts[row], starts[row + 1]):
            pmi = np.log(np.float64(counts[cell])) - row_logs[row] - column_logs[words[cell]]
            values[cell] = row_weights[row] * column_weights[words[cell]] * max(0.0, pmi)
            positive += values[cell] > 0
        kept[row] = positive


@compiled
def _take_positive(first, last, starts, words, values, new_starts, new_words, new_values):
    for row in range(first, last):
        place = new_starts[row]
        for cell in range(starts[row], starts[row + 1]):
            if values[cell] > 0:
                new_words[place], new_values[place] = words[cell], values[cell]
                place += 1


@vectorized
def _multiply(first, last, starts, words, values, vectors, found):
    for row in range(first, last):
        found[row] = 0
        for cell in range(starts[row], starts[row + 1]):
            value, word = values[cell], words[cell]
            for place in range(vectors.shape[1]):
                found[row, place] += value * vectors[word, place]
