"""Tables in files, read in batches of columns: csv, tsv, JSON lines, parquet, plain or compressed.

Each batch knows where its rows stand, so that an error can name the line.
"""

import contextlib
import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from exact2vec.counts.input_files import InputFiles, InputNotes
from exact2vec.counts.recognition import refuse_other_than_text
from exact2vec.counts.text import STDIN, known_encoding, standard_input
from exact2vec.errors import InputError, UsageError
from exact2vec.storage.files import (
    PACKED,
    Reading,
    decompressed,
    input_errors_named,
    open_decompressed,
)

BATCH_ROWS = 4_000
JSON_LINES, PARQUET = (".jsonl", ".ndjson"), (".parquet", ".pq")
SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
TABLES = (*SEPARATORS, *JSON_LINES, *PARQUET, ".txt")
# what pyarrow says of damaged files, beside errors of its own
PARQUET_FAULTS = (ValueError, OSError, LookupError, TypeError, RuntimeError, OverflowError)
PARQUET_MAGIC = b"PAR1"
SPELLED = {"tab": "\t", "\\t": "\t", "space": " "}
COMMENT = ("#", "%")


@dataclass(frozen=True)
class Batch:
    """Some rows, as a list of values for each wanted column; `place` says where a row stands.

    So many lines of comments among them, or before, are left out.
    """

    columns: list[list[Any]]
    place: Callable[[int], str]
    comments: int = 0


@dataclass(frozen=True)
class Form:
    """How tables are written: the separator, where it is not to be told, and the encoding.

    Without a `header`, the first columns are those that are wanted, and one more may follow.
    """

    separator: str | None = None
    encoding: str = "utf-8"
    errors: str = "strict"
    header: bool = True


def separator_of(given: str | None) -> str | None:
    """The separator that --separator names; UsageError for one that parts nothing.

    >>> separator_of("tab"), separator_of(";")
    ('\\t', ';')
    """
    found = SPELLED.get(given or "", given)
    if found is not None and (not found or any(sign in found for sign in '\r\n"')):
        raise UsageError(
            f"separator must be one sign or more, such as ; or tab, no quote and no line end; "
            f"got {given!r}"
        )
    return found


class TableFiles:
    """The tables that inputs name: files, folders of them, or stdin ("-").

    After a reading, `notes` says which files were left out, came twice, or changed meanwhile.
    """

    def __init__(self, inputs: Iterable[str], form: Form) -> None:
        self._inputs, self._form = list(inputs), form
        self._files, self._read = InputFiles("tables", TABLES), Reading()
        known_encoding(form.encoding)

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        """The wanted columns, read once.

        Raises InputError for a missing column, a row that is longer or shorter than the header,
        and a file that is no table, with its line.
        """
        for name in self._inputs:
            if name == STDIN:
                with input_errors_named("stdin"), decompressed(file := standard_input()) as stream:
                    yield from _of_stream(stream, "stdin", "", wanted, self._form)
                self._read.add("stdin", file)
                continue
            for path in self._files.of(Path(name)):
                ending = Path(path.stem).suffix if path.suffix.lower() in PACKED else path.suffix
                with open_decompressed(path, self._read) as stream:
                    yield from _of_stream(stream, str(path), ending.lower(), wanted, self._form)

    @property
    def notes(self) -> InputNotes:
        """What a user should hear of the reading."""
        doubts = *self._read.changed, *self._read.doubled
        return InputNotes(tuple(self._files.left_out), doubts, tuple(self._files.notes))


def _of_stream(
    stream: Any, name: str, ending: str, wanted: Sequence[str], form: Form
) -> Iterator[Batch]:
    start = stream.peek(4096)[:4096]
    if not start:
        raise InputError(f"{name} is empty (0 bytes)")
    if ending in PARQUET or start.startswith(PARQUET_MAGIC):
        yield from _parquet(stream.read(), name, wanted)
        return
    refuse_other_than_text(start, name, form.encoding)
    encoding = "utf-8-sig" if form.encoding in ("utf-8", "utf8") else form.encoding
    text = io.TextIOWrapper(stream, encoding, form.errors, newline="")
    try:
        with _decoding_named(text, name):
            if ending in JSON_LINES:
                yield from _json_lines(text, name, wanted)
            else:
                yield from _delimited(text, name, ending, wanted, form)
    finally:
        text.detach()


@contextlib.contextmanager
def _decoding_named(text: io.TextIOWrapper, name: str) -> Iterator[None]:
    """Turn bytes that are no text into an InputError."""
    try:
        yield
    except UnicodeError as error:
        encoding = text.encoding.removesuffix("-sig")
        raise InputError(
            f"{name}{_line_of_other_bytes(name, encoding)} is not {encoding} ({error}); "
            "use --encoding, or --errors replace"
        ) from error


