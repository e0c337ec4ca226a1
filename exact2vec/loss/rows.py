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

NARROW, WIDE = (
    1 << 18,
    1 << 15,
)  # scores of one block: within the second-level cache with its temporaries


def compiled(*tensors: Tensor | None) -> bool:
    """Whether these are plain tensors of a CPU, and no transform (vmap, jvp, torch.compile) is looking."""
    if (
        torch.compiler.is_compiling()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch.autograd.forward_ad._current_level >= 0
    ):
        return False
    return all(
        one is None or (one.device.type == "cpu" and type(one) in (Tensor, torch.nn.Parameter))
        for one in tensors
    )


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

    def __init__(
        self, scores: Tensor, rows: slice, wide: bool, largest: Tensor, others: Tensor
    ) -> None:
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
    nll: Tensor = _TargetNLL.apply(
        scores, targets.value, targets.dense, targets.spread, targets.row, targets.column
    )  # type: ignore[no-untyped-call]
    return nll


class _TargetNLL(torch.autograd.Function):
    """Stored cells alone go through one compiled loop each way; dense coefficients through float64 blocks."""

    @staticmethod
    def forward(
        ctx: Any,
        scores: Tensor,
        value: Tensor,
        dense: Tensor | None,
        spread: Tensor | None,
        row: Tensor,
        column: Tensor,
    ) -> Tensor:
        from exact2vec.loss import kernels

        rows, words = scores.shape
        targets = Targets(row, column, value, value, dense, spread)
        largest, others, losses = (torch.empty(rows, dtype=torch.float64) for _ in range(3))
        starts = torch.searchsorted(row, torch.arange(rows + 1))

        def of_cells(these: slice) -> None:
            at = starts[these.start : these.stop + 1]
            kernels.target_terms(
                *_numpy(
                    _computed(scores[these]),
                    at,
                    column,
                    value,
                    largest[these],
                    others[these],
                    losses[these],
                )
            )

        def of_dense(these: slice) -> None:
            block = normalised(scores, these, True, largest, others)
            losses[these] = dense_sums(block, coefficients(targets, these, starts))

        in_blocks(
            of_cells if dense is None else of_dense, rows, words, NARROW if dense is None else WIDE
        )
        ctx.save_for_backward(scores, value, dense, spread, row, column, largest, others, starts)
        return losses

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        from exact2vec.loss import kernels

        scores, value, dense, spread, row, column, largest, others, starts = ctx.saved_tensors
        targets = Targets(row, column, value, value, dense, spread)
        wanted = ctx.needs_input_grad[:4]
        if torch.is_grad_enabled() or wanted[3] or (wanted[2] and len(dense) != len(scores)):
            return (*_by_formula(gradient, targets, scores, wanted), None, None)
        d_scores = (
            torch.empty_like(scores, memory_format=torch.contiguous_format) if wanted[0] else None
        )
        d_value = torch.empty_like(value) if wanted[1] else None
        d_dense = torch.empty_like(dense) if wanted[2] else None

        def of_cells(these: slice) -> None:
            assert d_scores is not None
            at, part = starts[these.start : these.stop + 1], _computed(d_scores[these])
            kernels.target_gradients(
                *_numpy(
                    _computed(scores[these]),
                    at,
                    column,
                    value,
                    largest[these],
                    others[these],
                    gradient[these],
                    part,
                )
            )
            if part.dtype != d_scores.dtype:
                d_scores[these] = part

        def of_dense(these: slice) -> None:
            assert d_scores is not None
            block = Block(scores, these, True, largest, others)
            d_scores[these] = score_gradients(
                block, gradient[these], coefficients(targets, these, starts)
            )

        def of_targets(these: slice) -> None:
            block = Block(scores, these, True, largest, others)
            nll = gradient[these][:, None] * (
                (block.largest[:, None] - block.scores) + block.log_sum()[:, None]
            )
            cells = slice(int(starts[these.start]), int(starts[these.stop]))
            if d_value is not None:
                d_value[cells] = nll[row[cells] - these.start, column[cells]]
            if d_dense is not None:
                d_dense[these] = nll if spread is None else nll * spread[these][:, None]

        if d_scores is not None:
            in_blocks(
                of_cells if dense is None else of_dense,
                len(scores),
                scores.shape[1],
                NARROW if dense is None else WIDE,
            )
        if d_value is not None or d_dense is not None:
            in_blocks(of_targets, len(scores), scores.shape[1], WIDE)
        return d_scores, d_value, d_dense, None, None, None


def _computed(scores: Tensor) -> Tensor:
    """Rows as the compiled loops take them: contiguous, 16-bit formats in float32."""
    return scores.to(torch.float64 if scores.dtype == torch.float64 else torch.float32).contiguous()


def _numpy(*tensors: Tensor) -> list[np.ndarray]:
    return [tensor.numpy() for tensor in tensors]


