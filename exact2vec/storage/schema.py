"""Every file of a run folder: one class a file, written and read here and nowhere else.

    names      Vocabulary, RowNames
    counts     Cells, Counting, RareWords
    vectors    Vectors, VectorSettings, Embedding, Prior, PriorArrays, Folded, FoldedArrays
    training   Config, Summary, History, HistoryTable, Times, Provenance, Report

They hold plain values: names, arrays, matrices, dicts. Counts and vectors make their objects of
them. What is read has been checked: its bytes by the manifest, its sizes against its neighbours.
Those about words that were not trained are in word_files.py. docs/files.md describes the files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.errors import CorruptFileError
from exact2vec.storage.content import refuse_other_maps, refuse_uneven
from exact2vec.storage.encoding import (
    compressed_rows,
    counted_rows,
    matrix_arrays,
    write_arrays,
    write_json,
    write_lines,
    write_table,
)
from exact2vec.storage.run_folder import Run
from exact2vec.storage.stored_file import (
    array_fields,
    field_values,
    json_fields,
    settings_fields,
    write_fields,
)
from exact2vec.storage.writing import write_whole


@dataclass(frozen=True)
class Vocabulary:
    """The names of the columns, and how often each was counted."""

    file: ClassVar[str] = "vocabulary.json"
    words: list[str]
    counts: NDArray[np.int64] | NDArray[np.float64]

    def write(self, folder: Path) -> None:
        stored = {"words": self.words, "counts": self.counts.tolist()}
        write_json(folder / self.file, stored)

    @classmethod
    def read(cls, run: Run) -> "Vocabulary":
        stored = json_fields(cls, run)
        words, counts = stored["words"], np.array(stored["counts"])
        if len(words) != len(counts) or len(set(words)) != len(words):
            raise CorruptFileError(
                f"{run.folder / cls.file}: {len(words)} words, {len(counts)} counts, "
                f"{len(set(words))} distinct; they should be as many"
            )
        return cls(words, counts)


class RowNames(Vocabulary):
    """The names of the rows with their counts, where they are not those of the columns."""

    file: ClassVar[str] = "rows.json"


@dataclass(frozen=True)
class RareWords:
    """Words that are contexts only; their counts stand in `Cells.rare`.

    `weighted` says that those are the weighted counts, as format 1 held them.
    """

    file: ClassVar[str] = "rare.json"
    words: list[str]
    times: list[int] | None
    kept_tokens: int
    weighted: bool = False

    def write(self, folder: Path) -> None:
        stored = {"words": self.words, "times": self.times, "kept_tokens": self.kept_tokens}
        write_json(folder / self.file, stored)

    @classmethod
    def read(cls, run: Run) -> "RareWords":
        stored = cls(**json_fields(cls, run, weighted=run.version == 1))
        if stored.times is not None and len(stored.times) != len(stored.words):
            raise CorruptFileError(
                f"{run.folder / cls.file}: {len(stored.words)} words, {len(stored.times)} times; "
                "they should be as many"
            )
        return stored


@dataclass(frozen=True)
class Cells:
    """The counts k(c, w) of each part, int64 or float64; those of rare words."""

    file: ClassVar[str] = "counts.safetensors"
    training: csr_array
    held_out: csr_array | None
    validation: csr_array | None
    rare: csr_array | None

    def write(self, folder: Path) -> None:
        arrays: dict[str, NDArray[Any]] = {}
        for field in fields(self):
            arrays |= matrix_arrays(field.name + ".", getattr(self, field.name))
        write_arrays(folder / self.file, arrays)

    @classmethod
    def read(cls, run: Run, names: tuple[int, int], rare: int | None) -> "Cells":
        """The matrices of so many rows and columns; `rare` is the number of rare words."""
        arrays, path = run.arrays(cls.file), run.folder / cls.file
        rows, columns = names
        parts = [
            counted_rows(arrays, f"{part}.", (rows, columns), path)
            if part == "training" or f"{part}.data" in arrays
            else None
            for part in ("training", "held_out", "validation")
        ]
        of_rare = None if rare is None else counted_rows(arrays, "rare.", (rare, columns), path)
        training: Any = parts[0]
        return cls(training, parts[1], parts[2], of_rare)


@dataclass(frozen=True)
class Counting:
    """The weighting (its kind and numbers), where each token went, and how to count alike.

    `kind` is the name of the kind of data, see counts/kinds.py.
    """

    file: ClassVar[str] = "counting.json"
    weighting: dict[str, Any]
    tokens: dict[str, int]
    settings: dict[str, Any]
    kind: str = "text"

    def write(self, folder: Path) -> None:
        write_fields(self, folder)

    @classmethod
    def read(cls, run: Run) -> "Counting":
        return cls(**settings_fields(cls, run))


@dataclass(frozen=True)
class Vectors:
    """Inputs (a row of counts each), outputs, biases and unigram (a column each)."""

    file: ClassVar[str] = "vectors.safetensors"
    inputs: NDArray[np.float32]
    outputs: NDArray[np.float32]
    bias: NDArray[np.float32]
    unigram: NDArray[np.float64]

    def write(self, folder: Path) -> None:
        write_arrays(folder / self.file, field_values(self))

    @classmethod
    def read(cls, run: Run, names: tuple[int, int]) -> "Vectors":
        """The arrays of so many rows and columns."""
        arrays = array_fields(cls, run)
        lengths = {name: array.shape[0] if array.ndim else 0 for name, array in arrays.items()}
        rows, columns = names
        if lengths != {name: rows if name == "inputs" else columns for name in lengths}:
            rows_too = f" and {rows:,} rows" * (rows != columns)
            raise CorruptFileError(
                f"{run.folder}: the vocabulary has {columns:,} words{rows_too}, "
                f"the vectors {lengths}; they should be as many"
            )
        refuse_uneven(run.folder / cls.file, arrays)
        return cls(**arrays)


@dataclass(frozen=True)
class VectorSettings:
    """What vectors need to score new text: weighting, settings and kind of the counts."""

    file: ClassVar[str] = "vectors.json"
    weighting: dict[str, Any]
    settings: dict[str, Any]
    kind: str = "text"

    def write(self, folder: Path) -> None:
        write_fields(self, folder)

    @classmethod
    def read(cls, run: Run) -> "VectorSettings":
        return cls(**settings_fields(cls, run))


@dataclass(frozen=True)
class Embedding:
    """What makes the embedding of the vectors of a word; see vectors/embedding.py."""

    file: ClassVar[str] = "embedding.safetensors"
    leaning: NDArray[np.float64]
    input_mean: NDArray[np.float64]
    output_mean: NDArray[np.float64]
    scales: NDArray[np.float64]
    rotation: NDArray[np.float64]
    mean: NDArray[np.float64]
    flattening: NDArray[np.float64]
    constant: NDArray[np.float64]

    def write(self, folder: Path) -> None:
        write_arrays(folder / self.file, field_values(self))

    @classmethod
    def read(cls, run: Run, dim: int) -> "Embedding":
        """That of vectors of so many numbers."""
        arrays = array_fields(cls, run, constant=np.zeros(dim))
        shapes = {name: array.shape for name, array in arrays.items()}
        square = dict.fromkeys(("rotation", "flattening"), (dim, dim))
        means = dict.fromkeys(("input_mean", "output_mean", "mean", "constant"), (dim,))
        if shapes != {"leaning": (1,), "scales": (2,), **means, **square}:
            raise CorruptFileError(
                f"{run.folder / cls.file}: the vectors have {dim} numbers, this has {shapes}; "
                "they should go together"
            )
        return cls(**arrays)


@dataclass(frozen=True)
class Prior:
    """Strengths of the shrinkage, the known n-grams, and the names of a matrix of features."""

    file: ClassVar[str] = "prior.json"
    strengths: list[float]
    min_n: int
    max_n: int
    ngrams: list[str]
    rows: list[str] | None
    features: list[str] | None

    def write(self, folder: Path) -> None:
        write_fields(self, folder)

    @classmethod
    def read(cls, run: Run) -> "Prior":
        return cls(**json_fields(cls, run))

    @property
    def size(self) -> int:
        """How many features there are, the n-grams among them."""
        return len(self.ngrams) + len(self.features or ()) * (self.rows is not None)


@dataclass(frozen=True)
class PriorArrays:
    """G_x and G_u, features × dim, and the matrix of features."""

    file: ClassVar[str] = "prior.safetensors"
    input_map: NDArray[np.float32]
    output_map: NDArray[np.float32]
    features: csr_array | None

    def write(self, folder: Path) -> None:
        maps = {"input_map": self.input_map, "output_map": self.output_map}
        write_arrays(folder / self.file, maps | matrix_arrays("features.", self.features))

    @classmethod
    def read(cls, run: Run, names: Prior) -> "PriorArrays":
        arrays, path, features = run.arrays(cls.file), run.folder / cls.file, None
        if names.rows is not None:
            shape = len(names.rows), len(names.features or ())
            features = compressed_rows(arrays, "features.", shape, path)
        maps = arrays["input_map"], arrays["output_map"]
        refuse_other_maps(path, maps)
        if {len(one) for one in maps} != {names.size}:
            raise CorruptFileError(
                f"{path}: there are {names.size:,} features, the maps have "
                f"{len(maps[0]):,} rows; they should be as many"
            )
        return cls(*maps, features)


@dataclass(frozen=True)
class Folded:
    """The names of rows folded in, and what could not be used of their counts."""

    file: ClassVar[str] = "folded.json"
    names: list[str]
    without: list[str]
    unknown: list[str]
    unknown_share: float

    def write(self, folder: Path) -> None:
        write_fields(self, folder)

    @classmethod
    def read(cls, run: Run) -> "Folded":
        return cls(**json_fields(cls, run))


@dataclass(frozen=True)
class FoldedArrays:
    """The vectors of rows folded in, one row a name."""

    file: ClassVar[str] = "folded.safetensors"
    inputs: NDArray[np.float32]
    means: NDArray[np.float32]
    outputs: NDArray[np.float32]
    described: NDArray[np.bool_]
    pairs: NDArray[np.float64]

    def write(self, folder: Path) -> None:
        write_arrays(folder / self.file, field_values(self))

    @classmethod
    def read(cls, run: Run, names: Folded) -> "FoldedArrays":
        arrays = array_fields(cls, run)
        if {len(array) for array in arrays.values()} != {len(names.names)}:
            raise CorruptFileError(
                f"{run.folder / cls.file}: {len(names.names):,} names, other numbers of rows; "
                "they should be as many"
            )
        return cls(**arrays)


@dataclass(frozen=True)
class Config:
    """The arguments of a training."""

    file: ClassVar[str] = "config.json"
    values: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        write_json(folder / self.file, self.values)

    @classmethod
    def read(cls, run: Run) -> "Config":
        if not isinstance(values := run.json(cls.file), dict):
            raise CorruptFileError(f"{run.folder / cls.file}: an object of JSON was expected")
        return cls(values)


class Summary(Config):
    """The last losses with their baselines, nats per pair."""

    file: ClassVar[str] = "summary.json"


class Provenance(Config):
    """Versions, machine, and the command or whatever else is said of the origin."""

    file: ClassVar[str] = "provenance.json"


@dataclass(frozen=True)
class History:
    """A dict for each measured record: losses in nats per pair."""

    file: ClassVar[str] = "history.jsonl"
    rows: list[dict[str, Any]]

    def write(self, folder: Path) -> None:
        write_lines(folder / self.file, self.rows)

    @classmethod
    def read(cls, run: Run) -> "History":
        return cls(run.lines(cls.file))


class Times(History):
    """The seconds since training began, for each measured record."""

    file: ClassVar[str] = "times.jsonl"


@dataclass(frozen=True)
class HistoryTable:
    """The history once more, for spreadsheets; it is not read again."""

    file: ClassVar[str] = "history.csv"
    rows: list[dict[str, Any]]

    def write(self, folder: Path) -> None:
        write_table(folder / self.file, self.rows)


@dataclass(frozen=True)
class Report:
    """The run to look at in a browser; it is not read again."""

    file: ClassVar[str] = "report.html"
    page: bytes

    def write(self, folder: Path) -> None:
        write_whole(folder / self.file, self.page)