def _line_of_other_bytes(name: str, encoding: str) -> str:
    """Which line of a file cannot be decoded, where a line can be decoded alone."""
    if not Path(name).is_file() or encoding.startswith(("utf-16", "utf-32")):
        return ""
    with open_decompressed(Path(name)) as stream:
        lines: Any = stream
        for number, line in enumerate(lines, start=1):
            try:
                line.decode(encoding)
            except UnicodeError:
                return f", line {number},"
    return ""


def _delimited(
    lines: Iterator[str], name: str, ending: str, wanted: Sequence[str], form: Form
) -> Iterator[Batch]:
    first = next(lines, "")
    separator = form.separator or SEPARATORS.get(ending)
    if separator is None and form.header:
        separator = "\t" if "\t" in first else ","
    rows = _Rows(_fields(itertools.chain([first], lines), separator), name)
    if form.header:
        header = rows.next_row()
        places = _column_places(header, wanted, name, separator or "")
        why = f"the header has {len(header)}"
    else:
        header = rows.first_of(wanted, comments=True)
        places, why = list(range(len(header))), f"the first row has {len(header)}"
    for block, place, dropped in rows.blocks(len(header), why, comments=not form.header):
        yield Batch([list(map(itemgetter(at), block)) for at in places], place, dropped)


def _fields(lines: Iterator[str], separator: str | None) -> Iterator[list[str]]:
    """The fields of each line. Quotes are those of csv, and mere signs where tabs part."""
    if separator is None:
        return map(str.split, lines)
    if len(separator) > 1:
        return (line.rstrip("\r\n").split(separator) for line in lines)
    if separator == "\t":
        return csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    return csv.reader(lines, delimiter=separator, strict=True)


class _Rows:
    """Rows of fields that are not blank, with the line that each begins at."""

    def __init__(self, rows: Iterator[list[str]], name: str) -> None:
        self._rows, self._name = rows, name
        self._line, self._first = 1, 0
        self._waiting: list[list[str]] = []
        self._comments = 0

    def next_row(self) -> list[str]:
        """The first row."""
        while block := self._some(1):
            if not _is_blank(block[0]):
                return block[0]
        raise InputError(f"{self._name}: no header, only blank lines")

    def first_of(self, wanted: Sequence[str], *, comments: bool) -> list[str]:
        """The first row, which comes again with the others; its last field may be missing."""
        while block := self._some(1):
            row = block[0]
            if comments and _is_comment(row):
                self._comments += 1
            elif not _is_blank(row):
                self._refuse_first(row, wanted)
                self._waiting = block
                return row
        raise InputError(f"{self._name}: no rows, only blank lines and comments")

    def _refuse_first(self, row: list[str], wanted: Sequence[str]) -> None:
        where, most = f"{self._name}, line {self._first}", len(wanted)
        if not most - 1 <= len(row) <= most:
            raise InputError(
                f"{where}: wanted {most - 1} or {most} fields, got {len(row)}: "
                f"{', '.join(row)[:60]!r}; see --separator"
            )
        if len(row) == most and not _is_number(row[-1]):
            flags = ", ".join(f"--{column}" for column in wanted)
            raise InputError(
                f"{where}: the {wanted[-1]} {row[-1][:40]!r} is no number (1.5 has a point); "
                f"where this line names the columns, say which they are: {flags}"
            )

    def blocks(
        self, width: int, why: str, *, comments: bool = False
    ) -> Iterator[tuple[list[list[str]], Callable[[int], str], int]]:
        """The rows in blocks, and how many comments. InputError for one without `width` fields."""
        while block := self._some(BATCH_ROWS):
            kept: Sequence[int] = range(len(block))
            if comments or set(map(len, block)) != {width}:
                kept = [
                    number
                    for number, row in enumerate(block)
                    if not (_is_blank(row) or (comments and _is_comment(row)))
                ]
            place = _Place(self._name, self._first, block, kept)
            rows = block if len(kept) == len(block) else [block[number] for number in kept]
            if set(map(len, rows)) - {width}:
                ragged = next(number for number, row in enumerate(rows) if len(row) != width)
                row = rows[ragged]
                raise InputError(
                    f"{place(ragged)}: {_number(row, 'field')}, but {why}: "
                    f"{', '.join(row)[:60]!r}; quote a field that holds the separator"
                )
            dropped = self._comments + sum(map(_is_comment, block)) if comments else 0
            self._comments = 0
            if rows or dropped:
                yield rows, place, dropped

    def _some(self, most: int) -> list[list[str]]:
        """The next rows, blank ones too; `_first` is the line of the first."""
        block, self._waiting = self._waiting, []
        if not block:
            self._first = self._line
        try:
            for row in itertools.islice(self._rows, most):
                block.append(row)
        except csv.Error as error:
            line = self._first + _lines_of(block)
            raise InputError(
                f"{self._name}, line {line}: {error}; a quote that is opened is closed before the "
                "separator, and quotes within are doubled"
            ) from error
        read = getattr(self._rows, "line_num", None)
        self._line = self._line + len(block) if read is None else read + 1
        return block


