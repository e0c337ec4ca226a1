"""linear_cross_entropy: scores = x·uᵀ + b, held for some rows at a time; every kind of target (docs/maths.md, equations 1–10)."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from exact2vec.errors import LossInputError
from exact2vec.loss import checks, formulas
from exact2vec.loss.dense import one_target, targets_of
from exact2vec.loss.rows import compiled, dense_at, dense_of, row_sums, row_totals, workers
from exact2vec.loss.targets import Targets
from exact2vec.loss.workers import Workers

ROWS = 250  # held at once, in rows of V numbers: the scores of a block and the sums of its groups
TILE_WORDS = 1024  # columns of one product: rows × 1024 floats stay in the second-level cache
GROUPS = 8  # of tiles, whose gradients of the inputs are summed each by itself, whatever the number of threads


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor | None = None,
    *,
    linear_bias: Tensor | None = None,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
    counts: Tensor | None = None,
    rows: int | None = None,
) -> Tensor:
    """cross_entropy(input · linear_weightᵀ + linear_bias, target), nats, with the scores of `rows` rows in memory at a time (at most 250 by default).

    Shapes (N, D), (V, D) and (V,), or one row (D,). Each kind of target of cross_entropy, with class weights and smoothing. `options` is torch's: its
    batch_chunk_size is taken for `rows`. A second derivative, torch.func and torch.compile hold all N × V scores.

    >>> inputs, outputs = torch.tensor([[1.0, 0.0], [2.0, 1.0]]), torch.tensor([[1.0, 1.0], [0.0, -1.0], [2.0, 0.5]])
    >>> linear_cross_entropy(inputs, outputs, torch.tensor([2, 0]))
    tensor(1.0562)
    """
    wanted = one_target(target, counts, ignore_index)
    _check_shapes(input, linear_weight, linear_bias, wanted, reduction, label_smoothing)
    rows = _rows(rows, options, linear_weight.shape[0], linear_weight.shape[-1])
    ignored = -100 if ignore_index is None else ignore_index
    shape = (*input.shape[:-1], linear_weight.shape[0], *linear_weight.shape[1:-1])
    if ignore_index is not None and wanted.is_floating_point() and tuple(wanted.shape) == shape:
        raise LossInputError(
            "ignore_index cannot be specified when target contains probabilities: give such rows probabilities 0"
        )
    place = min(1, len(shape) - 1)
    checks.weight(weight, shape[place], input.dtype)
    batch = input if input.dim() == 2 else input[None]
    if input.dim() == 1 and counts is not None:
        counts = counts[None]
    positions, biases = _positions(linear_weight, linear_bias)
    batch, *cast = _autocast(batch, *positions, *biases)
    positions, biases = cast[: len(positions)], cast[len(positions) :]
    if target is not None:
        target = target if input.dim() == 2 else target[None]
    found = []
    inner = "sum" if reduction == "mean" and len(positions) > 1 else reduction
    batch_shape = (batch.shape[0], linear_weight.shape[0])
    for k, (outputs, bias) in enumerate(zip(positions, biases, strict=True)):
        its_target = None if target is None else _position(target, k, linear_weight, batch_shape)
        targets = targets_of(its_target, counts, weight, ignored, label_smoothing, batch_shape, 1)
        found.append((_rows_or_sum(batch, outputs, bias, targets, inner, rows), targets.divisor))
    rest = tuple(size for dim, size in enumerate(shape) if dim != place)
    out = (
        input.dtype
        if not torch.is_autocast_enabled(input.device.type)
        else torch.promote_types(input.dtype, torch.float32)
    )
    if reduction == "none":
        return torch.stack([nll for nll, _ in found], dim=1).reshape(rest).to(out)
    total = torch.stack([nll for nll, _ in found]).sum()
    return (
        total / torch.stack([divisor for _, divisor in found]).sum()
        if reduction == "mean" and len(found) > 1
        else total
    ).to(out)


def _rows_or_sum(
    inputs: Tensor,
    outputs: Tensor,
    bias: Tensor | None,
    targets: Targets,
    reduction: str,
    rows: int,
) -> Tensor:
    """Float64: nll rows ("none"), or their sum, over the divisor where it is constant."""
    if (
        not compiled(inputs, outputs, bias, targets.value, targets.dense, targets.spread)
        or outputs.shape[0] == 0
    ):
        nll = _dense_rows(inputs, outputs, bias, targets)
        return (
            nll
            if reduction == "none"
            else nll.sum() / targets.divisor
            if reduction == "mean"
            else nll.sum()
        )
    mean = reduction == "mean"
    inside = (
        1.0
        if not mean or targets.divisor.requires_grad
        else 1.0 / float(targets.divisor)
        if float(targets.divisor)
        else math.nan
    )
    found: Tensor = _LinearNLL.apply(  # type: ignore[no-untyped-call]
        inputs,
        outputs,
        bias,
        targets.value,
        targets.dense,
        targets.spread,
        targets.row,
        targets.column,
        rows,
        None if reduction == "none" else inside,
    )
    return found / targets.divisor if mean and targets.divisor.requires_grad else found


def _dense_rows(inputs: Tensor, outputs: Tensor, bias: Tensor | None, targets: Targets) -> Tensor:
    """The plain twin: all scores at once, each product as torch makes it, the loss of formulas.py."""
    scores = torch.nn.functional.linear(inputs, outputs, bias)
    return (
        formulas.target_nll(scores.double(), targets.matrix(*scores.shape))
        if scores.shape[1]
        else scores.double().sum(dim=1)
    )


class Tiles:
    """One block of rows of scores, tile by tile of columns, in one buffer: exponentials, their terms, and then gradients in their place."""

    def __init__(
        self,
        pool: Workers,
        inputs: Tensor,
        outputs: Tensor,
        bias: Tensor | None,
        targets: Targets,
        rows: int,
    ) -> None:
        self.pool, self.inputs, self.outputs, self.bias, self.targets = (
            pool,
            inputs,
            outputs,
            bias,
            targets,
        )
        self.kind = torch.float64 if inputs.dtype == torch.float64 else torch.float32
        words = len(outputs)
        self.tiles = [
            slice(start, min(start + TILE_WORDS, words)) for start in range(0, words, TILE_WORDS)
        ]
        self.buffer = torch.empty(rows * words, dtype=self.kind)
        self.starts = torch.searchsorted(targets.row, torch.arange(len(inputs) + 1))
        self.totals = row_totals(targets, len(inputs))

    def block(self, rows: slice) -> None:
        """Scores → exponentials of each tile, and the rows' m (`largest`), K (`others`) and losses."""
        self.rows, self.x = rows, self.inputs[rows].to(self.kind)
        cells = slice(int(self.starts[rows.start]), int(self.starts[rows.stop]))
        column, order = self.targets.column[cells].sort(stable=True)
        self.cell = torch.arange(cells.start, cells.stop)[order]
        self.row, self.column = self.targets.row[self.cell] - rows.start, column
        edges = [tile.start for tile in self.tiles] + [len(self.outputs)]
        self.bounds = torch.searchsorted(column, torch.tensor(edges)).tolist()
        self.cell_scores = torch.empty(len(column), dtype=self.kind)
        self.tile_largest = torch.empty(len(self.tiles), len(self.x), dtype=self.kind)
        self.tile_others = torch.empty(len(self.tiles), len(self.x), dtype=torch.float64)
        dense = self.pool.map(self._forward, range(len(self.tiles)))
        self._join_tiles()
        self.cell_nll = (self.largest[self.row] - self.cell_scores) + self.others.log1p()[self.row]
        value = self.targets.value[self.cell]
        self.losses = row_sums(
            self.row, torch.where(value == 0, 0.0, value * self.cell_nll), len(self.x)
        )
        if self.targets.dense is not None:
            size = torch.stack([term[1] for term in dense])
            below = torch.stack([term[0] for term in dense]) + torch.where(
                size == 0, 0.0, size * (self.largest - self.tile_largest)
            )
            self.losses = self.losses + torch.from_numpy(
                (below + torch.where(size == 0, 0.0, size * self.others.log1p()))
                .numpy()
                .sum(axis=0)
            )

    def _join_tiles(self) -> None:
        """m and K of the rows from those of their tiles; what an exponential of a tile is multiplied by, exp(m_t − m)."""
        self.tile_largest, self.cell_scores = self.tile_largest.double(), self.cell_scores.double()
        self.largest = self.tile_largest.amax(dim=0)
        first = self.tile_largest.argmax(dim=0)
        self.shift = (self.tile_largest - self.largest).exp()
        shift, sums = self.shift.numpy(), self.tile_others.numpy()
        is_first = np.arange(len(self.tiles))[:, None] == first.numpy()
        others = np.where(shift == 0, 0.0, sums * shift) + np.where(is_first, 0.0, shift)
        self.others = torch.from_numpy(
            np.where(
                np.isnan(self.largest.numpy()) | np.isneginf(self.largest.numpy()),
                np.nan,
                others.sum(axis=0),
            )
        )

    def _forward(self, which: int) -> tuple[Tensor, ...]:
        """Fills the tile's exponentials, m_t, K_t and the scores at cells; the two row sums that dense targets need are returned."""
        from exact2vec.loss import kernels

        tile = self.tiles[which]
        scores = self._scores(tile)
        u = self.outputs[tile].to(self.kind)
        if self.bias is None:
            torch.mm(self.x, u.T, out=scores)
        else:
            torch.addmm(self.bias[tile].to(self.kind), self.x, u.T, out=scores)
        dense = self._dense(tile)
        raw = scores.to(torch.float64, copy=True) if dense is not None else scores
        here = slice(self.bounds[which], self.bounds[which + 1])
        kernels.tile_terms(
            scores.numpy(),
            tile.start,
            self.row[here].numpy(),
            self.column[here].numpy(),
            self.cell_scores[here].numpy(),
            self.tile_largest[which].numpy(),
            self.tile_others[which].numpy(),
        )
        if dense is None:
            return ()
        below = torch.where(dense == 0, 0.0, dense * (self.tile_largest[which][:, None] - raw))
        return torch.from_numpy(below.numpy().sum(axis=1)), torch.from_numpy(
            dense.numpy().sum(axis=1)
        )

    def gradients(
        self, gradient: Tensor, wanted: tuple[bool, ...], sums: list[Tensor | None]
    ) -> None:
        """Adds the gradients of the block's losses, times `gradient`, to `sums` (inputs, outputs, bias), and to the stored values'."""
        if wanted[3]:
            assert sums[3] is not None
            sums[3][self.cell] = gradient[self.row] * self.cell_nll
        if not any(wanted[:3]):
            return
        self._prepare_gradients(gradient)
        groups = [
            range(start, len(self.tiles), GROUPS) for start in range(min(GROUPS, len(self.tiles)))
        ]
        parts = self.pool.map(lambda group: self._backward(group, wanted, sums), groups)
        if sums[0] is not None:
            for part in parts:
                sums[0][self.rows] += part

    def _prepare_gradients(self, c: Tensor) -> None:
        """Of c (T p − t), (6) and (10): the factor of each tile's exponentials, 0 for rows without a gradient, and the gradients at cells."""
        totals, row = self.totals[self.rows], self.row
        self.c, self.rest = c, totals * self.others / (1 + self.others)
        idle = (totals == 0) | (c == 0)
        self.factor = (
            (c * totals * self.shift / (1 + self.others)).masked_fill_(idle, 0.0).to(self.kind)
        )
        value = self.targets.value[self.cell]
        if self.targets.dense is not None:
            value = value + dense_at(self.targets, row + self.rows.start, self.column)
        elsewhere = (
            totals[row] * (self.cell_scores - self.largest[row]).exp() / (1 + self.others[row])
            - value
        )
        cells = torch.where(
            self.cell_scores == self.largest[row], (totals[row] - value) - self.rest[row], elsewhere
        )
        self.cell_gradients = (c[row] * cells).masked_fill_(idle[row], 0.0).to(self.kind)

    def _backward(
        self, group: range, wanted: tuple[bool, ...], sums: list[Tensor | None]
    ) -> Tensor:
        d_inputs = torch.zeros(len(self.x), self.x.shape[1] if wanted[0] else 0, dtype=self.kind)
        for which in group:
            tile = self.tiles[which]
            g = self._scores(tile)
            self._score_gradients(which, g)
            if wanted[0]:
                d_inputs.addmm_(g, self.outputs[tile].to(self.kind))
            if sums[1] is not None:
                sums[1][tile].addmm_(g.T, self.x)
            if sums[2] is not None:
                sums[2][tile] += g.sum(dim=0, dtype=torch.float64)
        return d_inputs

    def _score_gradients(self, which: int, g: Tensor) -> None:
        """exp(z − m_t) → c (T p − t) in place (6), (10)."""
        from exact2vec.loss import kernels

        tile, factor = self.tiles[which], self.factor[which]
        if (dense := self._dense(tile)) is not None:
            totals, exact = self.totals[self.rows], g.double()
            top = (exact == 1) & (self.shift[which] == 1)[:, None]
            plain = (totals * self.shift[which] / (1 + self.others))[:, None] * exact - dense
            g.copy_(
                self.c[:, None]
                * torch.where(top, (totals[:, None] - dense) - self.rest[:, None], plain)
            )
            factor = (factor != 0).to(self.kind)
        here = slice(self.bounds[which], self.bounds[which + 1])
        kernels.tile_gradients(
            g.numpy(),
            factor.numpy(),
            tile.start,
            self.row[here].numpy(),
            self.column[here].numpy(),
            self.cell_gradients[here].numpy(),
        )

    def _scores(self, tile: slice) -> Tensor:
        size = tile.stop - tile.start
        start = tile.start * len(self.x)
        return self.buffer[start : start + size * len(self.x)].view(len(self.x), size)

    def _dense(self, tile: slice) -> Tensor | None:
        if self.targets.dense is None:
            return None
        part = Targets(
            self.targets.row,
            self.targets.column,
            self.targets.value,
            self.targets.divisor,
            self.targets.dense[:, tile],
            self.targets.spread,
        )
        dense = dense_of(part, self.rows)
        assert dense is not None
        return dense.expand(len(self.x), -1)


