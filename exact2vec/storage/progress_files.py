"""Files of a training that has not ended; as in schema.py, one class a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from scipy.sparse import csr_array

from exact2vec.storage.encoding import compressed_rows, matrix_arrays, write_arrays
from exact2vec.storage.run_folder import Run
from exact2vec.storage.stored_file import json_fields, write_fields


@dataclass(frozen=True)
class KnownNames:
    """The names of the rows whose features were given, and of the features."""

    file: ClassVar[str] = "known.json"
    rows: list[str]
    features: list[str]

    def write(self, folder: Path) -> None:
        write_fields(self, folder)

    @classmethod
    def read(cls, run: Run) -> "KnownNames":
        return cls(**json_fields(cls, run))


@dataclass(frozen=True)
class KnownFeatures:
    """The matrix of the features that were given."""

    file: ClassVar[str] = "known.safetensors"
    features: csr_array

    def write(self, folder: Path) -> None:
        write_arrays(folder / self.file, matrix_arrays("features.", self.features))

    @classmethod
    def read(cls, run: Run, names: KnownNames) -> "KnownFeatures":
        shape = len(names.rows), len(names.features)
        path = run.folder / cls.file
        return cls(compressed_rows(run.arrays(cls.file), "features.", shape, path))
