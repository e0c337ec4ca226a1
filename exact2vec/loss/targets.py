"""What the losses of rows count: target weights t ≥ 0 of Σ_w t_w · −log p_w (equations 1, 7–9)."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from exact2vec.errors import LossInputError
from exact2vec.loss.sparse_counts import cells_of
from exact2vec.loss.suspicions import eager

CHUNK = 4096  # numbers that torch adds up in one thread
BLOCK = 1 << 18  # counts of which a wider copy is held
RAISING = ("cpu", "cuda", "meta")  # devices on which an index out of range is an error


@dataclass(frozen=True)
class Targets:
    """t = cells + weight · (keep · dense + spread[:, None]), over rows × words; t ≥ 0.

    The scores of a loss are (outer, words, inner), classes in the middle; its rows are
    outer · inner, numbered in that order. Every field but the cells and the divisor may be missing.

    row, column   (cell,) int64: where a cell lies; sorted by row, and by column within a row,
                  none twice. `row` None: one cell for each row, in order.
    value         (cell,) float64; 0 says that the cell counts nothing
    divisor       scalar, float64: what "mean" divides the sum by
    dense         (outer, words, inner), any type of number: probabilities or dense counts
    keep          a number: what smoothing leaves of `dense`
    spread        (row,) float64: what smoothing adds to each word of a row
    weight        (words,) class weights on `dense` and `spread`; None: all 1
    """

    row: Tensor | None
    column: Tensor
    value: Tensor
    divisor: Tensor
    dense: Tensor | None = None
    keep: float = 1.0
    spread: Tensor | None = None
    weight: Tensor | None = None

    def cell_rows(self) -> Tensor:
        """(cell,) int64: the row of each cell."""
        if self.row is None:
            return torch.arange(len(self.column), device=self.column.device)
        return self.row

    def matrix(self, rows: int, words: int) -> Tensor:
        """All t as one rows × words matrix, differentiable, in the float type of `value`."""
        t = self.value.new_zeros(rows, words)
        t = t.index_put((self.cell_rows(), self.column), self.value, accumulate=True)
        if self.dense is None and self.spread is None:
            return t
        whole: Tensor | float = 0.0
        if self.dense is not None:
            dense = self.dense.movedim(1, -1).reshape(rows, words)
            whole = self.keep * dense.to(t.dtype)
        if self.spread is not None:
            whole = whole + self.spread[:, None].expand(rows, words)
        return t + (whole if self.weight is None else self.weight.to(t.dtype) * whole)


def sum_type(like: Tensor) -> torch.dtype:
    """The type of sums, and of what a row has one of: float64 where the device has it."""
    return torch.float32 if like.device.type == "mps" else torch.float64


def of_indices(
    target: Tensor, words: int, weight: Tensor | None, ignore_index: int, smoothing: float
) -> Targets:
    """(7): t = (1 − ε) w_y at y, and ε w_i / V everywhere; none where y is `ignore_index`.

    The divisor is Σ w_y. `target` is (row,) int64; one cell a row, of value 0 where it is ignored.
    """
    kept = target != ignore_index
    column = target.where(kept, 0)
    value = kept.to(sum_type(target))
    if words:
        weights = value.new_ones(1).expand(words) if weight is None else weight.to(value.dtype)
        value = value * _at(weights, column)
    if smoothing == 0:
        return Targets(None, column, value, value.sum())
    return Targets(
        None,
        column,
        (1 - smoothing) * value,
        value.sum(),
        spread=kept.to(value.dtype) * (smoothing / max(1, words)),
        weight=weight,
    )


def smoothed(
    cells: Targets, kept: Tensor | None, words: int, weight: Tensor | None, smoothing: float
) -> Targets:
    """(7) from the cells of class indices: ε of each goes to all words; `kept` None: all rows."""
    spread = torch.full_like(cells.value, smoothing / max(1, words))
    return replace(
        cells,
        value=(1 - smoothing) * cells.value,
        spread=spread if kept is None else spread * kept,
        weight=weight,
    )


def _at(values: Tensor, index: Tensor) -> Tensor:
    """`values` at `index`, which must be within it: gather raises, where a value is negative too.

    It does so on a CPU, on CUDA and under torch.compile, torch.func and vmap. Other devices may
    not: there the values are looked at.
    """
    if index.device.type not in RAISING and bool(((index < 0) | (index >= len(values))).any()):
        raise LossInputError(f"a target is not among the {len(values)} classes")
    return values.gather(0, index)


def of_probabilities(target: Tensor, weight: Tensor | None, smoothing: float) -> Targets:
    """(8): t_i = w_i ((1 − ε) q_i + ε / V). The divisor is the number of rows, as in torch.

    `target` is (outer, words, inner).
    """
    outer, words, inner = target.shape
    none = _no_cells(target)
    divisor = none[2].new_tensor(float(outer * inner))
    if smoothing == 0:
        return Targets(*none, divisor, dense=target, weight=weight)
    spread = none[2].new_full((outer * inner,), smoothing / max(1, words))
    return Targets(*none, divisor, dense=target, keep=1 - smoothing, spread=spread, weight=weight)


def of_counts(counts: Tensor, weight: Tensor | None, smoothing: float, dim: int = 1) -> Targets:
    """(9): t_i = w_i ((1 − ε) n_i + ε N / V), N = Σ n of the row. The divisor is Σ w n.

    `counts` are (outer, words, inner), or in CSR or COO format with their classes in `dim`.
    """
    if counts.layout != torch.strided:
        return _of_sparse_counts(counts, weight, smoothing, dim)
    words = counts.shape[1]
    totals = _row_sums(counts, None)
    divisor = ordered_sum(totals if weight is None else _row_sums(counts, weight))
    none = _no_cells(counts)
    if smoothing == 0:
        return Targets(*none, divisor, dense=counts, weight=weight)
    spread = totals * (smoothing / max(1, words))
    return Targets(*none, divisor, dense=counts, keep=1 - smoothing, spread=spread, weight=weight)


def _of_sparse_counts(counts: Tensor, weight: Tensor | None, smoothing: float, dim: int) -> Targets:
    words = counts.shape[dim]
    row, column, stored = cells_of(counts, dim)
    plain = stored.to(sum_type(stored))
    value = plain if weight is None else plain * weight.to(plain.dtype)[column]
    divisor = ordered_sum(value)
    if smoothing == 0:
        return Targets(row, column, value, divisor)
    rows = math.prod(counts.shape[:dim]) * math.prod(counts.shape[dim + 1 :])
    totals = plain.new_zeros(rows).index_add(0, row, plain)
    spread = totals * (smoothing / max(1, words))
    value = (1 - smoothing) * value
    return Targets(row, column, value, divisor, spread=spread, weight=weight)


def ordered_sum(values: Tensor) -> Tensor:
    """Σ of a vector in an order that no number of threads changes: torch splits long sums."""
    while len(values) > CHUNK:
        padded = torch.nn.functional.pad(values, (0, -len(values) % CHUNK))
        values = padded.view(-1, CHUNK).sum(dim=1)
    return values.sum()


def _row_sums(counts: Tensor, weight: Tensor | None) -> Tensor:
    """(row,) in float64: Σ_w n_w, or Σ_w w_w n_w, of (outer, words, inner), block by block."""
    outer, words, inner = counts.shape
    size = max(1, BLOCK // max(1, words * inner))
    starts = range(0, max(1, outer), size)
    if outer > size and eager(counts) and not (torch.is_grad_enabled() and counts.requires_grad):
        # small results between blocks that come and go would leave holes that nothing fits into
        sums = torch.empty(outer, inner, dtype=torch.float64, device="cpu")
        for start in starts:
            sums[start : start + size] = _sums(counts[start : start + size], weight)
        return sums.reshape(-1)
    return torch.cat([_sums(counts[start : start + size], weight) for start in starts]).reshape(-1)


def _sums(counts: Tensor, weight: Tensor | None) -> Tensor:
    """(outer, inner): Σ_w n_w or Σ_w w_w n_w."""
    wide = counts.to(sum_type(counts))
    return (wide if weight is None else wide * weight.to(wide.dtype)[:, None]).sum(dim=1)


def _no_cells(like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    none = torch.empty(0, dtype=torch.int64, device=like.device)
    return none, none, torch.empty(0, dtype=sum_type(like), device=like.device)
