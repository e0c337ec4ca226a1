"""Rows of items as entries, of whatever holds them: lists, a matrix, a data frame, or files."""

import csv
import io
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact2vec.counts.features import NamedCounts
from exact2vec.counts.input_files import NO_NOTES, InputNotes
from exact2vec.counts.kinds import BASKETS, TABLE, Kind
from exact2vec.counts.long_form import (
    Clock,
    Columns,
    LongForm,
    Numbering,
    frame_entries,
    read_long_form,
)
from exact2vec.counts.table_files import SEPARATORS, Form
from exact2vec.counts.text import Text
from exact2vec.errors import InputError, UsageError


@dataclass(frozen=True)
class Entries:
    """Entry e says that the row `rows[row[e]]` holds the item `items[item[e]]`.

    Names of rows that are their own (users of a table) are `named`. `weights` may be negative or
    nan. `notes` hold what a user should hear of the reading.
    """

    rows: Sequence[str]
    items: list[str]
    row: NDArray[np.int32]
    item: NDArray[np.int32]
    weights: NDArray[np.float64] | None = None
    times: NDArray[np.float64] | None = None
    named: bool = False
    kind: Kind = BASKETS
    notes: InputNotes = NO_NOTES


class BasketNames(Sequence[str]):
    """ "basket 1", "basket 2", …: names made when they are asked for."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: Any) -> Any:
        return f"basket {range(self._size)[place] + 1}"


def table_columns(
    group_by: str | None, item: str | None, weight: str | None = None, time: str | None = None
) -> Columns:
    """The columns of a table of rows and items; UsageError where one is not named, or twice."""
    if group_by is None or item is None:
        raise UsageError(
            "a table needs group_by and item (--group-by, --item): the columns that name the row "
            "of an entry, such as the user or the order, and its item"
        )
    columns = Columns((group_by, item), weight, time, any_weight=True)
    if len(set(columns.wanted)) < len(columns.wanted):
        raise UsageError(
            "group_by, item, weight and time must name different columns; "
            f"got {', '.join(map(repr, columns.wanted))}"
        )
    return columns


def table_entries(found: LongForm) -> Entries:
    """The entries of a table with columns for row and item."""
    rows, items = found.names
    replaced = sum("\ufffd" in name for name in (*rows.distinct, *items.distinct))
    notes = found.notes
    if replaced:
        doubt = f"{replaced:,} names hold U+FFFD, which stands for bytes that are not text"
        notes = replace(notes, doubts=(*notes.doubts, doubt))
    return Entries(
        rows.distinct,
        items.distinct,
        rows.numbers,
        items.numbers,
        found.weights,
        found.times,
        named=True,
        kind=TABLE,
        notes=notes,
    )


def file_entries(inputs: Iterable[str], columns: Columns, form: Form | None = None) -> Entries:
    """The entries of files in long form."""
    return table_entries(read_long_form(inputs, columns, form))


def frame_table(frame: Any, columns: Columns) -> Entries:
    """The entries of a data frame in long form."""
    return table_entries(frame_entries(frame, columns))


def matrix_entries(
    matrix: Any, rows: Sequence[str] | None, items: Sequence[str] | None, times: Any
) -> Entries:
    """The entries of a matrix, rows × items; without names they are "row 0" and "item 0", …

    Raises InputError for a value that is negative, not finite or above 1e15, and for names that
    stand twice or are of another number.
    """
    columns = [f"item {column}" for column in range(matrix.shape[1])] if items is None else items
    named = NamedCounts.of_matrix(matrix, rows, columns)
    cells = named.matrix.tocoo()
    row, item = cells.row.astype(np.int32), cells.col.astype(np.int32)
    weights = cells.data.astype(np.float64)
    of_rows = _row_times(times, len(named.rows), row)
    return Entries(named.rows, named.names, row, item, weights, of_rows, named=True, kind=TABLE)


def list_entries(baskets: Iterable[object], times: Any) -> Entries:
    """The entries of baskets that are lists of names. Items are text, or integers as their digits.

    Raises TypeError for a string in the place of a list, InputError for an item that is no name.
    """
    numbering, ids, sizes = Numbering("item"), array("i"), array("q")
    for place, basket in _numbered(baskets):
        ids.extend(numbering.numbers(basket, partial(_item_place, place)))
        sizes.append(len(basket))
    row = np.repeat(np.arange(len(sizes), dtype=np.int32), np.frombuffer(sizes, np.int64))
    item = np.frombuffer(ids, np.int32) if ids else np.empty(0, np.int32)
    names = BasketNames(len(sizes))
    return Entries(
        names, list(numbering.place), row, item, None, _row_times(times, len(sizes), row)
    )


def _item_place(basket: str, at: int) -> str:
    return f"{basket}, item {at + 1}"


def _numbered(baskets: Iterable[object]) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(baskets, str):
        raise TypeError("got a string; did you mean [text.split()]?")
    number = 0
    try:
        for number, basket in enumerate(baskets, start=1):
            if isinstance(basket, str | bytes | Mapping) or not isinstance(basket, Iterable):
                raise TypeError(
                    f"basket {number} is {basket!r:.60} of type {type(basket).__name__}; "
                    "a basket is a list of items"
                )
            yield f"basket {number}", list(basket)
    except InputError:
        raise
    except Exception as error:
        error.add_note(f"raised by the baskets after basket {number}")
        raise


def _row_times(times: Any, rows: int, row: NDArray[np.int32]) -> NDArray[np.float64] | None:
    if times is None:
        return None
    if isinstance(times, str):
        raise UsageError(
            f"time={times!r} names a column, and these baskets have none: give a time for each"
        )
    given = list(times)
    if len(given) != rows:
        raise InputError(f"there are {rows:,} rows and {len(given):,} times; give one for each")
    values = [one.item() if isinstance(one, np.generic) else one for one in given]
    seconds = Clock().seconds(values, lambda at: f"row {at}") if values else []
    return np.asarray(np.array(seconds)[row], np.float64)


def line_entries(inputs: Iterable[str], form: Form) -> Entries:
    """The entries of files with a basket a line, or of stdin ("-").

    White space parts the items, or the separator; commas do in .csv, tabs in .tsv. Items between
    separators lose the white space around them.
    """
    numbering, ids, sizes = Numbering("item"), array("i"), array("q")
    text = Text(*inputs, regex=r"\S+", document="file", encoding=form.encoding, errors=form.errors)
    commas = 0
    for place, ending, line in _lines(text):
        separator = form.separator or SEPARATORS.get(ending)
        items = _items(line, separator, place)
        commas += separator is None and any("," in item for item in items)
        ids.extend(numbering.numbers(items, lambda at: ""))
        sizes.append(len(items))
    notes = text.heard
    if commas > len(sizes) / 2:
        advice = (
            "most lines hold commas, and white space parted the items: "
            "use --separator , where commas part them"
        )
        notes = replace(notes, advice=(*notes.advice, advice))
    if not ids:
        raise InputError("no items: there are only blank lines")
    row = np.repeat(np.arange(len(sizes), dtype=np.int32), np.frombuffer(sizes, np.int64))
    names, items_of = BasketNames(len(sizes)), np.frombuffer(ids, np.int32)
    return Entries(names, list(numbering.place), row, items_of, notes=notes)


def _lines(text: Text) -> Iterator[tuple[str, str, str]]:
    """Each line without its end, behind where it stands and the ending of its file's name."""
    rest: list[str] = []
    number, ending = 0, ""
    for stretch in text.stretches():
        *ended, last = stretch.text.split("\n")
        ending = ending or _ending(stretch.name)
        for line in ended:
            number += 1
            yield f"{stretch.name}, line {number}", ending, "".join([*rest, line])
            rest.clear()
        if last:
            rest.append(last)
        if stretch.ends_document:
            if rest:
                yield f"{stretch.name}, line {number + 1}", ending, "".join(rest)
                rest.clear()
            number, ending = 0, ""


def _ending(name: str) -> str:
    return Path(name.removesuffix(".gz").removesuffix(".zst")).suffix.lower() or "none"


def _items(line: str, separator: str | None, where: str) -> list[str]:
    """The items of a line; what is empty between separators is none."""
    if separator is None:
        return line.split()
    if separator == "," and '"' in line:
        try:
            fields = next(csv.reader(io.StringIO(line), strict=True), [])
        except csv.Error as error:
            raise InputError(f"{where}: {error}") from error
    else:
        fields = line.split(separator)
    return [field.strip() for field in fields if field.strip()]
