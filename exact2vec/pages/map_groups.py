"""Groups that colour the map: the most common features of the names, where they have some."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact2vec.counts.features import Features
from exact2vec.pages.html import packed_array
from exact2vec.vectors.label_scores import Labels
from exact2vec.vectors.vectors import Vectors

GROUPS = 5  # as many as there are colours and shapes in map.js
NONE = -1


def read_labels(path: str | Path | None) -> Features | None:
    """The labels of a file of lines "name TAB label" as features; None without a file."""
    if path is None:
        return None
    labels = Labels.read(path)
    return Features(labels.has.astype(np.float32), labels.nodes, labels.labels)


def map_groups(vectors: Vectors, labels: Features | None = None) -> dict[str, Any] | None:
    """The names of the groups, and the number of each name's group or −1; None without features.

    With `labels`, these make the groups.

    A group is a feature that some names have and others have not, the most common ones first. A
    name with several of them is in the one of its largest value, ties in that order.
    """
    known = labels or (vectors.composer.describer.known if vectors.composer else None)
    if known is None:
        return None
    rows = [known.place.get(name, NONE) for name in vectors.rows]
    found = grouped(known, np.array(rows))
    return None if found is None else {"names": found[0], "of": packed_array(found[1])}


def grouped(known: Features, rows: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int16]] | None:
    """The features that make groups, and the group of each of `rows` of the features or −1.

    >>> from scipy.sparse import csr_array
    >>> features = Features(csr_array([[1, 0, 1], [0, 1, 1], [2, 1, 1]]), [*"abc"], [*"xyz"])
    >>> names, groups = grouped(features, np.array([0, 1, 2, -1]))
    >>> names, groups.tolist()
    (['z', 'x', 'y'], [0, 0, 1, -1])
    """
    there = rows >= 0
    cells = known.matrix[rows[there]].tocoo()
    counts = np.bincount(cells.col, minlength=len(known.names))
    order = sorted(range(len(counts)), key=lambda number: (-counts[number], known.names[number]))
    chosen = [number for number in order if 0 < counts[number] < len(rows)][:GROUPS]
    if not chosen:
        return None
    values = known.matrix[rows[there]][:, chosen].toarray()
    groups = np.full(len(rows), NONE, np.int16)
    groups[there] = np.where(values.any(axis=1), values.argmax(axis=1), NONE)
    return [known.names[number] for number in chosen], groups
