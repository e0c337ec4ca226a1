"""CPU threads and compiled loops: the losses of given scores, in blocks of fixed size.

A forward pass keeps three numbers a row (m and K of docs/maths.md (3), and T = Σ t); the backward
pass makes the exponentials again. Loops along many words are in row_kernels.py, loops over rows
side by side, and over few words, in column_kernels.py; blocks.py hands them their arrays.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from exact2vec.loss.engine import reference
from exact2vec.loss.engine.blocks import (
    NONE,
    Array,
    Loop,
    Problem,
    array_of,
    in_blocks,
    kind_of,
    readable,
)
from exact2vec.loss.engine.compiled_blocks import cell_nll, gradients, losses
from exact2vec.loss.engine.compiled_linear import linear_nll
from exact2vec.loss.targets import Targets

__all__ = [
    "NAME",
    "cell_nll",
    "gathered_nll",
    "gradients",
    "index_cells",
    "linear_nll",
    "log_softmax",
    "losses",
    "target_nll",
]

NAME = "compiled"


def target_nll(scores: Tensor, targets: Targets, scale: float | None) -> Tensor:
    """Σ_w t_w · −log p_w of each row of scores (outer, words, inner) (1); see `engine`."""
    weight = targets.weight
    if scores.numel() == 0 or (weight is not None and weight.requires_grad):
        return reference.target_nll(scores, targets, scale)
    found: Tensor = _TargetNLL.apply(
        scores,
        targets.value,
        targets.dense,
        targets.spread,
        weight,
        targets.row,
        targets.column,
        targets,
        scale,
    )  # type: ignore[no-untyped-call]
    return found


class _TargetNLL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, *given: Any) -> Tensor:
        *tensors, targets, scale = given
        problem = Problem.of(scores, targets)
        rows = scores.shape[0] * scores.shape[2]
        state, losses = np.empty((3, rows)), np.empty(rows)
        loop, kept = Loop.named("losses", scores.shape), (*state, losses)
        in_blocks(lambda start, stop: problem.run(loop, start, stop, kept), scores.shape)
        ctx.save_for_backward(scores, *tensors)
        ctx.problem, ctx.state, ctx.scale = problem.kept(), state, scale
        if scale is None:
            return torch.from_numpy(losses)
        return torch.from_numpy(np.array(float(losses.sum()) * scale))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        scores, value, dense, spread, weight, row, column = ctx.saved_tensors
        problem, state, scale = ctx.problem, ctx.state, ctx.scale
        wanted = ctx.needs_input_grad
        if torch.is_grad_enabled():
            keep = problem.keep
            targets = Targets(row, column, value, value, False, dense, keep, spread, weight)
            again = _by_reference(gradient, scores, targets, scale, wanted[:4])
            return (*again, None, None, None, None, None)
        c = (
            np.array([gradient.item() * scale])
            if scale is not None
            else array_of(gradient.contiguous())
        )
        problem = problem._replace(scores=scores, dense=dense)
        d_scores = _score_gradient(problem, state, c) if wanted[0] else None
        found: list[Tensor | None] = [None, None, None]
        if wanted[1] or wanted[2] or wanted[3]:
            found = _target_gradients(problem, state, c, row, wanted[1:4])
        return (d_scores, *found, None, None, None, None, None)


def _score_gradient(problem: Problem, state: Array, c: Array) -> Tensor:
    """c (T p − t), contiguous; `state` holds m, K and T of each row, or m and K alone."""
    scores = problem.scores
    out = torch.empty(scores.shape, dtype=scores.dtype, device="cpu")
    loop = Loop.named("gradients", scores.shape)
    rows = (state[0], state[1], state[2] if len(state) > 2 else NONE, c)
    in_blocks(lambda start, stop: problem.run(loop, start, stop, rows, out), scores.shape)
    return out


def _target_gradients(
    problem: Problem, state: Array, c: Array, row: Tensor, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """∂/∂t = −c log p of value, dense and spread, each where it is wanted."""
    from exact2vec.loss.engine import row_kernels

    scores, dense = problem.scores, problem.dense
    d_value = _value_gradient(problem, state, c, array_of(row)) if wanted[0] else None
    outer, words, inner = scores.shape
    like = scores if dense is None else dense
    d_dense = torch.empty((outer, words * wanted[1], inner), dtype=like.dtype, device="cpu")
    d_spread = np.empty(len(problem.spread) * wanted[2])
    loop, rows = Loop(row_kernels.target_gradients, False, True), (state[0], state[1], c, d_spread)
    if wanted[1] or wanted[2]:
        in_blocks(lambda start, stop: problem.run(loop, start, stop, rows, d_dense), scores.shape)
    return [
        d_value,
        d_dense if wanted[1] else None,
        torch.from_numpy(d_spread) if wanted[2] else None,
    ]


def _value_gradient(problem: Problem, state: Array, c: Array, row: Array) -> Tensor:
    """∂/∂value = −c log p at each cell; 0 for a cell that counts nothing where p is 0 or nan."""
    _, column, value = problem.cells
    places = (torch.from_numpy(each) for each in np.divmod(row, problem.scores.shape[2]))
    outer, inner = places
    z = array_of(problem.scores[outer, torch.from_numpy(column), inner].double())
    with np.errstate(invalid="ignore"):
        nll = (state[0][row] - z) + np.log1p(state[1][row])
        nll[(value == 0) & ~np.isfinite(nll)] = 0
        return torch.from_numpy((c if len(c) == 1 else c[row]) * nll)


def _by_reference(
    gradient: Tensor,
    scores: Tensor,
    targets: Targets,
    scale: float | None,
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """The same gradients, themselves differentiable."""
    leaves = (scores, targets.value, targets.dense, targets.spread)
    chosen = [leaf for leaf, want in zip(leaves, wanted, strict=True) if want and leaf is not None]
    losses = reference.target_nll(scores, targets, scale)
    found = iter(
        torch.autograd.grad(losses, chosen, gradient, create_graph=True, allow_unused=True)
    )
    return [next(found) if want else None for want in wanted]


def log_softmax(scores: Tensor) -> Tensor:
    """log p along the words of (outer, words, inner), equation (2), in the dtype of `scores`."""
    if scores.numel() == 0:
        return scores.clone()
    found: Tensor = _LogSoftmax.apply(scores)  # type: ignore[no-untyped-call]
    return found


class _LogSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        out = torch.empty(scores.shape, dtype=scores.dtype, device="cpu")
        state = np.empty((2, scores.shape[0] * scores.shape[2]))
        loop, problem = Loop.named("log_softmax", scores.shape), Problem.uncounted(scores)
        rows = (state[0], state[1])
        in_blocks(lambda start, stop: problem.run(loop, start, stop, rows, out), scores.shape)
        ctx.save_for_backward(scores)
        ctx.state = state
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """g − p Σ g: equation (6) with t = g and c = −1."""
        (scores,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            log_p = reference.log_softmax(scores)
            return torch.autograd.grad(log_p, scores, gradient, create_graph=True)
        problem = Problem.uncounted(scores, gradient)
        return _score_gradient(problem, ctx.state, np.array([-1.0]))


def gathered_nll(log_p: Tensor, targets: Targets, scale: float | None) -> Tensor:
    """Σ_w t_w · −log p_w from log-probabilities (outer, words, inner) and one cell a row.

    What `value` 0 stands at adds 0, whatever its log-probability.
    """
    found: Tensor = _GatheredNLL.apply(log_p, targets.value, targets.column, scale)  # type: ignore[no-untyped-call]
    return found


class _GatheredNLL(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, log_p: Tensor, value: Tensor, column: Tensor, scale: float | None
    ) -> Tensor:
        from exact2vec.loss.engine import row_kernels

        ctx.save_for_backward(log_p, value, column)
        ctx.scale = scale
        losses, cells = np.zeros(len(value)), (array_of(column), array_of(value))
        if log_p.shape[1] and readable(log_p, kind_of(log_p)):
            z = array_of(log_p)
            in_blocks(
                lambda start, stop: row_kernels.gathered_losses(z, start, stop, *cells, losses),
                log_p.shape,
            )
        elif log_p.shape[1]:
            at = array_of(log_p.gather(1, _places(column, log_p)).double().reshape(-1))
            np.multiply(-cells[1], at, out=losses, where=cells[1] != 0)
        if scale is None:
            return torch.from_numpy(losses)
        return torch.from_numpy(np.array(float(losses.sum()) * scale))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        log_p, value, column = ctx.saved_tensors
        wanted, c = ctx.needs_input_grad, gradient if ctx.scale is None else gradient * ctx.scale
        if torch.is_grad_enabled() or not readable(log_p, kind_of(log_p)) or log_p.numel() == 0:
            d_log_p = _scattered(c, value, column, log_p) if wanted[0] else None
        else:
            d_log_p = _scattered_in_place(c, value, column, log_p) if wanted[0] else None
        d_value = None
        if wanted[1]:
            nll = -log_p.gather(1, _places(column, log_p)).reshape(-1).double()
            d_value = c * nll.masked_fill((value == 0) & ~nll.isfinite(), 0.0)
        return d_log_p, d_value, None, None


def _places(column: Tensor, log_p: Tensor) -> Tensor:
    return column.view(log_p.shape[0], 1, log_p.shape[2])


def _scattered(c: Tensor, value: Tensor, column: Tensor, log_p: Tensor) -> Tensor:
    """−c t at the cells of log_p, 0 elsewhere, differentiable."""
    zeros = torch.zeros(log_p.shape, dtype=log_p.dtype, device="cpu")
    if log_p.numel() == 0:
        return zeros
    places = _places(column, log_p)
    return zeros.scatter(1, places, (-c * value).view(places.shape).to(log_p.dtype))


def _scattered_in_place(c: Tensor, value: Tensor, column: Tensor, log_p: Tensor) -> Tensor:
    """`_scattered` in one pass."""
    from exact2vec.loss.engine import row_kernels

    out = torch.zeros(log_p.shape, dtype=log_p.dtype, device="cpu")
    upstream = array_of(c.contiguous()).reshape(-1)
    arrays = array_of(column), array_of(value), upstream, array_of(out)
    in_blocks(lambda start, stop: row_kernels.scattered(start, stop, *arrays), log_p.shape)
    return out


def index_cells(
    target: Tensor, words: int, ignored: int, weight: Tensor | None
) -> tuple[Targets, int, int]:
    """The cells of class indices (row,) int64, the first row out of range or −1, and rows kept.

    A row whose index is `ignored` has value 0; others have `weight` at the index, or 1.
    """
    from exact2vec.loss.engine import row_kernels

    y = array_of(target)
    column, value = np.empty(len(y), np.int64), np.empty(len(y))
    shares = NONE if weight is None else array_of(weight.double())
    bad, kept, divisor = row_kernels.index_cells(y, words, ignored, shares, column, value)
    cells = Targets(
        torch.arange(len(y), device="cpu"),
        torch.from_numpy(column),
        torch.from_numpy(value),
        torch.from_numpy(np.array(divisor)),
        True,
    )
    return cells, bad, kept