class _LinearNLL(torch.autograd.Function):
    """Rows of losses, or `scale` times their sum; the gradients of a sum are made on the way, so that there are three products and no more."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        outputs: Tensor,
        bias: Tensor | None,
        value: Tensor,
        dense: Tensor | None,
        spread: Tensor | None,
        row: Tensor,
        column: Tensor,
        rows: int,
        scale: float | None,
    ) -> Tensor:
        targets = Targets(row, column, value, value, dense, spread)
        ctx.rows, ctx.scale, ctx.made = rows, scale, None
        ctx.save_for_backward(inputs, outputs, bias, value, dense, spread, row, column)
        early = (
            scale is not None
            and any(ctx.needs_input_grad[:4])
            and not any(ctx.needs_input_grad[4:6])
        )
        wanted = tuple(ctx.needs_input_grad[:4]) if early else (False,) * 4
        sums = _zeros(wanted, inputs, outputs, bias, value)
        losses = torch.empty(len(inputs), dtype=torch.float64)
        gradient = None if scale is None else torch.full((len(inputs),), scale, dtype=torch.float64)
        for tiles in _blocks(inputs, outputs, bias, targets, rows):
            losses[tiles.rows] = tiles.losses
            if early and gradient is not None:
                tiles.gradients(gradient[tiles.rows], wanted, sums)
        ctx.made = sums if early else None
        if scale is None:
            return losses
        return torch.tensor(float(losses.numpy().sum()) * scale, dtype=torch.float64)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        inputs, outputs, bias, value, dense, spread, row, column = ctx.saved_tensors
        targets = Targets(row, column, value, value, dense, spread)
        wanted = tuple(ctx.needs_input_grad[:6])
        if torch.is_grad_enabled() or any(wanted[4:6]):
            return (
                *_by_formula(gradient, ctx.scale, inputs, outputs, bias, targets, wanted),
                None,
                None,
                None,
                None,
            )
        made, ctx.made = ctx.made, None
        if made is None:
            made = _zeros(wanted[:4], inputs, outputs, bias, value)
            each = gradient if ctx.scale is None else (gradient * ctx.scale).expand(len(inputs))
            for tiles in _blocks(inputs, outputs, bias, targets, ctx.rows):
                tiles.gradients(each[tiles.rows], wanted[:4], made)
        elif float(gradient) != 1.0:
            made = [one if one is None else one.mul_(float(gradient)) for one in made]
        kinds = (inputs, outputs, bias, value)
        return (
            *[
                one if one is None or like is None else one.to(like.dtype)
                for one, like in zip(made, kinds, strict=True)
            ],
            *(None,) * 6,
        )


def _blocks(
    inputs: Tensor, outputs: Tensor, bias: Tensor | None, targets: Targets, rows: int
) -> Iterator[Tiles]:
    """The Tiles, moved on to each block: of equal size, at most `rows`."""
    count = math.ceil(len(inputs) / rows)
    size = math.ceil(len(inputs) / count) if count else 1
    with torch.no_grad():
        tiles = Tiles(workers(torch.get_num_threads()), inputs, outputs, bias, targets, size)
        for start in range(0, len(inputs), size):
            tiles.block(slice(start, min(start + size, len(inputs))))
            yield tiles


def _zeros(
    wanted: tuple[bool, ...], inputs: Tensor, outputs: Tensor, bias: Tensor | None, value: Tensor
) -> list[Tensor | None]:
    """Sums to fill: float32 at least, float64 for the bias and the stored values."""
    kinds = (torch.promote_types(inputs.dtype, torch.float32),) * 2 + (torch.float64,) * 2
    likes = (inputs, outputs, bias, value)
    return [
        torch.zeros(like.shape, dtype=kind) if want and like is not None else None
        for like, kind, want in zip(likes, kinds, wanted, strict=True)
    ]


def _by_formula(
    gradient: Tensor,
    scale: float | None,
    inputs: Tensor,
    outputs: Tensor,
    bias: Tensor | None,
    targets: Targets,
    wanted: tuple[bool, ...],
) -> list[Tensor | None]:
    """The gradients by autograd of the plain twin, themselves differentiable."""
    differentiable = torch.is_grad_enabled()
    leaves: list[Tensor | None] = [
        inputs,
        outputs,
        bias,
        targets.value,
        targets.dense,
        targets.spread,
    ]
    with torch.enable_grad():
        if not differentiable:
            leaves = [
                leaf if leaf is None else leaf.detach().requires_grad_(want)
                for leaf, want in zip(leaves, wanted, strict=True)
            ]
        x, u, b, value, dense, spread = leaves
        assert x is not None
        assert u is not None
        assert value is not None
        nll = _dense_rows(
            x, u, b, Targets(targets.row, targets.column, value, targets.divisor, dense, spread)
        )
        chosen = [
            leaf for leaf, want in zip(leaves, wanted, strict=True) if want and leaf is not None
        ]
        result = nll if scale is None else nll.sum() * scale
        found = iter(
            torch.autograd.grad(
                result, chosen, gradient, create_graph=differentiable, allow_unused=True
            )
        )
    return [next(found) if want else None for want in wanted]


def _positions(weight: Tensor, bias: Tensor | None) -> tuple[list[Tensor], list[Tensor | None]]:
    """The (V, D) weights and (V,) biases of each position of a (V, d1, …, D) weight; a (V, D) one as it is, since the gradient of a view would be a copy."""
    if weight.dim() == 2:
        return [weight], [bias]
    positions = list(weight.flatten(1, -2).unbind(1))
    return positions, [None] * len(positions) if bias is None else list(
        bias.reshape(len(weight), -1).unbind(1)
    )


def _position(target: Tensor, k: int, outputs: Tensor, batch_shape: tuple[int, int]) -> Tensor:
    """The target of the k-th position of a (V, d1, …, D) weight."""
    if outputs.dim() == 2:
        return target
    shape = outputs.shape[1:-1]
    if target.shape == (batch_shape[0], batch_shape[1], *shape):
        return target.flatten(2)[:, :, k]
    if target.shape == (batch_shape[0], *shape):
        return target.flatten(1)[:, k]
    raise LossInputError(
        f"Expected target size {[batch_shape[0], *shape]} for class indices; got {list(target.shape)}"
    )


def _rows(rows: int | None, options: Any, words: int, dim: int) -> int:
    """As asked for; otherwise as many as need, with the sums of their gradients, ROWS · words numbers."""
    groups = min(GROUPS, math.ceil(words / TILE_WORDS))
    rows = (
        rows
        if rows is not None
        else getattr(options, "batch_chunk_size", None)
        or max(1, ROWS * words // max(1, words + groups * dim))
    )
    if rows < 1:
        raise LossInputError(f"rows must be at least 1; got {rows}")
    return rows


def _check_shapes(
    input: Tensor,
    outputs: Tensor,
    bias: Tensor | None,
    target: Tensor,
    reduction: str,
    smoothing: float,
) -> None:
    checks.settings(reduction, smoothing)
    checks.scores(checks.tensor(input, "input"), target)
    if not 1 <= input.dim() <= 2:
        raise LossInputError(
            f"expected input with dimensionality 1 or 2, got {input.dim()}: use input.flatten(0, -2)"
        )
    if outputs.dim() < 2:
        raise LossInputError(
            f"expected linear_weight with dimensionality at least 2, got {outputs.dim()}: it is (classes, in_features)"
        )
    if input.shape[-1] != outputs.shape[-1]:
        raise LossInputError(
            f"expected equal input and linear_weight last dimensions (in_features), got {input.shape[-1]} and {outputs.shape[-1]}, respectively"
        )
    if bias is not None and bias.shape != outputs.shape[:-1]:
        raise LossInputError(
            f"expected linear_bias shape {tuple(outputs.shape[:-1])}, got {tuple(bias.shape)}"
        )
    if outputs.dim() > 2 and input.dim() == 1:
        raise LossInputError(
            f"K-dimensional loss defined by linear_weight shape {tuple(outputs.shape)} requires batched input, (N, {input.shape[0]}), "
            f"got unbatched input with shape {tuple(input.shape)}"
        )
    if not (torch.is_autocast_enabled(input.device.type) or input.dtype == outputs.dtype):
        raise LossInputError(
            f"input is {input.dtype} and linear_weight {outputs.dtype}: use input.to({outputs.dtype})"
        )


def _autocast(*tensors: Tensor | None) -> list[Any]:
    """Inputs of the product in autocast's number format, as torch's linear takes them."""
    kind = tensors[0].device.type  # type: ignore[union-attr]
    if not torch.is_autocast_enabled(kind):
        return list(tensors)
    return [
        one if one is None or one.dtype == torch.float64 else one.to(torch.get_autocast_dtype(kind))
        for one in tensors
    ]
