"""Entries as a table: each item once a row, rows and items in an order that no file changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from exact2vec.counts.entries import Entries
from exact2vec.counts.row_parts import (
    Hashes,
    Numbers,
    Shares,
    digests,
    drawn_parts,
    keep_one_a_row,
    last_parts,
    mixed,
    row_digests,
)
from exact2vec.errors import InputError


@dataclass(frozen=True)
class ItemTable:
    """Cells of rows × items, sorted by row, then by item; items are in order of spelling.

    `weights` are above 0. `times` are when an item came into its row first, `row_times` when its
    last entry was made. `hashes` are those of the rows' items.
    """

    rows: list[str]
    items: list[str]
    row: Numbers
    item: Numbers
    weights: NDArray[np.float64]
    hashes: Hashes
    times: NDArray[np.float64] | None
    row_times: NDArray[np.float64] | None

    @cached_property
    def cell_hashes(self) -> Hashes:
        """A hash of each cell: of its row's items and its own."""
        return mixed(self.hashes[self.row], digests(self.items)[self.item])

    def parts(self, shares: Shares) -> NDArray[np.uint8]:
        """The part of each cell."""
        if shares.by == "row":
            if self.row_times is None:
                return drawn_parts(self.hashes, shares)[self.row]
            return last_parts(self.row_times, self.hashes, shares)[self.row]
        if self.times is None:
            drawn = drawn_parts(self.cell_hashes, shares)
            return keep_one_a_row(drawn, self.row, self.cell_hashes)
        return last_parts(self.times, self.cell_hashes, shares)


def item_table(entries: Entries) -> tuple[ItemTable, dict[str, int]]:
    """The table of entries, and how many of them were dropped and why.

    Named rows are in order of their names, others in that of the hashes of their items.
    """
    if not len(entries.row):
        rows = f"{len(entries.rows):,} {entries.kind.groups}"
        raise InputError(f"no entries: none of {rows} holds an item")
    row, item, weights, times, dropped = _usable(entries)
    row_names, item_order = entries.rows, _spelled_order(entries.items)
    items = [entries.items[number] for number in item_order]
    item = _places(item_order)[item]
    row_order = np.arange(len(row_names))
    if entries.named:
        row_order = _spelled_order(row_names)
        row = _places(row_order)[row]
    kept, row = np.unique(row, return_inverse=True)  # rows that hold something
    row_times = None if times is None else _last_times(times, row, len(kept))
    row, item, weights, times, doubled = _once_a_row(row, item, weights, times, len(items))
    if entries.weights is None:
        weights = np.ones(len(row))
    names = [row_names[number] for number in row_order[kept].tolist()]
    starts = np.searchsorted(row, np.arange(len(names) + 1))
    hashes = row_digests(starts, item, items)
    table = ItemTable(names, items, row, item, weights, hashes, times, row_times)
    if not entries.named:
        table = _in_order_of_hashes(table)
    return table, {**dropped, "dropped_doubled": doubled}


def _usable(
    entries: Entries,
) -> tuple[Numbers, Numbers, NDArray[np.float64], NDArray[np.float64] | None, dict[str, int]]:
    """Rows, items, weights and times of the entries whose weight is above 0."""
    row, item = entries.row.astype(np.int64), entries.item.astype(np.int64)
    if entries.weights is None:
        return row, item, np.ones(len(row)), entries.times, {}
    weights = entries.weights
    dropped = {
        "dropped_missing": int(np.isnan(weights).sum()),
        "dropped_negative": int((weights < 0).sum()),
        "dropped_zero": int((weights == 0).sum()),
    }
    used = weights > 0
    if not used.any():
        raise InputError(
            f"none of {len(row):,} entries has a weight above 0: "
            + ", ".join(f"{size:,} are {name[8:]}" for name, size in dropped.items() if size)
        )
    times = None if entries.times is None else entries.times[used]
    return row[used], item[used], weights[used], times, dropped


def _spelled_order(names: Sequence[str]) -> Numbers:
    """The numbers of the names in order of spelling."""
    return np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)


def _places(order: Numbers) -> Numbers:
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def _last_times(times: NDArray[np.float64], row: Numbers, rows: int) -> NDArray[np.float64]:
    last = np.full(rows, -np.inf)
    np.maximum.at(last, row, times)
    return last


def _once_a_row(
    row: Numbers,
    item: Numbers,
    weights: NDArray[np.float64],
    times: NDArray[np.float64] | None,
    items: int,
) -> tuple[Numbers, Numbers, NDArray[np.float64], NDArray[np.float64] | None, int]:
    """Sorted cells, each once, with the sum of its weights and its first time; how many were more.

    Weights are added in order of size, so that the order of the entries does not matter.
    """
    cell = row * items + item
    order = np.lexsort((weights, cell))
    cell = cell[order]
    first = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
    summed = np.add.reduceat(weights[order], first)
    firsts = None if times is None else np.minimum.reduceat(times[order], first)
    cell = cell[first]
    return cell // items, cell % items, summed, firsts, len(row) - len(first)


def _in_order_of_hashes(table: ItemTable) -> ItemTable:
    """The same table with rows of equal items beside each other."""
    order = np.argsort(table.hashes, kind="stable")
    row = _places(order)[table.row]
    cells = np.lexsort((table.item, row))
    return ItemTable(
        [table.rows[number] for number in order.tolist()],
        table.items,
        row[cells],
        table.item[cells],
        table.weights[cells],
        table.hashes[order],
        None if table.times is None else table.times[cells],
        None if table.row_times is None else table.row_times[order],
    )
