"""What the autograd functions of `tiled` share: targets as tensors, strips, second derivatives."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from exact2vec.loss.engine import strips
from exact2vec.loss.engine.strips import Part, Sums
from exact2vec.loss.targets import Targets

Tensors = Sequence[Tensor | None]


def targets_of_tensors(tensors: Tensors, keep: float) -> Targets:
    """Those of which these are `tensors_of`; their divisor is of no use here."""
    value, dense, spread, weight, row, column = tensors
    assert value is not None
    assert column is not None
    return Targets(row, column, value, value, dense, keep, spread, weight)


def tensors_of(targets: Targets) -> Tensors:
    """Four that may have gradients, and where the cells lie."""
    differentiable = (targets.value, targets.dense, targets.spread, targets.weight)
    return (*differentiable, targets.row, targets.column)


def kind_of(scores: Tensor) -> torch.dtype:
    """The type of the numbers of rows × words: float32 at least."""
    return torch.promote_types(scores.dtype, torch.float32)


def slices(count: int, size: int) -> list[slice]:
    """`count` things, `size` at a time."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


@dataclass(frozen=True)
class Strip:
    """Some rows of scores (outer, words, inner), and what counts in them."""

    outer: slice
    inner: slice
    cells: slice
    part: Part

    @property
    def at(self) -> tuple[slice, slice, slice]:
        return self.outer, slice(None), self.inner


def strips_of(
    targets: Targets, shape: torch.Size, rows: Sequence[slice], columns: Sequence[slice]
) -> Iterator[Strip]:
    """Strips of some `rows` (outer) and `columns` (inner), in their order."""
    if targets.row is None or targets.value.numel() == 0:
        for outer, inner in itertools.product(rows, columns):
            yield Strip(outer, inner, slice(0), Part.of(targets, shape, outer, inner))
        return
    for outer, cells in zip(rows, _cut(targets.row, rows), strict=True):
        yield Strip(outer, slice(None), cells, Part.of_cells(targets, outer, cells))


def _cut(row: Tensor, rows: Sequence[slice]) -> list[slice]:
    """Where the cells of these rows lie: the one look at values, before any loop."""
    ends = torch.tensor([0, *(these.stop for these in rows)], device=row.device)
    places = torch.searchsorted(row, ends).tolist()
    return [slice(*pair) for pair in itertools.pairwise(places)]


@dataclass(frozen=True)
class TargetSums:
    """Gradients of the value, dense, spread and weight of targets, filled strip by strip.

    `rows` is (outer, 1, inner) of all scores.
    """

    rows: tuple[int, int, int]
    value: Tensor | None
    dense: Tensor | None
    spread: Tensor | None
    weight: Tensor | None

    @classmethod
    def of(cls, shape: torch.Size, leaves: Tensors, wanted: Sequence[bool]) -> "TargetSums":
        """Zeros for those wanted, for scores of this shape."""
        return cls((shape[0], 1, shape[2]), *zeros_for(leaves, wanted))

    def tensors(self) -> list[Tensor]:
        found = (self.value, self.dense, self.spread, self.weight)
        return [one for one in found if one is not None]

    def add(self, scores: Tensor, sums: Sums, strip: Strip, gradient: Tensor) -> None:
        """What a strip of scores adds; c, its `gradient`, is (outer, 1, inner)."""
        part = strip.part
        if self.value is not None and part.value is not None:
            found = strips.value_gradients(scores, sums, part, gradient)
            if part.row is None:
                self.value.view(self.rows)[strip.at] = found
            else:
                self.value[strip.cells] = found
        if self.dense is None and self.spread is None and self.weight is None:
            return
        nll = strips.dense_gradients(scores, sums, part, gradient)
        if self.weight is not None:
            self.weight.add_(strips.weight_gradients(nll, part))
        if part.weight is not None:
            nll.mul_(part.weight)
        if self.spread is not None:
            self.spread.view(self.rows)[strip.at] = strips.row_sums(nll)
        if self.dense is not None:
            self.dense[strip.at] = nll.mul_(part.keep)


def zeros_for(leaves: Tensors, wanted: Sequence[bool]) -> list[Tensor | None]:
    """Contiguous zeros in the shape and type of each leaf that is wanted."""
    return [
        leaf.new_zeros(leaf.shape) if want and leaf is not None else None
        for leaf, want in zip(leaves, wanted, strict=True)
    ]


def spread_out(found: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
    """`found` at the places that are wanted, None elsewhere."""
    rest = iter(found)
    return [next(rest) if want else None for want in wanted]


def second(
    formula: Callable[[Tensors], Tensor],
    gradient: Tensor,
    leaves: Tensors,
    wanted: Sequence[bool],
    directions: Sequence[Tensor],
) -> list[Tensor | None]:
    """The derivatives of `gradient` · ∂formula/∂(leaves wanted), along `directions`.

    First that by `gradient`, then those by the leaves; rows × words in memory, any order.
    """
    differentiable = torch.is_grad_enabled()
    every = [gradient, *leaves]
    if not differentiable:
        every = [leaf if leaf is None else _leaf(leaf) for leaf in every]
    with torch.enable_grad():
        c, *given = every
        chosen = [one for one, want in zip(given, wanted, strict=True) if want and one is not None]
        first = torch.autograd.grad(
            formula(given), chosen, c, create_graph=True, materialize_grads=True
        )
        pairs = [pair for pair in zip(first, directions, strict=True) if pair[0].requires_grad]
        by = [one for one in every if one is not None and one.requires_grad]
        found = iter(
            torch.autograd.grad(
                [pair[0] for pair in pairs],
                by,
                [pair[1] for pair in pairs],
                create_graph=differentiable,
                allow_unused=True,
            )
        )
    return [next(found) if one is not None and one.requires_grad else None for one in every]


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.is_floating_point())
