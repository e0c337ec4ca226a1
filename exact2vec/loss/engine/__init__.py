"""One interface, three engines: how a loss and its gradients are computed.

reference.py   the formulas by autograd: every derivative, rows × words in memory
tiled.py       torch operations, any device; a block of rows × words in memory
compiled.py    CPU threads and compiled loops (kernels.py)

Each is a module with the same functions. Three return differentiable tensors, float64 where the
device has it, for the losses of PyTorch users:

    target_nll(scores, targets, scale, kind)     scores are (row, word) or (outer, words, inner)
    log_softmax(scores)                          along the words of such scores
    linear_nll(inputs, outputs, bias, targets, scale, block_rows)

`scale` None gives one loss a row, a number gives scale · their sum; `kind` is the number format of
the result, float64 where it is None. Two work on one block of rows,
for training and for exact losses; state goes in and comes out, nothing is recorded by autograd:

    losses(inputs, outputs, cells)         one `RowLosses` for each set of cells, from one sweep
    gradients(inputs, outputs, cells, weights, on_tile)    ∂/∂inputs; ∂/∂outputs goes to on_tile

Which engine serves which tensors is decided by `engine_of`, and nowhere else.
"""

import contextlib
import functools
from collections.abc import Iterator
from types import ModuleType

import torch
from torch import Tensor
from torch._C._functorch import TransformType

PLAIN = (Tensor, torch.nn.Parameter)
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
    if visible(*tensors):
        return _compiled()
    from exact2vec.loss.engine import reference, tiled

    return reference if _needs_formulas() else tiled


@functools.cache
def _compiled() -> ModuleType:
    """Imported when it is first needed: it brings numba."""
    from exact2vec.loss.engine import compiled

    return compiled


def _needs_formulas() -> bool:
    if torch.compiler.is_exporting() or torch.autograd.forward_ad._current_level >= 0:
        return True
    if torch.compiler.is_compiling():
        return torch._C._are_functorch_transforms_active()
    levels = torch._C._functorch.get_interpreter_stack() or []
    return len(levels) > 1 or any(level.key() != TransformType.Grad for level in levels)


def visible(*tensors: Tensor | None) -> bool:
    """Whether Python may look at values: plain CPU tensors, and nothing traces or transforms."""
    if (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
    ):
        return False
    return all(one is None or (one.is_cpu and type(one) in PLAIN) for one in tensors)


@contextlib.contextmanager
def forced(engine: ModuleType) -> Iterator[None]:
    """`engine` serves every tensor inside: for tests."""
    _forced.append(engine)
    try:
        yield
    finally:
        _forced.pop()
