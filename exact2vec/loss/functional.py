"""log_softmax, nll_loss, cross_entropy and linear_cross_entropy, with torch's arguments.

Arguments become `Targets`, and an engine adds up Σ_w t_w · −log p_w. What is the same as in torch,
and what is not: docs/torch.md. Formulas: docs/maths.md.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from exact2vec.errors import LossInputError
from exact2vec.loss import suspicions, validation
from exact2vec.loss.arguments import (
    TargetArguments,
    index_targets,
    target_arguments,
    targets_of,
    targets_of_position,
)
from exact2vec.loss.engine import engine_of
from exact2vec.loss.layout import Layout, layout_of
from exact2vec.loss.targets import Targets, ordered_sum


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
) -> Tensor:
    """log p = z − log Σ exp z along `dim`, in nats, equation (2).

    >>> log_softmax(torch.tensor([50.0, 0.0]), dim=0)
    tensor([-1.9287e-22, -5.0000e+01])

    Raises LossInputError where `dim` is missing and there is a choice.
    """
    scores = validation.tensor(input, "input")
    if dtype is not None:
        scores = scores.to(dtype)
    elif not scores.is_cpu:  # autocast of a CPU leaves log_softmax as it is
        scores = _autocast(scores)
    validation.scores(scores, scores)
    if dim is None:
        if scores.dim() > 1:
            raise LossInputError(
                f"log_softmax needs dim=: for scores of shape {tuple(scores.shape)}, dim=-1 makes "
                f"rows of {scores.shape[-1]} classes sum to 1"
            )
        dim = 0
    if scores.dim() == 0:
        return scores - scores
    shape = tuple(scores.shape)
    layout = layout_of(shape, validation.class_dim(shape, scores, dim))
    engine = engine_of(scores)
    log_p = _served(engine, engine.log_softmax, layout.scores(scores))
    return log_p if log_p.dim() == 2 else log_p.reshape(shape)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    dim: int | None = None,
) -> Tensor:
    """−Σ w_y log p_y / Σ w_y of the targets y that are not `ignore_index`, nats.

    `input` are log-probabilities, their classes in dimension 1 (0 for one row), or in `dim`.

    >>> nll_loss(log_softmax(torch.tensor([[-1, 2.3, 0.1]]), dim=1), torch.tensor([0]))
    tensor(3.4377)
    """
    reduction = _reduction(size_average, reduce, reduction)
    arguments = target_arguments(target, None, weight, ignore_index, 0.0)
    log_p, arguments, layout = _checked_scores(input, arguments, reduction, dim)
    if target.is_floating_point() and target.shape == log_p.shape:
        raise LossInputError(
            "nll_loss takes class indices; for probabilities use cross_entropy(scores, target)"
        )
    engine = _engine(arguments, log_p)
    targets = index_targets(arguments, layout, engine)
    suspicions.not_scores(log_p, layout)
    scale, divisor = _scale(engine, targets.divisor, reduction)
    gathered = getattr(engine, "gathered_nll", _gathered_nll)
    kind = log_p.dtype if divisor is None else None
    nll = _served(engine, gathered, layout.scores(log_p), targets, scale, kind)
    return _placed(nll, divisor, layout, log_p.dtype)


def cross_entropy(
    input: Tensor,
    target: Tensor | None = None,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    counts: Tensor | None = None,
    dim: int | None = None,
) -> Tensor:
    """−Σ w_y log p_y / Σ w_y with p = softmax of the scores `input`, nats: equation (1).

    Targets are class indices (7), probabilities (8), or `counts` (9): how often each class was
    seen, dense or in CSR or COO format, in the shape of the scores; "mean" is Σ n w nll / Σ n w.
    Classes lie in dimension 1 (0 for one row), as in torch, or in `dim`.

    >>> cross_entropy(torch.tensor([[-1, 2.3, 0.1]]), torch.tensor([0]))
    tensor(3.4377)
    >>> cross_entropy(torch.tensor([[23.0, 0.0]]), torch.tensor([0]))  # torch's is 0
    tensor(1.0262e-10)
    >>> cross_entropy(torch.tensor([[-1, 2.3, 0.1]]), counts=torch.tensor([[1.0, 0, 1]]))
    tensor(2.8877)
    """
    reduction = _reduction(size_average, reduce, reduction)
    arguments = target_arguments(target, counts, weight, ignore_index, label_smoothing)
    scores, arguments, layout = _checked_scores(input, arguments, reduction, dim)
    engine = _engine(arguments, scores)
    targets = targets_of(arguments, layout, engine)
    suspicions.not_probabilities(scores, layout)
    scale, divisor = _scale(engine, targets.divisor, reduction)
    kind = _kind(scores.dtype, arguments, layout)
    wanted = kind if divisor is None else None
    exact = _served(engine, engine.target_nll, layout.scores(scores), targets, scale, wanted)
    return _placed(exact, divisor, layout, kind)


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
    """cross_entropy(input · linear_weightᵀ + linear_bias, target), nats, by blocks of rows.

    Shapes (N, D), (V, D) and (V,), or one row (D,); a linear_weight (V, d1, …, D) has a softmax
    for each of its positions. Targets, class weights and smoothing are those of cross_entropy.
    The scores of `rows` rows are in memory at a time; by default so many that they and their sums
    stay below 210 rows of V numbers. `options` is torch's: its batch_chunk_size is taken for
    `rows`. A second derivative and torch.func hold all N × V scores.

    >>> inputs = torch.tensor([[1.0, 0.0], [2.0, 1.0]])
    >>> outputs = torch.tensor([[1.0, 1.0], [0.0, -1.0], [2.0, 0.5]])
    >>> linear_cross_entropy(inputs, outputs, torch.tensor([2, 0]))
    tensor(1.0562)
    """
    ignored = -100 if ignore_index is None else ignore_index
    arguments = target_arguments(target, counts, weight, ignored, label_smoothing)
    validation.settings(reduction, label_smoothing)
    validation.linear_shapes(input, linear_weight, linear_bias, arguments.given)
    shape = (*input.shape[:-1], linear_weight.shape[0], *linear_weight.shape[1:-1])
    layout = layout_of(shape, min(1, len(shape) - 1))
    if ignore_index is not None and arguments.is_probabilities(shape):
        raise LossInputError(
            "ignore_index cannot be specified when target contains probabilities: "
            "give such rows probabilities 0"
        )
    x, u, b, kind = _product_arguments(input, linear_weight, linear_bias)
    arguments = _checked_weight(arguments, layout.words, kind, x)
    engine = _engine(arguments, x, u, b)
    positions = _positions(u, b, arguments, layout, engine)
    whole = _total([targets.divisor for *_, targets in positions])
    scale, divisor = _scale(engine, whole, reduction)
    block_rows = _block_rows(rows, options)
    nll = [
        _served(engine, engine.linear_nll, x, u_k, b_k, targets, scale, block_rows)
        for u_k, b_k, targets in positions
    ]
    loss = torch.stack(nll, dim=-1) if scale is None else _total(nll)
    return _placed(loss, divisor, layout, _kind(kind, arguments, layout))


def _checked_scores(
    input: Any, arguments: TargetArguments, reduction: str, dim: int | None
) -> tuple[Tensor, TargetArguments, Layout]:
    """Scores, arguments and layout: checked, in the number formats that autocast wants."""
    validation.settings(reduction, arguments.smoothing)
    scores = validation.tensor(input, "input")
    validation.scores(scores, arguments.given)
    scores = _autocast(scores)
    shape = tuple(scores.shape)
    layout = layout_of(shape, validation.class_dim(shape, arguments.given, dim))
    return scores, _checked_weight(arguments, layout.words, scores.dtype, scores), layout


def _checked_weight(
    arguments: TargetArguments, words: int, kind: torch.dtype, scores: Tensor
) -> TargetArguments:
    if arguments.weight is None:
        return arguments
    weight = _autocast(validation.tensor(arguments.weight, "weight"))
    validation.weight(weight, words, kind, scores.device)
    return arguments._replace(weight=weight)


def _reduction(size_average: Any, reduce: bool | None, reduction: str) -> str:
    """torch's older arguments, with its own rule and deprecation."""
    if size_average is None and reduce is None:
        return reduction
    if isinstance(size_average, Tensor):
        raise LossInputError(
            "size_average is a tensor: the arguments are cross_entropy(scores, target, weight)"
        )
    return str(torch.nn._reduction.legacy_get_string(size_average, reduce))


