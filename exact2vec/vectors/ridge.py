"""Ridge regression from features to vectors: the maps G of docs/maths.md (13).

By conjugate gradients in compiled loops; the columns of G are solved apart.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from exact2vec.jit import compiled
from exact2vec.parallel import Workers

LEAST_PENALTY = 0.01  # of the ridge
SMALL_SHARE = 0.05  # kept of what rows learn
TOLERANCE = 0.2  # relative residual at which the conjugate gradients stop
MOST_STEPS = 50
# columns of G solved together, at most: a row of them is a few cache lines, read one after another
SLICE = 56


@dataclass(frozen=True)
class FeatureRows:
    """The features f of rows, by row (`matrix`) and by feature (`transposed`)."""

    matrix: csr_array

    @cached_property
    def transposed(self) -> csr_array:
        return csr_array(self.matrix.T.tocsr())


def ridge(
    features: FeatureRows,
    targets: Float[Tensor, "row dim"],
    totals: Float[Tensor, " row"],
    strength: float,
    start: Float[Tensor, "feature dim"],
    workers: Workers,
    *,
    tolerance: float = TOLERANCE,
    most_steps: int = MOST_STEPS,
) -> Float[Tensor, "feature dim"]:
    """The `weighted_ridge` with ω_c = N_c / (N_c + κ) and λ = `ridge_penalty`.

    N_c are the `totals`, κ is the `strength`.
    """
    return weighted_ridge(
        features,
        targets,
        learned_share(totals, strength),
        ridge_penalty(totals, strength),
        start,
        workers,
        tolerance=tolerance,
        most_steps=most_steps,
    )


def weighted_ridge(
    features: FeatureRows,
    targets: Float[Tensor, "row dim"],
    weights: Float[Tensor, " row"],
    penalty: float,
    start: Float[Tensor, "feature dim"],
    workers: Workers,
    *,
    tolerance: float,
    most_steps: int,
) -> Float[Tensor, "feature dim"]:
    """G = argmin Σ_c ω_c |y_c − f_c G|² + λ |G|², y the rows of `targets`, λ the `penalty`.

    By conjugate gradients from `start`, preconditioned by the diagonal (Jacobi), until the residual
    of FᵀΩF G + λG = FᵀΩY is `tolerance` of its right side. Slices of columns are solved apart, so
    that threads change nothing; sums in float64. Source: Hestenes and Stiefel 1952.
    """
    dtype = targets.numpy().dtype
    row_weights = weights.numpy().astype(dtype)
    squares = features.transposed.copy()
    squares.data = squares.data.astype(dtype) ** 2
    diagonal = (squares @ row_weights + penalty).astype(dtype)
    matrices = (*_arrays(features.matrix, dtype), *_arrays(features.transposed, dtype))
    solution = torch.empty_like(start)
    dim = targets.shape[1]
    width = -(-dim // -(-dim // SLICE))

    def solve(first: int) -> None:
        columns = slice(first, min(first + width, dim))
        some = _padded(start, columns)
        _conjugate_gradients(
            *matrices,
            row_weights,
            diagonal,
            _padded(targets, columns),
            some,
            penalty,
            tolerance,
            most_steps,
        )
        solution[:, columns] = torch.from_numpy(some[:, : columns.stop - columns.start])

    workers.map(solve, range(0, dim, width))
    return solution


def learned_share(totals: Float[Tensor, " row"], strength: float) -> Float[Tensor, " row"]:
    """N / (N + κ), the share that a row keeps of what it learned; 0 for a row without pairs."""
    return torch.where(totals > 0, totals / (totals + strength), 0.0)


def ridge_penalty(totals: Float[Tensor, " row"], strength: float) -> float:
    """λ = (1 − ω̄)², at least .01, with ω̄ the mean of N / (N + κ) over the rows with pairs.

    The less the rows know, the more cautious is their map. Below ω̄ = .05 it is in proportion to
    ω̄, as the weights of the ridge are: so the map does not vanish as κ grows.
    """
    seen = totals[totals > 0].numpy()
    mean = float((seen / (seen + strength)).mean()) if len(seen) else 0.0
    return (
        max(LEAST_PENALTY, (1 - mean) ** 2) * min(1.0, mean / SMALL_SHARE)
        if mean
        else LEAST_PENALTY
    )


def _arrays(
    matrix: csr_array, dtype: np.dtype[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any]]:
    return (
        matrix.indptr.astype(np.int64),
        matrix.indices.astype(np.int32),
        matrix.data.astype(dtype),
    )


def _padded(matrix: Tensor, columns: slice) -> NDArray[Any]:
    """Some columns of `matrix`, with zeros up to SLICE of them."""
    padded = np.zeros((len(matrix), SLICE), matrix.numpy().dtype)
    padded[:, : columns.stop - columns.start] = matrix.numpy()[:, columns]
    return padded


@compiled
def _row_times(indptr, indices, data, dense, row, out):
    """out = row · dense of a sparse row."""
    for j in range(SLICE):
        out[j] = 0
    for cell in range(indptr[row], indptr[row + 1]):
        # unsigned: no check for counting from the end
        value, column = data[cell], np.uint32(indices[cell])
        for j in range(SLICE):
            out[j] += value * dense[column, j]


@compiled
def _weighted_rows(indptr, indices, data, weights, dense, out):
    """out = Ω F · dense."""
    for row in range(len(weights)):
        _row_times(indptr, indices, data, dense, row, out[row])
        for j in range(SLICE):
            out[row, j] *= weights[row]


@compiled
def _conjugate_gradients(
    indptr,
    indices,
    data,
    t_indptr,
    t_indices,
    t_data,
    weights,
    diagonal,
    targets,
    solution,
    penalty,
    tolerance,
    most_steps,
):
    """Improve `solution` in place; each of the SLICE columns is a problem of its own."""
    size = len(diagonal)
    rows = np.empty_like(targets)
    residual, direction = np.empty_like(solution), np.empty_like(solution)
    image = np.empty_like(solution)
    right_side, left = np.zeros(SLICE), np.zeros(SLICE)
    before, now, curve = np.zeros(SLICE), np.zeros(SLICE), np.zeros(SLICE)
    for row in range(len(weights)):
        for j in range(SLICE):
            rows[row, j] = weights[row] * targets[row, j]
    for i in range(size):
        _row_times(t_indptr, t_indices, t_data, rows, i, residual[i])
        for j in range(SLICE):
            right_side[j] += np.float64(residual[i, j]) ** 2
    _weighted_rows(indptr, indices, data, weights, solution, rows)
    for i in range(size):
        _row_times(t_indptr, t_indices, t_data, rows, i, image[i])
        for j in range(SLICE):
            residual[i, j] -= image[i, j] + penalty * solution[i, j]
            direction[i, j] = residual[i, j] / diagonal[i]
            before[j] += np.float64(residual[i, j]) * direction[i, j]
            left[j] += np.float64(residual[i, j]) ** 2
    for _ in range(most_steps):
        if (left <= tolerance**2 * right_side).all():
            return
        _weighted_rows(indptr, indices, data, weights, direction, rows)
        curve[:] = 0
        for i in range(size):
            _row_times(t_indptr, t_indices, t_data, rows, i, image[i])
            for j in range(SLICE):
                image[i, j] += penalty * direction[i, j]
                curve[j] += np.float64(image[i, j]) * direction[i, j]
        now[:] = 0
        left[:] = 0
        length = np.where(curve > 0, before / np.where(curve > 0, curve, 1.0), 0.0).astype(
            solution.dtype
        )
        for i in range(size):
            for j in range(SLICE):
                solution[i, j] += length[j] * direction[i, j]
                residual[i, j] -= length[j] * image[i, j]
                now[j] += np.float64(residual[i, j]) * (residual[i, j] / diagonal[i])
                left[j] += np.float64(residual[i, j]) ** 2
        turn = np.where(before > 0, now / np.where(before > 0, before, 1.0), 0.0).astype(
            solution.dtype
        )
        for i in range(size):
            for j in range(SLICE):
                direction[i, j] = residual[i, j] / diagonal[i] + turn[j] * direction[i, j]
        before[:] = now
