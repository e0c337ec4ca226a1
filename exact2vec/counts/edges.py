"""Edges as they are given: files, networkx graphs, scipy matrices, arrays, pairs and triples.

Names of nodes are text as it stands: "1", "01" and "1.0" are three. Numbers become their text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, issparse

from exact2vec.counts.features import LARGEST
from exact2vec.counts.input_files import NO_NOTES, InputNotes
from exact2vec.counts.long_form import (
    Columns,
    LongForm,
    frame_entries,
    gathered,
    name_text,
    read_long_form,
)
from exact2vec.counts.table_files import Batch, Form
from exact2vec.errors import InputError, UsageError

HEADERS = {  # first lines that look like the names of columns
    *("source", "target", "from", "to", "src", "dst", "node1", "node2", "node_1", "node_2"),
    *("u", "v", "id1", "id2", "id_1", "id_2", "head", "tail"),
}
BATCH_EDGES = 100_000


@dataclass(frozen=True)
class Edges:
    """Edges between `names`, by number; nodes that stand in no edge may be among the names.

    `both_ways` says that each edge stands in both directions already, as in a symmetric matrix.
    So many lines of `comments` were left out; `notes` say what else to hear of the reading.
    """

    names: list[str]
    sources: NDArray[np.int32]
    targets: NDArray[np.int32]
    weights: NDArray[np.float64]
    both_ways: bool = False
    comments: int = 0
    notes: InputNotes = NO_NOTES

    @classmethod
    def of_entries(cls, entries: LongForm) -> "Edges":
        """Of two columns of names that are numbered together."""
        sources, targets = entries.names
        weights = np.ones(len(entries)) if entries.weights is None else entries.weights
        numbers = sources.numbers, targets.numbers
        edges = cls(sources.distinct, *numbers, weights)
        return replace(edges, comments=entries.comments, notes=entries.notes)

    @property
    def header(self) -> str | None:
        """The first edge, where it looks like a header and its names stand nowhere else."""
        if not len(self.sources):
            return None
        ends = int(self.sources[0]), int(self.targets[0])
        names = [self.names[end] for end in ends]
        rest = np.concatenate([self.sources[1:], self.targets[1:]])
        if any(name.lower() not in HEADERS for name in names) or np.isin(ends, rest).any():
            return None
        return " ".join(names)

    def with_nodes(self, names: Iterable[Any]) -> "Edges":
        """The same with nodes named, which may have no edges."""
        place = dict.fromkeys(self.names)
        more = [_name(name, f"node {number}") for number, name in enumerate(names, start=1)]
        return replace(self, names=list(place | dict.fromkeys(more)))


def edge_columns(source: str | None, target: str | None, weight: str | None) -> Columns:
    """The columns of edges; UsageError where one end alone is named."""
    if (source is None) != (target is None):
        raise UsageError("source and target name the columns of both ends: give both, or none")
    if weight is not None and source is None:
        raise UsageError("weight names a column: name source and target too")
    ends = ("source", "target") if source is None or target is None else (source, target)
    return Columns(ends, weight or ("weight" if source is None else None), together=True)


def read_edges(inputs: Iterable[str], columns: Columns, form: Form) -> Edges:
    """Edges of files, one a line: two names, and a weight where there is a third field."""
    return Edges.of_entries(read_long_form(inputs, columns, form))


def read_nodes(path: str | Path) -> list[str]:
    """The names of a file, one a line."""
    from exact2vec.storage.files import text_lines

    names = (line.rstrip("\r\n") for line in text_lines(Path(path)))
    return [name for name in names if name.strip()]


def named_nodes(given: Any) -> Iterable[Any]:
    """Names of nodes, as they are given or in the file of a Path."""
    if isinstance(given, str | bytes):
        raise TypeError(
            f"nodes are names, as a list, or the pathlib.Path of a file with one a line; "
            f"got the text {given!r}"
        )
    return read_nodes(given) if isinstance(given, Path) else given


def edges_of(given: Any, columns: Columns | None = None) -> Edges:
    """Edges of whatever `count_edges` takes."""
    if isinstance(given, Edges):
        return given
    if isinstance(given, str | Path):
        named = columns or edge_columns(None, None, None)
        return read_edges([str(given)], named, Form(header=columns is not None))
    if columns is not None:
        return Edges.of_entries(frame_entries(given, columns))
    if hasattr(given, "edges") and hasattr(given, "nodes"):
        return _of_networkx(given)
    if issparse(given):
        return _of_matrix(given)
    if isinstance(given, dict | set | bytes) or not isinstance(given, Iterable):
        raise TypeError(
            f"got a {type(given).__name__}; wanted edges: pairs or triples, an array of two or "
            "three columns, a networkx graph, a scipy matrix, or the path of a file"
        )
    return _of_array(given) if isinstance(given, np.ndarray) else _of_tuples(given)


def _of_networkx(graph: Any) -> Edges:
    nodes = list(graph.nodes)
    place = {node: number for number, node in enumerate(nodes)}
    names = [_name(node, f"node {number}") for number, node in enumerate(nodes, start=1)]
    _refuse_twice(names)
    found = list(graph.edges(data="weight", default=1.0))
    sources, targets = (
        np.fromiter((place[edge[end]] for edge in found), np.int32, len(found)) for end in (0, 1)
    )
    weights = _weights([edge[2] for edge in found], "edge")
    if graph.is_directed():
        return Edges(names, sources, targets, weights)
    back = sources != targets  # a loop is its own way back
    sources, targets = np.append(sources, targets[back]), np.append(targets, sources[back])
    return Edges(names, sources, targets, np.append(weights, weights[back]), both_ways=True)


def _of_matrix(matrix: Any) -> Edges:
    cells = coo_array(matrix)
    if cells.ndim != 2 or cells.shape[0] != cells.shape[1]:
        raise InputError(f"edges: wanted a square matrix of nodes × nodes; got {cells.shape}")
    names = [str(number) for number in range(cells.shape[0])]
    weights = _weights(cells.data, "cell")
    difference = abs(matrix - matrix.T)
    both = bool(difference.nnz == 0 or difference.max() == 0)
    sources, targets = (side.astype(np.int32) for side in (cells.row, cells.col))
    return Edges(names, sources, targets, weights, both_ways=both)


def _of_array(array: NDArray[Any]) -> Edges:
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise InputError(
            f"edges: wanted an array of two or three columns, (edges, 2); got shape {array.shape}; "
            "give an adjacency matrix as a scipy matrix"
        )
    ends = [[name_text(value) for value in array[:, end].tolist()] for end in (0, 1)]
    if array.dtype.kind == "f":  # weights made numbers of nodes real ones
        ends = [[name.removesuffix(".0") for name in names] for names in ends]
    weight = [array[:, 2].tolist()] if array.shape[1] == 3 else []
    return _gathered([Batch([*ends, *weight], lambda row: f"edge {row + 1}")])


def _of_tuples(edges: Iterable[Any]) -> Edges:
    return _gathered(_batches(edges))


def _batches(edges: Iterable[Any]) -> Iterable[Batch]:
    rows: list[Sequence[Any]] = []
    first, width = 1, 0
    for number, edge in enumerate(edges, start=1):
        if isinstance(edge, str) or not hasattr(edge, "__len__") or len(edge) not in (2, 3):
            raise InputError(
                f"edge {number}: wanted (source, target) or with a weight; got {edge!r}"
            )
        if width and len(edge) != width:
            raise InputError(f"edge {number}: {len(edge)} values, those before have {width}")
        width = len(edge)
        rows.append(edge)
        if len(rows) == BATCH_EDGES:
            yield _batch(rows, first)
            rows, first = [], number + 1
    if rows:
        yield _batch(rows, first)


def _batch(rows: list[Sequence[Any]], first: int) -> Batch:
    return Batch(
        [list(column) for column in zip(*rows, strict=True)], lambda at: f"edge {first + at}"
    )


def _gathered(batches: Iterable[Batch]) -> Edges:
    return Edges.of_entries(gathered(batches, edge_columns(None, None, None)))


def _name(value: Any, where: str) -> str:
    try:
        return name_text(value) if not isinstance(value, tuple) else repr(value)
    except ValueError as error:
        raise InputError(f"{where}: the name {error}") from error


def _weights(values: Any, what: str) -> NDArray[np.float64]:
    try:
        weights = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"weights of a {what} are numbers; got {values[:3]!r} …") from None
    bad = np.flatnonzero(~((weights >= 0) & (weights <= LARGEST)))
    if len(bad):
        raise InputError(
            f"{what} {bad[0] + 1}: weights are finite numbers, from 0 to {LARGEST:g}; "
            f"got {weights[bad[0]]!r}"
        )
    return weights


def _refuse_twice(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"two nodes have the name {name!r} as text; name them apart")
        seen.add(name)
