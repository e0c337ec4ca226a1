"""Other embeddings of nodes, from a symmetric matrix of weights: ProNE, NetMF, DeepWalk.

Each returns a row a node, and the CPU seconds that it took by part.
"""

import time

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array
from scipy.sparse.linalg import svds
from scipy.special import iv

from exact2vec.counts.walks import transitions

Rows = NDArray[np.floating]
Found = tuple[Rows, dict[str, float]]
WALKS, LENGTH, WINDOW = 80, 40, 10
CHEBYSHEV, MU, THETA = 10, 0.2, 0.5


def factors(matrix: object, dim: int, seed: int) -> Rows:
    """U √Σ of the largest singular values."""
    start = np.random.default_rng(seed).standard_normal(min(matrix.shape))  # type: ignore[attr-defined]
    left, sizes, _ = svds(matrix, k=dim, v0=start)
    return left * np.sqrt(sizes)


def unit(rows: Rows) -> Rows:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def prone(weights: csr_array, dim: int, seed: int) -> Found:
    """Source: Zhang et al. 2019, with the constants of their code."""
    began = time.process_time()
    reach = transitions(weights)
    noise = np.asarray(reach.sum(axis=0)).ravel() ** 0.75
    values = np.log(reach.data) - np.log(noise / noise.sum())[reach.indices]
    sparse = csr_array((values, reach.indices, reach.indptr), shape=reach.shape)
    rows = unit(factors(sparse, dim, seed))
    found = propagated(weights, rows)
    return found, {"all": time.process_time() - began}


def propagated(weights: csr_array, rows: Rows) -> Rows:
    """The rows through ProNE's filter of the spectrum, and a product with A + I."""
    size = len(rows)
    looped = csr_array(weights + eye_array(size))
    shifted = csr_array((1 - MU) * eye_array(size) - transitions(looped))
    before, now = rows, 0.5 * (shifted @ (shifted @ rows)) - rows
    filtered = iv(0, THETA) * before - 2 * iv(1, THETA) * now
    for order in range(2, CHEBYSHEV):
        before, now = now, shifted @ (shifted @ now) - 2 * now - before
        filtered += (-1) ** order * 2 * iv(order, THETA) * now
    left, sizes, _ = np.linalg.svd(looped @ (rows - filtered), full_matrices=False)
    return unit(left * np.sqrt(sizes))


def netmf(weights: csr_array, dim: int, seed: int) -> Found:
    """log max(1, vol / T Σ_r P^r D⁻¹) of T = 10 steps, in full. Source: Qiu et al. 2018."""
    began = time.process_time()
    degrees = np.asarray(weights.sum(axis=1)).ravel()
    reach = transitions(weights)
    now = reach.toarray()
    summed = now.copy()
    for _ in range(WINDOW - 1):
        now = reach @ now
        summed += now
    summed *= degrees.sum() / WINDOW / degrees
    rows = factors(np.log(np.maximum(summed, 1)), dim, seed)
    return rows, {"all": time.process_time() - began}


def deepwalk(weights: csr_array, dim: int, seed: int) -> Found:
    """Skip-gram with 5 negatives, by gensim, on 80 walks of 40 nodes from each node, window 10.

    Source: Perozzi, Al-Rfou and Skiena 2014.
    """
    from gensim.models import Word2Vec

    _walks(weights.indptr, weights.indices, 1, 2, seed)  # compiled
    began = time.process_time()
    walks = _walks(weights.indptr, weights.indices, WALKS, LENGTH, seed)
    walked = time.process_time()
    model = Word2Vec(
        [list(map(str, walk)) for walk in walks.tolist()],
        vector_size=dim,
        window=WINDOW,
        sg=1,
        min_count=0,
        epochs=1,
        workers=1,
        seed=seed,
    )
    rows = np.stack([model.wv[str(node)] for node in range(weights.shape[0])])
    return rows, {"walks": walked - began, "training": time.process_time() - walked}


@numba.njit
def _walks(starts, nodes, times, length, seed):
    np.random.seed(seed)
    size = len(starts) - 1
    found = np.empty((times * size, length), np.int32)
    for walk in range(len(found)):
        node = walk % size
        for step in range(length):
            found[walk, step] = node
            node = nodes[np.random.randint(starts[node], starts[node + 1])]
    return found[np.random.permutation(len(found))]
