"""The explorer: one page, the loss playground, and with a run its words, map and training curve."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.features import Features
from exact2vec.counts.kinds import TEXT
from exact2vec.errors import ResourceError
from exact2vec.loss.background import Background
from exact2vec.pages.diagnostics import MAPS
from exact2vec.pages.html import packed_array, page
from exact2vec.pages.map_groups import map_groups, read_labels
from exact2vec.pages.run_view import RunView, stored_run
from exact2vec.storage.folders import make_folders
from exact2vec.storage.run_folder import check_page
from exact2vec.storage.writing import failure_named, write_whole

SCRIPTS = (
    "dom.js",
    "loss.js",
    "state.js",
    "plot.js",
    "map.js",
    "row.js",
    "batch.js",
    "words.js",
    "explorer.js",
)
LARGEST_BYTES = 250_000_000  # of vectors: a page of a third more, which browsers still open
ALL_CELLS, CELLS_A_ROW = 2_000_000, 60


def explorer(
    run: str | Path | None = None,
    *,
    served: bool = False,
    plane: str = "pca",
    labels: str | Path | None = None,
) -> bytes:
    """The page, UTF-8, which works from disk and from any static host.

    `served` lets it ask its own server for composed words. `labels` is a file of lines "name TAB
    label"; the most common ones colour the map.
    """
    seen = None if run is None else stored_run(run)
    data = {"run": None if seen is None else run_data(seen, plane, read_labels(labels))}
    return page(
        "explorer.html",
        styles=["page.css"],
        scripts=SCRIPTS,
        data=data,
        connect="'self'" if served else "'none'",
        kind=TEXT if seen is None else seen.counts.kind,
    )


def write_folder(
    folder: str | Path,
    run: str | Path | None = None,
    *,
    force: bool = False,
    plane: str = "pca",
    labels: str | Path | None = None,
) -> Path:
    """FOLDER/index.html, to open from disk or to put on any static host."""
    path = Path(folder) / "index.html"
    check_page(path, force=force)
    data = explorer(run, plane=plane, labels=labels)
    with failure_named(path):
        make_folders(path.parent)
    write_whole(path, data)
    return path


def run_data(run: RunView, plane: str, labels: Features | None = None) -> dict[str, Any]:
    """What words.js reads.

    The vectors go whole: the page computes p(w | c) and neighbours from the run's own numbers.
    """
    vectors, losses = run.vectors, run.training_losses
    needed = 3 * vectors.inputs.nbytes
    if needed > LARGEST_BYTES:
        raise ResourceError(
            f"{run.path}: {needed / 1e6:,.0f} MB of vectors are more than the "
            f"{LARGEST_BYTES / 1e6:,.0f} MB that a page can hold; "
            "train with a smaller --max-vocab or --vector-size to explore, or use exact2vec report"
        )
    found = MAPS[plane](vectors.vectors)
    return {
        "name": run.name,
        "path": run.path,
        "words": vectors.index_to_key,
        "counts": vectors.vocabulary.counts.tolist(),
        "dim": vectors.vector_size,
        "unit": run.counts.weighting.unit,
        "history": run.history,
        "baselines": run.baselines,
        "map": {
            "note": map_note(found.method, found.faithful, vectors.kind.many),
            "groups": map_groups(vectors, labels),
        },
        "arrays": {
            "inputs": packed_array(vectors.inputs),
            "outputs": packed_array(vectors.outputs),
            "embedding": packed_array(vectors.vectors),
            "bias": packed_array(vectors.bias),
            "log_keep": packed_array(np.log(vectors.keep)),
            "points": packed_array(found.points.astype(np.float32)),
            "nll": packed_array(losses.row_nll),
            "row_unigram": packed_array(losses.row_unigram),
            "row_floor": packed_array(losses.row_floor),
            **cells(run.counts.training, run.counts.background),
        },
    }


def map_note(method: str, faithful: float | None, many: str) -> str:
    """How far distances on the map of `many` can be trusted."""
    if faithful is None:
        return (
            f"{method}: what is near is near in the vectors too; "
            "larger distances, sizes and gaps between groups mean nothing."
        )
    return (
        f"The two principal components of the vectors: {100 * faithful:.1f} % of their variance, "
        f"so most of what separates {many} is not to be seen here."
    )


def cells(counts: csr_array, background: Background | None = None) -> dict[str, Any]:
    """k(c, w) of every cell where there are few, of the largest of each row otherwise.

    With them goes what each row holds in all. A background stands in all other cells.
    """
    row_cells, row_total = (
        np.diff(counts.indptr),
        np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel(),
    )
    if background is not None:
        row_total += background.row_totals(counts)
    kept = (
        np.arange(counts.nnz) if counts.nnz <= ALL_CELLS else largest_of_rows(counts, CELLS_A_ROW)
    )
    rows = np.repeat(np.arange(counts.shape[0]), row_cells)[kept]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=counts.shape[0]))])
    if background is not None:
        row_cells = np.where(background.amounts > 0, counts.shape[1], row_cells)
    whole = counts.data.dtype.kind in "iu" and counts.data.max(initial=0) < 2**31
    kind = np.int32 if whole else np.float64
    return {
        "indptr": packed_array(indptr.astype(np.int32)),
        "indices": packed_array(counts.indices[kept].astype(np.int32)),
        "counts": packed_array(counts.data[kept].astype(kind)),
        "row_cells": packed_array(row_cells.astype(np.int32)),
        "row_total": packed_array(row_total),
    }


def largest_of_rows(counts: csr_array, most: int) -> NDArray[np.int64]:
    """The places of the `most` largest cells of each row, in order."""
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    order = np.lexsort((counts.indices, -counts.data, rows))
    rank = np.arange(counts.nnz) - counts.indptr[rows]
    return np.sort(order[rank < most])
