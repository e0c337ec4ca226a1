"""New rows for fixed outputs: each new input vector minimises the row's own objective.

    N_c · NLL_c + κ_x/2 (x − m)ᵀ F_U (x − m),      m = f·G_x, F_U = Σ_w p(w) u_w u_wᵀ + δI

It is strictly convex for κ_x > 0: one minimum. Many rows are solved at once by L-BFGS, each with
its own steps, preconditioned by (N_c + κ_x) F_U.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from exact2vec.counts.features import RowCounts
from exact2vec.errors import InputError, UsageError
from exact2vec.loss.count_losses import BLOCK_ROWS, WeightedCounts
from exact2vec.loss.engine import engine_of
from exact2vec.loss.engine.cells import Outputs, Workspace
from exact2vec.loss.formulas import DAMPING, Pull, metric
from exact2vec.parallel import Workers
from exact2vec.vectors.unseen import Composer, Folded

# Of the norm √(gᵀ F⁻¹ g) of the gradient g of a row's objective, divided by N_c + κ_x; √nats
TOLERANCE = 1e-4
MOST_STEPS = 200
MOST_HALVINGS = 30
MEMORY = 6  # pairs of steps that L-BFGS keeps

Gradient = Callable[[Float[Tensor, "row dim"], np.ndarray], Float[Tensor, "row dim"]]


@runtime_checkable
class OutputSide(Protocol):
    """Output vectors and biases of columns, what each column's share is, and where it stands."""

    @property
    def outputs(self) -> NDArray[np.float32]: ...
    @property
    def bias(self) -> NDArray[np.float32]: ...
    @property
    def unigram(self) -> NDArray[np.float64]: ...
    @property
    def key_to_index(self) -> dict[str, int]: ...


def fold_in(
    side: OutputSide,
    counts: RowCounts,
    composer: Composer | None,
    strength: float | None,
    *,
    threads: int | None = None,
) -> Folded:
    """The rows of `counts` with their input vectors, for the fixed outputs of `side`.

    They are pulled with `strength` (the run's κ_x where None) towards what `composer` says of them.
    Raises UsageError without a strength above 0, InputError where no word of `counts` is known.
    """
    if strength is None:
        strength = composer.strengths[0] if composer else 0.0
    if not strength:
        raise UsageError(
            "fold_in needs prior=(strength, …), the strength above 0, where the run has none: "
            "so that each row has one optimum"
        )
    known, unknown, unknown_share = _known_counts(side, counts)
    pairs = np.asarray(known.sum(axis=1, dtype=np.float64)).ravel()
    shape = len(pairs), side.outputs.shape[1]
    means, outputs = (np.zeros(shape, np.float32) for _ in range(2))
    described = np.zeros(len(pairs), bool)
    if composer is not None and counts.rows:
        described = np.diff(composer.describer.describe(counts.rows).indptr) > 0
        means, outputs = composer.compose(counts.rows)
    inputs = torch.from_numpy(means).double()
    rows = np.flatnonzero(pairs)
    if len(rows):
        inputs[rows] = _optima(side, known[rows], inputs[rows], strength, threads)
    kept = np.flatnonzero((pairs > 0) | described)
    return Folded(
        [counts.rows[row] for row in kept],
        inputs.float().numpy()[kept],
        means[kept],
        outputs[kept],
        described[kept],
        pairs[kept],
        [counts.rows[row] for row in np.flatnonzero((pairs == 0) & ~described)],
        unknown,
        unknown_share,
    )


def _known_counts(side: OutputSide, counts: RowCounts) -> tuple[csr_array, list[str], float]:
    """The counts with the columns of `side`, the names of others, and their share of the pairs."""
    numbers = np.array([side.key_to_index.get(name, -1) for name in counts.names], np.int64)
    cells = counts.matrix.tocoo()
    known = numbers[cells.col] >= 0
    total, lost = (float(some.sum(dtype=np.float64)) for some in (cells.data, cells.data[~known]))
    unknown = [name for name, number in zip(counts.names, numbers, strict=True) if number < 0]
    if unknown and not known.any():
        shown = ", ".join(map(repr, unknown[:5]))
        raise InputError(
            f"none of the {len(unknown):,} names counted is among the run's "
            f"{len(side.outputs):,}: {shown}"
        )
    matrix = csr_array(
        (cells.data[known], (cells.row[known], numbers[cells.col[known]])),
        shape=(len(counts.rows), len(side.outputs)),
    )
    return matrix, unknown, lost / total if total else 0.0


