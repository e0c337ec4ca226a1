"""New nodes of a graph, by their edges to nodes that were trained.

The edges of a new node begin its walks, which go on through the trained graph. Their expected
co-occurrences are its counts, from which its input vector is folded in. P·o is the mean of its
neighbours' outputs, by the weights of its edges.
"""

from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from scipy.sparse import csr_array

from exact2vec.counts.features import RowCounts
from exact2vec.counts.walks import transitions
from exact2vec.vectors.fold_in import OutputSide, fold_in
from exact2vec.vectors.spaces import Spaces
from exact2vec.vectors.unseen import Composer, Folded


@runtime_checkable
class NodeSide(OutputSide, Protocol):
    """Trained nodes: their outputs, and the graph that they are of."""

    edges: csr_array | None
    settings: dict[str, Any]
    spaces: Spaces

    @property
    def columns(self) -> list[str]: ...


def fold_in_nodes(
    vectors: NodeSide,
    edges: RowCounts,
    composer: Composer | None,
    strength: float | None,
    *,
    threads: int | None = None,
) -> Folded:
    """The new nodes that `edges` are of, whose columns are trained nodes.

    Their `outputs` are P·o: what their neighbours' aligned outputs say.
    """
    numbers = [vectors.key_to_index.get(name, -1) for name in edges.names]
    known = np.flatnonzero(np.array(numbers) >= 0)
    size = len(edges.rows), len(vectors.columns)
    cells = csr_array(edges.matrix.astype(np.float64))[:, known].tocoo()
    columns = np.array(numbers, np.int64)[known][cells.col]
    among = csr_array((cells.data, (cells.row, columns)), shape=size)
    counts = _walked(among, vectors.edges, vectors.settings["hops"])
    named = RowCounts(counts, edges.rows, vectors.columns)
    found = fold_in(vectors, named, composer, strength, threads=threads)
    nodes = vectors.spaces.node_embedding
    assert nodes is not None
    spoken = transitions(among) @ nodes.outputs
    place = {name: row for row, name in enumerate(edges.rows)}
    rows = [place[name] for name in found.names]
    unknown = [name for name, number in zip(edges.names, numbers, strict=True) if number < 0]
    total = float(edges.matrix.sum(dtype=np.float64))
    return replace(
        found,
        outputs=np.asarray(spoken[rows], np.float32),
        described=np.ones(len(rows), bool),
        unknown=unknown,
        unknown_share=1 - float(among.sum()) / total if total else 0.0,
    )


def _walked(among: csr_array, edges: csr_array | None, hops: int) -> csr_array:
    """n(new, w) = d Σ_h a_h (p P^(h − 1))_w · 2 / (hops + 1), p the shares of the new edges."""
    assert edges is not None
    reach, now = transitions(edges), transitions(among)
    found = csr_array(now.shape)
    for hop in range(hops):
        found = found + now * ((hops - hop) / hops)
        now = now @ reach
    degrees = np.asarray(among.sum(axis=1)).ravel()
    found = csr_array(found)
    found.data *= np.repeat(degrees * 2 / (hops + 1), np.diff(found.indptr))
    return found