@dataclass(frozen=True)
class _Place:
    """Says where a row of a block stands: a quoted field may hold line ends."""

    name: str
    line: int
    block: list[list[str]]
    kept: Sequence[int]

    def __call__(self, row: int) -> str:
        return f"{self.name}, line {self.line + _lines_of(self.block[: self.kept[row]])}"


def _lines_of(block: Sequence[Sequence[str]]) -> int:
    """How many lines these rows take."""
    inner = re.compile(r"\r\n|\r|\n")
    return len(block) + sum(len(inner.findall(field)) for row in block for field in row)


def _is_blank(row: Sequence[str]) -> bool:
    return not row or (len(row) == 1 and not row[0].strip())


def _is_comment(row: Sequence[str]) -> bool:
    return not _is_blank(row) and row[0].startswith(COMMENT)


def _is_number(field: str) -> bool:
    """Whether it reads as one; one that is missing is left to who wants it."""
    try:
        float(field.strip() or 0)
    except ValueError:
        return False
    return True


def _number(row: Sequence[str], noun: str) -> str:
    return f"{len(row)} {noun}{'s' * (len(row) != 1)}"


def _column_places(
    header: Sequence[str], wanted: Sequence[str], name: str, separator: str
) -> list[int]:
    """Where the wanted columns stand; InputError for one that is missing or stands twice."""
    for column in wanted:
        if header.count(column) > 1:
            raise InputError(f"{name}, line 1: the column {column!r} stands twice in the header")
        if column not in header:
            hint = ""
            if len(header) == 1:
                hint = f": {separator!r} does not part it, see --separator"
            raise no_column(column, header, f"{name}, line 1", hint)
    return [list(header).index(column) for column in wanted]


def no_column(column: str, columns: Iterable[object], where: str, hint: str = "") -> InputError:
    """The error for a column that is not there, with those that are."""
    there = ", ".join(repr(str(one)) for one in itertools.islice(columns, 20))
    return InputError(f"{where}: there is no column {column!r}; the columns are {there}{hint}")


def _json_lines(lines: Iterator[str], name: str, wanted: Sequence[str]) -> Iterator[Batch]:
    """Numbers stay the text that they are written as: 1, 1.0 and "01" are three names."""
    read = json.JSONDecoder(parse_int=str, parse_float=str).decode
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while block := list(itertools.islice(numbered, BATCH_ROWS)):
        numbers = [number for number, _ in block]
        rows = [_json_row(read, line, f"{name}, line {number}") for number, line in block]
        for column in wanted:
            for number, row in zip(numbers, rows, strict=True):
                if column not in row:
                    raise no_column(column, row, f"{name}, line {number}")
        columns = [[row[column] for row in rows] for column in wanted]
        yield Batch(columns, partial(_line_place, name, numbers))


def _json_row(read: Callable[[str], Any], line: str, where: str) -> dict[str, Any]:
    try:
        row = read(line.strip().removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: wanted an object with a value for each column: {line[:60]!r}")
    return row


def _parquet(data: bytes, name: str, wanted: Sequence[str]) -> Iterator[Batch]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            f"{name}: parquet needs pyarrow: pip install 'exact2vec[parquet]', or write csv"
        ) from error
    try:
        table = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(data))
        columns = table.schema_arrow.names
        for column in wanted:
            if column not in columns:
                raise no_column(column, columns, name)
        row = 1
        for batch in table.iter_batches(BATCH_ROWS, columns=list(wanted)):
            values = [batch.column(column).to_pylist() for column in wanted]
            yield Batch(values, lambda at, row=row: f"{name}, row {row + at}")  # type: ignore[misc]
            row += batch.num_rows
    except InputError:
        raise
    except (pyarrow.ArrowException, *PARQUET_FAULTS) as error:
        what = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{name}: wanted a parquet file; {what}") from error


def _line_place(name: str, numbers: Sequence[int], row: int) -> str:
    return f"{name}, line {numbers[row]}"