def _optima(
    side: OutputSide,
    counts: csr_array,
    means: Float[Tensor, "row dim"],
    strength: float,
    threads: int | None,
) -> Float[Tensor, "row dim"]:
    """The optimum of each row of `counts`, none of them empty, block by block."""
    vectors = torch.from_numpy(side.outputs)
    outputs = Outputs.of(vectors, torch.from_numpy(side.bias))
    unigram = torch.from_numpy(side.unigram)
    engine, counted = engine_of(outputs.rows), WeightedCounts(counts)
    optima = means.clone()
    with Workers(threads) as workers:
        of_outputs = workers.run(lambda: metric(vectors.double(), unigram, damping=DAMPING))
        workspace = Workspace.of(workers, BLOCK_ROWS, len(vectors))

        def nll_gradient(inputs: Tensor, rows: np.ndarray) -> Tensor:
            cells, ones = counted.block(rows), torch.ones(len(rows), dtype=torch.float64)
            block: Any = inputs.float(), outputs, cells, ones, None
            gradients: Tensor = engine.gradients(*block, workspace=workspace)
            return gradients.double()

        for start in range(0, len(optima), BLOCK_ROWS):
            rows = np.arange(start, min(start + BLOCK_ROWS, len(optima)))
            pull = Pull(strength, means[rows], of_outputs)
            optima[rows] = minimise(nll_gradient, rows, counted.totals[rows], pull)
    return optima


@dataclass
class _Memory:
    """The last steps s of each row and what they changed in its gradient, y."""

    steps: list[Tensor]
    changes: list[Tensor]

    def direction(self, gradient: Tensor, precondition: Callable[[Tensor], Tensor]) -> Tensor:
        """−H·g by the two loops of L-BFGS. Source: Nocedal and Wright 2006, algorithm 7.4."""
        pairs = [
            (s, y, 1 / (s * y).sum(1, keepdim=True))
            for s, y in zip(self.steps, self.changes, strict=True)
        ]
        pairs = [
            (s, y, torch.where(torch.isfinite(rho) & (rho > 0), rho, 0.0)) for s, y, rho in pairs
        ]
        alphas = []
        for s, y, rho in reversed(pairs):
            alphas.append(rho * (s * gradient).sum(1, keepdim=True))
            gradient = gradient - alphas[-1] * y
        gradient = precondition(gradient)
        for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
            gradient = gradient + (alpha - rho * (y * gradient).sum(1, keepdim=True)) * s
        return -gradient

    def rows(self, some: Tensor) -> "_Memory":
        """The memory of some of the rows."""
        return _Memory([s[some] for s in self.steps], [y[some] for y in self.changes])

    def with_step(self, step: Tensor, change: Tensor) -> "_Memory":
        """The memory with one more step."""
        return _Memory([*self.steps, step][-MEMORY:], [*self.changes, change][-MEMORY:])


def minimise(
    nll_gradient: Gradient, rows: np.ndarray, totals: Float[Tensor, " row"], pull: Pull
) -> Float[Tensor, "row dim"]:
    """The minimum of N_c·NLL_c(x) + κ/2 (x − m)ᵀF(x − m) for each of `rows`, to TOLERANCE.

    `nll_gradient(x, rows)` is the gradient of N_c·NLL_c. A step is halved while the slope at its
    end is above half of what it was at its beginning, with the other sign. What is returned is
    judged by its gradient alone: the function is strictly convex.
    """
    inverse = torch.linalg.inv(pull.metric)
    optima = pull.means.clone()
    open_rows = torch.arange(len(rows))  # those that are not at their minimum

    def gradient_at(x: Tensor, some: Tensor) -> Tensor:
        pulled = pull.strength * ((x - pull.means[some]) @ pull.metric)
        return nll_gradient(x, rows[some.numpy()]) + pulled

    x, memory = optima, _Memory([], [])
    gradient = gradient_at(x, open_rows)
    for _ in range(MOST_STEPS):
        scale = (totals[open_rows] + pull.strength)[:, None]
        far = ((gradient @ inverse) * gradient).sum(1).sqrt() > TOLERANCE * scale[:, 0]
        optima[open_rows[~far]] = x[~far]
        open_rows, x, gradient, scale = open_rows[far], x[far], gradient[far], scale[far]
        memory = memory.rows(far)
        if not len(open_rows):
            break
        direction = memory.direction(gradient, partial(_preconditioned, inverse, scale))
        at_open_rows = partial(gradient_at, some=open_rows)
        size, x, new_gradient = _line_search(x, direction, gradient, at_open_rows)
        memory = memory.with_step(size * direction, new_gradient - gradient)
        gradient = new_gradient
    optima[open_rows] = x
    return optima


def _preconditioned(inverse: Tensor, scale: Tensor, gradient: Tensor) -> Tensor:
    return (gradient @ inverse) / scale


def _line_search(
    x: Tensor, direction: Tensor, gradient: Tensor, gradient_at: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """(step sizes, where they lead, the gradients there)."""
    slope = (gradient * direction).sum(1)
    size = torch.ones(len(x), 1, dtype=x.dtype)
    for _ in range(MOST_HALVINGS):
        moved = x + size * direction
        new_gradient = gradient_at(moved)
        too_far = (new_gradient * direction).sum(1) > -0.5 * slope
        if not too_far.any():
            break
        size[too_far] /= 2
    return size, moved, new_gradient
