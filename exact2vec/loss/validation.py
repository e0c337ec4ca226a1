"""What users mistake: found before the loss is computed, with the place, the value and the cure.

Values are looked at where that waits for no device: on a CPU, also inside torch.func and vmap.
"""

import math
from typing import Any

import torch
from torch import Tensor

from exact2vec.errors import LossInputError
from exact2vec.loss.layout import Layout
from exact2vec.loss.suspicions import nothing_kept, visible, warn_once

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
UNSIGNED = (torch.uint16, torch.uint32, torch.uint64, torch.bool)  # none is below 0
REDUCTIONS = ("mean", "sum", "none")
ROUNDING = 1e-6  # a probability may be this far below 0: the rounding of whoever made it


def tensor(value: Any, name: str) -> Tensor:
    """`value`, which must be a tensor."""
    if isinstance(value, Tensor):
        return value
    raise LossInputError(
        f"{name} must be a tensor; got {type(value).__name__}: {_cure(value, name)}"
    )


def _cure(value: Any, name: str) -> str:
    """How to get the tensor out of what is no tensor."""
    if isinstance(getattr(value, "logits", None), Tensor):
        return f"pass {name}.logits"
    if isinstance(value, dict) and isinstance(value.get("logits"), Tensor):
        return f'pass {name}["logits"]'
    if isinstance(value, tuple | list) and any(isinstance(one, Tensor) for one in value):
        if isinstance(value[0], Tensor) and (isinstance(value, tuple) or len(value) == 1):
            return f"pass its first element, {name}[0]"
        return f"use torch.stack({name})"
    if type(value).__module__ == "numpy":
        return f"use torch.from_numpy({name})"
    if isinstance(value, torch.nn.Module):
        return f"pass its output, not the module; {name} is what it returns"
    if value is None:
        return f"the call gave no {name}; did a function forget its return?"
    return f"use torch.tensor({name})"


def settings(reduction: Any, smoothing: Any) -> None:
    """The arguments that are no tensors."""
    if reduction not in REDUCTIONS:
        raise LossInputError(
            f"{reduction} is not a valid value for reduction: use 'mean', 'sum' or 'none'"
        )
    if not (isinstance(smoothing, float | int) and 0 <= smoothing <= 1):
        raise LossInputError(f"label_smoothing must be between 0.0 and 1.0; got {smoothing}")


def scores(values: Tensor, target: Tensor) -> None:
    """Real numbers, dense, and on the device of the target."""
    if not values.is_floating_point():
        raise LossInputError(
            f"scores must be floating point; got {values.dtype}; {_no_scores(values, target)}"
        )
    if values.layout is not torch.strided:
        raise LossInputError("scores are sparse: use scores.to_dense()")
    if values.device != target.device:
        raise LossInputError(
            f"scores are on {values.device} and the targets on {target.device}: "
            f"use target.to(scores.device)"
        )


def _no_scores(values: Tensor, target: Tensor) -> str:
    if target.is_floating_point():
        return "the arguments look swapped: cross_entropy(scores, target)"
    if values.is_complex():
        return "a complex number has no order: use scores.real or scores.abs()"
    if values.dtype != torch.bool and values.shape == target.shape:
        return (
            "these look like predicted classes (argmax): "
            "pass the scores that they were chosen from, (N, classes)"
        )
    return "use scores.float()"


def weight(value: Tensor, words: int, kind: torch.dtype, device: torch.device) -> None:
    """Class weights: one a class, in the dtype and on the device of the scores, finite."""
    if value.dtype != kind:
        raise LossInputError(
            f"weight is {value.dtype} but the scores are {kind} (expected scalar type "
            f"{_short(kind)} but found {_short(value.dtype)}): use weight.to({kind})"
        )
    if value.shape != (words,):
        raise LossInputError(
            f"weight tensor should be defined either for all {words} classes or no classes but got "
            f"weight tensor of shape: {list(value.shape)}; give one weight a class"
        )
    if value.device != device:
        raise LossInputError(
            f"weight is on {value.device}, the scores on {device}: use weight.to(scores.device)"
        )
    if words and (seen := visible(value)) is not None:
        _weight_values(seen)


def _weight_values(seen: Tensor) -> None:
    low, high = (float(end) for end in seen.aminmax())
    if not (-math.inf < low and high < math.inf):
        place = int((~seen.isfinite()).nonzero()[0, -1])
        raise LossInputError(
            f"weight[{place}] = {float(seen.reshape(-1, seen.shape[-1])[:, place].amax())}: "
            f"class weights must be finite; a class without targets has no 1 / frequency"
        )
    if low < 0:
        warn_once(
            "weight", f"the smallest class weight is {low:.4g}: the loss is not bounded below"
        )