def _autocast(tensor: Tensor) -> Tensor:
    """float32 of 16 bits under autocast, as torch does for these losses."""
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return tensor.float() if half and torch.is_autocast_enabled(tensor.device.type) else tensor


def _kind(scores: torch.dtype, arguments: TargetArguments, layout: Layout) -> torch.dtype:
    """The number format of the result: the scores', or the probabilities' where that is wider."""
    if arguments.target is None or not arguments.is_probabilities(layout.shape):
        return scores
    return torch.promote_types(scores, arguments.target.dtype)


def _engine(arguments: TargetArguments, *tensors: Tensor | None) -> ModuleType:
    """The formulas where class weights want a gradient, which no loop has."""
    if arguments.weight is not None and arguments.weight.requires_grad and torch.is_grad_enabled():
        from exact2vec.loss.engine import reference

        return reference
    return engine_of(*tensors, arguments.weight, arguments.given)


def _served(engine: ModuleType, function: Callable[..., Tensor], *given: Any) -> Tensor:
    """What a function of the engine returns; its errors say which engine it was."""
    if torch.compiler.is_compiling():
        return function(*given)
    try:
        return function(*given)
    except (RuntimeError, MemoryError, TypeError) as error:
        error.add_note(
            f"exact2vec's engine {engine.NAME!r} served these tensors; "
            f"exact2vec.loss.engine.engine_of says which engine serves which"
        )
        raise


