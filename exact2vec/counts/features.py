"""What is known of a row beside its counts: the character n-grams of a word, or any sparse matrix of features."""

import csv
import io
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, hstack

from exact2vec import runs
from exact2vec.errors import InputError, UsageError
from exact2vec.files import open_decompressed

COLUMNS = {"features": ("row", "feature", "value"), "counts": ("row", "word", "count")}
LARGEST = 1e15  # value: the squares of larger ones would leave float32
Kind = TypeVar("Kind", bound="NamedMatrix")


class NamedMatrix:
    """Any scipy matrix with names of its rows and columns, its values non-negative and finite; entries that stand twice are summed.

    Raises InputError for a value that is negative, not a number or above 1e15, a name that is no text or stands twice, or names that are not as many as
    the matrix has rows and columns.
    """

    what: ClassVar[str] = "matrix"
    kept_as: ClassVar[dict[str, type]] = dict.fromkeys("biuf", np.float32)  # by the kind given

    def __init__(
        self, matrix: Any, rows: Sequence[str], names: Sequence[str] | None = None
    ) -> None:
        whole = coo_array(matrix)
        kind = whole.data.dtype.kind
        if kind not in "biuf":
            raise InputError(f"{self.what}: values must be real numbers; got {whole.data.dtype}")
        found = whole.astype(np.float64, copy=True)  # sums of small integers would overflow
        found.sum_duplicates()
        self.rows = list(rows)
        self.names = (
            [str(number) for number in range(found.shape[1])] if names is None else list(names)
        )
        if found.shape != (len(self.rows), len(self.names)):
            sizes = f"{found.shape[0]} × {found.shape[1]}, there are {len(self.rows)} row names and {len(self.names)} column names"
            raise InputError(f"{self.what}: the matrix is {sizes}")
        for side, given in (("row", self.rows), ("column", self.names)):
            if strange := [name for name in given if not isinstance(name, str)]:
                raise InputError(f"{self.what}: names are text; got the {side} {strange[0]!r}")
            if twice := [name for name, times in Counter(given).items() if times > 1]:
                raise InputError(f"{self.what}: the {side} {twice[0]!r} stands twice")
        bad = np.flatnonzero(~((found.data >= 0) & (found.data <= LARGEST)))
        if len(bad):
            row, column = self.rows[found.row[bad[0]]], self.names[found.col[bad[0]]]
            raise InputError(
                f"{self.what}: values must be finite, from 0 to {LARGEST:g}; {row!r} has {found.data[bad[0]].item()!r} for {column!r}"
            )
        self.matrix: csr_array = found.astype(self.kept_as[kind]).tocsr()
        self.matrix.eliminate_zeros()

    @classmethod
    def checked(cls: type[Kind], given: object) -> Kind:
        """`given`, refused where it is a matrix without names."""
        if not isinstance(given, cls):
            raise UsageError(
                f"{cls.what} must be e2v.{cls.__name__}(matrix, rows, names), whose names are compared with the run's; got {type(given).__name__}"
            )
        return given

    @cached_property
    def place(self) -> dict[str, int]:
        """The number of each row."""
        return {name: number for number, name in enumerate(self.rows)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.rows):,} rows, {len(self.names):,} columns, {self.matrix.nnz:,} values)"


class Features(NamedMatrix):
    """Known features of named rows. Rows that are not trained are welcome: they get composed vectors.

    >>> from scipy.sparse import csr_array
    >>> Features(csr_array([[1, 0], [1, 2]]), rows=["tea", "milk"], names=["drink", "white"])
    Features(2 rows, 2 columns, 3 values)
    """

    what = "features"


class RowCounts(NamedMatrix):
    """Weighted counts n(c, w) of new rows c with words w."""

    what = "counts"


class NamedCounts(NamedMatrix):
    """Counts k(c, w) from elsewhere, int64 where they are integers and float64 otherwise."""

    what = "counts"
    kept_as: ClassVar[dict[str, type]] = dict.fromkeys("biu", np.int64) | {"f": np.float64}

    @classmethod
    def of_matrix(
        cls, matrix: Any, rows: Sequence[str] | None, columns: Sequence[str] | None
    ) -> "NamedCounts":
        """The counts with names of their own where none are given, no row's that of a column."""
        given = coo_array(matrix)
        if given.ndim != 2:
            raise InputError(f"counts: wanted a matrix; got {given.ndim} dimension")
        return cls(
            given,
            [f"row {row}" for row in range(given.shape[0])] if rows is None else rows,
            [f"column {column}" for column in range(given.shape[1])]
            if columns is None
            else columns,
        )


