"""Entries in long form, one a row: names, and how much it weighs or when it was made.

Names are text as it stands: "1", "01" and "1.0" are three. An integer of parquet, JSON or a data
frame is the text of its digits, and a number with a point is the shortest text that gives it back.
"""

import math
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact2vec.counts.features import LARGEST
from exact2vec.counts.input_files import NO_NOTES, InputNotes
from exact2vec.counts.table_files import Batch, Form, TableFiles, no_column
from exact2vec.errors import InputError

Place = Callable[[int], str]
EPOCH = datetime(1970, 1, 1)
KNOWN_TIMES = 1_000_000


@dataclass(frozen=True)
class Names:
    """A column of names: entry e has the name `distinct[numbers[e]]`."""

    numbers: NDArray[np.int32]
    distinct: list[str]


@dataclass(frozen=True)
class LongForm:
    """Entries by column: `names` for each column of names, `weights`, and `times` in seconds.

    Weights that are missing are nan. So many lines of `comments` were left out; `notes` say what
    else a user should hear of the reading.
    """

    names: list[Names]
    weights: NDArray[np.float64] | None = None
    times: NDArray[np.float64] | None = None
    comments: int = 0
    notes: InputNotes = NO_NOTES

    def __len__(self) -> int:
        return len(self.names[0].numbers)


@dataclass(frozen=True)
class Columns:
    """The columns that are wanted.

    `any_weight` lets weights pass that are negative or missing. With `together`, all columns
    number their names alike, as the two ends of an edge.
    """

    names: tuple[str, ...]
    weight: str | None = None
    time: str | None = None
    any_weight: bool = False
    together: bool = False

    @property
    def wanted(self) -> list[str]:
        """All of them, in the order of a batch."""
        return [*self.names, *(name for name in (self.weight, self.time) if name is not None)]


def read_long_form(inputs: Iterable[str], columns: Columns, form: Form | None = None) -> LongForm:
    """The entries of files, folders of them, or stdin ("-"): csv, tsv, JSON lines or parquet.

    Raises InputError with the line of a name that is empty or no text, of a weight that is no
    finite number from 0 (see `any_weight`), and of a time that is neither a number nor ISO 8601.
    """
    files = TableFiles(inputs, form or Form())
    return replace(gathered(files.batches(columns.wanted), columns), notes=files.notes)


def frame_entries(frame: Any, columns: Columns) -> LongForm:
    """The entries of a data frame of pandas, polars or the like, or of a dict of columns."""
    there: list[Any] = list(frame if isinstance(frame, dict) else frame.columns)
    for name in columns.wanted:
        if name not in there:
            raise no_column(name, there, "the data frame")
    values = [_values(frame[name]) for name in columns.wanted]
    if len({len(column) for column in values}) != 1:
        raise InputError("the columns of the data frame have different lengths")
    batch = Batch(values, lambda row: f"row {row} of the data frame (counted from 0)")
    return gathered([batch] if values[0] else [], columns)


def _values(column: Any) -> list[Any]:
    for name in ("to_list", "tolist", "to_pylist"):
        if hasattr(column, name):
            return list(getattr(column, name)())
    return list(column)


def gathered(batches: Iterable[Batch], columns: Columns) -> LongForm:
    """The entries of all batches."""
    shared = Numbering(columns.names[0])
    numberings = [shared if columns.together else Numbering(name) for name in columns.names]
    ids = [array("i") for _ in numberings]
    weights, times, clock, comments = array("d"), array("d"), Clock(), 0
    for batch in batches:
        comments += batch.comments
        rest = iter(batch.columns[len(ids) :])
        for values, numbering, found in zip(batch.columns, numberings, ids, strict=False):
            numbers = np.array(numbering.numbers(values, batch.place), np.int32)
            found.frombytes(numbers.tobytes())
        if columns.weight is not None and (given := next(rest, None)) is not None:
            weights.extend(_weights(given, batch.place, anything=columns.any_weight))
        if columns.time is not None:
            times.extend(clock.seconds(next(rest), batch.place))
    if not ids[0]:
        raise InputError("no entries: there are no rows below the names of the columns")
    if weights and len(weights) != len(ids[0]):
        raise InputError(f"some files have {columns.weight} and others have none; give all of it")
    return LongForm(
        [
            Names(np.frombuffer(found, np.int32), list(numbering.place))
            for found, numbering in zip(ids, numberings, strict=True)
        ],
        np.frombuffer(weights) if weights else None,
        np.frombuffer(times) if columns.time is not None else None,
        comments,
    )