def _scale(
    engine: ModuleType, divisor: Tensor, reduction: str
) -> tuple[float | None, Tensor | None]:
    """What the engine multiplies the sum of the rows by, and what is left to divide by.

    The divisor is a number where that waits for no device and no gradient goes through it.
    """
    if reduction != "mean":
        return (None if reduction == "none" else 1.0), None
    if divisor.requires_grad or engine.NAME != "compiled":
        return 1.0, divisor
    size = float(divisor)
    return (1 / size, None) if size else (1.0, divisor)


def _placed(nll: Tensor, divisor: Tensor | None, layout: Layout, kind: torch.dtype) -> Tensor:
    """The loss in its shape and number format."""
    if divisor is not None:
        nll = _mean(nll, divisor)
    elif nll.dim():
        nll = nll.reshape(layout.rest)
    return nll if nll.dtype == kind else nll.to(kind)


def _mean(total: Tensor, divisor: Tensor) -> Tensor:
    """total / divisor; the mean of nothing is nan, and its gradient 0, as in torch."""
    nothing = (divisor == 0) & (total == 0)
    return torch.where(nothing, torch.nan, total / divisor.where(~nothing, 1.0))


def _gathered_nll(
    log_p: Tensor, targets: Targets, scale: float | None, kind: torch.dtype | None
) -> Tensor:
    """Σ value · −log p at the one cell of each row."""
    if log_p.shape[1] == 0:
        chosen = log_p.sum(dim=1).reshape(-1)
    else:
        chosen = log_p.gather(1, targets.column.view(len(log_p), 1, *log_p.shape[2:])).reshape(-1)
    value = targets.value
    chosen = chosen.to(value.dtype).masked_fill((value == 0) & ~chosen.isfinite(), 0.0)
    nll = value * (0.0 - chosen)
    nll = nll if scale is None else ordered_sum(nll) * scale
    return nll if kind is None else nll.to(kind)


def _product_arguments(
    input: Tensor, outputs: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, torch.dtype]:
    """(N, D) inputs, outputs and bias in the format of the product, and the format of the loss."""
    x, u, kind = input, outputs, input.dtype
    if torch.is_autocast_enabled(input.device.type):
        half = torch.get_autocast_dtype(input.device.type)
        x, u = _halved(x, half), _halved(u, half)
        bias = None if bias is None else _halved(bias, half)
        kind = torch.promote_types(x.dtype, torch.float32)
    validation.same_format(x, u, bias)
    return (x if x.dim() == 2 else x[None]), u, bias, kind


def _halved(tensor: Tensor, half: torch.dtype) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.to(half)


def _positions(
    outputs: Tensor,
    bias: Tensor | None,
    arguments: TargetArguments,
    layout: Layout,
    engine: ModuleType,
) -> list[tuple[Tensor, Tensor | None, Targets]]:
    """The (V, D) outputs, (V,) bias and targets of each position of (V, d1, …, D) outputs."""
    if outputs.dim() == 2:
        return [(outputs, bias, targets_of(arguments, layout, engine))]
    flat = outputs.flatten(1, -2)
    targets = [targets_of_position(arguments, k, layout) for k in range(flat.shape[1])]
    biases = [None] * len(targets) if bias is None else bias.flatten(1).unbind(1)
    return list(zip(flat.unbind(1), biases, targets, strict=True))


def _total(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum()


def _block_rows(rows: int | None, options: Any) -> int | None:
    """As asked for, or torch's option; None is the engine's own choice."""
    rows = rows if rows is not None else getattr(options, "batch_chunk_size", None)
    if rows is not None and rows < 1:
        raise LossInputError(f"rows must be at least 1; got {rows}")
    return rows