def read_features(path: str | Path) -> Features:
    """The Features of a file: csv or parquet with an entry (row, feature, value) a line, or npz.

    A row without features is stated by a value of 0. The npz holds the arrays of scipy.sparse.save_npz in csr form (data, indices, indptr, shape)
    and the names, `rows` and `names`, as arrays of text; nothing in it is a pickle.
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


def ngrams(word: str, min_n: int, max_n: int) -> list[str]:
    """The distinct n-grams of <word> in NFC, as code points, in order of length and place.

    >>> ngrams("where", 3, 4)
    ['<wh', 'whe', 'her', 'ere', 're>', '<whe', 'wher', 'here', 'ere>']
    """
    marked = f"<{unicodedata.normalize('NFC', word)}>"
    return list(
        dict.fromkeys(
            marked[start : start + n]
            for n in range(min_n, max_n + 1)
            for start in range(len(marked) - n + 1)
        )
    )


@dataclass(frozen=True)
class Describer:
    """From the name of a row to its features f: 1/√n for each of its n known n-grams, then the known features as they are."""

    grams: list[str]
    min_n: int = 3
    max_n: int = 0
    known: Features | None = None
    place: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", {gram: number for number, gram in enumerate(self.grams)})

    @classmethod
    def learn(
        cls, words: Sequence[str], *, min_n: int = 3, max_n: int = 6, known: Features | None = None
    ) -> tuple["Describer", csr_array]:
        """The Describer that knows the n-grams which two or more of `words` share (none where `max_n` is 0), and how it describes `words`.

        Raises InputError where `known` lacks one of `words`.
        """
        if 0 < max_n < min_n:
            raise UsageError(
                f"subwords: n-grams from {min_n} to {max_n} are none; max_n must be at least min_n, or 0 for none"
            )
        described = words if known is None else Features.checked(known).place
        if known is not None and (missing := [word for word in words if word not in described]):
            shown = ", ".join(map(repr, missing[:5]))
            raise InputError(
                f"features: {len(missing):,} of the {len(words):,} trained rows are not among its {len(known.rows):,}: {shown}. "
                f"Is it for another vocabulary? A row without features is stated by a value of 0"
            )
        place: dict[str, int] = {}
        found = [
            [place.setdefault(gram, len(place)) for gram in ngrams(word, min_n, max_n)]
            for word in words
        ]
        spelling = _as_rows(found, len(place))
        shared = np.bincount(spelling.indices, minlength=len(place)) > 1
        describer = cls(
            [gram for gram, kept in zip(place, shared, strict=True) if kept], min_n, max_n, known
        )
        return describer, describer._described(words, spelling[:, shared])

    @property
    def size(self) -> int:
        """How many features there are."""
        return len(self.grams) + (len(self.known.names) if self.known else 0)

    def describe(self, words: Sequence[str]) -> csr_array:
        """f of each of `words`, one a row, float32; of a word without any known feature an empty row."""
        found = [
            [
                self.place[gram]
                for gram in ngrams(word, self.min_n, self.max_n)
                if gram in self.place
            ]
            for word in words
        ]
        return self._described(words, _as_rows(found, len(self.grams)))

    def known_grams(self, word: str) -> int:
        """How many n-grams of `word` are known."""
        return sum(gram in self.place for gram in ngrams(word, self.min_n, self.max_n))

    def _described(self, words: Sequence[str], spelling: csr_array) -> csr_array:
        """1/√n for each of the n cells of a row of `spelling`, then the known features."""
        lengths = np.diff(spelling.indptr)
        spelling.data = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
        return csr_array(hstack([spelling, *self._looked_up(words)], format="csr"))

    def _looked_up(self, words: Sequence[str]) -> Iterator[csr_array]:
        if self.known is not None:
            numbers = np.array([self.known.place.get(word, -1) for word in words])
            rows = np.flatnonzero(numbers >= 0)
            choice = csr_array(
                (np.ones(len(rows), np.float32), (rows, numbers[rows])),
                shape=(len(words), len(self.known.rows)),
            )
            yield choice @ self.known.matrix


def _as_rows(found: Sequence[Sequence[int]], columns: int) -> csr_array:
    """A row for each of `found`, with a cell in each of its columns."""
    starts = np.concatenate([[0], np.cumsum([len(row) for row in found], dtype=np.int64)])
    indices = np.fromiter(chain.from_iterable(found), np.int32, int(starts[-1]))
    return csr_array(
        (np.ones(len(indices), np.float32), indices, starts), shape=(len(found), columns)
    )


def stored(describer: Describer) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What a run folder holds of a Describer: names for JSON, and arrays."""
    known = describer.known
    names: dict[str, Any] = {
        "min_n": describer.min_n,
        "max_n": describer.max_n,
        "ngrams": describer.grams,
    }
    if known is None:
        return names | {"rows": None, "features": None}, {}
    parts = {
        "features.data": known.matrix.data,
        "features.indices": known.matrix.indices.astype(np.int32),
        "features.indptr": known.matrix.indptr.astype(np.int64),
    }
    return names | {"rows": known.rows, "features": known.names}, parts


def restored(names: dict[str, Any], arrays: dict[str, NDArray[Any]], path: Path) -> Describer:
    """The Describer of what was `stored` in `path`."""
    known = None
    if names["rows"] is not None:
        shape = (len(names["rows"]), len(names["features"]))
        known = Features(
            runs.compressed_rows(arrays, "features.", shape, path), names["rows"], names["features"]
        )
    return Describer(names["ngrams"], names["min_n"], names["max_n"], known)


def _read_csv(data: bytes, kind: type[Kind]) -> Kind:
    try:
        lines = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {error.object[error.start]:#04x} at offset {error.start:,} is not UTF-8"
        ) from error
    try:
        if (header := next(lines, [])) != list(COLUMNS[kind.what]):
            raise InputError(
                f"line 1: wanted the header {','.join(COLUMNS[kind.what])}, got {','.join(header)[:60]!r}"
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
                f"line {lines.line_num}: values must be finite, from 0 to {LARGEST:g}; {row!r} has {value} for {name!r}"
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
    except (pyarrow.ArrowException, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"wanted parquet with the columns {', '.join(names)}, none of them null: {str(error).splitlines()[0]}"
        ) from error
    return _gather(entries, kind)


def _read_npz(data: bytes, kind: type[Kind]) -> Kind:
    try:
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
            f"wanted an npz of data, indices, indptr, shape (csr), rows and names (text): {error}"
        ) from error


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
