"""Scores x·uᵀ + b of a block of rows at a time, in torch operations; see `tiled`."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from exact2vec.loss.engine import reference, strips
from exact2vec.loss.engine.autograd import (
    Strip,
    TargetSums,
    Tensors,
    kind_of,
    second,
    slices,
    spread_out,
    strips_of,
    targets_of_tensors,
    tensors_of,
)
from exact2vec.loss.targets import Targets

BLOCK_ROWS = 160  # rows of scores in one product, where nothing else is asked for
NARROW_ROWS = 64  # the same for 16-bit inputs, whose gradients are summed in float32 besides
BLOCK_SCORES = 1 << 20  # or so many scores, where those are more rows
STRIPS = 8  # of a block, at least: a strip needs five numbers a score besides those of its block
WIDENED = 1 << 19  # numbers of 16-bit outputs that are held in float32 at a time


def linear_nll(
    inputs: Tensor,
    outputs: Tensor,
    bias: Tensor | None,
    targets: Targets,
    scale: float | None,
    block_rows: int | None,
) -> Tensor:
    """`target_nll` of the scores inputs · outputsᵀ + bias, for `block_rows` rows at a time.

    With a `scale` the gradients are made on the way, so that there are three products.
    """
    if len(inputs) == 0 or len(outputs) == 0:
        return reference.linear_nll(inputs, outputs, bias, targets, scale, 0)
    leaves = (inputs, outputs, bias, *tensors_of(targets))
    plan = Plan(targets.keep, scale, _block(inputs, len(outputs), block_rows))
    early = Early(_early(leaves[:7], scale))
    if torch.compiler.is_compiling():
        from exact2vec.loss.engine import traced

        return traced.linear_nll(leaves, plan, early.wanted)
    nll: Tensor = _LinearNLL.apply(*leaves, plan, early)  # type: ignore[no-untyped-call]
    return nll


@dataclass(frozen=True)
class Plan:
    """What the sweeps of a linear loss know besides tensors; `block` is a number of rows."""

    keep: float
    scale: float | None
    block: int

    def blocks(self, leaves: Tensors) -> Iterator[tuple[slice, list[Strip]]]:
        """The rows of each block, and the strips that they are cut into."""
        inputs, outputs, _bias, *tensors = leaves
        assert inputs is not None
        assert outputs is not None
        rows, words = len(inputs), len(outputs)
        size = min(strips.size_for(inputs) // words, -(-self.block // STRIPS))
        blocks = slices(rows, self.block)
        cuts = [
            slice(block.start + cut.start, block.start + cut.stop)
            for block in blocks
            for cut in slices(block.stop - block.start, max(1, size))
        ]
        shape = torch.Size((rows, words, 1))
        found = strips_of(targets_of_tensors(tensors, self.keep), shape, cuts, [slice(None)])
        strip = next(found, None)
        for block in blocks:
            its = []
            while strip is not None and strip.outer.start < block.stop:
                its.append(strip)
                strip = next(found, None)
            yield block, its


class Early:
    """Gradients made on the way forward, until the first backward takes them and scales them."""

    def __init__(self, wanted: Sequence[bool]) -> None:
        self.wanted = tuple(wanted)
        self._made: list[list[Tensor]] = []

    def put(self, made: list[Tensor]) -> None:
        self._made.append(made)

    def take(self, wanted: Sequence[bool], gradient: Tensor) -> tuple[Tensor, ...] | None:
        """Those wanted times `gradient`, if all of them were made and none was taken before."""
        if not self._made or any(w and not e for w, e in zip(wanted, self.wanted, strict=True)):
            return None
        made = spread_out(self._made.pop(), self.wanted)
        pairs = zip(made, wanted, strict=True)
        return tuple(one.mul_(gradient) for one, want in pairs if want and one is not None)


def _early(leaves: Tensors, scale: float | None) -> list[bool]:
    """Which gradients are made on the way: none for rows of losses, nor where targets have some."""
    wanted = [
        torch.is_grad_enabled() and leaf is not None and leaf.requires_grad for leaf in leaves
    ]
    return [want and scale is not None and not any(wanted[3:]) for want in wanted]


def _block(inputs: Tensor, words: int, asked: int | None) -> int:
    """Rows of a block: blocks of equal size, at most as many rows as asked for."""
    usual = BLOCK_ROWS if inputs.dtype == kind_of(inputs) else NARROW_ROWS
    most = asked or max(usual, BLOCK_SCORES // words)
    return math.ceil(len(inputs) / math.ceil(len(inputs) / most))


def sweep(
    leaves: Tensors, plan: Plan, wanted: Sequence[bool], gradient: Tensor | None
) -> tuple[Tensor, list[Tensor]]:
    """The loss of each row, and the gradients wanted of Σ_rows `gradient` · loss.

    `leaves` are inputs, outputs and bias, and the tensors of the targets; seven may have
    gradients.
    """
    inputs, outputs, bias, value, *_ = leaves
    assert inputs is not None
    assert outputs is not None
    assert value is not None
    product = Product.of(inputs, outputs, bias, wanted)
    shape = torch.Size((len(inputs), len(outputs), 1))
    sums = TargetSums.of(shape, leaves[3:7], wanted[3:])
    nll = inputs.new_empty(len(inputs), 1, 1, dtype=value.dtype)
    _fill(nll, product, sums, plan.blocks(leaves), gradient)  # its scores are freed before the end
    return nll.flatten(), [*product.gradients(), *sums.tensors()]


def _fill(
    nll: Tensor,
    product: "Product",
    made: TargetSums,
    blocks: Iterator[tuple[slice, list[Strip]]],
    gradient: Tensor | None,
) -> None:
    """Fills the losses of rows and adds to the sums of the gradients, block by block."""
    buffer = None
    for block, its in blocks:
        if buffer is None:  # the first block is the largest
            buffer = product.buffer(block)
        scores = product.scores(block, buffer)
        for strip in its:
            z = scores[strip.outer.start - block.start : strip.outer.stop - block.start]
            c = None if gradient is None else gradient[strip.outer, None, None]
            nll[strip.outer] = _losses(z[:, :, None], strip, made, c, nll.dtype)
        if gradient is not None:
            product.add(block, scores)


def _losses(
    scores: Tensor, strip: Strip, made: TargetSums, gradient: Tensor | None, wide: torch.dtype
) -> Tensor:
    """The losses of a strip; with a gradient its scores become those of the scores."""
    sums, e = strips.normalise(scores, wide)
    nll = strips.losses(scores, sums, strip.part, wide)
    if gradient is not None:
        made.add(scores, sums, strip, gradient)
        strips.score_gradients(e, sums, strip.part, gradient, out=scores)
    return nll


@dataclass(frozen=True)
class Product:
    """Scores x·uᵀ + b, and the sums of the gradients that are wanted of x, u and b (10)."""

    inputs: Tensor
    outputs: Tensor
    bias: Tensor | None
    d_inputs: Tensor | None
    d_outputs: Tensor | None
    d_bias: Tensor | None

    @classmethod
    def of(
        cls, inputs: Tensor, outputs: Tensor, bias: Tensor | None, wanted: Sequence[bool]
    ) -> "Product":
        kind = kind_of(inputs)
        sums = [
            like.new_zeros(like.shape, dtype=kind) if want and like is not None else None
            for like, want in zip((inputs, outputs, bias), wanted, strict=False)
        ]
        return cls(inputs, outputs, bias, *sums)

    def buffer(self, rows: slice) -> Tensor:
        """Room for the scores of as many rows."""
        size = (rows.stop - rows.start, len(self.outputs))
        return self.inputs.new_empty(size, dtype=kind_of(self.inputs))

    def scores(self, rows: slice, buffer: Tensor) -> Tensor:
        """The scores of some rows, in the type of the buffer, of which they are a part."""
        scores = buffer[: rows.stop - rows.start]
        x = self.inputs[rows].to(scores.dtype)
        for words, u in self._widened(scores.dtype):
            torch.mm(x, u.T, out=scores[:, words])
        if self.bias is not None:
            scores += self.bias.to(scores.dtype)
        return scores

    def add(self, rows: slice, g: Tensor) -> None:
        """∂/∂x = G u, ∂/∂u += Gᵀ x, ∂/∂b += Σ G of a block of gradients of scores."""
        x = self.inputs[rows].to(g.dtype)
        if self.d_inputs is not None:
            for words, u in self._widened(g.dtype):
                self.d_inputs[rows].addmm_(g[:, words], u)
        if self.d_outputs is not None:
            self.d_outputs.addmm_(g.T, x)
        if self.d_bias is not None:
            self.d_bias.add_(g.sum(dim=0))

    def gradients(self) -> list[Tensor]:
        """Those wanted, in the types of what they are gradients of."""
        pairs = (
            (self.d_inputs, self.inputs),
            (self.d_outputs, self.outputs),
            (self.d_bias, self.bias),
        )
        return [
            made.to(like.dtype) for made, like in pairs if made is not None and like is not None
        ]

    def _widened(self, kind: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        """The outputs in type `kind`: all at once if they are, else some words at a time."""
        words, dim = self.outputs.shape
        size = words if self.outputs.dtype == kind else max(1, WIDENED // max(1, dim))
        for some in slices(words, size):
            yield some, self.outputs[some].to(kind)


class _LinearNLL(torch.autograd.Function):
    """Rows of losses, or `scale` times their sum."""

    @staticmethod
    def forward(*given: Any) -> Tensor:
        *leaves, plan, early = given
        if plan.scale is None:
            return sweep(leaves, plan, (False,) * 7, None)[0]
        each = leaves[3].new_full((len(leaves[0]),), plan.scale) if any(early.wanted) else None
        nll, made = sweep(leaves, plan, early.wanted, each)
        if made:
            early.put(made)
        total: Tensor = strips.ordered_sum(nll) * plan.scale
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *leaves, ctx.plan, ctx.early = inputs
        ctx.save_for_backward(*leaves)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        wanted = tuple(ctx.needs_input_grad[:7])
        found = _LinearGradients.apply(gradient, *ctx.saved_tensors, ctx.plan, wanted, ctx.early)  # type: ignore[no-untyped-call]
        return *spread_out(found, wanted), *(None,) * 4


class _LinearGradients(torch.autograd.Function):
    """Those wanted of inputs, outputs, bias and targets; differentiable by formula."""

    @staticmethod
    def forward(gradient: Tensor, *given: Any) -> tuple[Tensor, ...]:
        *leaves, plan, wanted, early = given
        made: tuple[Tensor, ...] | None = early.take(wanted, gradient)
        if made is not None:
            return made
        return tuple(sweep(leaves, plan, wanted, each_row(gradient, leaves, plan))[1])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *tensors, ctx.plan, ctx.wanted, _early_ones = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *directions: Tensor) -> Any:
        gradient, *leaves, row, column = ctx.saved_tensors
        plan = ctx.plan

        def formula(some: Tensors) -> Tensor:
            inputs, outputs, bias, *tensors = some
            assert inputs is not None
            assert outputs is not None
            targets = targets_of_tensors([*tensors, row, column], plan.keep)
            return reference.linear_nll(inputs, outputs, bias, targets, plan.scale, 0)

        return *second(formula, gradient, leaves, ctx.wanted, directions), *(None,) * 5


def each_row(gradient: Tensor, leaves: Tensors, plan: Plan) -> Tensor:
    """The gradient of each row's loss, from that of what was returned."""
    assert leaves[0] is not None
    return gradient if plan.scale is None else (gradient * plan.scale).expand(len(leaves[0]))
