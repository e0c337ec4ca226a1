"""A graph made of edges: both directions, doubled edges summed, loops dropped, some held out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from exact2vec.counts.corpus import PARTS, TRAINING, Draw, keyed_hash
from exact2vec.counts.edges import Edges
from exact2vec.errors import InputError


@dataclass(frozen=True)
class Graph:
    """Nodes with edges, heaviest first and then by name; `weights` are those of training edges.

    `held_out` and `validation` are matrices of the edges that left the graph before anything was
    made of it, in both directions unless it is directed. `isolated` have no edge that is trained
    on. `read` says what was read and what became of it.
    """

    nodes: list[str]
    weights: csr_array
    held_out: csr_array
    validation: csr_array
    isolated: list[str]
    read: dict[str, int]
    directed: bool

    @classmethod
    def of(cls, edges: Edges, draw: Draw, *, directed: bool) -> "Graph":
        """The graph of these edges, some of which `draw` puts aside."""
        parts, read = _parts(edges, draw, directed)
        training = parts[TRAINING]
        if training.nnz == 0:
            raise InputError(
                f"{read['edges_read']:,} edges read, {read['loops']:,} of them loops: no edge "
                "between two nodes to train on"
            )
        outgoing, incoming = (np.asarray(training.sum(axis=axis)).ravel() for axis in (1, 0))
        degrees = np.asarray(outgoing + incoming, np.float64)
        names = np.array(edges.names, object)
        order = _order(names, degrees)
        some = [csr_array(part[order][:, order]) for part in parts]
        _, labels = connected_components(some[TRAINING], directed=False)
        isolated = sorted(str(name) for name in names[degrees == 0])
        read |= {
            "isolated": len(isolated),
            "components": int(labels.max()) + 1,
            "largest_component": int(np.bincount(labels).max()),
        }
        nodes = [str(name) for name in names[order]]
        return cls(nodes, some[0], some[1], some[2], isolated, read, directed)


def _order(names: NDArray[np.object_], degrees: NDArray[np.float64]) -> NDArray[np.int64]:
    """Those with edges: the largest degree first, ties in order of spelling."""
    there = np.flatnonzero(degrees)
    spelled = there[np.argsort(names[there].astype(str), kind="stable")]
    return spelled[np.argsort(-degrees[spelled], kind="stable")]


def _parts(edges: Edges, draw: Draw, directed: bool) -> tuple[list[csr_array], dict[str, int]]:
    """A matrix over all names for each part; what was read."""
    sources, targets, weights = edges.sources, edges.targets, edges.weights
    if edges.both_ways and not directed:
        once = sources <= targets
        sources, targets, weights = sources[once], targets[once], weights[once]
    loops = sources == targets
    nothing = (weights == 0) & ~loops
    kept = ~loops & ~nothing
    one, other, weights = (each[kept] for each in (sources, targets, weights))
    given = len(one)
    if not directed:
        one, other = np.minimum(one, other), np.maximum(one, other)
    one, other, weights = _summed(one, other, weights, len(edges.names))
    part_of = _drawn(edges.names, one, other, draw, directed)
    shape = (len(edges.names),) * 2
    found = []
    for part in range(len(PARTS)):
        here = part_of == part
        ends, values = (one[here], other[here]), weights[here]
        if not directed:
            ends = np.concatenate(ends), np.concatenate(ends[::-1])
            values = np.concatenate([values, values])
        found.append(coo_array((values, ends), shape=shape).tocsr())
    read = {
        "edges_read": len(kept),
        "comments": edges.comments,
        "loops": int(loops.sum()),
        "without_weight": int(nothing.sum()),
        "doubled": given - len(one),
        **{name: int((part_of == part).sum()) for part, name in enumerate(PARTS)},
    }
    return [csr_array(part) for part in found], read


def _summed(
    one: NDArray[np.int32], other: NDArray[np.int32], weights: NDArray[np.float64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Edges that stand several times once, their weights summed from the smallest."""
    place = one.astype(np.int64) * size + other
    order = np.lexsort((weights, place))
    first = np.flatnonzero(np.diff(place[order], prepend=-1))
    sums = np.add.reduceat(weights[order], first) if len(first) else np.empty(0)
    found = place[order][first]
    return found // size, found % size, sums


def _drawn(
    names: list[str],
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    draw: Draw,
    directed: bool,
) -> NDArray[np.int64]:
    """The part of each edge, by the hash of its two names; sorted where it has no direction."""
    if not draw:
        return np.full(len(one), TRAINING)
    found = np.empty(len(one), np.int64)
    for edge, ends in enumerate(zip(one.tolist(), other.tolist(), strict=True)):
        pair = [names[end] for end in ends]
        text = "\0".join(pair if directed else sorted(pair))
        found[edge] = draw.part(keyed_hash(text.encode("utf-8", "surrogatepass")))
    return found
