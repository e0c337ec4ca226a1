"""Values as bytes: JSON, lines of JSON, a table, arrays. The same bytes for the same value."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.errors import CorruptFileError
from exact2vec.storage.writing import write_whole

LARGEST = sys.float_info.max
Rows = Sequence[Mapping[str, Any]]
DTYPES = {  # of numpy, and what safetensors calls them
    **{"f4": "F32", "f8": "F64", "b1": "BOOL", "u1": "U8"},
    **{"i4": "I32", "u4": "U32", "i8": "I64", "u8": "U64"},
}


def json_bytes(value: object) -> bytes:
    """JSON in ASCII, keys in the order given."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def json_value(data: bytes) -> Any:
    """What JSON says; ValueError where it is none, or has numbers that are not finite."""

    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is no number of JSON")

    def finite(digits: str) -> float:
        number = float(digits)
        return number if math.isfinite(number) else refuse(digits)

    try:
        return json.loads(data, parse_constant=refuse, parse_float=finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def is_number(value: object) -> bool:
    """Whether it is a finite number of JSON."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def is_count(value: object) -> bool:
    """Whether it is a whole number from 0 to what float64 keeps."""
    return is_number(value) and isinstance(value, int) and 0 <= value < 2**53


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
    """A safetensors file."""
    write_whole(path, safetensors_pieces(arrays))


def safetensors_pieces(arrays: Mapping[str, NDArray[Any]]) -> list[bytes | memoryview]:
    """The bytes of a safetensors file: 8 of the header's length, the header, the arrays.

    Wide numbers come first, so that each array begins at a multiple of their size; then names
    decide. Source: the format's page, https://github.com/huggingface/safetensors.
    """
    ordered = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    header, pieces, end = {}, [], 0
    for name in ordered:
        array = np.ascontiguousarray(arrays[name])
        start, end = end, end + array.nbytes
        kind, shape = DTYPES[array.dtype.str.lstrip("<|=")], list(arrays[name].shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
        pieces.append(array.reshape(-1).view(np.uint8).data)
    packed = json.dumps(header, separators=(",", ":")).encode()
    packed += b" " * (-len(packed) % 8)
    return [len(packed).to_bytes(8, "little") + packed, *pieces]


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
        if not {indptr.dtype.kind, indices.dtype.kind} <= {"i", "u"}:
            raise ValueError("its places are no integers")
        starts = indptr.astype(np.int64)
        if starts[0] or (np.diff(starts) < 0).any() or starts[-1] != len(data):
            raise ValueError("its rows do not end where its cells do")
        matrix = csr_array((data, indices, indptr), shape=shape)
        matrix.check_format(full_check=True)
        if indptr.ndim != 1 or data.dtype.kind not in "iuf":
            raise ValueError("its values are no numbers")
        if not (np.isfinite(data) & (data >= 0)).all():
            raise ValueError("its values should be finite and at least 0")
    except (KeyError, ValueError, TypeError, IndexError) as error:
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
