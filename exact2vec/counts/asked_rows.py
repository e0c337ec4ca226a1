"""Rows of other data, asked of a run: what it knows of each, and what each holds beside."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.baskets import Baskets, Cut, held_by_name
from exact2vec.counts.entries import Entries
from exact2vec.counts.item_table import ItemTable, item_table
from exact2vec.counts.row_parts import target_cells
from exact2vec.errors import InputError

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class AskedRows:
    """The rows as contexts and targets, and where the rest of the data went.

    `known` rows have their context from the run, `new` ones are cut by the hash. `shown` entries
    are in the context already, `strange` ones of items that the run does not know. `unasked` rows
    have no target, or no context.
    """

    cut: Cut
    known: int
    new: int
    shown: int
    strange: int
    unasked: int

    def notes(self) -> list[str]:
        """What a user should hear of it."""
        said = [
            f"{self.known:,} rows of names that the run holds: all that it holds of them is the "
            f"context; {self.new:,} others, cut by the hash"
        ]
        left_out = (
            (self.shown, "entries are in the context already"),
            (self.strange, "entries are of items that the run does not know"),
            (self.unasked, "rows have nothing to show or to ask"),
        )
        return said + [f"left out: {size:,} {what}" for size, what in left_out if size]


def asked_rows(baskets: Baskets, entries: Entries) -> AskedRows:
    """The rows of other data, to be asked of what was trained on `baskets`.

    The context of a row is every item that the baskets hold of its name, in whatever part; its
    targets are the other items. Rows of other names, and rows without names, are cut once by the
    keyed hash, as held-out rows are.

    Raises InputError where there is no row to ask.
    """
    table, _ = item_table(entries)
    place = {name: number for number, name in enumerate(baskets.items.words)}
    item = np.array([place.get(name, -1) for name in table.items], np.int64)[table.item]
    held = held_by_name(baskets) if entries.named else ({}, csr_array((0, len(place))))
    run_row = np.array([held[0].get(name, -1) for name in table.rows], np.int64)
    known, kept = run_row[table.row] >= 0, item >= 0
    shown = kept & known
    shown[shown] = _stored(held[1], run_row[table.row[shown]], item[shown])
    targets = (kept & known & ~shown) | _drawn(table, kept & ~known, baskets)
    rows = np.unique(table.row[targets])
    if not len(rows):
        raise InputError(
            f"none of {len(table.rows):,} rows can be asked: their items are not known, are all "
            "in the context, or stand alone"
        )
    size = len(table.rows), len(place)
    contexts = _matrix(table, item, kept & ~known & ~targets, size)[rows]
    of_run = run_row[rows]
    from_run = held[1][np.maximum(of_run, 0)] if len(held[0]) else contexts * 0
    contexts = csr_array(contexts + from_run.multiply((of_run >= 0)[:, None]))
    contexts.eliminate_zeros()
    cut = Cut(
        [table.rows[row] for row in rows], contexts, _matrix(table, item, targets, size)[rows]
    )
    names = int((of_run >= 0).sum())
    sizes = int(shown.sum()), int((~kept).sum()), len(table.rows) - len(rows)
    return AskedRows(cut, names, len(rows) - names, *sizes)


def _stored(matrix: csr_array, rows: NDArray[np.int64], items: NDArray[np.int64]) -> Mask:
    """Whether each cell of these rows and items stands in the matrix."""
    cells = matrix.tocoo()
    width = matrix.shape[1]
    return np.isin(rows * width + items, cells.row.astype(np.int64) * width + cells.col)


def _drawn(table: ItemTable, cells: Mask, baskets: Baskets) -> Mask:
    """Which of these cells are the targets of their row; none of a row of one."""
    several = cells & (np.bincount(table.row[cells], minlength=len(table.rows)) > 1)[table.row]
    numbers, targets = np.flatnonzero(several), np.zeros(len(cells), bool)
    share = baskets.settings.get("target_share", 0.2)
    if len(numbers):
        drawn = target_cells(table.row[numbers], table.cell_hashes[numbers], share)
        targets[numbers[drawn]] = True
    return targets


def _matrix(
    table: ItemTable, item: NDArray[np.int64], cells: Mask, shape: tuple[int, int]
) -> csr_array:
    ones = np.ones(int(cells.sum()))
    return csr_array((ones, (table.row[cells], item[cells])), shape=shape)
