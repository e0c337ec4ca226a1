"""From entries to Baskets: what is dropped, what is held out, and how it is cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.baskets import Baskets, Cut
from exact2vec.counts.corpus import HELD_OUT, PARTS, TRAINING, VALIDATION
from exact2vec.counts.entries import (
    Entries,
    file_entries,
    frame_table,
    line_entries,
    list_entries,
    matrix_entries,
    table_columns,
)
from exact2vec.counts.features import is_matrix
from exact2vec.counts.item_table import ItemTable, item_table
from exact2vec.counts.row_parts import Numbers, Shares, target_cells
from exact2vec.counts.table_files import Form
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.errors import InputError, UsageError
from exact2vec.options import checked, documented

PARTS_CUT = (VALIDATION, HELD_OUT)


@documented(
    baskets="lists of items, a matrix of rows × items, a data frame, or the Path of a file",
    group_by="of a data frame or a table: the column that names the row of an entry",
    item="of a data frame or a table: the column that names the item of an entry",
    weight="of a data frame or a table: the column of weights; default None: each entry weighs 1",
    time="the column of times, or a time for each basket: the last are held out; default None",
    rows="names of the rows of a matrix; default None: row 0, …",
    items="names of the columns of a matrix; default None: item 0, …",
    validation="share of the rows kept for validation, which choose what is to be chosen; "
    "default 0.02",
    held_out="share of the rows held out, which choose nothing; default 0.02",
    min_count="items that fewer training rows hold are dropped; default 5",
)
def count_baskets(
    baskets: Any,
    *,
    group_by: str | None = None,
    item: str | None = None,
    weight: str | None = None,
    time: Any = None,
    rows: Sequence[str] | None = None,
    items: Sequence[str] | None = None,
    min_count: int = 5,
    max_vocab: int | None = None,
    held_out: float = 0.02,
    validation: float = 0.02,
    held_out_by: str = "row",
    target_share: float = 0.2,
) -> Baskets:
    """The rows of items of baskets, orders, or the users of a table; `Exact2Vec.fit` trains them.

    A basket is a set: an item that stands in it twice is counted once, with the sum of its weights
    where it has some. Entries with a negative, missing or zero weight are dropped and counted.
    Items are text; integers are the text of their digits.

    `held_out` and `validation` are shares of whole rows, drawn by a keyed hash of their items, or
    the last by `time`; with `held_out_by="item"` they are shares of all entries. A row that is
    held out is cut once, by a keyed hash, into context and target.

    Raises InputError where there is nothing to count or to predict, UsageError for an option out
    of its range.

    >>> baskets = count_baskets([["tea", "milk"], ["tea", "rye"]] * 5, held_out=0, validation=0)
    >>> baskets.pair_counts()
    Counts(3 items, 4 cells, held out: none)
    """
    named = group_by is not None or item is not None
    table = hasattr(baskets, "columns") or isinstance(baskets, dict)
    if named or table:
        found = _of_columns(baskets, group_by, item, weight, time, table=table)
    elif weight is not None:
        raise UsageError("weight names a column of a data frame or of a table: see group_by, item")
    elif is_matrix(baskets):
        found = matrix_entries(baskets, rows, items, time)
    elif isinstance(baskets, Path):
        found = line_entries([str(baskets)], Form())
    else:
        found = list_entries(baskets, time)
    if (rows is not None or items is not None) and not is_matrix(baskets):
        raise UsageError("rows and items name the rows and columns of a matrix")
    found.notes.warn()
    shares = Shares(held_out, validation, held_out_by, target_share)
    return baskets_of(found, shares, min_count=min_count, max_vocab=max_vocab)


def _of_columns(
    data: Any, group_by: str | None, item: str | None, weight: Any, time: Any, *, table: bool
) -> Entries:
    columns = table_columns(group_by, item, weight, time)
    if table:
        return frame_table(data, columns)
    if not isinstance(data, str | Path):
        raise UsageError(
            f"group_by and item name columns of a data frame or a file; got {type(data).__name__}"
        )
    return file_entries([str(data)], columns)


def baskets_of(
    entries: Entries, shares: Shares, *, min_count: int = 5, max_vocab: int | None = None
) -> Baskets:
    """The Baskets of entries."""
    values: dict[str, Any] = {
        "min_count": min_count,
        "max_vocab": max_vocab,
        "held_out": shares.held_out,
        "validation": shares.validation,
        "held_out_by": shares.by,
        "target_share": shares.target,
    }
    checked(**values)
    if shares.held_out + shares.validation >= 1:
        raise UsageError(
            "held_out and validation are shares that leave something to train on, so their sum is "
            f"below 1; got {shares.held_out:g} + {shares.validation:g}"
        )
    table, dropped = item_table(entries)
    parts = table.parts(shares)
    items, places = _vocabulary(table, parts, min_count, max_vocab)
    counting = _Counting(table, parts, places, len(items.words), shares)
    training = counting.training()
    validation, held_out = (counting.cut(part) for part in PARTS_CUT)
    tokens = {
        "read": len(entries.row),
        "rows_read": len(entries.rows),
        "distinct": len(table.items),
        **dropped,
        **counting.tokens(training, (validation, held_out)),
    }
    tokens["rows_empty"] += len(entries.rows) - len(table.rows)
    rows = [table.rows[number] for number in training.numbers]
    found = training.cells, validation, held_out, tokens, values, entries.kind
    return Baskets(items, rows, *found)


def _vocabulary(
    table: ItemTable, parts: NDArray[np.uint8], min_count: int, max_vocab: int | None
) -> tuple[Vocabulary, Numbers]:
    """The items that enough training rows hold, and the place of each item among them, or −1."""
    training = parts == TRAINING
    if not training.any():
        raise InputError(
            f"all {len(table.rows):,} rows ({len(table.row):,} entries) fell into the held-out and "
            "validation parts; use --held-out 0"
        )
    counts = np.bincount(table.item[training], minlength=len(table.items))
    order = np.lexsort((np.arange(len(counts)), -counts))
    kept = order[counts[order] >= min_count][:max_vocab]
    if len(kept) < 2:
        raise InputError(_why_too_few(table, counts[order], len(kept), min_count))
    places = np.full(len(counts), -1)
    places[kept] = np.arange(len(kept))
    words = [table.items[number] for number in kept.tolist()]
    return Vocabulary(words, counts[kept], len(table.items)), places


def _why_too_few(table: ItemTable, counts: Numbers, kept: int, min_count: int) -> str:
    if len(table.items) == 1:
        return f"one item, {table.items[0]!r}: nothing to predict"
    most = f"the most frequent one in {counts[0]:,}"
    which = "one item alone is" if kept else "no item is"
    keeping = f"--min-count {max(1, counts[1])} would keep some"
    return f"{which} held by {min_count} training rows, {most}; {keeping}"


@dataclass(frozen=True)
class _Rows:
    """Some rows of the table by number, and a matrix of their cells."""

    numbers: Numbers
    cells: csr_array


@dataclass(frozen=True)
class _Counting:
    """The table with the part of each cell and the place of each item, −1 where it is not kept."""

    table: ItemTable
    parts: NDArray[np.uint8]
    places: Numbers
    items: int
    shares: Shares

    @cached_property
    def kept(self) -> NDArray[np.bool_]:
        """Which cells are of items that are kept."""
        return np.asarray(self.places[self.table.item] >= 0)

    def training(self) -> _Rows:
        """The rows for training that hold something."""
        cells = self.kept & (self.parts == TRAINING)
        return self._rows(cells, np.unique(self.table.row[cells]))

    def cut(self, part: int) -> Cut | None:
        """The rows of a part that have both context and target; None where there are none."""
        contexts, targets = self._sides(part)
        rows = np.unique(self.table.row[targets])
        if not len(rows):
            return None
        names = [self.table.rows[number] for number in rows]
        return Cut(names, self._rows(contexts, rows).cells, self._rows(targets, rows).cells)

    def _sides(self, part: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The cells that are contexts of a part, and those that are targets.

        By row, the hash cuts the kept items of a row in two. By item, the part's own cells are
        targets, and the cells before them contexts: of training, and of validation for the last.
        """
        row, here = self.table.row, self.kept & (self.parts == part)
        if self.shares.by == "row":
            several = here & (np.bincount(row[here], minlength=len(self.table.rows)) > 1)[row]
            cells, targets = np.flatnonzero(several), np.zeros(len(row), bool)
            hashes = self.table.cell_hashes[cells]
            targets[cells[target_cells(row[cells], hashes, self.shares.target)]] = True
            return several & ~targets, targets
        before = (self.parts == TRAINING) | ((self.parts == VALIDATION) & (part == HELD_OUT))
        contexts = self.kept & before
        known = np.bincount(row[contexts], minlength=len(self.table.rows)) > 0
        return contexts, here & known[row]

    def _rows(self, cells: NDArray[np.bool_], rows: Numbers) -> _Rows:
        """The matrix of these cells, of these rows alone."""
        table = self.table
        places = np.full(len(table.rows), -1)
        places[rows] = np.arange(len(rows))
        used = cells & (places[table.row] >= 0)
        row, item = places[table.row[used]], self.places[table.item[used]]
        order = np.lexsort((item, row))
        starts = np.searchsorted(row, np.arange(len(rows) + 1))
        arrays = table.weights[used][order], item[order].astype(np.int32), starts
        return _Rows(rows, csr_array(arrays, shape=(len(rows), self.items)))

    def tokens(self, training: _Rows, cuts: Sequence[Cut | None]) -> dict[str, int]:
        """Where the cells and rows of each part went."""
        found = {"training": training.cells.nnz, "rows_training": len(training.numbers)}
        dropped = {}
        for number, name in enumerate(PARTS):
            here = self.parts == number
            dropped[f"dropped_{name}"] = int((here & ~self.kept).sum())
            if number != TRAINING:
                cut = cuts[PARTS_CUT.index(number)]
                found[name] = 0 if cut is None else self._cells(cut)
                found[f"rows_{name}"] = 0 if cut is None else len(cut)
        held_back = sum(int((self.parts == number).sum()) for number in PARTS_CUT)
        dropped["dropped_uncut"] = held_back - sum(
            found[PARTS[number]] + dropped[f"dropped_{PARTS[number]}"] for number in PARTS_CUT
        )
        return found | dropped | self._rows_lost(training, found)

    def _cells(self, cut: Cut) -> int:
        """The cells of the part itself: contexts of a part by items are of earlier parts."""
        contexts = cut.contexts.nnz if self.shares.by == "row" else 0
        return int(cut.targets.nnz + contexts)

    def _rows_lost(self, training: _Rows, found: dict[str, int]) -> dict[str, int]:
        """Rows for training with one item, rows that cannot be cut, and rows without kept items."""
        alone = int((np.diff(training.cells.indptr) == 1).sum())
        rows = len(self.table.rows)
        holding = np.bincount(self.table.row[self.kept], minlength=rows) > 0
        lost = {"rows_of_one": alone, "rows_empty": rows - int(holding.sum())}
        if self.shares.by == "row":
            cut = sum(found[f"rows_{PARTS[number]}"] for number in PARTS_CUT)
            lost["rows_uncut"] = int(holding.sum()) - len(training.numbers) - cut
        return lost
