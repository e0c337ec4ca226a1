"""The matrix products of one thread, by the faster of the two libraries that torch carries.

MKL uses the widest registers of a processor, AVX-512, on Intel's alone; oneDNN uses them wherever
they are. So on others oneDNN takes half the time (docs/decisions/loss.md).
"""

import functools

import torch
from torch import Tensor

from exact2vec.machine import processor_vendor


def rows_by_rows(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    """left · rightᵀ, written to `out`."""
    if _by_onednn(left, right):
        return out.copy_(_onednn(left, right))
    return torch.mm(left, right.T, out=out)


def rows_by_columns(left: Tensor, right: Tensor) -> Tensor:
    """left · right."""
    return _onednn(left, right.T) if _by_onednn(left, right) else torch.mm(left, right)


def columns_by_columns(left: Tensor, right: Tensor) -> Tensor:
    """leftᵀ · right, for a large `left` and a `right` of few columns."""
    if _by_onednn(left, right):
        return _onednn(right.T.contiguous(), left.T).T.contiguous()
    return torch.mm(left.T, right)


def add_columns_by_columns(into: Tensor, left: Tensor, right: Tensor) -> None:
    """Adds leftᵀ · right."""
    if _by_onednn(left, right):
        into.add_(_onednn(right.T.contiguous(), left.T).T)
    else:
        into.addmm_(left.T, right)


@functools.cache
def onednn_is_faster() -> bool:
    """It depends on the kind of processor, never on timing."""
    wide = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    mkl, onednn = torch.backends.mkl, torch.backends.mkldnn
    both = mkl.is_available() and onednn.is_available()  # type: ignore[no-untyped-call]
    return wide and both and processor_vendor() not in ("GenuineIntel", "")


def _by_onednn(left: Tensor, right: Tensor) -> bool:
    """oneDNN does not take empty ones."""
    filled = left.numel() > 0 and right.numel() > 0
    return filled and left.dtype == torch.float32 and onednn_is_faster()


def _onednn(left: Tensor, right: Tensor) -> Tensor:
    """left · rightᵀ; `left` is contiguous."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
    return product
