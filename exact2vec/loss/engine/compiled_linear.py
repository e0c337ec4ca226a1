"""The compiled engine for scores that are products x·uᵀ + b, never held whole.

`linear_nll` runs over blocks of rows. Where there are many tiles of words, the threads share the
tiles of one block; where there are few, whole blocks run beside each other, and what fits into a
tile is left to one thread. Sums are cut by blocks
and tiles, never by threads.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from exact2vec.loss.engine import reference
from exact2vec.loss.engine import tile_kernels as kernels
from exact2vec.loss.engine import tile_sweeps as sweeps
from exact2vec.loss.engine.matrix_products import add_columns_by_columns
from exact2vec.loss.engine.tile_size import tile_scores
from exact2vec.loss.engine.tile_sweeps import KINDS, NONE, Block, Each, Products, as_array
from exact2vec.loss.targets import Targets
from exact2vec.parallel import Workers, workers

HELD_ROWS = 210  # rows of V numbers: the scores of a block, and the sums of its groups
FEW_TILES = 4  # up to which blocks run beside each other
BLOCK_GROUPS = 4  # of blocks that do, each with sums of its own


def linear_nll(
    inputs: Tensor,
    outputs: Tensor,
    bias: Tensor | None,
    targets: Targets,
    scale: float | None,
    block_rows: int | None,
) -> Tensor:
    """Σ_w t_w · −log p_w of each row of scores inputs · outputsᵀ + bias, float64 (1).

    With a `scale`, scale · their sum; its gradients are made on the way, so that there are three
    products and no more. Scores of `block_rows` rows are held at a time; None: as many as need,
    with their sums, 210 rows of V numbers.
    """
    every = (inputs, outputs, bias, targets.value, targets.dense, targets.spread)
    other = targets.weight is not None and targets.weight.requires_grad
    spread = targets.spread is not None and targets.spread.requires_grad
    if other or spread or outputs.shape[0] == 0:
        rows = block_rows or 0
        return reference.linear_nll(inputs, outputs, bias, targets, scale, rows)
    nll: Tensor = _LinearNLL.apply(*every, targets, scale, block_rows)  # type: ignore[no-untyped-call]
    return nll


@dataclass(frozen=True)
class _Problem:
    """The tensors of one call, in the number format that is computed in, and its blocks of rows."""

    inputs: Tensor
    products: Products
    targets: Targets
    starts: Tensor
    rows: list[slice]

    @classmethod
    def of(
        cls,
        inputs: Tensor,
        outputs: Tensor,
        bias: Tensor | None,
        targets: Targets,
        block_rows: int | None,
    ) -> "_Problem":
        kind = torch.float64 if inputs.dtype == torch.float64 else torch.float32
        words, dim = outputs.shape
        tiles = sweeps.tiles_of(words)
        starts = torch.arange(len(inputs) + 1, device="cpu")
        if targets.row is not None:
            starts = torch.searchsorted(targets.row, starts)
        return cls(
            inputs.detach(),
            Products(outputs.detach(), None if bias is None else bias.detach(), tiles, kind),
            targets,
            starts,
            _equal_blocks(len(inputs), block_rows or _most_rows(words, dim, len(tiles))),
        )

    def cells(self, rows: slice) -> slice:
        return slice(int(self.starts[rows.start]), int(self.starts[rows.stop]))

    def block(self, rows: slice) -> Block:
        """The rows with their targets as arrays."""
        t, cells = self.targets, self.cells(rows)
        row, words = t.cell_rows()[cells] - rows.start, t.column[cells]
        spread = NONE if t.spread is None else as_array(t.spread[rows])
        weight = NONE if t.weight is None else as_array(t.weight.double())
        dense = None if t.dense is None else t.dense.detach()[rows, :, 0]
        beside = NONE
        if len(words) and (dense is not None or len(spread)):
            more = spread[row.numpy()] if len(spread) else np.zeros(len(words))
            if dense is not None:
                more = more + t.keep * as_array(dense[row, words].double())
            beside = more * weight[words.numpy()] if len(weight) else more
        return Block(
            self.inputs[rows].to(self.products.kind),
            as_array(self.starts[rows.start : rows.stop + 1] - cells.start),
            as_array(words),
            as_array(t.value[cells]),
            beside,
            dense,
            t.keep,
            spread,
            weight,
        )


@dataclass(frozen=True)
class _Sums:
    """Gradients to fill, None where they are not wanted: float32 at least, float64 for the bias."""

    inputs: Tensor | None
    outputs: Tensor | None
    bias: Tensor | None
    value: Tensor | None
    dense: Tensor | None

    @classmethod
    def wanted(cls, wanted: Sequence[bool], tensors: Sequence[Tensor | None]) -> "_Sums":
        """Places for what blocks write, zeros for what they add to: outputs and bias."""
        least = (torch.float32, torch.float32, torch.float64, torch.float64, torch.float16)
        makers = (_empty, _zeros, _zeros, _empty, _empty)
        inputs, outputs, bias, value, dense = (
            make(like, kind) if want and like is not None else None
            for make, want, like, kind in zip(makers, wanted, tensors, least, strict=True)
        )
        return cls(inputs, outputs, bias, value, dense)

    def apart(self) -> "_Sums":
        """The same sums, but outputs and biases begin anew: for blocks that run beside others."""
        outputs, bias = (
            None if one is None else torch.zeros_like(one) for one in (self.outputs, self.bias)
        )
        return replace(self, outputs=outputs, bias=bias)

    def add_outputs(self, other: "_Sums") -> None:
        if self.outputs is not None and other.outputs is not None:
            self.outputs.add_(other.outputs)
        if self.bias is not None and other.bias is not None:
            self.bias.add_(other.bias)


def _run(
    problem: _Problem, upstream: Tensor | None, sums: _Sums | None, losses: Tensor, pool: Workers
) -> None:
    """The losses of all rows; the gradients of Σ upstream · losses are added to `sums`, if any."""
    size = max((rows.stop - rows.start for rows in problem.rows), default=0)
    size *= len(problem.products.outputs)

    def of_block(rows: slice, into: _Sums | None, buffer: Tensor, each: Each) -> None:
        block = problem.block(rows)
        done = sweeps.swept(block, problem.products, buffer, each)
        losses[rows] = torch.from_numpy(done.nll)
        if into is not None and upstream is not None:
            _add_gradients(problem, rows, block, done, upstream[rows].numpy(), into, each)

    alone = len(problem.rows) == 1
    if len(problem.products.tiles) > FEW_TILES or (alone and size > tile_scores()):
        buffer = torch.empty(size, dtype=problem.products.kind, device="cpu")
        for rows in problem.rows:
            of_block(rows, sums, buffer, pool.map)
        return

    def of_group(group: range) -> _Sums | None:
        buffer = torch.empty(size, dtype=problem.products.kind, device="cpu")
        into = sums if sums is None or alone else sums.apart()
        for place in group:
            of_block(problem.rows[place], into, buffer, _one_by_one)
        return into

    count = len(problem.rows)
    groups = [range(start, count, BLOCK_GROUPS) for start in range(min(BLOCK_GROUPS, count))]
    for part in pool.map(of_group, groups):
        if sums is not None and part is not None and not alone:
            sums.add_outputs(part)


def _add_gradients(
    problem: _Problem,
    rows: slice,
    block: Block,
    done: sweeps.Swept,
    upstream: sweeps.Array,
    sums: _Sums,
    each: Each,
) -> None:
    """Adds the gradients of one block's losses to the sums; uses up its exponentials."""
    d_outputs, d_bias = sums.outputs, sums.bias

    def take(words: slice, g: Tensor, scale: Tensor) -> None:
        if d_outputs is not None:
            add_columns_by_columns(d_outputs[words], g, block.inputs * scale[:, None])
        if d_bias is not None:
            kernels.add_column_sums(g.numpy(), scale.numpy(), d_bias[words].numpy())

    if sums.value is not None:
        nll = np.empty(len(block.words))
        kernels.cell_nll(block.starts, done.at_cells, done.largest, done.others, nll)
        nll *= np.repeat(upstream, np.diff(block.starts))
        sums.value[problem.cells(rows)] = torch.from_numpy(nll)
    needed = d_outputs is not None or d_bias is not None
    if needed or sums.inputs is not None:
        d_inputs = sweeps.pulled_back(
            block,
            done,
            problem.products,
            upstream,
            done.totals,
            sums.inputs is not None,
            take if needed else None,
            each,
        )
        if sums.inputs is not None:
            sums.inputs[rows] = d_inputs
    if sums.dense is not None:
        dense = sums.dense[rows, :, 0]
        sweeps.target_gradients(block, done, problem.products, upstream, dense, each)


