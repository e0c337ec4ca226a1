"""The losses in torch operations, strip of rows by strip of rows: any device and dtype.

Numbers of rows × words are float32, for 16-bit scores too, and float64 for float64 scores; what a
row has one of is of the type of the targets' values. A device without float64 needs none.

Accurate to 5 units in the last place of float32, and to .51 in 16 bits, for the scores as given.
This ends where e^(z − m) leaves the normal numbers of float32, 87.3 below the largest score m of
a row: such a term has an absolute error of 1e-45, which matters only where it is most of the
loss, or where what is counted or asked for multiplies it. Counts beyond float32 are not held, and
targets below its normal numbers lose digits once a class weight multiplies them.

No loop waits for the device, and none goes over cells. Cells of several a row (sparse counts) are
cut into strips before the loop; that reads their places once. Dense losses keep two numbers a row
and write gradients strip by strip. Linear ones hold the scores of a block of rows and turn them
into gradients in place. A second derivative holds rows × words: it is that of `reference`.
"""

from collections.abc import Iterator
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
    zeros_for,
)
from exact2vec.loss.engine.tiled_blocks import gradients, losses
from exact2vec.loss.engine.tiled_linear import linear_nll
from exact2vec.loss.targets import Targets, sum_type

__all__ = [
    "NAME",
    "cell_nll",
    "gradients",
    "linear_nll",
    "log_softmax",
    "losses",
    "target_nll",
]

NAME = "tiled"

cell_nll = reference.cell_nll  # of one block of rows


def target_nll(
    scores: Tensor, targets: Targets, scale: float | None, kind: torch.dtype | None = None
) -> Tensor:
    """Σ_w t_w · −log p_w of each row of scores, equation (1); see `engine`."""
    if scores.numel() == 0:
        return reference.target_nll(scores, targets, scale, kind)
    if scores.dim() == 2:
        scores = scores[:, :, None]
    if scores.shape[2] > 1 and targets.row is not None and targets.value.numel():
        scores = scores.movedim(1, -1).flatten(0, 1)[:, :, None]  # cells are of rows in order
    nll: Tensor = _TargetNLL.apply(scores, *tensors_of(targets), targets.keep)[0]  # type: ignore[no-untyped-call]
    nll = nll if scale is None else strips.ordered_sum(nll) * scale
    return nll if kind is None else nll.to(kind)


def log_softmax(scores: Tensor) -> Tensor:
    """log p along dimension 1, equation (2), in the dtype of `scores`."""
    if scores.numel() == 0:
        return reference.log_softmax(scores)
    log_p: Tensor = _LogSoftmax.apply(scores if scores.dim() == 3 else scores[:, :, None])[0]  # type: ignore[no-untyped-call]
    return log_p.view(scores.shape)


