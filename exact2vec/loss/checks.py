"""What users mistake: found before the loss is computed, with the place, the value and the cure. Values are looked at on a CPU only."""

import warnings
from typing import Any

import torch
from torch import Tensor

from exact2vec.errors import LossInputError, LossWarning

INTEGERS = (
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
)
REDUCTIONS = ("mean", "sum", "none")
_said: set[str] = set()


def warn_once(kind: str, message: str) -> None:
    if kind not in _said:
        _said.add(kind)
        warnings.warn(message, LossWarning, stacklevel=4)


def looks(*tensors: Tensor) -> bool:
    """Whether values may be looked at: on a CPU, and not while a transform or compiler is tracing."""
    from exact2vec.loss.rows import compiled

    return compiled(*tensors)


def tensor(value: Any, name: str) -> Tensor:
    if isinstance(value, Tensor):
        return value
    raise LossInputError(
        f"{name} must be a tensor; got {type(value).__name__}: use torch.tensor({name})"
    )


def settings(reduction: str, smoothing: float) -> None:
    if reduction not in REDUCTIONS:
        raise LossInputError(
            f"{reduction} is not a valid value for reduction: use 'mean', 'sum' or 'none'"
        )
    if not 0 <= smoothing <= 1:
        raise LossInputError(f"label_smoothing must be between 0.0 and 1.0; got {smoothing}")


def scores(values: Tensor, target: Tensor) -> None:
    if not values.is_floating_point():
        swapped = (
            "; the arguments look swapped: cross_entropy(scores, target)"
            if target.is_floating_point()
            else "; use scores.float()"
        )
        raise LossInputError(f"scores must be floating point; got {values.dtype}{swapped}")


def weight(value: Any, words: int, like: torch.dtype) -> None:
    if value is None:
        return
    tensor(value, "weight")
    if value.dtype != like:
        raise LossInputError(
            f"weight is {value.dtype} but the scores are {like} (expected scalar type {_short(like)} but found {_short(value.dtype)}): "
            f"use weight.to({like})"
        )
    if value.shape != (words,):
        raise LossInputError(
            f"weight tensor should be defined either for all {words} classes or no classes but got weight tensor of shape: "
            f"{list(value.shape)}; give one weight a class"
        )


def class_dim(shape: tuple[int, ...], target: Tensor, dim: int | None) -> int:
    """The dimension of the classes, torch's unless `dim` says otherwise; a class-last layout without `dim` is refused, or named where it is ambiguous."""
    if not shape:
        raise LossInputError("scores have no dimension: give one row of scores at least")
    if dim is not None:
        if not -len(shape) <= dim < len(shape):
            raise LossInputError(
                f"dim = {dim}, but scores of shape {tuple(shape)} have dimensions {-len(shape)}..{len(shape) - 1}"
            )
        return dim % len(shape)
    place = min(1, len(shape) - 1)
    if len(shape) > 2 and target.shape == shape[:-1] and not target.is_floating_point():
        if target.shape != (shape[0], *shape[2:]):
            raise LossInputError(
                f"the class dimension is dim 1 (size {shape[1]}); your target matches dim −1: pass dim=-1"
            )
        warn_once(
            "layout",
            f"scores of shape {tuple(shape)} could have their classes in dim 1 or in dim −1; dim 1 is taken, as in torch: pass dim=1 or dim=-1",
        )
    return place


def index_target(target: Tensor, rest: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Form and number format of class indices for scores of `shape`, whose dimensions besides the classes are `rest`."""
    if target.shape == rest and target.dtype in INTEGERS:
        return
    if target.dtype == torch.bool:
        raise LossInputError("targets are bool: use targets.long() for class indices")
    if target.shape == shape and target.dtype in INTEGERS:
        raise LossInputError(
            f"Expected floating point type for target with class probabilities, got {target.dtype}: a one-hot target is "
            f"target.argmax(dim={min(1, len(shape) - 1)}) as class indices, or target.to(scores.dtype)"
        )
    if target.dim() == len(rest) + 1 and target.shape[-1:] == (1,) and target.shape[:-1] == rest:
        raise LossInputError(
            f"target has shape {tuple(target.shape)} where {rest} is wanted: use target.squeeze({target.dim() - 1})"
        )
    if target.is_floating_point() and target.shape == rest:
        raise LossInputError(
            f"targets look like class indices stored as {_short(target.dtype).lower()}32; use targets.long()"
            if target.dtype == torch.float32
            else f"targets look like class indices stored as {target.dtype}; use targets.long()"
        )
    if rest and target.dim() and target.shape[0] != rest[0]:
        raise LossInputError(
            f"Expected input batch_size ({rest[0]}) to match target batch_size ({target.shape[0]})"
        )
    raise LossInputError(
        f"Expected target size {list(rest)} for class indices, or {list(shape)} for probabilities; got {list(target.shape)}"
    )


def index_values(target: Tensor, words: int, ignore_index: int) -> None:
    """Every index among the classes; something kept."""
    if target.numel() == 0:
        warnings.warn(
            "0 of 0 targets are kept: the mean of nothing is nan, the sum 0",
            LossWarning,
            stacklevel=4,
        )
        return
    low, high = (int(end) for end in target.aminmax())
    if low == high == ignore_index:
        warnings.warn(
            f"0 of {target.numel()} targets are kept (all are {ignore_index}): the mean of nothing is nan, the sum 0",
            LossWarning,
            stacklevel=4,
        )
    elif low < 0 or high >= words:
        out = (target != ignore_index) & ((target < 0) | (target >= words))
        if out.any():
            place = [int(where) for where in out.nonzero()[0]]
            name = f"target[{', '.join(map(str, place))}]" if place else "target"
            hint = " Labels that start at 1?" if high == words and not (target == 0).any() else ""
            raise LossInputError(
                f"{name} = {int(target[tuple(place)])}, but there are {words} classes (0..{words - 1}); "
                f"{int(out.sum())} of {target.numel()} targets is out of range.{hint}"
            )


def not_probabilities(rows: Tensor) -> None:
    """Warns once where scores (row × class) look softmaxed, or have one class. A first look at one row; two more only if that is suspicious."""
    if rows.shape[1] == 1:
        warn_once(
            "one class",
            f"scores of shape {tuple(rows.shape)} have 1 class, so the loss is always 0: give one score a class (or use BCEWithLogitsLoss)",
        )
    if (
        rows.shape[0] == 0
        or rows.shape[1] < 2
        or "softmaxed" in _said
        or float(rows[0, :64].amin()) < 0
    ):
        return
    some = rows[torch.tensor([0, len(rows) // 2, len(rows) - 1])].float()
    if float(some.amin()) >= 0 and float((some.sum(dim=1) - 1).abs().amax()) < 1e-2:
        warn_once(
            "softmaxed",
            "every row is ≥ 0 and sums to 1: these look like probabilities; cross_entropy takes scores, so leave the softmax out",
        )


def not_scores(rows: Tensor) -> None:
    """Warns once where log-probabilities (row × class) are above 0; looks at three rows."""
    if rows.numel() and "scores" not in _said:
        largest = float(rows[torch.tensor([0, len(rows) // 2, len(rows) - 1])].amax())
        if largest > 1e-3:
            warn_once(
                "scores",
                f"the largest input is {largest:.4g} > 0: not log-probabilities; apply log_softmax first",
            )


def _short(dtype: torch.dtype) -> str:
    names = {
        torch.float32: "Float",
        torch.float64: "Double",
        torch.float16: "Half",
        torch.bfloat16: "BFloat16",
    }
    return names.get(dtype, str(dtype).removeprefix("torch."))
