"""One interface, three engines: how a loss and its gradients are computed.

reference.py   the formulas by autograd: every derivative, rows × words in memory
tiled.py       torch operations, any device; a block of rows × words in memory
compiled.py    CPU threads and compiled loops (kernels.py)

Each is a module with the same functions. Three return differentiable tensors, float64 where the
device has it, for the losses of PyTorch users:

    target_nll(scores, targets, scale)     scores are (outer, words, inner): see `Targets`
    log_softmax(scores)                    along the words of (outer, words, inner)
    linear_nll(inputs, outputs, bias, targets, scale, block_rows)

`scale` None gives one loss a row, a number gives scale · their sum. Two work on one block of rows,
for training and for exact losses; state goes in and comes out, nothing is recorded by autograd:

    losses(inputs, outputs, cells)         one `RowLosses` for each set of cells, from one sweep
    gradients(inputs, outputs, cells, weights, on_tile)    ∂/∂inputs; ∂/∂outputs goes to on_tile

Which engine serves which tensors is decided by `engine_of`, and nowhere else.
"""

import contextlib
from collections.abc import Iterator
from types import ModuleType

import torch
from torch import Tensor
from torch._C._functorch import TransformType

_forced: list[ModuleType] = []


def engine_of(*tensors: Tensor | None) -> ModuleType:
    """The engine that serves these tensors.

    compiled    plain CPU tensors in eager mode
    tiled       every other device and subclasses of tensors; torch.compile, which takes a linear
                loss as one operator and so within its bound of memory; one torch.func.grad or vjp
    reference   vmap, forward-mode and nested torch.func derivatives, and torch.export: they hold
                rows × words, as the second derivative of every engine does
    """
    if _forced:
        return _forced[-1]
    name = _name_of(*tensors)
    if name == "compiled":
        from exact2vec.loss.engine import compiled

        return compiled
    from exact2vec.loss.engine import reference, tiled

    return tiled if name == "tiled" else reference


def _name_of(*tensors: Tensor | None) -> str:
    if torch.compiler.is_exporting() or torch.autograd.forward_ad._current_level >= 0:
        return "reference"
    if torch.compiler.is_compiling():
        return "reference" if torch._C._are_functorch_transforms_active() else "tiled"
    levels = torch._C._functorch.get_interpreter_stack() or []
    if len(levels) > 1 or any(level.key() != TransformType.Grad for level in levels):
        return "reference"
    return "compiled" if visible(*tensors) else "tiled"


def visible(*tensors: Tensor | None) -> bool:
    """Whether Python may look at values: plain CPU tensors, and nothing traces or transforms."""
    return not (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
    ) and all(one is None or _plain(one) for one in tensors)


@contextlib.contextmanager
def forced(engine: ModuleType) -> Iterator[None]:
    """`engine` serves every tensor inside: for tests."""
    _forced.append(engine)
    try:
        yield
    finally:
        _forced.pop()


def _plain(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and type(tensor) in (Tensor, torch.nn.Parameter)