def _by_formula(
    gradient: Tensor, targets: Targets, scores: Tensor, wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    """The same gradients, themselves differentiable."""
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        leaves = [scores, targets.value, targets.dense, targets.spread]
        if not differentiable:
            leaves = [
                leaf if leaf is None else leaf.detach().requires_grad_(want)
                for leaf, want in zip(leaves, wanted, strict=True)
            ]
        again = Targets(
            targets.row,
            targets.column,
            leaves[1],  # type: ignore[arg-type]
            targets.divisor,
            leaves[2],
            leaves[3],
        )
        losses = formulas.target_nll(leaves[0].double(), again.matrix(*scores.shape))  # type: ignore[union-attr]
        chosen = [
            leaf for leaf, want in zip(leaves, wanted, strict=True) if want and leaf is not None
        ]
        found = iter(
            torch.autograd.grad(
                losses, chosen, gradient, create_graph=differentiable, allow_unused=True
            )
        )
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
    dense = targets.dense.double() if targets.one_for_all else targets.dense[rows].double()
    return dense if targets.spread is None else dense * targets.spread[rows][:, None]


def dense_at(targets: Targets, row: Tensor, column: Tensor) -> Tensor:
    """Dense coefficients at cells, float64."""
    assert targets.dense is not None
    dense = targets.dense[0 if targets.one_for_all else row, column].double()
    return dense if targets.spread is None else dense * targets.spread[row]


def row_totals(targets: Targets, rows: int) -> Tensor:
    """T = Σ_w t_w of each row, float64."""
    totals = row_sums(targets.row, targets.value, rows)
    if targets.dense is not None:
        dense = torch.from_numpy(targets.dense.double().numpy().sum(axis=1))
        totals = totals + (dense if targets.spread is None else dense * targets.spread)
    return totals


def row_sums(row: Tensor, value: Tensor, rows: int) -> Tensor:
    return (
        torch.from_numpy(np.bincount(row.numpy(), weights=value.numpy(), minlength=rows))
        if len(row)
        else torch.zeros(rows, dtype=torch.float64)
    )


def coefficients(targets: Targets, rows: slice, starts: Tensor) -> Tensor:
    """Rows of all coefficients t, dense and stored, float64."""
    dense = dense_of(targets, rows)
    assert dense is not None
    cells = slice(int(starts[rows.start]), int(starts[rows.stop]))
    if cells.start == cells.stop:
        return dense
    return dense.index_put(
        (targets.row[cells] - rows.start, targets.column[cells]),
        targets.value[cells],
        accumulate=True,
    )


def dense_sums(block: Block, targets: Tensor) -> Tensor:
    """Σ_w t_w (−log p_w) of each row (1)."""
    nll = (block.largest[:, None] - block.scores) + block.log_sum()[:, None]
    return torch.from_numpy(torch.where(targets == 0, 0.0, targets * nll).numpy().sum(axis=1))


def score_gradients(block: Block, gradient: Tensor, targets: Tensor) -> Tensor:
    """c (T p_w − t_w), equation (6); where z_w = m as c ((T − t_w) − T K / (1 + K)), which keeps its digits as p → 1; 0 where c or T is."""
    from exact2vec.loss import kernels

    z, m, others = block.scores, block.largest, block.others
    totals = torch.from_numpy(targets.contiguous().numpy().sum(axis=1))
    elsewhere = torch.empty_like(z)
    kernels.scaled_exponentials(*_numpy(z, m, gradient * totals / (1 + others), elsewhere))
    at_most = gradient[:, None] * (
        (totals[:, None] - targets) - (totals * others / (1 + others))[:, None]
    )
    out = torch.where(z == m[:, None], at_most, elsewhere - gradient[:, None] * targets)
    return out.masked_fill_(((gradient == 0) | (totals == 0))[:, None], 0.0)


def log_softmax_rows(scores: Tensor) -> Tensor:
    """Equation (2) for each row, in the number format of `scores`."""
    if not compiled(scores) or scores.shape[1] == 0:
        return (
            formulas.log_softmax(scores.double()).to(scores.dtype)
            if scores.shape[1]
            else scores.clone()
        )
    found: Tensor = _LogSoftmax.apply(scores)  # type: ignore[no-untyped-call]
    return found


class _LogSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        from exact2vec.loss import kernels

        out = torch.empty_like(scores, memory_format=torch.contiguous_format)
        largest, others = (
            torch.empty(len(scores), dtype=torch.float64),
            torch.empty(len(scores), dtype=torch.float64),
        )

        def rows(these: slice) -> None:
            block = normalised(scores, these, False, largest, others)
            part = torch.empty_like(block.scores)
            kernels.log_probabilities(
                block.scores.numpy(), block.largest.numpy(), block.log_sum().numpy(), part.numpy()
            )
            out[these] = part

        in_blocks(rows, len(scores), scores.shape[1], NARROW)
        ctx.save_for_backward(scores)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (scores,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            return torch.autograd.grad(
                formulas.log_softmax(scores.double()).to(scores.dtype),
                scores,
                gradient,
                create_graph=True,
            )
        d_scores = torch.empty_like(scores)
        largest, others = (
            torch.empty(len(scores), dtype=torch.float64),
            torch.empty(len(scores), dtype=torch.float64),
        )

        def rows(these: slice) -> None:
            block = normalised(scores, these, True, largest, others)
            d_scores[these] = score_gradients(
                block, -torch.ones(len(block.scores), dtype=torch.float64), gradient[these].double()
            )

        in_blocks(rows, len(scores), scores.shape[1], WIDE)
        return d_scores
