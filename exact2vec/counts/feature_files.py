"""Features and counts of rows from files: csv, parquet or npz, nothing in them a pickle."""

import csv
import io
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from scipy.sparse import coo_array, csr_array

from exact2vec.counts.features import LARGEST, Features, NamedMatrix, RowCounts
from exact2vec.counts.table_files import PARQUET_FAULTS
from exact2vec.errors import InputError, UsageError
from exact2vec.storage.files import open_decompressed

Kind = TypeVar("Kind", bound=NamedMatrix)
COLUMNS = {"features": ("row", "feature", "value"), "counts": ("row", "word", "count")}


def read_features(path: str | Path) -> Features:
    """The Features of a file: csv or parquet with an entry (row, feature, value) a line, or npz.

    A row without features is stated by a value of 0. The npz holds the arrays of
    scipy.sparse.save_npz in csr form (data, indices, indptr, shape) and the names, `rows` and
    `names`, as arrays of text; nothing in it is a pickle.
    """
    return _read(path, Features)


def read_row_counts(path: str | Path) -> RowCounts:
    """The RowCounts of a file: csv or parquet of (row, word, count), or npz as for features."""
    return _read(path, RowCounts)


def _read(path: str | Path, kind: type[Kind]) -> Kind:
    path = Path(path)
    if path.suffix not in READERS:
        raise UsageError(f"{kind.what}: {path} must end in one of {', '.join(READERS)}")
    with open_decompressed(path) as file:
        data = file.read()
    try:
        found: Kind = READERS[path.suffix](data, kind)
        return found
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_csv(data: bytes, kind: type[Kind]) -> Kind:
    try:
        lines = csv.reader(io.StringIO(data.decode().replace("\ufeff", ""), newline=""))
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {error.object[error.start]:#04x} at offset {error.start:,} is not UTF-8"
        ) from error
    try:
        if (header := next(lines, [])) != list(COLUMNS[kind.what]):
            raise InputError(
                f"line 1: wanted the header {','.join(COLUMNS[kind.what])}, "
                f"got {','.join(header)[:60]!r}"
            )
        return _gather(_csv_entries(lines, COLUMNS[kind.what]), kind)
    except csv.Error as error:
        raise InputError(f"line {lines.line_num}: {error}") from error


def _csv_entries(lines: Any, columns: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    for fields in filter(None, lines):
        try:
            row, name, value = fields
            number = float(value)
        except ValueError:
            raise InputError(
                f"line {lines.line_num}: wanted {','.join(columns)}, got {','.join(fields)[:60]!r}"
            ) from None
        if not 0 <= number <= LARGEST:
            raise InputError(
                f"line {lines.line_num}: values must be finite, from 0 to {LARGEST:g}; "
                f"{row!r} has {value} for {name!r}"
            )
        yield row, name, number


def _read_parquet(data: bytes, kind: type[Kind]) -> Kind:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            "parquet needs pyarrow: pip install 'exact2vec[parquet]', or write csv"
        ) from error
    names = COLUMNS[kind.what]
    try:
        columns = pyarrow.parquet.read_table(
            pyarrow.BufferReader(data), columns=list(names)
        ).to_pydict()
        if any(isinstance(cell, bytes | None) for name in names for cell in columns[name]):
            raise ValueError("a name is null or no text")
        entries = [
            (str(row), str(name), float(value))
            for row, name, value in zip(*(columns[name] for name in names), strict=True)
        ]
    except (pyarrow.ArrowException, *PARQUET_FAULTS) as error:
        raise InputError(
            f"wanted parquet with the columns {', '.join(names)}, none of them null: "
            f"{(str(error) or type(error).__name__).splitlines()[0]}"
        ) from error
    return _gather(entries, kind)


def _read_npz(data: bytes, kind: type[Kind]) -> Kind:
    try:
        _refuse_arrays_that_are_cut_off(data)
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            if "format" in arrays and (form := arrays["format"].item()) not in (b"csr", "csr"):
                raise ValueError(f"the matrix is {form!r}")
            matrix = csr_array(
                (arrays["data"], arrays["indices"], arrays["indptr"]), shape=tuple(arrays["shape"])
            )
            matrix.check_format(full_check=True)
            return kind(matrix, *(arrays[name].tolist() for name in ("rows", "names")))
    except InputError:
        raise
    except NPZ_FAULTS as error:
        raise InputError(
            f"wanted an npz of data, indices, indptr, shape (csr), rows and names (text): "
            f"{str(error)[:200]}"
        ) from error


def _refuse_arrays_that_are_cut_off(data: bytes) -> None:
    """ValueError where an array of an npz says that it is larger than it is.

    numpy would make room for all of it before it reads.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        for member in file.infolist():
            with file.open(member) as array:
                version = np.lib.format.read_magic(array)
                shape, _, kind = HEADERS[version](array)
                size = math.prod(shape) * kind.itemsize
                if not kind.hasobject and array.tell() + size > member.file_size:
                    raise ValueError(f"{member.filename} is cut off: it should hold {size:,} bytes")


def _gather(entries: Iterable[tuple[str, str, float]], kind: type[Kind]) -> Kind:
    rows: dict[str, int] = {}
    names: dict[str, int] = {}
    cells = [
        (rows.setdefault(row, len(rows)), names.setdefault(name, len(names)), value)
        for row, name, value in entries
    ]
    if not cells:
        raise InputError("no entries")
    row, column, value = (np.array(part) for part in zip(*cells, strict=True))
    return kind(
        coo_array((value.astype(np.float64), (row, column)), shape=(len(rows), len(names))),
        list(rows),
        list(names),
    )


HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
NPZ_FAULTS = (
    LookupError,
    ValueError,
    OverflowError,
    OSError,
    EOFError,
    TypeError,
    AttributeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
READERS: dict[str, Callable[[bytes, Any], Any]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".npz": _read_npz,
}