def linear_shapes(input: Any, outputs: Any, bias: Tensor | None, target: Tensor) -> None:
    """Inputs, outputs and biases that make scores: equation (10)."""
    scores(tensor(input, "input"), target)
    if isinstance(outputs, torch.nn.Linear):
        raise LossInputError(
            "linear_weight is a module: pass linear.weight, and linear_bias=linear.bias"
        )
    tensor(outputs, "linear_weight")
    if not 1 <= input.dim() <= 2:
        raise LossInputError(
            f"expected input with dimensionality 1 or 2, got {input.dim()}: "
            f"use input.flatten(0, -2)" + (" and target.flatten()" if target.dim() > 1 else "")
        )
    if outputs.dim() < 2:
        raise LossInputError(
            f"expected linear_weight with dimensionality at least 2, got {outputs.dim()}: "
            f"it is (classes, in_features)"
        )
    if input.shape[-1] != outputs.shape[-1]:
        turned = outputs.dim() == 2 and input.shape[-1] == outputs.shape[0]
        raise LossInputError(
            f"expected equal input and linear_weight last dimensions (in_features), got "
            f"{input.shape[-1]} and {outputs.shape[-1]}, respectively"
            + (": use linear_weight.T" if turned else "")
        )
    if bias is not None and tensor(bias, "linear_bias").shape != outputs.shape[:-1]:
        raise LossInputError(
            f"expected linear_bias shape {tuple(outputs.shape[:-1])}, got {tuple(bias.shape)}"
        )
    if outputs.dim() > 2 and input.dim() == 1:
        raise LossInputError(
            f"K-dimensional loss defined by linear_weight shape {tuple(outputs.shape)} requires "
            f"batched input, (N, {input.shape[0]}), "
            f"got unbatched input with shape {tuple(input.shape)}"
        )


def same_format(input: Tensor, outputs: Tensor, bias: Tensor | None) -> None:
    """Inputs, outputs and biases of one number format and device, as a product wants them."""
    for name, one in (("linear_weight", outputs), ("linear_bias", bias)):
        if one is not None and one.dtype != input.dtype:
            raise LossInputError(
                f"input is {input.dtype} and {name} {one.dtype}: use input.to({one.dtype})"
            )
        if one is not None and one.device != input.device:
            raise LossInputError(
                f"input is on {input.device} and {name} on {one.device}: "
                f"use input.to({name}.device)"
            )


def class_dim(shape: tuple[int, ...], target: Tensor, dim: int | None) -> int:
    """The dimension of the classes, torch's unless `dim` says otherwise.

    A layout with the classes last is refused without `dim`, or named where it is ambiguous.
    """
    if dim is not None:
        if not -len(shape) <= dim < len(shape):
            raise LossInputError(
                f"dim = {dim}, but scores of shape {shape} have dimensions "
                f"{-len(shape)}..{len(shape) - 1}"
            )
        return dim % len(shape)
    if len(shape) < 2:
        if not shape:
            raise LossInputError("scores have no dimension: give one row of scores at least")
        return 0
    if len(shape) > 2 and target.shape == shape[:-1] and not target.is_floating_point():
        if target.shape != (shape[0], *shape[2:]):
            raise LossInputError(
                f"the class dimension is dim 1 (size {shape[1]}); "
                f"your target matches dim −1: pass dim=-1"
            )
        warn_once(
            "layout",
            f"scores of shape {shape} could have their classes in dim 1 or in dim −1; "
            f"dim 1 is taken, as in torch: pass dim=1 or dim=-1",
        )
    return 1


def index_form(target: Tensor, layout: Layout) -> None:
    """Shape and number format of class indices."""
    rest, shape = layout.rest, layout.shape
    if target.shape == rest and target.dtype in INTEGERS:
        return
    if target.layout is not torch.strided:
        raise LossInputError("the target is sparse: pass how often classes were seen as counts=")
    if target.is_complex():
        raise LossInputError(f"targets are {target.dtype}: use target.real.long()")
    if target.shape == shape and not target.is_floating_point():
        number = "target.long()" if target.dtype == torch.bool else "target"
        raise LossInputError(
            f"Expected floating point type for target with class probabilities, got "
            f"{target.dtype}: a one-hot target is {number}.argmax(dim={layout.dim}) as class "
            f"indices, or target.to(scores.dtype)"
            + (f"; scores {shape} are one row: a batch is (N, classes)" if not rest else "")
        )
    if target.shape == rest:
        _wrong_format(target, layout)
    _wrong_shape(target, layout)


