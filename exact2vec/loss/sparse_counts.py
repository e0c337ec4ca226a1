"""Counts n(c, w) in CSR or COO format, read and checked: nothing lies outside of the scores."""

from typing import NamedTuple

import torch
from torch import Tensor

from exact2vec.errors import LossInputError

FORMATS = (torch.sparse_csr, torch.sparse_coo)


class CellsOfCounts(NamedTuple):
    """Row, column (int64) and stored count of the cells: sorted by row and column, none twice."""

    row: Tensor
    column: Tensor
    stored: Tensor


def cells_of(counts: Tensor, dim: int = 1) -> CellsOfCounts:
    """The stored cells, their classes in dimension `dim`; the other dimensions number the rows.

    Counts that are stored twice are added. Gradients go to the stored values. Raises
    LossInputError, with the place, where a cell lies outside, or a count is < 0 or not finite.
    """
    if counts.layout not in FORMATS:
        raise LossInputError(
            f"counts are in the format {str(counts.layout).removeprefix('torch.')}: "
            f"use counts.to_sparse_csr() or counts.to_sparse_coo()"
        )
    if counts.layout == torch.sparse_csr:
        places, count = _csr_places(counts), counts.values()
        _check_cells(counts, places, dim)
    else:
        _check_cells(counts, counts._indices(), dim)
        coalesced = counts.coalesce()
        places, count = coalesced.indices(), coalesced.values()
    return _sorted(places, count, tuple(counts.shape), dim)


def _sorted(places: Tensor, count: Tensor, shape: tuple[int, ...], dim: int) -> CellsOfCounts:
    words = shape[dim]
    row = torch.zeros_like(places[0])
    for other, size in enumerate(shape):
        if other != dim:
            row = row * size + places[other]
    place = row * words + places[dim]
    if bool((place.diff() > 0).all()):
        return CellsOfCounts(row, places[dim], count)
    place, order = place.sort(stable=True)
    once, number = torch.unique_consecutive(place, return_inverse=True)
    count = count[order]
    if len(once) < len(place):
        count = count.new_zeros(len(once)).index_add(0, number, count)
    return CellsOfCounts(once // words, once % words, count)


def _csr_places(counts: Tensor) -> Tensor:
    """(2, cell): the rows and columns of a matrix in CSR format, whose row starts are checked."""
    if counts.dim() != 2:
        raise LossInputError(
            f"counts in CSR format have {counts.dim()} dimensions where 2 are wanted: "
            f"use counts.to_sparse_coo()"
        )
    starts, column = counts.crow_indices().long(), counts.col_indices().long()
    if problem := _bad_starts(starts, counts.shape[0], len(column), len(counts.values())):
        raise LossInputError(f"crow_indices of the counts {problem}: rebuild the CSR tensor")
    rows = torch.arange(counts.shape[0], device=counts.device)
    return torch.stack([torch.repeat_interleave(rows, starts.diff()), column])


def _bad_starts(starts: Tensor, rows: int, cells: int, values: int) -> str:
    if len(starts) != rows + 1:
        return f"have {len(starts)} numbers where {rows + 1} are wanted"
    if cells != values:
        return f"go with {cells} columns but {values} values"
    if int(starts[0]) != 0:
        return f"start at {int(starts[0])} where 0 is wanted"
    if int(starts[-1]) != cells:
        return f"end at {int(starts[-1])} where {cells}, the number of columns, is wanted"
    falls = starts.diff() < 0
    if bool(falls.any()):
        return f"fall from row {int(falls.nonzero()[0, 0])} to the next"
    return ""


def _check_cells(counts: Tensor, places: Tensor, dim: int) -> None:
    """Every stored cell within the shape; every count ≥ 0 and finite."""
    values = counts.detach().values() if counts.layout == torch.sparse_csr else counts._values()
    values = values.detach()
    if values.dim() != 1 or values.is_complex() or len(places) != counts.dim():
        raise LossInputError(
            f"counts must be one real number a cell; got values of shape {tuple(values.shape)} "
            f"and {values.dtype}"
        )
    sizes = torch.tensor(tuple(counts.shape), device=places.device)[:, None]
    outside = ((places < 0) | (places >= sizes)).any(dim=0)
    wrong = ~((values >= 0) & (values < torch.inf))
    bad = (outside | wrong).nonzero()
    if not len(bad):
        return
    first = int(bad[0, 0])
    place, value = [int(one) for one in places[:, first]], values[first].item()
    cell = f"counts[{', '.join(map(str, place))}] = {value:.4g}"
    if bool(outside[first]):
        raise LossInputError(f"{cell}{_limits(place, tuple(counts.shape), dim)}")
    wanted = "≥ 0" if value < 0 else "finite numbers ≥ 0"
    raise LossInputError(f"counts must be {wanted}; {cell}")


def _limits(place: list[int], shape: tuple[int, ...], dim: int) -> str:
    """Where the cell is said to lie, and what its first number out of bounds may be."""
    wrong = next(d for d, size in enumerate(shape) if not 0 <= place[d] < size)
    kind = "classes" if wrong == dim else "rows" if len(shape) == 2 else f"places in dim {wrong}"
    where = f" is in row {place[0]}, column {place[1]}" if len(shape) == 2 else ""
    return f"{where}, but there are {shape[wrong]} {kind} (0..{shape[wrong] - 1})"