def _strips(scores: Tensor, targets: Targets | None) -> Iterator[Strip]:
    outer, words, inner = scores.shape
    size = strips.size_for(scores)
    if targets is None:
        none = scores.new_empty(0)
        targets = Targets(none, none, none, none)
    rows = slices(outer, max(1, size // (words * inner)))
    return strips_of(targets, scores.shape, rows, slices(inner, max(1, size // words)))


class _TargetNLL(torch.autograd.Function):
    """The loss of each row; where its largest score lies, and K, are kept for the gradients."""

    @staticmethod
    def forward(scores: Tensor, *given: Any) -> tuple[Tensor, Tensor, Tensor]:
        *tensors, keep = given
        targets, (outer, _words, inner) = targets_of_tensors(tensors, keep), scores.shape
        nll = scores.new_empty(outer, 1, inner, dtype=targets.value.dtype)
        place = scores.new_empty(outer, 1, inner, dtype=torch.int64)
        others = scores.new_empty(outer, 1, inner, dtype=nll.dtype)
        for strip in _strips(scores, targets):
            z = scores[strip.at].to(kind_of(scores))
            sums = strips.normalise(z, nll.dtype)[0]
            nll[strip.at] = strips.losses(z, sums, strip.part, nll.dtype)
            place[strip.at], others[strip.at] = sums.place, sums.others
        return nll.flatten(), place, others

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *tensors, ctx.keep = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*tensors, *output[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> Any:
        wanted = tuple(ctx.needs_input_grad[:5])
        given = (gradient, *ctx.saved_tensors, ctx.keep, wanted)
        if (
            torch.compiler.is_compiling()
        ):  # it has no second derivatives, nor functions in functions
            found = _TargetGradients.forward(*given)
        else:
            found = _TargetGradients.apply(*given)  # type: ignore[no-untyped-call]
        return *spread_out(found, wanted), None, None, None


class _TargetGradients(torch.autograd.Function):
    """Those wanted of scores, value, dense, spread and weight; differentiable by formula."""

    @staticmethod
    def forward(gradient: Tensor, scores: Tensor, *given: Any) -> tuple[Tensor, ...]:
        *tensors, place, others, keep, wanted = given
        targets = targets_of_tensors(tensors, keep)
        (d_scores,) = zeros_for([scores], wanted[:1])
        sums_of_targets = TargetSums.of(scores.shape, tensors[:4], wanted[1:])
        rows = gradient.reshape(place.shape)
        for strip in _strips(scores, targets):
            z, c = scores[strip.at].to(kind_of(scores)), rows[strip.at]
            sums, e = strips.again(z, place[strip.at], others[strip.at])
            sums_of_targets.add(z, sums, strip, c)
            if d_scores is not None:
                d_scores[strip.at] = strips.score_gradients(e, sums, strip.part, c)
        first = [] if d_scores is None else [d_scores]
        return (*first, *sums_of_targets.tensors())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        gradient, scores, *tensors, _place, _others, ctx.keep, ctx.wanted = inputs
        ctx.save_for_backward(gradient, scores, *tensors)

    @staticmethod
    def backward(ctx: Any, *directions: Tensor) -> Any:
        gradient, *leaves, row, column = ctx.saved_tensors

        def formula(some: Tensors) -> Tensor:
            scores, *tensors = some
            assert scores is not None
            targets = targets_of_tensors([*tensors, row, column], ctx.keep)
            return reference.target_nll(scores, targets, None)

        return *second(formula, gradient, leaves, ctx.wanted, directions), *(None,) * 6


class _LogSoftmax(torch.autograd.Function):
    """log p of every word; where the largest score of each row lies, and K."""

    @staticmethod
    def forward(scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outer, _words, inner = scores.shape
        log_p = torch.empty_like(scores, memory_format=torch.contiguous_format)
        place = scores.new_empty(outer, 1, inner, dtype=torch.int64)
        others = scores.new_empty(outer, 1, inner, dtype=sum_type(scores))
        for strip in _strips(scores, None):
            z = scores[strip.at].to(kind_of(scores))
            sums = strips.normalise(z, others.dtype)[0]
            log_p[strip.at] = (z - sums.largest).sub_(sums.others.log1p().to(z.dtype))
            place[strip.at], others[strip.at] = sums.place, sums.others
        return log_p, place, others

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*inputs, *output[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> Any:
        if torch.compiler.is_compiling():
            return _LogSoftmaxGradient.forward(gradient, *ctx.saved_tensors)
        return _LogSoftmaxGradient.apply(gradient, *ctx.saved_tensors)  # type: ignore[no-untyped-call]


class _LogSoftmaxGradient(torch.autograd.Function):
    """g − p Σ g, differentiable by formula."""

    @staticmethod
    def forward(gradient: Tensor, scores: Tensor, place: Tensor, others: Tensor) -> Tensor:
        found = torch.empty_like(scores, memory_format=torch.contiguous_format)
        for strip in _strips(scores, None):
            z, g = (one[strip.at].to(kind_of(scores)) for one in (scores, gradient))
            sums, e = strips.again(z, place[strip.at], others[strip.at])
            found[strip.at] = strips.log_softmax_gradients(e, sums, g)
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, direction: Tensor) -> Any:
        gradient, scores = ctx.saved_tensors

        def formula(some: Tensors) -> Tensor:
            assert some[0] is not None
            return reference.log_softmax(some[0])

        return *second(formula, gradient, [scores], (True,), (direction,)), None, None
