"""The linear loss of `tiled` as two operators that torch.compile takes whole.

What a compiler makes of a loop over blocks may hold many of them at a time. An operator runs as
it does without a compiler, and so holds its bound of memory.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from exact2vec.loss.engine import strips
from exact2vec.loss.engine.autograd import Tensors, spread_out
from exact2vec.loss.engine.tiled_linear import Plan, each_row, sweep


def linear_nll(leaves: Tensors, plan: Plan, early: Sequence[bool]) -> Tensor:
    """`tiled.linear_nll` of these tensors; gradients are made on the way where `early` says so."""
    found: list[Tensor] = _losses(*leaves, *_told(plan), list(early))
    return found[0]


def _told(plan: Plan) -> tuple[float | None, float, int]:
    return plan.scale, plan.keep, plan.block


@torch.library.custom_op("exact2vec::linear_nll", mutates_args=())
def _losses(
    inputs: Tensor,
    outputs: Tensor,
    bias: Tensor | None,
    value: Tensor,
    dense: Tensor | None,
    spread: Tensor | None,
    weight: Tensor | None,
    row: Tensor | None,
    column: Tensor,
    scale: float | None,
    keep: float,
    block: int,
    early: Sequence[bool],
) -> list[Tensor]:
    leaves = (inputs, outputs, bias, value, dense, spread, weight, row, column)
    plan = Plan(keep, scale, block)
    each = value.new_full((len(inputs),), scale) if scale is not None and any(early) else None
    nll, made = sweep(leaves, plan, early, each)
    return [nll if scale is None else strips.ordered_sum(nll) * scale, *made]


@_losses.register_fake
def _like_losses(*given: object) -> list[Tensor]:
    leaves, scale, early = given[:9], given[9], given[12]
    inputs, value = leaves[0], leaves[3]
    assert isinstance(inputs, Tensor)
    assert isinstance(value, Tensor)
    nll = value.new_empty((len(inputs),) if scale is None else ())
    return [nll, *_like(leaves[:7], early)]


@torch.library.custom_op("exact2vec::linear_gradients", mutates_args=())
def _gradients(
    gradient: Tensor,
    inputs: Tensor,
    outputs: Tensor,
    bias: Tensor | None,
    value: Tensor,
    dense: Tensor | None,
    spread: Tensor | None,
    weight: Tensor | None,
    row: Tensor | None,
    column: Tensor,
    scale: float | None,
    keep: float,
    block: int,
    wanted: Sequence[bool],
) -> list[Tensor]:
    leaves = (inputs, outputs, bias, value, dense, spread, weight, row, column)
    plan = Plan(keep, scale, block)
    return sweep(leaves, plan, wanted, each_row(gradient, leaves, plan).contiguous())[1]


@_gradients.register_fake
def _like_gradients(_gradient: Tensor, *given: object) -> list[Tensor]:
    return _like(given[:7], given[12])


def _like(leaves: Sequence[object], wanted: object) -> list[Tensor]:
    assert isinstance(wanted, (list, tuple))
    return [
        leaf.new_empty(leaf.shape)
        for leaf, want in zip(leaves, wanted, strict=True)
        if want and isinstance(leaf, Tensor)
    ]


def _remember(ctx: object, inputs: tuple[object, ...], output: list[Tensor]) -> None:
    ctx.early, ctx.told = inputs[12], inputs[9:12]  # type: ignore[attr-defined]
    ctx.save_for_backward(*inputs[:9], *output[1:])  # type: ignore[attr-defined]


def _backward(ctx: object, gradients: list[Tensor | None]) -> object:
    leaves, made = ctx.saved_tensors[:9], ctx.saved_tensors[9:]  # type: ignore[attr-defined]
    early, wanted = ctx.early, [bool(one) for one in ctx.needs_input_grad[:7]]  # type: ignore[attr-defined]
    gradient = gradients[0]
    assert gradient is not None
    if made:
        found = [one if one is None else one * gradient for one in spread_out(made, early)]
    else:
        found = spread_out(_gradients(gradient, *leaves, *ctx.told, wanted), wanted)  # type: ignore[attr-defined]
    return *found, *(None,) * 6


_losses.register_autograd(_backward, setup_context=_remember)
