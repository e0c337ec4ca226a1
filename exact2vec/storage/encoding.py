"""Values as bytes: JSON, lines of JSON, a table, arrays. The same bytes for the same value."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.errors import CorruptFileError
from exact2vec.storage.files import replacement, write_whole

Rows = Sequence[Mapping[str, Any]]


def json_bytes(value: object) -> bytes:
    """JSON in ASCII, keys in the order given."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: object) -> None:
    """A file of JSON."""
    write_whole(path, json_bytes(value))


def write_lines(path: Path, rows: Rows) -> None:
    """A file with one JSON object a line."""
    lines = (json.dumps(row, allow_nan=False) + "\n" for row in rows)
    write_whole(path, "".join(lines).encode())


def write_table(path: Path, rows: Rows) -> None:
    """A csv file: the names of the first row, then the values, an empty cell for None."""
    header = list(rows[0]) if rows else []
    lines = [
        ",".join("" if value is None else json.dumps(value) for value in row.values())
        for row in rows
    ]
    write_whole(path, "".join(f"{line}\n" for line in [",".join(header), *lines]).encode())


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """A safetensors file of contiguous arrays."""
    import safetensors.numpy

    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with replacement(path) as part:
        safetensors.numpy.save_file(contiguous, part)


def matrix_arrays(prefix: str, matrix: csr_array | None) -> dict[str, NDArray[Any]]:
    """PREFIXindptr, PREFIXindices and PREFIXdata of a matrix; none of None.

    Integers are in the narrowest type, to save disk.
    """
    if matrix is None:
        return {}
    kind = matrix.data.dtype
    if kind.kind in "iu":
        kind = np.dtype(np.uint32 if matrix.data.max(initial=0) < 2**32 else np.int64)
    return {
        prefix + "indptr": matrix.indptr.astype(np.int64),
        prefix + "indices": matrix.indices.astype(np.int32),
        prefix + "data": matrix.data.astype(kind),
    }


def compressed_rows(
    arrays: Mapping[str, NDArray[Any]], prefix: str, shape: tuple[int, int], path: Path
) -> csr_array:
    """The sparse matrix of PREFIXindptr, PREFIXindices and PREFIXdata.

    CorruptFileError where they are not rows of that shape.
    """
    try:
        indptr, indices, data = (arrays[prefix + name] for name in ("indptr", "indices", "data"))
        if len(indptr) != shape[0] + 1:
            raise CorruptFileError(
                f"{path}: {shape[0]:,} names of rows, but {prefix[:-1]} has "
                f"{len(indptr) - 1:,} rows; they should be as many"
            )
        matrix = csr_array((data, indices, indptr), shape=shape)
        matrix.check_format(full_check=True)
    except (KeyError, ValueError) as error:
        raise CorruptFileError(
            f"{path}: {prefix[:-1]} is no matrix of {shape[0]:,} × {shape[1]:,} in compressed "
            f"rows: {error}"
        ) from error
    return matrix


def counted_rows(
    arrays: Mapping[str, NDArray[Any]], prefix: str, shape: tuple[int, int], path: Path
) -> csr_array:
    """The same with counts in it: integers as int64, real ones as float64."""
    found = compressed_rows(arrays, prefix, shape, path)
    kind = np.int64 if found.data.dtype.kind in "iu" else np.float64
    return csr_array((found.data.astype(kind), found.indices, found.indptr), shape=shape)
