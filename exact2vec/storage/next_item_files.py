"""Files of a run about what comes next; as in schema.py, one class a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from exact2vec.errors import CorruptFileError
from exact2vec.storage.encoding import write_arrays
from exact2vec.storage.run_folder import Run
from exact2vec.storage.stored_file import json_fields, write_fields


@dataclass(frozen=True)
class NextItems:
    """The parts of the model and what chose them; the mixture's counts are those of the run.

    `counting` and `rule` are the numbers of the credit and of p(w | i), `table` whether the mixture
    is backed off to the vectors. `shares` are of the parts by name. `composed` has the numbers of
    the composed part, None where there is none. `chosen` says what was tried, for people.
    """

    file: ClassVar[str] = "next_items.json"
    counting: dict[str, Any]
    rule: dict[str, Any]
    table: bool
    shares: dict[str, float]
    composed: dict[str, Any] | None
    chosen: dict[str, Any]

    def write(self, folder: Path) -> None:
        write_fields(self, folder)

    @classmethod
    def read(cls, run: Run) -> "NextItems":
        stored, path = cls(**json_fields(cls, run)), run.folder / cls.file
        shares = list(stored.shares.values())
        if not shares or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
            raise CorruptFileError(f"{path}: the shares of the parts should sum to 1: {shares}")
        return stored


@dataclass(frozen=True)
class NextItemArrays:
    """How many baskets each item is in; of the composed part its vectors, biases and weights."""

    file: ClassVar[str] = "next_items.safetensors"
    baskets_with: NDArray[np.int64]
    inputs: NDArray[np.float32] | None = None
    outputs: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None
    item_weights: NDArray[np.float64] | None = None

    def write(self, folder: Path) -> None:
        arrays = {name: value for name, value in vars(self).items() if value is not None}
        write_arrays(folder / self.file, arrays)

    @classmethod
    def read(cls, run: Run, items: int, *, composed: bool) -> "NextItemArrays":
        """The arrays over so many items, those of the composed part where there is one."""
        arrays, path = dict(run.arrays(cls.file)), run.folder / cls.file
        names = ["baskets_with", *(["inputs", "outputs", "bias", "item_weights"] * composed)]
        if missing := [name for name in names if name not in arrays]:
            raise CorruptFileError(f"{path} lacks {', '.join(missing)}")
        found = cls(**{name: arrays[name] for name in names})
        for name in names:
            if len(arrays[name]) != items or not np.isfinite(arrays[name]).all():
                raise CorruptFileError(f"{path}: {name} should be {items:,} rows of finite numbers")
        if composed and arrays["inputs"].shape != arrays["outputs"].shape:
            raise CorruptFileError(f"{path}: inputs and outputs are not of one size")
        return found
