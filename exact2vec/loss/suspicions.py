"""What looks like a mistake, but can be computed: a LossWarning, mostly once in a process.

Values are looked at where that waits for no device: on a CPU, also inside torch.func and vmap.
"""

import sys
import warnings

import torch
from torch import Tensor

from exact2vec.errors import LossWarning
from exact2vec.loss.layout import Layout

FIRST = 8  # classes of the first row that are looked at in every call
NEAR = 2e-2  # a sum of probabilities in 16 bits may be this far from 1
NOT_CALLERS = ("exact2vec", "torch", "jaxtyping")  # a warning names the line that called these
_said: set[str] = set()
_PLAIN = (Tensor, torch.nn.Parameter)


def eager(tensor: Tensor) -> bool:
    """A plain tensor of a CPU, and no transform (vmap, jvp, torch.compile) is looking."""
    return (
        type(tensor) in _PLAIN
        and tensor.is_cpu
        and not torch.compiler.is_compiling()
        and torch._C._functorch.peek_interpreter_stack() is None
    )


def visible(tensor: Tensor) -> Tensor | None:
    """The tensor of a CPU that holds these values, out of its transforms; None: do not look.

    Inside vmap it has the batch dimension too.
    """
    if torch.compiler.is_compiling() or not tensor.is_cpu:
        return None
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    if type(tensor) in _PLAIN:
        return tensor.detach() if tensor.requires_grad else tensor
    if type(tensor).__torch_dispatch__ is not torch._C._disabled_torch_dispatch_impl:
        return None  # its values are its own affair (fake, distributed)
    with torch._C.DisableTorchFunctionSubclass():
        return tensor.detach().as_subclass(Tensor)


def warn_once(kind: str, message: str) -> None:
    """A LossWarning, the first time in this process that something of this kind is seen."""
    if kind not in _said and not torch.compiler.is_compiling():
        _said.add(kind)
        _warn(message)


def nothing_kept(what: str) -> None:
    """A LossWarning, each time: `what` was kept or counted is nothing."""
    _warn(f"{what}: the mean of nothing is nan, the sum 0")


def _warn(message: str) -> None:
    """A LossWarning at the line that called us."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].split(".")[0] in NOT_CALLERS:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, LossWarning, stacklevel=level)


def nothing_counted(rows: int, divisor: Tensor) -> None:
    """Warns where counts are all 0."""
    if eager(divisor) and float(divisor.detach()) == 0:
        nothing_kept(f"0 of {rows} rows have counts")


def sums_to_one(target: Tensor, layout: Layout) -> None:
    """Warns once where probabilities do not sum to 1; a first look at one row ends most calls."""
    if target.numel() == 0 or not eager(target) or _first_sums_to_one(target, layout):
        return
    rows = layout.rows(target.detach())
    some = rows[:: max(1, layout.outer // 2), :, :: max(1, layout.inner // 2)]
    sums = some.sum(dim=1, dtype=torch.float64)
    off = (sums - 1).abs().minimum(sums.abs())  # a row of zeros is a row that is left out
    if float(off.amax()) < NEAR:
        return
    worst = float(sums.reshape(-1)[int(off.argmax())])
    ends = target.detach().sum(dim=-1, dtype=torch.float64)
    if layout.dim != target.dim() - 1 and float((ends - 1).abs().amax()) < NEAR:
        warn_once(
            "last",
            f"probabilities sum to 1 over dim −1, and to {worst:.4g} over dim {layout.dim}, "
            f"which is taken for the classes, as in torch: pass dim=-1",
        )
    else:
        warn_once(
            "sums",
            f"probabilities of a row sum to {worst:.4g}, not to 1: pass counts as counts=, "
            f"and scores through a softmax",
        )


def _first_sums_to_one(target: Tensor, layout: Layout) -> bool:
    """Whether the first row does, or it is known that some do not."""
    if "sums" in _said:
        return True
    if target.dtype == torch.bfloat16:  # numpy has no such numbers
        return False
    array = target.detach().numpy().reshape(layout.outer, layout.words, layout.inner)
    return bool(abs(array[0, :, 0].sum(dtype=float) - 1) < NEAR)


def not_probabilities(values: Tensor, layout: Layout) -> None:
    """Warns once where scores look softmaxed, or have one class."""
    if layout.words == 1:
        warn_once(
            "one class",
            f"scores of shape {layout.shape} have 1 class, so the loss is always 0: "
            f"give one score a class (or use BCEWithLogitsLoss)",
        )
    if (
        "softmaxed" in _said
        or layout.words < 2
        or not eager(values)
        or _seen_below_0(values, layout)
    ):
        return
    some = layout.rows(values.detach())[:: max(1, layout.outer // 2), :, 0].double()
    if some.numel() and float(some.amin()) >= 0 and float((some.sum(1) - 1).abs().amax()) < 1e-2:
        warn_once(
            "softmaxed",
            "every row is ≥ 0 and sums to 1: these look like probabilities; "
            "cross_entropy takes scores, so leave the softmax out",
        )


def _seen_below_0(values: Tensor, layout: Layout) -> bool:
    """Whether one of the first classes of the first row is: a quick look that ends most calls."""
    if values.numel() == 0 or values.dtype == torch.bfloat16:
        return values.numel() == 0
    array = values.detach().numpy()
    return any(array.item(k * layout.inner) < 0 for k in range(min(FIRST, layout.words)))


def not_scores(values: Tensor, layout: Layout) -> None:
    """Warns once where log-probabilities are above 0; looks at three rows."""
    if "scores" in _said or values.numel() == 0 or not eager(values):
        return
    some = layout.rows(values.detach())[:: max(1, layout.outer // 2), :, 0]
    if (largest := float(some.amax())) > 1e-3:
        sums = some.sum(dim=1, dtype=torch.float64)
        softmaxed = float(some.amin()) >= 0 and float((sums - 1).abs().amax()) < 1e-2
        cure = "use log_softmax in place of softmax" if softmaxed else "apply log_softmax first"
        warn_once(
            "scores", f"the largest input is {largest:.4g} > 0: not log-probabilities; {cure}"
        )
