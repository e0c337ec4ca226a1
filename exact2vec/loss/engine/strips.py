"""Some rows of scores in torch operations: their exponentials, losses and gradients, on any device.

A strip of scores is (outer, words, inner), and what a row has one of is (outer, 1, inner). Nothing
here waits for the device: no value is looked at, no size depends on one. Scores are float32 or
float64, and every number of words × rows is of that type; what a row has one of is of the type of
`Targets.value`. The numbers in parentheses are those of docs/maths.md.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from exact2vec.loss.targets import Targets

CPU_SCORES = 1 << 18  # of a strip on a CPU: they stay in its caches
DEVICE_SCORES = 1 << 22  # of a strip elsewhere
LANES = 32  # sums that a row is summed in


@dataclass(frozen=True)
class Sums:
    """Of each row: where its maximum m lies, m, and K = Σ e^(z − m) over the other words (3).

    K is nan where m is no finite number, and whatever is made of it.
    """

    place: Tensor
    largest: Tensor
    others: Tensor


@dataclass(frozen=True)
class Part:
    """The `Targets` of a strip: cells, and what counts in every word.

    Cells are one column a row, (outer, 1, inner), or, with `row`, those of rows 0, 1, …; or None.
    """

    value: Tensor | None
    column: Tensor
    row: Tensor | None
    dense: Tensor | None
    keep: float
    spread: Tensor | None
    weight: Tensor | None

    @classmethod
    def of(cls, targets: Targets, shape: torch.Size, outer: slice, inner: slice) -> "Part":
        """Those with one column a row, or no cells; `shape` is (outer, words, inner)."""
        rows = (shape[0], 1, shape[2])

        def part(of_rows: Tensor) -> Tensor:
            return of_rows.reshape(rows)[outer, :, inner]

        return cls(
            part(targets.value) if targets.row is None else None,
            part(targets.column) if targets.row is None else targets.column,
            None,
            None if targets.dense is None else targets.dense[outer, :, inner],
            targets.keep,
            None if targets.spread is None else part(targets.spread),
            None if targets.weight is None else targets.weight[:, None],
        )

    @classmethod
    def of_cells(cls, targets: Targets, rows: slice, cells: slice) -> "Part":
        """Those of some rows, whose cells are these."""
        return cls(
            targets.value[cells],
            targets.column[cells],
            targets.cell_rows()[cells] - rows.start,
            None if targets.dense is None else targets.dense[rows],
            targets.keep,
            None if targets.spread is None else targets.spread[rows, None, None],
            None if targets.weight is None else targets.weight[:, None],
        )

    def whole(self, kind: torch.dtype) -> Tensor | None:
        """What counts in all words: weight · (keep · dense + spread), at least of type `kind`."""
        if self.dense is None:
            whole = self.spread if self.spread is None else self.spread.to(kind)
        else:
            whole = self.dense.to(torch.promote_types(self.dense.dtype, kind)) * self.keep
            if self.spread is not None:
                whole += self.spread.to(whole.dtype)
        return whole if whole is None or self.weight is None else self.weight.to(kind) * whole


def exponentials(scores: Tensor, largest: Tensor) -> Tensor:
    """e^(z − m), with the rounding error of z − m, by two-sum (4). 0 for z = −∞.

    At most 3 units in the last place off while z − m ≥ −87.3 in float32, −708 in float64.
    """
    gap = scores - largest
    moved = gap - scores
    error = gap - moved
    error.sub_(scores).add_(moved.add_(largest))  # minus the rounding error
    gap.exp_()
    return gap.addcmul_(gap, error, value=-1).nan_to_num_(nan=0.0)


def normalise(scores: Tensor, wide: torch.dtype) -> tuple[Sums, Tensor]:
    """The `Sums` of each row, K in the type `wide`, and e^(z − m) with 0 at one of the largest."""
    largest, place = scores.max(dim=1, keepdim=True)
    e = _cleared(exponentials(scores, largest), place)
    others = row_sums(e, wide).where(largest.isfinite(), torch.nan)
    return Sums(place, largest, others), e


def again(scores: Tensor, place: Tensor, others: Tensor) -> tuple[Sums, Tensor]:
    """What `normalise` gave, from the places and the sums that were kept."""
    largest = scores.gather(1, place)
    return Sums(place, largest, others), exponentials(scores, largest)


def row_sums(values: Tensor, wide: torch.dtype | None = None) -> Tensor:
    """Σ over the words, (outer, 1, inner), of each row in one order, whatever the threads.

    First every LANES-th number, then these sums, all in the type `wide`, that of `values` if None.
    A wider type holds the numbers of a strip once more; many equal float32 would lose digits.
    """
    outer, words, inner = values.shape
    count = words // LANES
    if count < 2 or torch.compiler.is_compiling():
        return values.sum(dim=1, keepdim=True, dtype=wide)
    whole = values[:, : count * LANES].reshape(outer, count, LANES, inner)
    lanes = whole.sum(dim=1, dtype=wide)
    rest = values[:, count * LANES :]
    return torch.cat([lanes, rest], dim=1).sum(dim=1, keepdim=True, dtype=wide)


def ordered_sum(values: Tensor) -> Tensor:
    """Σ of a vector, in one order whatever the threads: torch splits a sum of many numbers."""
    return row_sums(values[None, :, None]).squeeze()


def size_for(scores: Tensor) -> int:
    """How many scores a strip should have: all where a compiler fuses what is done with them."""
    if torch.compiler.is_compiling():
        return scores.numel()
    return CPU_SCORES if scores.device.type == "cpu" else DEVICE_SCORES


def totals(part: Part, whole: Tensor | None, like: Tensor, wide: torch.dtype) -> Tensor:
    """T = Σ_w t_w of each row, in the type `wide`; `like` is (outer, words, inner)."""
    outer, words, inner = like.shape
    total = like.new_zeros(outer, 1, inner, dtype=wide)
    if part.value is not None:
        total = _added_to_rows(total, part, part.value)
    if whole is None:
        return total
    if whole.shape[1] == 1:
        return total + whole.to(wide) * words
    return total + row_sums(whole.expand(outer, words, inner), wide)


def losses(scores: Tensor, sums: Sums, part: Part, wide: torch.dtype) -> Tensor:
    """Σ_w t_w · −log p_w of each row (1), (2), in the type `wide`; 0 where nothing counts."""
    whole = part.whole(scores.dtype)
    total = totals(part, whole, scores, wide)
    nll = total * sums.others.log1p()
    if part.value is not None:
        nll = _added_to_rows(nll, part, _counted(part.value, _below_at_cells(scores, sums, part)))
    if whole is not None:
        nll = nll + row_sums(_counted(whole, sums.largest - scores), wide)
    return nll.masked_fill(total == 0, 0.0)


def score_gradients(
    e: Tensor,
    sums: Sums,
    part: Part,
    gradient: Tensor,
    *,
    total: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """c · (T p − t) (6), c the `gradient` of each row's loss; nan in rows without a finite m.

    At the maximum see `_at_largest`. T is the `total`, which is what the row counts unless given.
    """
    whole = part.whole(e.dtype)
    wide = gradient.dtype
    if total is None:
        total = totals(part, whole, e, wide)
    idle = (total == 0) | (gradient == 0)
    share = (gradient * total / (1 + sums.others)).masked_fill(idle, 0.0)
    g = torch.mul(e, share.to(e.dtype), out=out)
    counted = torch.zeros_like(total)
    if whole is not None:
        g.sub_(gradient.to(whole.dtype) * whole)
        counted = whole.expand(e.shape).gather(1, sums.place).to(wide)
    if part.value is not None:
        counted = _added_to_rows(counted, part, _where_column_is(part, sums.place))
        _subtract_cells(g, part, gradient)
    counted, rest = gradient * counted, gradient * (total - counted)
    at_largest = _at_largest(share, counted, rest, sums.others).masked_fill(idle, 0.0)
    return g.scatter_(1, sums.place, at_largest.to(g.dtype))


def _at_largest(share: Tensor, counted: Tensor, rest: Tensor, others: Tensor) -> Tensor:
    """T p − t at the maximum, where p is 1 / (1 + K): T p is the `share`, T − t the `rest`.

    It is (T − t) − T p K where p > ½, which keeps its digits as p → 1, and T p − t below.
    """
    return torch.where(others < 1, rest - share * others, share - counted)


def value_gradients(scores: Tensor, sums: Sums, part: Part, gradient: Tensor) -> Tensor:
    """c · −log p at the cells of `part`, in their shape."""
    assert part.value is not None
    nll = sums.others.log1p()
    below = _below_at_cells(scores, sums, part)
    if part.row is not None:
        nll, gradient = nll.flatten()[part.row], gradient.flatten()[part.row]
    return gradient * _possible(part.value, nll + below)


def dense_gradients(scores: Tensor, sums: Sums, part: Part, gradient: Tensor) -> Tensor:
    """c · −log p of every word; 0 where the word is impossible and does not count."""
    whole = part.whole(scores.dtype)
    assert whole is not None
    nll = (sums.largest - scores).add_(sums.others.log1p().to(scores.dtype))
    return _possible(whole, nll).mul_(gradient.to(scores.dtype))


def weight_gradients(nll: Tensor, part: Part) -> Tensor:
    """Σ over the rows of (keep · dense + spread) · c · −log p, `nll` being the last two."""
    whole = replace(part, weight=None).whole(nll.dtype)
    assert whole is not None
    return _counted(whole, nll).sum(dim=(0, 2))


def log_softmax_gradients(e: Tensor, sums: Sums, gradient: Tensor) -> Tensor:
    """g − p Σ g of log p; at the maximum see `_at_largest`."""
    total = row_sums(gradient, sums.others.dtype)
    share = total / (1 + sums.others)
    counted = gradient.gather(1, sums.place)
    at_largest = -_at_largest(share, counted, total - counted, sums.others)
    g = gradient - e.mul_(share.to(e.dtype))
    return g.scatter_(1, sums.place, at_largest.to(g.dtype))


def _cleared(e: Tensor, place: Tensor) -> Tensor:
    """0 at the places. A compiler fuses the comparison into what makes e, and no scatter."""
    if not torch.compiler.is_compiling():
        return e.scatter_(1, place, 0.0)
    word = torch.arange(e.shape[1], device=e.device)[:, None]
    return torch.where(word == place, 0.0, e)


def _counted(weights: Tensor, values: Tensor) -> Tensor:
    """t · x, 0 where t is 0 whatever x is."""
    return torch.where(weights == 0, 0.0, weights * values)


def _possible(weights: Tensor, nll: Tensor) -> Tensor:
    return nll.masked_fill((weights == 0) & nll.isinf(), 0.0)


def _added_to_rows(rows: Tensor, part: Part, cells: Tensor) -> Tensor:
    """`rows` (outer, 1, inner) with the cells of each row added."""
    if part.row is None:
        return rows + cells
    return rows.flatten().index_add(0, part.row, cells).reshape(rows.shape)


def _below_at_cells(scores: Tensor, sums: Sums, part: Part) -> Tensor:
    """m − z at the cells, in their shape and type."""
    assert part.value is not None
    if part.row is None:
        below = sums.largest - scores.gather(1, part.column)
    else:
        cells = scores.flatten(1)[part.row, part.column]
        below = sums.largest.flatten()[part.row] - cells
    return below.to(part.value.dtype)


def _where_column_is(part: Part, place: Tensor) -> Tensor:
    """The value of the cells that lie at the place of their row, and 0 for the others."""
    assert part.value is not None
    here = place if part.row is None else place.flatten()[part.row]
    return part.value.where(part.column == here, 0.0)


def _subtract_cells(g: Tensor, part: Part, gradient: Tensor) -> None:
    """g − c · t at the cells; no two of a strip lie at the same place."""
    assert part.value is not None
    if part.row is None:
        cells = (gradient * part.value).to(g.dtype)
        g.scatter_(1, part.column, g.gather(1, part.column) - cells)
        return
    cells = (gradient.flatten()[part.row] * part.value).to(g.dtype)
    flat = g.flatten(1)
    flat.index_put_((part.row, part.column), flat[part.row, part.column] - cells)
