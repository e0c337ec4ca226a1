"""What a row's loss counts: indices, probabilities and counts as coefficients t ≥ 0 of Σ_w t_w · −log p_w (equations 1, 7–9)."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Targets:
    """t = the stored cells (sorted by row) + `dense`, which may be one row for all, times each row's `spread`; `divisor` is what "mean" divides by."""

    row: Tensor
    column: Tensor
    value: Tensor
    divisor: Tensor
    dense: Tensor | None = None
    spread: Tensor | None = None

    @property
    def one_for_all(self) -> bool:
        """Whether the one row of `dense` stands for all, times their spread."""
        return self.dense is not None and self.spread is not None and len(self.dense) == 1

    def matrix(self, rows: int, words: int) -> Tensor:
        """The coefficients as one float64 matrix, differentiable."""
        cells = self.value.new_zeros(rows, words).index_put(
            (self.row, self.column), self.value, accumulate=True
        )
        if self.dense is None:
            return cells
        return cells + (
            self.dense.double()
            if self.spread is None
            else self.spread[:, None] * self.dense.double()
        )


def of_indices(
    target: Tensor, words: int, weight: Tensor | None, ignore_index: int, smoothing: float
) -> Targets:
    """(7): t = (1 − ε) w_y at y, and ε w_i / V everywhere; rows whose target is `ignore_index` have none. The divisor is Σ w_y."""
    kept = target != ignore_index
    row = (
        kept.nonzero().squeeze(1)
        if not _traced(target)
        else torch.arange(len(target), device=target.device)
    )
    column = target[row] if not _traced(target) else target.where(kept, 0)
    value = kept.double()[row] if weight is None else weight.double()[column] * kept[row]
    divisor = value.sum()
    if smoothing == 0:
        return Targets(row, column, value, divisor)
    spread = kept.double() * (smoothing / words)
    return Targets(
        row,
        column,
        (1 - smoothing) * value,
        divisor,
        _weights(weight, words, target.device),
        spread,
    )


def of_probabilities(target: Tensor, weight: Tensor | None, smoothing: float) -> Targets:
    """(8): t_i = w_i ((1 − ε) q_i + ε / V). The divisor is the number of rows, as in torch."""
    dense = (
        target
        if smoothing == 0
        else target.double() * (1 - smoothing) + smoothing / target.shape[1]
    )
    return Targets(
        *_no_cells(target),
        torch.tensor(float(len(target)), device=target.device).double(),
        dense if weight is None else dense.double() * weight.double(),
    )


def of_counts(counts: Tensor, weight: Tensor | None, smoothing: float) -> Targets:
    """(9): t_i = w_i ((1 − ε) n_i + ε N / V), N = Σ n of the row. The divisor is Σ w n."""
    words = counts.shape[1]
    if counts.layout == torch.strided:
        weighted = counts.double() if weight is None else counts.double() * weight.double()
        smooth = weighted
        if smoothing:
            smooth = (1 - smoothing) * counts.double() + smoothing / words * counts.double().sum(
                dim=1, keepdim=True
            )
            smooth = smooth if weight is None else smooth * weight.double()
        return Targets(*_no_cells(counts), weighted.sum(), smooth)
    row, column, stored = _cells(counts)
    plain = stored.double()
    value = plain if weight is None else plain * weight.double()[column]
    if smoothing == 0:
        return Targets(row, column, value, value.sum())
    totals = plain.new_zeros(counts.shape[0]).index_add(0, row, plain)
    return Targets(
        row,
        column,
        (1 - smoothing) * value,
        value.sum(),
        _weights(weight, words, counts.device),
        totals * (smoothing / words),
    )


def _weights(weight: Tensor | None, words: int, device: torch.device) -> Tensor:
    return (
        torch.ones(1, words, dtype=torch.float64, device=device)
        if weight is None
        else weight.double()[None]
    )


def _no_cells(like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    none = torch.empty(0, dtype=torch.int64, device=like.device)
    return none, none, none.double()


def _cells(counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Row, column and value of the stored cells, by rows, none twice."""
    if counts.layout == torch.sparse_csr:
        pointer = counts.crow_indices().long()
        row = torch.repeat_interleave(
            torch.arange(counts.shape[0], device=counts.device), pointer.diff()
        )
        column, value = counts.col_indices().long(), counts.values()
        if len(torch.unique(row * counts.shape[1] + column)) == len(row):
            return row, column, value
        counts = torch.sparse_coo_tensor(
            torch.stack([row, column]), value, counts.shape, check_invariants=False
        )
    coalesced = counts.coalesce()
    row, column = coalesced.indices()
    return row, column, coalesced.values()


def _traced(tensor: Tensor) -> bool:
    """Inside torch.compile or a function transform, where no shape may depend on values."""
    return torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None