class _LinearNLL(torch.autograd.Function):
    """Rows of losses, or `scale` times their sum."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        outputs: Tensor,
        bias: Tensor | None,
        value: Tensor,
        dense: Tensor | None,
        spread: Tensor | None,
        targets: Targets,
        scale: float | None,
        block_rows: int | None,
    ) -> Tensor:
        ctx.scale, ctx.block_rows, ctx.targets, ctx.made = scale, block_rows, targets, None
        ctx.save_for_backward(inputs, outputs, bias, value, dense)
        problem = _Problem.of(inputs, outputs, bias, targets, block_rows)
        losses = torch.empty(len(inputs), dtype=torch.float64, device="cpu")
        wanted = ctx.needs_input_grad[:5]
        upstream = None
        if scale is not None and any(wanted):
            upstream = losses.new_full((len(inputs),), scale)
            ctx.made = _Sums.wanted(wanted, (inputs, outputs, bias, value, dense))
        _run(problem, upstream, ctx.made, losses, workers(torch.get_num_threads()))
        if scale is None:
            return losses
        return losses.new_tensor(float(losses.numpy().sum()) * scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        tensors = ctx.saved_tensors
        wanted = tuple(ctx.needs_input_grad[:5])
        if torch.is_grad_enabled():
            return *_by_formula(ctx, tensors, gradient, wanted), None, None, None, None
        made, ctx.made = ctx.made, None
        if made is None:
            made = _Sums.wanted(wanted, tensors)
            upstream = gradient.double()
            if ctx.scale is not None:
                upstream = (upstream * ctx.scale).expand(len(tensors[0])).contiguous()
            inputs, outputs, bias = tensors[:3]
            problem = _Problem.of(inputs, outputs, bias, ctx.targets, ctx.block_rows)
            losses = torch.empty(len(tensors[0]), dtype=torch.float64, device="cpu")
            _run(problem, upstream, made, losses, workers(torch.get_num_threads()))
        elif float(gradient) != 1.0:
            for one in (made.inputs, made.outputs, made.bias, made.value, made.dense):
                if one is not None:
                    one.mul_(float(gradient))
        found = (made.inputs, made.outputs, made.bias, made.value, made.dense)
        kinds = [
            None if one is None else one.to(like.dtype)
            for one, like in zip(found, tensors, strict=True)
        ]
        return *kinds, None, None, None, None


def _by_formula(
    ctx: Any, tensors: Sequence[Tensor | None], gradient: Tensor, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients by autograd of the reference, themselves differentiable."""
    inputs, outputs, bias, value, dense = tensors
    assert inputs is not None
    assert outputs is not None
    assert value is not None
    targets = replace(ctx.targets, value=value, dense=dense)
    loss = reference.linear_nll(inputs, outputs, bias, targets, ctx.scale, 0)
    chosen = [one for one, want in zip(tensors, wanted, strict=True) if want and one is not None]
    found = iter(torch.autograd.grad(loss, chosen, gradient, create_graph=True, allow_unused=True))
    return [next(found) if want else None for want in wanted]


def _empty(like: Tensor, least: torch.dtype) -> Tensor:
    return torch.empty(like.shape, dtype=torch.promote_types(like.dtype, least), device="cpu")


def _zeros(like: Tensor, least: torch.dtype) -> Tensor:
    """By numpy: torch would wake its threads for it."""
    kind = KINDS[torch.promote_types(like.dtype, least)]
    return torch.from_numpy(np.zeros(like.shape, kind))


def _one_by_one(function: Callable[[Any], Any], items: Any) -> list[Any]:
    return [function(item) for item in items]


def _equal_blocks(rows: int, most: int) -> list[slice]:
    """The fewest blocks of at most so many rows, all but the last of the same size."""
    size = math.ceil(rows / max(1, math.ceil(rows / most))) if rows else 1
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def _most_rows(words: int, dim: int, tiles: int) -> int:
    """Rows whose scores take, with the sums of their gradients, HELD_ROWS · words numbers.

    Where words are few, as many as fill a tile: that is little in any case.
    """
    groups = min(sweeps.GROUPS, tiles)
    rows = HELD_ROWS * words // max(1, words + groups * dim)
    return max(1, rows, tile_scores() // max(1, words))
