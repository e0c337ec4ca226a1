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
    sizes,
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
with torch.inference_mode(False):  # the first loss of a process may be one in inference mode
    _ONES = torch.ones(1 << 17, dtype=torch.float64, device="cpu")  # shared, read only: 1 MB
NUMPY = {torch.float64: np.float64, torch.float32: np.float32}  # others are slower to make


def target_nll(
    scores: Tensor, targets: Targets, scale: float | None, kind: torch.dtype | None = None
) -> Tensor:
    """Σ_w t_w · −log p_w of each row of scores (1); see `engine`."""
    weight, kind = targets.weight, kind or torch.float64
    if scores.numel() == 0 or (weight is not None and weight.requires_grad):
        return reference.target_nll(scores, targets, scale, kind)
    leaves: tuple[Tensor | None, ...] = (targets.value, targets.dense, targets.spread)
    if not any(leaf is not None and leaf.requires_grad for leaf in leaves):
        leaves = ()  # autograd looks at each argument
    nll: Tensor = _TargetNLL.apply((targets, scale, kind), scores, *leaves)  # type: ignore[no-untyped-call]
    return nll


class _TargetNLL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: Any, scores: Tensor, *leaves: Tensor | None) -> Tensor:
        targets, scale, kind = call
        problem, shape = Problem.of(scores, targets), sizes(scores.shape)
        state = np.empty((4, shape[0] * shape[2]))
        loop, rows = Loop.named("losses", shape), tuple(state)
        in_blocks(lambda start, stop: problem.run(loop, start, stop, rows), shape)
        tensors = (targets.value, targets.dense, targets.spread, targets.weight, targets.column)
        ctx.save_for_backward(scores, *tensors)
        ctx.problem, ctx.row, ctx.state, ctx.scale = problem.kept(), targets.row, state, scale
        return _placed(state[3], scale, kind)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        scores, value, dense, spread, weight, column = ctx.saved_tensors
        problem, state, scale, wanted = ctx.problem, ctx.state, ctx.scale, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            targets = Targets(ctx.row, column, value, value, dense, problem.keep, spread, weight)
            return None, *_by_reference(gradient, scores, targets, scale, wanted)
        c = _upstream(gradient, scale)
        problem = problem.again(scores, dense)
        d_scores = _score_gradient(problem, state, c) if wanted[0] else None
        if len(wanted) == 1:
            return None, d_scores
        return None, d_scores, *_target_gradients(problem, state, c, ctx.row, wanted[1:])


def _placed(losses: Array, scale: float | None, kind: torch.dtype) -> Tensor:
    """The losses of rows, or scale · their sum, as a tensor."""
    if scale is None:
        return torch.from_numpy(losses).to(kind)
    total = losses.sum() * scale
    if kind in NUMPY:
        return torch.from_numpy(np.array(total, NUMPY[kind]))
    return torch.tensor(total, dtype=kind, device="cpu")


def _upstream(gradient: Tensor, scale: float | None) -> Array:
    """What the gradients of losses are multiplied by: one number, or one a row."""
    if scale is not None:
        return np.array([gradient.item() * scale])
    return array_of(gradient.double().contiguous())


def _score_gradient(problem: Problem, state: Array, c: Array) -> Tensor:
    """c (T p − t), contiguous; `state` holds m, K and T of each row, or m and K alone."""
    scores = problem.scores
    out = torch.empty_like(scores, memory_format=torch.contiguous_format)
    loop = Loop.named("gradients", scores.shape)
    rows = (state[0], state[1], state[2] if len(state) > 2 else NONE, c)
    in_blocks(lambda start, stop: problem.run(loop, start, stop, rows, out), scores.shape)
    return out


