"""The loss and its gradient row by row: compiled on a CPU, in blocks of rows on worker threads; elsewhere as formulas.py says, in float64."""

import functools
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from exact2vec.loss import formulas
from exact2vec.loss.targets import Targets
from exact2vec.loss.workers import Workers

NARROW, WIDE = 1 << 17, 1 << 15  # scores of one block: within the second-level cache with its temporaries
FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def compiled(*tensors: Tensor | None) -> bool:
    """Whether these are plain tensors of a CPU, and no transform (vmap, jvp, torch.compile) is looking."""
    if torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None or torch.autograd.forward_ad._current_level >= 0:
        return False
    return all(one is None or (one.device.type == "cpu" and type(one) in (Tensor, torch.nn.Parameter)) for one in tensors)


@functools.cache
def workers(threads: int) -> Workers:
    """A pool that lives as long as the process; making it changes no setting of the caller."""
    before = torch.get_num_threads()
    pool = Workers(threads)
    all_started = threading.Barrier(threads)
    pool.map(lambda _: all_started.wait(), range(threads))
    torch.set_num_threads(before)
    return pool


os.register_at_fork(after_in_child=workers.cache_clear)


def in_blocks(function: Callable[[slice], None], rows: int, words: int, block: int) -> None:
    """`function` for slices of rows of about `block` scores: on worker threads where there is enough to do. The slices depend on no thread."""
    size = max(1, block // max(1, words))
    slices = [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
    if len(slices) > 1:
        workers(torch.get_num_threads()).map(function, slices)
    elif slices:
        with torch.no_grad():
            function(slices[0])


class Block:
    """Some rows of scores with their maxima m and other terms K, in the number format that is computed in: float64 where targets are dense."""

    def __init__(self, scores: Tensor, rows: slice, wide: bool, largest: Tensor, others: Tensor) -> None:
        kind = torch.float64 if wide or scores.dtype == torch.float64 else torch.float32
        self.scores = scores[rows].to(kind).contiguous()
        self.largest, self.others = largest[rows].to(kind), others[rows]

    def log_sum(self) -> Tensor:
        return self.others.log1p()


def target_rows(scores: Tensor, targets: Targets) -> Tensor:
    """Equation (1) for each row of `scores`, float64."""
    if scores.shape[1] == 0:
        return scores.double().sum(dim=1)
    if not compiled(scores, targets.value, targets.dense, targets.spread):
        return formulas.target_nll(scores.double(), targets.matrix(*scores.shape))
    nll: Tensor = _TargetNLL.apply(scores, targets.value, targets.dense, targets.spread, targets.row, targets.column)  # type: ignore[no-untyped-call]
    return nll


class _TargetNLL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, value: Tensor, dense: Tensor | None, spread: Tensor | None, row: Tensor, column: Tensor) -> Tensor:
        rows, words = scores.shape
        targets = Targets(row, column, value, value, dense, spread)
        largest, others = torch.empty(rows, dtype=torch.float64), torch.empty(rows, dtype=torch.float64)
        losses = torch.empty(rows, dtype=torch.float64)
        starts = torch.searchsorted(row, torch.arange(rows + 1))

        def terms(these: slice) -> None:
            block = normalised(scores, these, dense is not None, largest, others)
            cells = slice(int(starts[these.start]), int(starts[these.stop]))
            losses[these] = cell_sums(block, row[cells] - these.start, column[cells], value[cells])
            if dense is not None:
                losses[these] += dense_sums(block, dense_of(targets, these))

        in_blocks(terms, rows, words, WIDE if dense is not None else NARROW)
        ctx.save_for_backward(scores, value, dense, spread, row, column, largest, others, starts)
        return losses

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        scores, value, dense, spread, row, column, largest, others, starts = ctx.saved_tensors
        targets = Targets(row, column, value, value, dense, spread)
        wanted = ctx.needs_input_grad[:4]
        if torch.is_grad_enabled() or wanted[3] or (wanted[2] and len(dense) != len(scores)):
            return (*_by_formula(gradient, targets, scores, wanted), None, None)
        d_scores = torch.empty_like(scores) if wanted[0] else None
        d_value = torch.empty_like(value) if wanted[1] else None
        d_dense = torch.empty_like(dense) if wanted[2] else None
        totals = row_totals(targets, len(scores))

        def gradients(these: slice) -> None:
            block = Block(scores, these, dense is not None, largest, others)
            cells = slice(int(starts[these.start]), int(starts[these.stop]))
            r, c = row[cells] - these.start, column[cells]
            if d_scores is not None:
                d_scores[these] = score_gradients(block, gradient[these], totals[these], r, c, value[cells], dense_of(targets, these))
            if d_value is not None:
                d_value[cells] = gradient[these][r] * cell_nll(block, r, c)
            if d_dense is not None:
                d_dense[these] = gradient[these][:, None] * dense_nll(block) * (1.0 if spread is None else spread[these][:, None])

        in_blocks(gradients, len(scores), scores.shape[1], WIDE if dense is not None else NARROW)
        return d_scores, d_value, d_dense, None, None, None


def _by_formula(gradient: Tensor, targets: Targets, scores: Tensor, wanted: tuple[bool, ...]) -> list[Tensor | None]:
    """The same gradients, themselves differentiable."""
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        leaves = [scores, targets.value, targets.dense, targets.spread]
        if not differentiable:
            leaves = [leaf if leaf is None else leaf.detach().requires_grad_(want) for leaf, want in zip(leaves, wanted, strict=True)]
        again = Targets(targets.row, targets.column, leaves[1], targets.divisor, leaves[2], leaves[3])  # type: ignore[arg-type]
        losses = formulas.target_nll(leaves[0].double(), again.matrix(*scores.shape))  # type: ignore[union-attr]
        chosen = [leaf for leaf, want in zip(leaves, wanted, strict=True) if want and leaf is not None]
        found = iter(torch.autograd.grad(losses, chosen, gradient, create_graph=differentiable, allow_unused=True))
    return [next(found) if want else None for want in wanted]


def normalised(scores: Tensor, rows: slice, wide: bool, largest: Tensor, others: Tensor) -> Block:
    """The Block, its m and K computed and stored in `largest` and `others`."""
    from exact2vec.loss import kernels

    block = Block(scores, rows, wide, largest, others)
    z = block.scores.numpy()
    kernels.normalise(z, np.empty((0, 0), z.dtype), block.largest.numpy(), block.others.numpy())
    largest[rows] = block.largest
    return block


def dense_of(targets: Targets, rows: slice) -> Tensor | None:
    """Rows of the dense coefficients, float64."""
    if targets.dense is None:
        return None
    dense = targets.dense.double() if len(targets.dense) == 1 and targets.spread is not None else targets.dense[rows].double()
    return dense if targets.spread is None else dense * targets.spread[rows][:, None]


def dense_at(targets: Targets, row: Tensor, column: Tensor) -> Tensor:
    """Dense coefficients at cells, float64."""
    assert targets.dense is not None
    shared = len(targets.dense) == 1 and targets.spread is not None
    dense = targets.dense[0 if shared else row, column].double()
    return dense if targets.spread is None else dense * targets.spread[row]


def row_totals(targets: Targets, rows: int) -> Tensor:
    """T = Σ_w t_w of each row, float64."""
    totals = row_sums(targets.row, targets.value, rows)
    if targets.dense is not None:
        dense = torch.from_numpy(targets.dense.double().numpy().sum(axis=1))
        totals = totals + (dense if targets.spread is None else dense * targets.spread)
    return totals


def row_sums(row: Tensor, value: Tensor, rows: int) -> Tensor:
    return torch.from_numpy(np.bincount(row.numpy(), weights=value.numpy(), minlength=rows)) if len(row) else torch.zeros(rows, dtype=torch.float64)


def cell_nll(block: Block, row: Tensor, column: Tensor) -> Tensor:
    """−log p at cells (2): both terms ≥ 0."""
    return (block.largest[row].double() - block.scores[row, column].double()) + block.log_sum()[row]


def cell_sums(block: Block, row: Tensor, column: Tensor, value: Tensor) -> Tensor:
    terms = value * cell_nll(block, row, column)
    return row_sums(row, terms.where(value != 0, 0.0) if (value == 0).any() else terms, len(block.scores))


def dense_nll(block: Block) -> Tensor:
    return (block.largest[:, None] - block.scores) + block.log_sum()[:, None]


def dense_sums(block: Block, dense: Tensor | None) -> Tensor:
    assert dense is not None
    terms = torch.where(dense == 0, 0.0, dense * dense_nll(block))
    return torch.from_numpy(terms.numpy().sum(axis=1))


def score_gradients(block: Block, gradient: Tensor, totals: Tensor, row: Tensor, column: Tensor, value: Tensor, dense: Tensor | None) -> Tensor:
    """c (T p_w − t_w), equation (6); where z_w = m as c ((T − t_w) − T K / (1 + K)), which keeps its digits as p → 1."""
    from exact2vec.loss import kernels

    z, m, others = block.scores, block.largest.double(), block.others
    out = torch.empty_like(z)
    scale = gradient * totals
    kernels.scaled_exponentials(z.numpy(), block.largest.numpy(), (scale / (1 + others)).to(z.dtype).numpy(), out.numpy())
    rest = totals * others / (1 + others)
    if dense is not None:
        at_most = gradient[:, None] * ((totals[:, None] - dense) - rest[:, None])
        out = torch.where(z == block.largest[:, None], at_most, out - gradient[:, None] * dense)
        value = value + dense.expand(len(z), -1)[row, column]
    scores = z[row, column].double()
    elsewhere = totals[row] * (scores - m[row]).exp() / (1 + others[row]) - value
    cells = torch.where(scores == m[row], (totals[row] - value) - rest[row], elsewhere)
    out[row, column] = (gradient[row] * cells).to(z.dtype)
    return out.masked_fill_((scale == 0)[:, None] & (gradient == 0)[:, None], 0.0) if (gradient == 0).any() else _without_targets(out, totals, dense)


def _without_targets(out: Tensor, totals: Tensor, dense: Tensor | None) -> Tensor:
    """Rows that nothing is counted for have no gradient, whatever their scores."""
    if dense is None and (totals == 0).any():
        out[totals == 0] = 0.0
    return out


def log_softmax_rows(scores: Tensor) -> Tensor:
    """Equation (2) for each row, in the number format of `scores`."""
    if not compiled(scores) or scores.shape[1] == 0:
        return formulas.log_softmax(scores.double()).to(scores.dtype) if scores.shape[1] else scores.clone()
    found: Tensor = _LogSoftmax.apply(scores)  # type: ignore[no-untyped-call]
    return found


class _LogSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        from exact2vec.loss import kernels

        out = torch.empty_like(scores, memory_format=torch.contiguous_format)
        largest, others = torch.empty(len(scores), dtype=torch.float64), torch.empty(len(scores), dtype=torch.float64)

        def rows(these: slice) -> None:
            block = normalised(scores, these, False, largest, others)
            part = torch.empty_like(block.scores)
            kernels.log_probabilities(block.scores.numpy(), block.largest.numpy(), block.log_sum().numpy(), part.numpy())
            out[these] = part

        in_blocks(rows, len(scores), scores.shape[1], NARROW)
        ctx.save_for_backward(scores)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (scores,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            return torch.autograd.grad(formulas.log_softmax(scores.double()).to(scores.dtype), scores, gradient, create_graph=True)
        totals, d_scores = torch.empty(len(scores), dtype=torch.float64), torch.empty_like(scores)
        largest, others = torch.empty_like(totals), torch.empty_like(totals)
        none = torch.empty(0, dtype=torch.int64)

        def rows(these: slice) -> None:
            block = normalised(scores, these, True, largest, others)
            part = gradient[these].double()
            totals[these] = torch.from_numpy(part.contiguous().numpy().sum(axis=1))
            d_scores[these] = score_gradients(block, -torch.ones(len(part)).double(), totals[these], none, none, none.double(), part)

        in_blocks(rows, len(scores), scores.shape[1], WIDE)
        return d_scores
