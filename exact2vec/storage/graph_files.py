"""Files of a run of a graph: its edges, and the background of its counts."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.errors import CorruptFileError
from exact2vec.storage.encoding import counted_rows, matrix_arrays, write_arrays
from exact2vec.storage.run_folder import Run
from exact2vec.storage.stored_file import array_fields, field_values, is_stored


@dataclass(frozen=True)
class Edges:
    """The weights of the edges that were trained on, nodes × nodes, in both directions."""

    file: ClassVar[str] = "edges.safetensors"
    weights: csr_array

    def write(self, folder: Path) -> None:
        write_arrays(folder / self.file, matrix_arrays("weights.", self.weights))

    @classmethod
    def of_nodes(cls, run: Run, nodes: int) -> csr_array | None:
        """The weights between so many nodes; None where the run has no edges."""
        if not is_stored(cls, run):
            return None
        return counted_rows(run.arrays(cls.file), "weights.", (nodes, nodes), run.folder / cls.file)


@dataclass(frozen=True)
class Background:
    """What the training part has in the cells that are not stored; see loss/background.py."""

    file: ClassVar[str] = "background.safetensors"
    amounts: NDArray[np.float64]
    shares: NDArray[np.float64]
    errors: NDArray[np.float64]

    def write(self, folder: Path) -> None:
        write_arrays(folder / self.file, field_values(self))

    @classmethod
    def read(cls, run: Run, names: tuple[int, int]) -> "Background":
        """That of so many rows and columns."""
        arrays = array_fields(cls, run)
        shapes = {name: array.shape for name, array in arrays.items()}
        rows, columns = (names[0],), (names[1],)
        if shapes != {"amounts": rows, "shares": columns, "errors": rows}:
            raise CorruptFileError(
                f"{run.folder / cls.file}: {names[0]:,} rows and {names[1]:,} columns, "
                f"this has {shapes}; they should go together"
            )
        return cls(**arrays)
