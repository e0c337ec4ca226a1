"""What a run of a graph is worth: labels of nodes, edges that it has not seen, what was cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.counts import Counts, has_counts
from exact2vec.counts.edges import Edges
from exact2vec.counts.kinds import EDGES
from exact2vec.counts.walks import Walks, summed_hops
from exact2vec.errors import InputError, UsageError
from exact2vec.loss.count_losses import WeightedCounts
from exact2vec.storage.run_folder import Run
from exact2vec.vectors.label_scores import Labels, LabelScores, Watch, label_scores
from exact2vec.vectors.link_scores import LinkScores, link_scores, pair_keys
from exact2vec.vectors.vectors import Vectors, load

NO_EDGES: Mapping[str, Edges] = {}
HELD_OUT_EDGES = "held-out edges"
ROWS = 1024  # whose cells are in memory once more
Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class NodeEvaluation:
    """Labels by file; links by file, and of held-out edges; and `cut`, see `cut_nats`.

    `not_judged` says why links are missing: a dense graph has too few pairs without an edge.
    """

    labels: dict[str, LabelScores]
    links: dict[str, LinkScores]
    cut: float | None
    not_judged: dict[str, str] = field(default_factory=dict)


def evaluate_nodes(
    vectors: Vectors,
    counts: Counts | None,
    *,
    labels: Sequence[str | Path] = (),
    edges: Mapping[str, Edges] = NO_EDGES,
    which: Any = None,
    threads: int | None = None,
    watch: Watch = iter,
) -> NodeEvaluation:
    """Labels of files, edges by name, and the held-out edges of the run where there are some.

    `watch` is given the splits of each file of labels, and shows them as they pass.
    """
    if vectors.kind != EDGES:
        if labels or edges:
            raise UsageError(
                f"labels and edges are of nodes, and this run has {vectors.kind.many}: "
                "leave out --labels and --edges, or train with --kind edges"
            )
        return NodeEvaluation({}, {}, None)
    of_labels = {
        str(path): label_scores(
            vectors, Labels.read(path), which=which, threads=threads, watch=watch
        )
        for path in labels
    }
    links: dict[str, LinkScores] = {}
    not_judged: dict[str, str] = {}
    if counts is not None and vectors.edges is not None:
        if counts.held_out is not None:
            try:
                links[HELD_OUT_EDGES] = _held_out_links(vectors, counts)
            except InputError as error:
                not_judged[HELD_OUT_EDGES] = str(error)
        links |= {name: _links(vectors, counts, name, edges[name]) for name in edges}
    elif edges:
        raise UsageError("--edges needs a run of edges without direction, with its counts")
    cut = cut_nats(vectors, counts) if counts else None
    return NodeEvaluation(of_labels, links, cut, not_judged)


def run_of_nodes(
    run: Run, labels: Sequence[str], edges: Mapping[str, Edges], watch: Watch = iter, **how: Any
) -> NodeEvaluation | None:
    """That of a run folder; None where it is of something else and nothing of nodes is asked."""
    vectors = load(run)
    if vectors.kind != EDGES and not (labels or edges):
        return None
    counts = Counts.load(run) if has_counts(run) else None
    return evaluate_nodes(vectors, counts, labels=labels, edges=edges, watch=watch, **how)


def cut_nats(vectors: Vectors, counts: Counts) -> float | None:
    """By how much the NLL of the counts is above that over all cells of the walks, nats a pair.

    Exactly: totals of rows are equal, so only Σ_cw n_cw z_cw can differ. Over all cells that is
    Σ_c x_c·Σ_h a_h (P^h u)_c, times scales, which needs no cell. None where nothing was cut.
    """
    if counts.background is None or counts.edges is None:
        return None
    walks = Walks.of(counts.edges, counts.settings["hops"])
    outputs = np.column_stack([vectors.outputs, vectors.bias]).astype(np.float64)
    inputs = np.column_stack([vectors.inputs, np.ones(len(vectors.inputs))])
    whole = walks.scales[:, None] * summed_hops(walks.reach, walks.hop_weights, outputs)
    weighted = WeightedCounts(counts.weigh(counts.training), counts.background)
    differences = [
        inputs[rows] * (whole[rows] - _stood_for(weighted.matrix[rows], rows, outputs, weighted))
        for rows in (slice(at, at + ROWS) for at in range(0, len(inputs), ROWS))
    ]
    return float(np.concatenate(differences).sum() / weighted.total)


def _stood_for(
    cells: csr_array, rows: slice, outputs: NDArray[np.float64], counts: WeightedCounts
) -> NDArray[np.float64]:
    """Σ_w n_cw u_w of some rows, with what the background has in the cells that are not stored."""
    assert counts.background is not None
    amounts, shares = counts.background.amounts[rows], counts.background.shares
    beyond = cells.astype(np.float64)
    beyond.data -= np.repeat(amounts, np.diff(beyond.indptr)) * shares[beyond.indices]
    return np.asarray(beyond @ outputs + amounts[:, None] * (shares @ outputs))


def _held_out_links(vectors: Vectors, counts: Counts) -> LinkScores:
    assert counts.held_out is not None
    lost = int(counts.settings["read"]["held_out_without_nodes"])
    validation = _pairs(counts.validation)
    return link_scores(vectors, _pairs(counts.held_out), _whole(vectors, counts), validation, lost)


def _links(vectors: Vectors, counts: Counts, name: str, given: Edges) -> LinkScores:
    """Those of some edges; InputError where one of them was trained on."""
    pairs, strangers = _known_pairs(vectors, given)
    trained = np.sort(pair_keys(_pairs(vectors.edges), len(vectors)))
    seen = np.isin(pair_keys(pairs, len(vectors)), trained)
    if seen.any():
        one, other = (vectors.columns[end] for end in pairs[seen.argmax()])
        raise InputError(
            f"{name}: {int(seen.sum()):,} of its edges were trained on, {one!r} to {other!r} "
            "among them: judge edges that are not in INPUT, or train with --held-out 0.1"
        )
    whole = np.concatenate([_whole(vectors, counts), pair_keys(pairs, len(vectors))])
    return link_scores(vectors, pairs, np.unique(whole), _pairs(counts.validation), strangers)


def _known_pairs(vectors: Vectors, edges: Edges) -> tuple[Pairs, int]:
    """The edges between trained nodes, each once, by number; how many others there are."""
    numbers = np.array([vectors.key_to_index.get(name, -1) for name in edges.names], np.int64)
    ends = np.stack([numbers[edges.sources], numbers[edges.targets]], axis=1)
    ends = ends[ends[:, 0] != ends[:, 1]]
    known = (ends >= 0).all(axis=1)
    keys = np.unique(pair_keys(ends[known], len(vectors)))
    return np.stack([keys // len(vectors), keys % len(vectors)], axis=1), int((~known).sum())


def _whole(vectors: Vectors, counts: Counts) -> Pairs:
    parts = [vectors.edges, counts.held_out, counts.validation]
    return np.unique(np.concatenate([pair_keys(_pairs(part), len(vectors)) for part in parts]))


def _pairs(matrix: csr_array | None) -> Pairs:
    """The cells of a symmetric matrix above its diagonal."""
    if matrix is None:
        return np.empty((0, 2), np.int64)
    cells = matrix.tocoo()
    above = cells.row < cells.col
    return np.stack([cells.row[above], cells.col[above]], axis=1).astype(np.int64)
