"""What is known of a row beside its counts: n-grams of a word, or any matrix of features."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, hstack, issparse

from exact2vec.errors import InputError, UsageError

LARGEST = 1e15  # value: the squares of larger ones would leave float32
Kind = TypeVar("Kind", bound="NamedMatrix")


class NamedMatrix:
    """Any scipy matrix of non-negative values, with names of its rows and columns.

    Entries that stand twice are summed. Raises InputError for a value that is negative, not a
    number or above 1e15, for a name that is no text or stands twice, and for other numbers of
    names than of rows and columns.
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
            raise InputError(
                f"{self.what}: the matrix is {found.shape[0]} × {found.shape[1]}, "
                f"there are {len(self.rows)} row names and {len(self.names)} column names"
            )
        for side, given in (("row", self.rows), ("column", self.names)):
            if strange := [name for name in given if not isinstance(name, str)]:
                raise InputError(f"{self.what}: names are text; got the {side} {strange[0]!r}")
            if twice := [name for name, times in Counter(given).items() if times > 1]:
                raise InputError(f"{self.what}: the {side} {twice[0]!r} stands twice")
        bad = np.flatnonzero(~((found.data >= 0) & (found.data <= LARGEST)))
        if len(bad):
            row, column = self.rows[found.row[bad[0]]], self.names[found.col[bad[0]]]
            raise InputError(
                f"{self.what}: values must be finite, from 0 to {LARGEST:g}; "
                f"{row!r} has {found.data[bad[0]].item()!r} for {column!r}"
            )
        self.matrix: csr_array = found.astype(self.kept_as[kind]).tocsr()
        self.matrix.eliminate_zeros()

    @classmethod
    def checked(cls: type[Kind], given: object) -> Kind:
        """`given`, refused where it is a matrix without names."""
        if not isinstance(given, cls):
            raise UsageError(
                f"{cls.what} must be e2v.{cls.__name__}(matrix, rows, names), whose names are "
                f"compared with the run's; got {type(given).__name__}"
            )
        return given

    @cached_property
    def place(self) -> dict[str, int]:
        """The number of each row."""
        return {name: number for number, name in enumerate(self.rows)}

    def __repr__(self) -> str:
        rows, columns = f"{len(self.rows):,} rows", f"{len(self.names):,} columns"
        return f"{type(self).__name__}({rows}, {columns}, {self.matrix.nnz:,} values)"


class Features(NamedMatrix):
    """Known features of named rows.

    Rows that are not trained are welcome: they get composed vectors.

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


def ngrams(word: str, min_n: int, max_n: int) -> list[str]:
    """The distinct n-grams of <word> in NFC, as code points, in order of length and place.

    >>> ngrams("where", 3, 4)
    ['<wh', 'whe', 'her', 'ere', 're>', '<whe', 'wher', 'here', 'ere>']
    """
    marked = f"<{unicodedata.normalize('NFC', word)}>"
    return list(
        dict.fromkeys(
            marked[start : start + n]
            for n in range(min_n, min(max_n, len(marked)) + 1)
            for start in range(len(marked) - n + 1)
        )
    )


@dataclass(frozen=True)
class Describer:
    """From the name of a row to its features f.

    They are 1/√n for each of its n known n-grams, then the known features as they are. With
    `weights` of the n-grams they are these, divided by the length of the row.
    """

    grams: list[str]
    min_n: int = 3
    max_n: int = 0
    known: Features | None = None
    weights: NDArray[np.float64] | None = None
    place: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", {gram: number for number, gram in enumerate(self.grams)})

    @classmethod
    def learn(
        cls, words: Sequence[str], *, min_n: int = 3, max_n: int = 6, known: Features | None = None
    ) -> tuple["Describer", csr_array]:
        """The Describer that knows the n-grams which two or more words share, and its words.

        The second result are the features of `words`. Where `max_n` is 0 no n-gram is known.

        Raises InputError where `known` lacks one of `words`.
        """
        if 0 < max_n < min_n:
            raise UsageError(
                f"subwords: n-grams from {min_n} to {max_n} are none; "
                "max_n must be at least min_n, or 0 for none"
            )
        described = words if known is None else Features.checked(known).place
        if known is not None and (missing := [word for word in words if word not in described]):
            shown = ", ".join(map(repr, missing[:5]))
            raise InputError(
                f"features: {len(missing):,} of the {len(words):,} trained rows are not among its "
                f"{len(known.rows):,}: {shown}. Is it for another vocabulary? "
                "A row without features is stated by a value of 0"
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

    @classmethod
    def weighted(
        cls, words: Sequence[str], *, min_n: int, max_n: int, known: Features | None
    ) -> tuple["Describer", csr_array]:
        """As `learn`, but an n-gram that s words share weighs ln((words + 1) / s).

        It may be that `known` lacks some of `words`. Source: Spärck Jones 1972.
        """
        plain, spelling = cls.learn(words, min_n=min_n, max_n=max_n)
        shared = np.bincount(spelling.indices, minlength=len(plain.grams))
        weights = np.log((len(words) + 1) / np.maximum(shared, 1))
        describer = replace(plain, known=known, weights=weights)
        return describer, describer._described(words, spelling)

    @property
    def size(self) -> int:
        """How many features there are."""
        return len(self.grams) + (len(self.known.names) if self.known else 0)

    def describe(self, words: Sequence[str]) -> csr_array:
        """f of each of `words`, one a row, float32.

        The row of a word without any known feature is empty.
        """
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
        """The cells of each row of `spelling` at length 1, then the known features."""
        cells = np.diff(spelling.indptr)
        squares = cells.astype(np.float64)
        values = np.ones(len(spelling.indices))
        if self.weights is not None:
            values = self.weights[spelling.indices]
            rows = np.repeat(np.arange(len(cells)), cells)
            squares = np.asarray(np.bincount(rows, values**2, len(cells)), np.float64)
        lengths = np.sqrt(np.where(squares > 0, squares, 1.0))
        spelling.data = (values / np.repeat(lengths, cells)).astype(np.float32)
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


def is_matrix(data: object) -> bool:
    """Whether it is a scipy matrix, or an array of two dimensions with numbers in it."""
    if isinstance(data, np.ndarray):
        return data.ndim == 2 and data.dtype.kind in "biuf"
    return issparse(data)
