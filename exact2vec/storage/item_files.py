"""Files of a run about rows of items; as in schema.py, one class a file."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.errors import CorruptFileError
from exact2vec.storage.encoding import compressed_rows, matrix_arrays, write_arrays
from exact2vec.storage.run_folder import Run
from exact2vec.storage.stored_file import json_fields, write_fields


@dataclass(frozen=True)
class Rows:
    """The names of the rows of each part, None for a part that there is none of.

    `distinct` is how many items were read, `tokens` where every entry went, `settings` how to count
    alike, and `kind` the name of the kind of data.
    """

    file: ClassVar[str] = "item_rows.json"
    training: list[str]
    validation: list[str] | None
    held_out: list[str] | None
    distinct: int | None
    tokens: dict[str, int]
    settings: dict[str, Any]
    kind: str

    def write(self, folder: Path) -> None:
        write_fields(self, folder)

    @classmethod
    def read(cls, run: Run) -> "Rows":
        stored = cls(**json_fields(cls, run))
        for part in (stored.training, stored.validation, stored.held_out):
            if part is not None and len(set(part)) != len(part):
                raise CorruptFileError(f"{run.folder / cls.file}: the name of a row stands twice")
        return stored


@dataclass(frozen=True)
class RowCells:
    """Weights of the items of each row: of training, and of contexts and targets of other parts."""

    file: ClassVar[str] = "item_rows.safetensors"
    training: csr_array
    validation_contexts: csr_array | None
    validation_targets: csr_array | None
    held_out_contexts: csr_array | None
    held_out_targets: csr_array | None

    def write(self, folder: Path) -> None:
        arrays: dict[str, NDArray[Any]] = {}
        for one in fields(self):
            arrays |= matrix_arrays(one.name + ".", getattr(self, one.name))
        write_arrays(folder / self.file, arrays)

    @classmethod
    def read(cls, run: Run, names: Rows, items: int) -> "RowCells":
        """The matrices of the rows of each part, over so many items."""
        arrays, path = run.arrays(cls.file), run.folder / cls.file
        found: dict[str, csr_array | None] = {}
        for one in fields(cls):
            rows = getattr(names, one.name.removesuffix("_contexts").removesuffix("_targets"))
            found[one.name] = None
            if rows is not None:
                matrix = compressed_rows(arrays, one.name + ".", (len(rows), items), path)
                if not (np.isfinite(matrix.data).all() and (matrix.data > 0).all()):
                    raise CorruptFileError(f"{path}: {one.name} has weights that are not above 0")
                found[one.name] = matrix
        training: Any = found.pop("training")
        return cls(training, **found)