def _target_gradients(
    problem: Problem, state: Array, c: Array, row: Tensor | None, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """∂/∂t = −c log p of value, dense and spread, each where it is wanted."""
    from exact2vec.loss.engine import row_kernels

    scores, dense = problem.scores, problem.dense
    d_value = _value_gradient(problem, state, c, row) if wanted[0] else None
    outer, words, inner = sizes(scores.shape)
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


def _value_gradient(problem: Problem, state: Array, c: Array, of: Tensor | None) -> Tensor:
    """∂/∂value = −c log p at each cell; 0 for a cell that counts nothing where p is 0 or nan."""
    _, column, value = problem.cells
    row = np.arange(len(column)) if of is None else array_of(of)
    _outer, words, size = sizes(problem.scores.shape)
    outer, inner = np.divmod(row, size)
    place = torch.from_numpy((outer * words + column) * size + inner)
    z = array_of(problem.scores.reshape(-1)[place].double())
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
    pairs = zip(leaves, wanted, strict=False)
    chosen = [leaf for leaf, want in pairs if want and leaf is not None]
    losses = reference.target_nll(scores, targets, scale, gradient.dtype)
    found = iter(
        torch.autograd.grad(losses, chosen, gradient, create_graph=True, allow_unused=True)
    )
    return [next(found) if want else None for want in wanted]


def log_softmax(scores: Tensor) -> Tensor:
    """log p along dimension 1, equation (2), in the dtype of `scores`."""
    if scores.numel() == 0:
        return scores.clone()
    found: Tensor = _LogSoftmax.apply(scores)  # type: ignore[no-untyped-call]
    return found


class _LogSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        out = torch.empty_like(scores, memory_format=torch.contiguous_format)
        shape = sizes(scores.shape)
        state = np.empty((2, shape[0] * shape[2]))
        loop, problem = Loop.named("log_softmax", shape), Problem.uncounted(scores)
        rows = tuple(state)
        in_blocks(lambda start, stop: problem.run(loop, start, stop, rows, out), shape)
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


def gathered_nll(
    log_p: Tensor, targets: Targets, scale: float | None, kind: torch.dtype | None = None
) -> Tensor:
    """Σ_w t_w · −log p_w from log-probabilities, in the shape of scores, and one cell a row.

    What `value` 0 stands at adds 0, whatever its log-probability.
    """
    kind = kind or torch.float64
    nll: Tensor = _GatheredNLL.apply(log_p, targets.value, targets.column, scale, kind)  # type: ignore[no-untyped-call]
    return nll


class _GatheredNLL(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        log_p: Tensor,
        value: Tensor,
        column: Tensor,
        scale: float | None,
        kind: torch.dtype,
    ) -> Tensor:
        from exact2vec.loss.engine import row_kernels

        ctx.save_for_backward(log_p, value, column)
        ctx.scale = scale
        losses, cells = np.zeros(len(value)), (array_of(column), array_of(value))
        if log_p.shape[1] and readable(log_p, kind_of(log_p)):
            z = array_of(log_p).reshape(sizes(log_p.shape))
            in_blocks(
                lambda start, stop: row_kernels.gathered_losses(z, start, stop, *cells, losses),
                z.shape,
            )
        elif log_p.shape[1]:
            at = array_of(log_p.gather(1, _places(column, log_p)).double().reshape(-1))
            np.multiply(-cells[1], at, out=losses, where=cells[1] != 0)
        return _placed(losses, scale, kind)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        log_p, value, column = ctx.saved_tensors
        wanted, scale, d_log_p, d_value = ctx.needs_input_grad, ctx.scale, None, None
        plain = not torch.is_grad_enabled() and readable(log_p, kind_of(log_p)) and log_p.numel()
        if wanted[0] and plain:
            d_log_p = _scattered_in_place(_upstream(gradient, scale), value, column, log_p)
        elif wanted[0]:
            d_log_p = _scattered(_times(gradient, scale), value, column, log_p)
        if wanted[1]:
            nll = -log_p.gather(1, _places(column, log_p)).reshape(-1).double()
            nll = nll.masked_fill((value == 0) & ~nll.isfinite(), 0.0)
            d_value = _times(gradient, scale) * nll
        return d_log_p, d_value, None, None, None


def _times(gradient: Tensor, scale: float | None) -> Tensor:
    """The gradient of each row's loss, in float64, differentiable."""
    return gradient.double() * (1.0 if scale is None else scale)


def _places(column: Tensor, log_p: Tensor) -> Tensor:
    return column.view(log_p.shape[0], 1, *log_p.shape[2:])


def _scattered(c: Tensor, value: Tensor, column: Tensor, log_p: Tensor) -> Tensor:
    """−c t at the cells of log_p, 0 elsewhere, differentiable."""
    zeros = torch.zeros(log_p.shape, dtype=log_p.dtype, device="cpu")
    if log_p.numel() == 0:
        return zeros
    places = _places(column, log_p)
    return zeros.scatter(1, places, (-c * value).view(places.shape).to(log_p.dtype))


def _scattered_in_place(c: Array, value: Tensor, column: Tensor, log_p: Tensor) -> Tensor:
    """`_scattered` in one pass."""
    from exact2vec.loss.engine import row_kernels

    out = torch.zeros_like(log_p, memory_format=torch.contiguous_format)
    into = array_of(out).reshape(sizes(log_p.shape))
    cells = array_of(column), array_of(value)
    in_blocks(lambda start, stop: row_kernels.scattered(start, stop, *cells, c, into), into.shape)
    return out


def index_cells(
    target: Tensor, words: int, ignored: int, weight: Tensor | None
) -> tuple[Targets, int, int]:
    """The cells of class indices (row,) int64, the first row out of range or −1, and rows kept.

    A row whose index is `ignored` has value 0; others have `weight` at the index, or 1.
    """
    from exact2vec.loss.engine import row_kernels

    y, rows = array_of(target), len(target)
    if weight is None and row_kernels.all_classes(y, words, ignored):
        ones = _ONES[:rows] if rows <= len(_ONES) else torch.ones(rows, dtype=torch.float64)
        words_of = target.clone() if target.is_inference() else target.contiguous()
        return Targets(None, words_of, ones, ones.new_tensor(float(rows))), -1, rows
    column, value = np.empty(rows, np.int64), np.empty(rows)
    shares = NONE if weight is None else array_of(weight.double())
    bad, kept, divisor = row_kernels.index_cells(y, words, ignored, shares, column, value)
    cells = Targets(
        None,
        torch.from_numpy(column),
        torch.from_numpy(value),
        torch.from_numpy(np.array(divisor)),
    )
    return cells, bad, kept
