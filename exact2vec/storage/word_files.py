"""Files of a run about words that were not trained; as in schema.py, one class a file."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

from scipy.sparse import csr_array

from exact2vec.errors import CorruptFileError
from exact2vec.storage.encoding import counted_rows, matrix_arrays, write_arrays
from exact2vec.storage.run_folder import Run
from exact2vec.storage.stored_file import json_fields, write_fields


@dataclass(frozen=True)
class Contexts:
    """Words that are not kept, with their counts; and the numbers of a sample of kept words."""

    file: ClassVar[str] = "contexts.json"
    words: list[str]
    times: list[int]
    kept_tokens: int
    sample: list[int]

    def write(self, folder: Path) -> None:
        write_fields(self, folder)

    @classmethod
    def read(cls, run: Run) -> "Contexts":
        stored = cls(**json_fields(cls, run))
        if len(stored.words) != len(stored.times):
            raise CorruptFileError(
                f"{run.folder / cls.file}: {len(stored.words)} words, {len(stored.times)} times; "
                "they should be as many"
            )
        return stored


@dataclass(frozen=True)
class ContextCells:
    """The counts k(c, w) of words that are not kept, and of first tokens of kept ones."""

    file: ClassVar[str] = "contexts.safetensors"
    rare: csr_array
    first: csr_array

    def write(self, folder: Path) -> None:
        parts = [
            matrix_arrays(f"{field.name}.", getattr(self, field.name)) for field in fields(self)
        ]
        write_arrays(folder / self.file, parts[0] | parts[1])

    @classmethod
    def read(cls, run: Run, names: Contexts, columns: int) -> "ContextCells":
        """The matrices over so many kept words."""
        arrays, path = run.arrays(cls.file), run.folder / cls.file
        if not all(0 <= number < columns for number in names.sample):
            raise CorruptFileError(
                f"{run.folder / Contexts.file}: the sample has numbers of words beyond the "
                f"{columns:,} of the vocabulary"
            )
        rare = counted_rows(arrays, "rare.", (len(names.words), columns), path)
        first = counted_rows(arrays, "first.", (len(names.sample), columns), path)
        return cls(rare, first)
