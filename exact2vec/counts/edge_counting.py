"""Counting edges: a graph becomes the expected co-occurrences of walks on it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.corpus import HELD_OUT, PARTS, VALIDATION, Draw
from exact2vec.counts.counts import Counts
from exact2vec.counts.edges import Edges, edge_columns, edges_of, named_nodes
from exact2vec.counts.graph import Graph
from exact2vec.counts.kinds import EDGES
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.counts.walk_forecast import (
    MOST_CELLS,
    WHOLE_CELLS,
    refuse_what_does_not_fit,
    walk_forecast,
)
from exact2vec.counts.walks import WalkCounts, Walks, walk_counts
from exact2vec.counts.weighting import PlainWeighting
from exact2vec.errors import InputError, UsageError
from exact2vec.loss.background import Background
from exact2vec.options import checked, documented
from exact2vec.parallel import Workers

LEAST_DEGREE = float(np.finfo(np.float32).tiny)


@documented(
    edges="pairs or triples (with a weight), an array of two or three columns, a networkx graph, a "
    "symmetric or other scipy matrix, a data frame, or the path of a file with one edge a line",
    directed="whether edges keep their direction: rows are sources, columns targets; default False",
    nodes="names of more nodes, which may have no edges, or the pathlib.Path of a file of them",
    source="of a data frame or a file with a header: the column of one end",
    target="the column of the other end",
    weight="the column of weights",
    held_out="share of the edges kept for the held-out NLL and for judging links, drawn by a hash "
    "of their names; default 0: nodes are compared by all their edges",
    validation="share of the edges kept for validation as well; default 0",
    anyway="whether to count also where memory looks too small; default False",
)
def count_edges(
    edges: Any,
    *,
    hops: int = 10,
    directed: bool = False,
    nodes: Any = (),
    source: str | None = None,
    target: str | None = None,
    weight: str | None = None,
    held_out: float = 0.0,
    validation: float = 0.0,
    whole_cells: int = WHOLE_CELLS,
    most_cells: int = MOST_CELLS,
    threads: int | None = None,
    anyway: bool = False,
) -> Counts:
    """The expected co-occurrences of nodes on random walks of up to `hops` edges.

        n(c, w) = d_c Σ_h a_h (P^h)_cw · 2 / (hops + 1),      a_h = (hops + 1 − h) / hops

    P is the transition matrix and d_c the degree, which a row sums to. Edges are symmetrised,
    doubled ones add up and loops are dropped. Cells below chance become a background where there
    are more than `whole_cells` cells, and those below a multiple of it where more than about
    `most_cells` are above chance. Held-out edges leave the graph in both directions first.

    The strengths of a prior are then in edges: train with `prior=(5, 5), epochs=2`, as `train
    --kind edges` does. `fit` and `Exact2Vec` do not know the kind of their counts: without these
    they take the strengths of text, too strong a prior for nodes with few edges.

    Raises InputError for names that are missing and weights that are negative or no numbers, with
    the edge or line; ResourceError where the walks would not fit into memory.

    >>> counts = count_edges([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")], hops=2)
    >>> counts
    Counts(4 nodes, 16 cells, held out: none)
    >>> counts.training.sum(axis=1).round(6).tolist()  # c has three edges
    [3.0, 2.0, 2.0, 1.0]
    """
    checked(
        hops=hops,
        held_out=held_out,
        validation=validation,
        threads=threads,
        whole_cells=whole_cells,
        most_cells=most_cells,
    )
    if held_out + validation >= 1:
        raise UsageError(
            "held_out and validation are shares that leave something to train on, so their sum is "
            f"below 1; got {held_out:g} + {validation:g}"
        )
    columns = edge_columns(source, target, weight) if source or target or weight else None
    given = edges_of(edges, columns).with_nodes(named_nodes(nodes))
    given.notes.warn()
    if isinstance(edges, str | Path) and given.header:
        warnings.warn(
            f"{edges}: the first line, {given.header!r}, was read as an edge: where it names the "
            "columns, give source= and target=",
            stacklevel=2,
        )
    settings = {"hops": hops, "held_out": held_out, "validation": validation}
    return counted_graph(
        given,
        settings,
        directed=directed,
        whole_cells=whole_cells,
        most_cells=most_cells,
        threads=threads,
        anyway=anyway,
    )


def counted_graph(
    edges: Edges,
    settings: dict[str, Any],
    *,
    directed: bool,
    whole_cells: int = WHOLE_CELLS,
    most_cells: int = MOST_CELLS,
    threads: int | None = None,
    anyway: bool = False,
    say: Callable[[str], None] | None = None,
) -> Counts:
    """The counts of edges, with what was read, cut and left out among their settings.

    `say` gets the forecast before the work."""
    graph = Graph.of(edges, Draw(settings["held_out"], settings["validation"]), directed=directed)
    refuse_small_weights(graph)
    walks = Walks.of(graph.weights, settings["hops"])
    with Workers(threads) as workers:
        forecast = walk_forecast(walks, workers, whole_cells=whole_cells, most_cells=most_cells)
        if say is not None:
            say(forecast.line(workers.threads))
        if not anyway:
            refuse_what_does_not_fit(forecast, workers.threads, settings["hops"])
        counted = walk_counts(walks, least=forecast.least, workers=workers)
    return _counts(graph, walks, counted, forecast.least, settings)


def refuse_small_weights(graph: Graph) -> None:
    """InputError for a node whose edges, out or in, weigh less together than a float32 can."""
    for axis in (1, 0):
        sums = np.asarray(graph.weights.sum(axis=axis), np.float64).ravel()
        small = np.flatnonzero((sums > 0) & (sums < LEAST_DEGREE))
        if len(small):
            raise InputError(
                f"the edges of node {graph.nodes[small[0]]!r} weigh {sums[small[0]]:g} together, "
                f"wanted at least {LEAST_DEGREE:.1e}: scale the weights up"
            )


@dataclass(frozen=True)
class _Ends:
    """The rows and columns of the counts among the nodes: all, or sources and targets."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    def part(self, matrix: csr_array) -> csr_array:
        return csr_array(matrix[self.rows][:, self.columns])


def _counts(
    graph: Graph, walks: Walks, counted: WalkCounts, least: float, settings: dict[str, Any]
) -> Counts:
    every = np.arange(len(graph.nodes))
    ends, contexts = _Ends(every, every), None
    cells, background = counted.cells, counted.background
    names, totals = graph.nodes, walks.totals
    if graph.directed:
        incoming = np.asarray(graph.weights.sum(axis=0), np.float64).ravel()
        ends = _Ends(np.flatnonzero(totals), np.flatnonzero(incoming))
        cells = ends.part(cells)
        contexts = Vocabulary([names[row] for row in ends.rows], _whole(totals[ends.rows]))
        names, totals = [names[column] for column in ends.columns], incoming[ends.columns]
        if background is not None:
            amounts, errors = background.amounts[ends.rows], background.errors[ends.rows]
            background = Background(amounts, background.shares[ends.columns], errors)
    parts = {name: ends.part(getattr(graph, name)) for name in (PARTS[HELD_OUT], PARTS[VALIDATION])}
    read = (
        graph.read | {"cut": 0 if background is None else round(least, 3)} | _left_out(graph, parts)
    )
    settings = settings | {"directed": graph.directed, "read": read, "isolated": graph.isolated}
    held_out, validation = (part if part.nnz else None for part in parts.values())
    return Counts(
        Vocabulary(names, _whole(totals)),
        cells,
        held_out,
        PlainWeighting(),
        {},
        settings,
        validation=validation,
        contexts=contexts,
        kind=EDGES,
        background=background,
        edges=graph.weights if not graph.directed else None,
    )


def _left_out(graph: Graph, parts: dict[str, csr_array]) -> dict[str, int]:
    """How many edges of each part have an end that is no row or column of the counts."""
    cells = 1 if graph.directed else 2  # of an edge
    return {
        f"{name}_without_nodes": graph.read[name] - part.nnz // cells
        for name, part in parts.items()
    }


def _whole(totals: NDArray[np.float64]) -> NDArray[Any]:
    """Degrees, as integers where they are."""
    return totals.astype(np.int64) if (totals == totals.round()).all() else totals
