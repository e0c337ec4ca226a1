"""Shrinkage: rows with few counts borrow from what looks like them.

Each row is pulled towards a mean, m = f·G from its features f (or 0 without features), as if it had been seen there κ more times.
docs/maths.md (13) is the objective, loss/formulas.py its formula.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from exact2vec.counts.features import Describer
from exact2vec.jit import compiled
from exact2vec.loss.formulas import DAMPING, Pull, metric, penalty
from exact2vec.parallel import Workers

LEAST_PENALTY = 0.01  # of the ridge
SMALL_SHARE = 0.05  # kept of what rows learn
TOLERANCE = 0.2  # relative residual at which the conjugate gradients stop
MOST_STEPS = 50
PART_ROWS = 4096  # whose penalty one thread sums up
SLICE = 56  # columns of G solved together, at most: a row of them is a few cache lines, read one after the other


@dataclass(frozen=True)
class Prior:
    """What is fixed of a shrinkage: the strengths (κ_x, κ_u) in weighted pairs, the features of the rows, and their totals N_c and N_w."""

    strengths: tuple[float, float]
    describer: Describer
    features: csr_array
    totals: tuple[Float[Tensor, " context"], Float[Tensor, " word"]]

    @cached_property
    def transposed(self) -> csr_array:
        return csr_array(self.features.T.tocsr())


@dataclass(frozen=True)
class Shrinkage:
    """What shrinks the rows of a State: maps G from features to means, pulls towards the means, and the share of the pairs not yet in the output term."""

    prior: Prior
    maps: tuple[Float[Tensor, "feature dim"], Float[Tensor, "feature dim"]]
    pulls: tuple[Pull, Pull]
    pending: float = 0.0

    def clone(self) -> "Shrinkage":
        maps = self.maps[0].clone(), self.maps[1].clone()
        inputs, outputs = (
            Pull(pull.strength, pull.means.clone(), pull.metric.clone()) for pull in self.pulls
        )
        return replace(self, maps=maps, pulls=(inputs, outputs))

    def some(self, side: int, rows: Tensor | slice) -> Pull:
        """The pull of some inputs (side 0) or outputs (side 1)."""
        pull = self.pulls[side]
        return Pull(pull.strength, pull.means[rows], pull.metric)


def no_means(
    prior: Prior,
    inputs: Float[Tensor, "context dim"],
    outputs: Float[Tensor, "word dim"],
    workers: Workers,
) -> Shrinkage:
    """Shrinkage towards 0, in the metrics of these vectors."""
    maps = (
        inputs.new_zeros(prior.describer.size, inputs.shape[1]),
        inputs.new_zeros(prior.describer.size, inputs.shape[1]),
    )
    return Shrinkage(
        prior,
        maps,
        _pulls(
            prior, (torch.zeros_like(inputs), torch.zeros_like(outputs)), inputs, outputs, workers
        ),
    )


def refit(
    shrinkage: Shrinkage,
    inputs: Float[Tensor, "context dim"],
    outputs: Float[Tensor, "word dim"],
    workers: Workers,
) -> Shrinkage:
    """Means and metrics of the vectors as they are now: G by `ridge` from the G before."""
    prior = shrinkage.prior
    maps, means = [], []
    for side, vectors in enumerate((inputs, outputs)):
        found = ridge(
            prior, vectors, prior.totals[side], prior.strengths[side], shrinkage.maps[side], workers
        )
        maps.append(found)
        means.append(torch.from_numpy(prior.features @ found.numpy()))
    return replace(
        shrinkage,
        maps=(maps[0], maps[1]),
        pulls=_pulls(prior, (means[0], means[1]), inputs, outputs, workers),
    )


def shrinkage_penalty(
    shrinkage: Shrinkage,
    inputs: Float[Tensor, "context dim"],
    outputs: Float[Tensor, "word dim"],
    row_weights: Float[Tensor, " context"],
    workers: Workers,
) -> float:
    """What shrinkage adds to N times the objective, nats, in float64."""
    ones = torch.ones(len(outputs), dtype=torch.float64)
    sides = ((inputs, row_weights, shrinkage.pulls[0]), (outputs, ones, shrinkage.pulls[1]))

    def part(place: tuple[int, int]) -> float:
        (vectors, weights, pull), rows = sides[place[0]], slice(place[1], place[1] + PART_ROWS)
        doubled = Pull(pull.strength, pull.means[rows].double(), pull.metric.double())
        return float(penalty(vectors[rows].double(), doubled, weights[rows]))

    return sum(
        workers.map(
            part,
            [
                (side, first)
                for side, (vectors, *_) in enumerate(sides)
                for first in range(0, len(vectors), PART_ROWS)
            ],
        )
    )


def _pulls(
    prior: Prior, means: tuple[Tensor, Tensor], inputs: Tensor, outputs: Tensor, workers: Workers
) -> tuple[Pull, Pull]:
    """Inputs are pulled in the metric of the outputs, F_U, and the other way round; the sums on a worker, whose torch has one thread."""
    of_outputs = workers.run(lambda: metric(outputs, prior.totals[1], damping=DAMPING))
    of_inputs = workers.run(lambda: metric(inputs, prior.totals[0]))
    return Pull(prior.strengths[0], means[0], of_outputs), Pull(
        prior.strengths[1], means[1], of_inputs
    )


def ridge(
    prior: Prior,
    targets: Float[Tensor, "row dim"],
    totals: Float[Tensor, " row"],
    strength: float,
    start: Float[Tensor, "feature dim"],
    workers: Workers,
    *,
    tolerance: float = TOLERANCE,
    most_steps: int = MOST_STEPS,
) -> Float[Tensor, "feature dim"]:
    """G = argmin Σ_c ω_c |y_c − f_c G|² + λ |G|², ω_c = N_c / (N_c + κ), λ = `ridge_penalty`: y are the rows of `targets`, N_c the `totals`, κ the `strength`.

    By conjugate gradients from `start`, preconditioned by the diagonal (Jacobi), until the residual of FᵀΩF G + λG = FᵀΩY is `tolerance` of its right side.
    Slices of columns are solved apart, so that threads change nothing; sums in float64. Source: Hestenes and Stiefel 1952.
    """
    features, transposed = prior.features, prior.transposed
    kind = targets.numpy().dtype
    weights = shares(totals, strength).numpy().astype(kind)
    penalty_of_map = ridge_penalty(totals, strength)
    squares = transposed.copy()
    squares.data = squares.data.astype(kind) ** 2
    diagonal = (squares @ weights + penalty_of_map).astype(kind)
    matrices = (*_parts(features, kind), *_parts(transposed, kind))
    found = torch.empty_like(start)

    dim = targets.shape[1]
    width = -(-dim // -(-dim // SLICE))

    def solve(first: int) -> None:
        columns = slice(first, min(first + width, dim))
        solution = _padded(start, columns)
        _conjugate_gradients(
            *matrices,
            weights,
            diagonal,
            _padded(targets, columns),
            solution,
            penalty_of_map,
            tolerance,
            most_steps,
        )
        found[:, columns] = torch.from_numpy(solution[:, : columns.stop - columns.start])

    workers.map(solve, range(0, dim, width))
    return found


def shares(totals: Float[Tensor, " row"], strength: float) -> Float[Tensor, " row"]:
    """N / (N + κ), the share that a row keeps of what it learned; 0 for a row without pairs."""
    return torch.where(totals > 0, totals / (totals + strength), 0.0)


def ridge_penalty(totals: Float[Tensor, " row"], strength: float) -> float:
    """λ = (1 − ω̄)², at least .01, with ω̄ the mean of N / (N + κ) over the rows with pairs: the less the rows know, the more cautious is their map.

    Below ω̄ = .05 in proportion to ω̄, as the weights of the ridge are: so the map does not vanish as κ grows.
    """
    seen = totals[totals > 0].numpy()
    mean = float((seen / (seen + strength)).mean()) if len(seen) else 0.0
    return (
        max(LEAST_PENALTY, (1 - mean) ** 2) * min(1.0, mean / SMALL_SHARE)
        if mean
        else LEAST_PENALTY
    )


def _parts(
    matrix: csr_array, kind: np.dtype[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any]]:
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data.astype(kind)


def _padded(matrix: Tensor, columns: slice) -> NDArray[Any]:
    """Some columns of `matrix`, with zeros up to SLICE of them."""
    part = np.zeros((len(matrix), SLICE), matrix.numpy().dtype)
    part[:, : columns.stop - columns.start] = matrix.numpy()[:, columns]
    return part


@compiled
def _row_times(indptr, indices, data, dense, row, out):  # type: ignore[no-untyped-def]
    """out = row · dense of a sparse row."""
    for j in range(SLICE):
        out[j] = 0
    for cell in range(indptr[row], indptr[row + 1]):
        value, place = (
            data[cell],
            np.uint32(indices[cell]),
        )  # unsigned: no check for counting from the end
        for j in range(SLICE):
            out[j] += value * dense[place, j]


@compiled
def _weighted_rows(indptr, indices, data, weights, dense, out):  # type: ignore[no-untyped-def]
    """out = Ω F · dense."""
    for row in range(len(weights)):
        _row_times(indptr, indices, data, dense, row, out[row])
        for j in range(SLICE):
            out[row, j] *= weights[row]


@compiled
def _conjugate_gradients(  # type: ignore[no-untyped-def]
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
    residual, direction, image = (
        np.empty_like(solution),
        np.empty_like(solution),
        np.empty_like(solution),
    )
    right_side, left, before, now, curve = (
        np.zeros(SLICE),
        np.zeros(SLICE),
        np.zeros(SLICE),
        np.zeros(SLICE),
        np.zeros(SLICE),
    )
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