def _wrong_format(target: Tensor, layout: Layout) -> None:
    if target.dtype == torch.bool:
        raise LossInputError("targets are bool: use targets.long() for class indices")
    if layout.words == 1:
        raise LossInputError(
            "scores have 1 class and the targets are floats: two classes with one score are "
            "torch.nn.BCEWithLogitsLoss"
        )
    raise LossInputError(
        f"targets look like class indices stored as {str(target.dtype).removeprefix('torch.')}; "
        f"use targets.long()"
    )


def _wrong_shape(target: Tensor, layout: Layout) -> None:
    rest, shape, given = layout.rest, layout.shape, tuple(target.shape)
    for place in (layout.dim, len(given) - 1):
        without = given[:place] + given[place + 1 :]
        if len(given) == len(shape) and given[place] == 1 and without == rest:
            cure = f"target.squeeze({place})" + (".long()" if target.is_floating_point() else "")
            raise LossInputError(f"target has shape {given} where {rest} is wanted: use {cure}")
    if target.is_floating_point() and given == (*rest, layout.words):
        raise LossInputError(
            f"probabilities have shape {given}, the scores {shape}: their classes are last; "
            f"use target.movedim(-1, {layout.dim})"
        )
    if rest and given and given[0] != rest[0]:
        raise LossInputError(
            f"Expected input batch_size ({rest[0]}) to match target batch_size ({given[0]})"
        )
    raise LossInputError(
        f"Expected target size {list(rest)} for class indices, or {list(shape)} for probabilities; "
        f"got {list(given)}"
    )


def index_values(target: Tensor, words: int, ignore_index: int) -> None:
    """Every index (int64) among the classes; something kept."""
    if (seen := visible(target)) is None:
        return
    if seen.numel() == 0:
        nothing_kept("0 of 0 targets are kept")
        return
    low, high = (int(end) for end in seen.aminmax())
    if low == high == ignore_index:
        nothing_kept(f"0 of {seen.numel()} targets are kept (all are {ignore_index})")
    elif low < 0 or high >= words:
        index_refusal(seen, words, ignore_index)


def index_refusal(target: Tensor, words: int, ignore_index: int) -> None:
    """Raises for the first index that is no class, where there is one."""
    out = (target != ignore_index) & ((target < 0) | (target >= words))
    bad = out.nonzero()
    if not len(bad):
        return
    place = [int(where) for where in bad[0]]
    value = int(target[tuple(place)])
    name = f"target[{', '.join(map(str, place))}]" if place else "target"
    are = "is" if len(bad) == 1 else "are"
    raise LossInputError(
        f"{name} = {value}, but there are {words} classes (0..{words - 1}); {len(bad)} of "
        f"{target.numel()} targets {are} out of range.{_index_hint(target[out], target, words)}"
    )


def _index_hint(bad: Tensor, target: Tensor, words: int) -> str:
    low, high = int(bad.min()), int(bad.max())
    if low == high == words and int(target.min()) > 0:
        return " Labels that start at 1? Use target - 1."
    if low == high and (low in (-1, 255)):
        return f" Is {low} what marks no target? Pass ignore_index={low}."
    return ""


def shares(values: Tensor, name: str, least: float) -> None:
    """Dense probabilities or counts: real numbers, none below `least`, none nan or infinite."""
    if values.is_complex():
        raise LossInputError(f"{name} are {values.dtype}: they must be real numbers")
    if values.dtype in UNSIGNED or values.numel() == 0 or (seen := visible(values)) is None:
        return
    low, high = (float(end) for end in seen.aminmax())
    if least <= low and high < math.inf:
        return
    bad = (~((seen >= least) & (seen < math.inf))).nonzero()[0].tolist()
    place = ", ".join(map(str, bad))
    wanted = "≥ 0" if low < least else "finite numbers ≥ 0"
    raise LossInputError(
        f"{name} must be {wanted}; {name}[{place}] = {float(seen[tuple(bad)]):.4g}"
        + (f", the smallest is {low:.4g}" if low < least else "")
    )


def _short(dtype: torch.dtype) -> str:
    names = {
        torch.float32: "Float",
        torch.float64: "Double",
        torch.float16: "Half",
        torch.bfloat16: "BFloat16",
    }
    return names.get(dtype, str(dtype).removeprefix("torch."))