class Numbering:
    """Numbers names in order of appearance; `what` they name stands in errors."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.place: defaultdict[str, int] = defaultdict()
        self.place.default_factory = self.place.__len__

    def numbers(self, values: Sequence[Any], place: Place) -> list[int]:
        """The number of each name; InputError for one that is empty or no text."""
        if set(map(type, values)) != {str}:
            values = [self._text(value, row, place) for row, value in enumerate(values)]
        before = len(self.place)
        numbers = list(map(self.place.__getitem__, values))
        new = islice(reversed(self.place), len(self.place) - before)
        if blank := [name for name in new if not name or name.isspace()]:
            row = min(values.index(name) for name in blank)
            raise InputError(f"{place(row)}: the {self._what} is empty")
        return numbers

    def _text(self, value: Any, row: int, place: Place) -> str:
        try:
            return name_text(value)
        except ValueError as error:
            raise InputError(f"{place(row)}: the {self._what} {error}") from error


def name_text(value: Any) -> str:
    """The text of a name: itself, the digits of an integer, the shortest text of a float.

    >>> name_text("01"), name_text(1), name_text(1.0), name_text(np.int64(7))
    ('01', '1', '1.0', '7')
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if value is None or isinstance(value, float) or type(value).__name__ in ("NAType", "NaTType"):
        raise ValueError("is missing")
    raise ValueError(f"is {str(value)[:40]!r} of type {type(value).__name__}; names are text")


def _weights(values: Sequence[Any], place: Place, *, anything: bool) -> NDArray[np.float64]:
    """The weights; where not `anything` is taken, InputError for one below 0 or missing."""
    try:
        if bool in set(map(type, values)) or "_" in "".join(map(str, values)):
            raise ValueError  # float() would take them
        weights = np.array(list(map(float, values)))
    except (TypeError, ValueError, OverflowError):
        weights = np.array([_weight(value, row, place) for row, value in enumerate(values)])
    bad = ~(weights <= LARGEST) if not anything else weights > LARGEST
    bad |= (weights < 0) if not anything else np.isneginf(weights)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        least = "" if anything else ", from 0"
        raise InputError(
            f"{place(row)}: weights are finite numbers{least} to {LARGEST:g}; "
            f"got {str(values[row])[:40]!r}"
        )
    return weights


def _weight(value: Any, row: int, place: Place) -> float:
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    if type(value).__name__ == "NAType":
        return math.nan
    try:
        if isinstance(value, bool) or "_" in str(value):
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{place(row)}: the weight {str(value)[:40]!r} is no number (1.5 has a point)"
        ) from None


class Clock:
    """Times as seconds: all of them numbers, or all of them ISO 8601."""

    def __init__(self) -> None:
        self._numbers: bool | None = None
        self._known: dict[Any, float] = {}
        self._zoned: bool | None = None

    def seconds(self, values: Sequence[Any], place: Place) -> list[float]:
        """Numbers as they are, dates in seconds since 1970; InputError for what is neither."""
        if self._numbers is None:
            self._numbers = _is_number(values[0])
        return [self._second(value, row, place) for row, value in enumerate(values)]

    def _second(self, value: Any, row: int, place: Place) -> float:
        try:
            if value not in self._known:
                if len(self._known) > KNOWN_TIMES:
                    self._known.clear()
                self._known[value] = self._number(value) if self._numbers else self._moment(value)
            return self._known[value]
        except (TypeError, ValueError, OverflowError):
            iso = "a number or ISO 8601, such as 2024-05-31 or 2024-05-31T18:00+02:00 (all with a "
            wanted = "a number, as before" if self._numbers else iso + "time zone, or none)"
            got = f"got {str(value)[:40]!r}"
            raise InputError(f"{place(row)}: wanted a time, {wanted}; {got}") from None

    def _number(self, value: Any) -> float:
        if not math.isfinite(number := float(value)):
            raise ValueError
        return number

    def _moment(self, value: Any) -> float:
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value.strip())
        zoned = moment.tzinfo is not None
        if self._zoned is None:
            self._zoned = zoned
        if zoned is not self._zoned:
            raise ValueError
        if zoned:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        return self._number((moment - EPOCH).total_seconds())


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
