"""The report: one offline HTML file of a run, or of several that compare."""

import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exact2vec.counts.features import Features
from exact2vec.counts.kinds import EDGE_TITLES, EDGES, ROWS_OF_ITEMS, entry_titles
from exact2vec.counts.weighting import numbers_of
from exact2vec.errors import InputError, UsageError
from exact2vec.pages.diagnostics import (
    MAPS,
    Calibration,
    WordLosses,
    band_means,
    calibration,
    frequency_bands,
    nearest,
    rank_interval,
    wilson_interval,
)
from exact2vec.pages.explorer import map_note
from exact2vec.pages.html import packed_array, page
from exact2vec.pages.map_groups import map_groups, read_labels
from exact2vec.pages.next_items import next_item_calibration, next_item_parts
from exact2vec.pages.run_view import RunView, stored_run
from exact2vec.storage.run_folder import check_page
from exact2vec.storage.writing import write_whole
from exact2vec.vectors.evaluate import Analogies, Similarity, word_analogies, word_similarity
from exact2vec.vectors.evaluate_nodes import cut_nats

SCRIPTS = ("dom.js", "map.js", "curves.js", "report.js")
NEIGHBOURS_OF, NEIGHBOURS = 2_000, 8
TABLE_WORDS, LEAST_PAIRS = 15, 100.0
# Counted cells up to which train writes a report too. It takes 1.8 s with 0.6 M cells, and 36 s
# with 25.6 M.
QUICK_CELLS = 3_000_000
READ = {
    "read": "tokens read",
    "documents": "documents",
    "distinct": "distinct tokens",
    "training": "tokens kept for training",
    "held_out": "tokens held out",
    "validation": "tokens kept for validation",
    "context_only": "tokens that are contexts only (--rare)",
    "dropped_training": "dropped in the training part: below min-count or beyond max-vocab",
    "dropped_held_out": "dropped in the held-out part: not among the words",
    "dropped_validation": "dropped in the validation part: not among the words",
}


UNSEEN = ("threads", "read", "isolated")  # settings that are no settings, or shown elsewhere


def report(
    *paths: str | Path,
    output: str | Path | None = None,
    force: bool = False,
    plane: str = "pca",
    similarity: Sequence[str | Path] = (),
    analogies: Sequence[str | Path] = (),
    labels: str | Path | None = None,
) -> Path:
    """Write one HTML file of the runs in `paths` and return its path.

    `labels` is a file of lines "name TAB label"; the most common ones colour the map.
    It is `output`, or the path of the first run with .html behind it. Raises InputError where the
    runs do not compare: other words, weighting or held-out pairs.
    """
    if not paths:
        raise UsageError("report needs at least one run folder")
    out = Path(output) if output else Path(paths[0]).with_name(Path(paths[0]).name + ".html")
    check_page(out, force=force)
    runs = [stored_run(path) for path in paths]
    refuse_overlay(runs)
    how: dict[str, Any] = {"plane": plane, "similarity": similarity, "analogies": analogies}
    write_whole(out, report_page(runs, **how, labels=read_labels(labels)))
    return out


def refuse_overlay(runs: Sequence[RunView]) -> None:
    for other in runs[1:]:
        if other.comparable != runs[0].comparable:
            kind = runs[0].counts.kind
            what = (
                "credit or held-out rows"
                if kind in ROWS_OF_ITEMS
                else "weighting or held-out pairs"
            )
            raise InputError(
                f"{runs[0].path} and {other.path} do not compare: their {kind.many}, {what} "
                "differ, so their losses are of different things; make a report of each"
            )


def report_page(
    runs: Sequence[RunView],
    *,
    plane: str = "pca",
    similarity: Sequence[str | Path] = (),
    analogies: Sequence[str | Path] = (),
    labels: Features | None = None,
) -> bytes:
    """The page, UTF-8."""
    plotly = Path(str(importlib.resources.files("plotly"))) / "package_data" / "plotly.min.js"
    first = runs[0]
    data = {
        "words": first.vectors.index_to_key,
        "counts": first.vectors.vocabulary.counts.tolist(),
        "read": read_rows(first),
        "same": same_settings(runs),
        "bands": [band.label for band in frequency_bands(first.vectors.vocabulary.counts)[0]],
        "least_pairs": LEAST_PAIRS,
        "pairs_are_held_out": first.counts.kind not in ROWS_OF_ITEMS,
        "runs": [
            run_data(run, plane, labels)
            | {"evaluation": evaluation_rows(run, similarity, analogies)}
            for run in runs
        ],
    }
    scripts: list[str | Path] = [*SCRIPTS, plotly]
    kind = first.counts.kind
    return page("report.html", styles=["page.css"], scripts=scripts, data=data, kind=kind)


def read_rows(run: RunView) -> list[list[Any]]:
    """What was read, and where every token went."""
    tokens, kind = run.counts.tokens, run.counts.kind
    read = entry_titles(kind) if kind in ROWS_OF_ITEMS else READ
    if kind == EDGES:
        tokens, read = run.counts.settings["read"], EDGE_TITLES
    inputs = ", ".join(map(str, run.provenance.get("inputs", []))) or "Python objects"
    return [
        ["input", inputs],
        *([name, tokens[key]] for key, name in read.items() if key in tokens),
        [f"{run.counts.kind.many} kept", len(run.vectors)],
    ]


def settings(run: RunView) -> dict[str, Any]:
    """Every setting of a run by name."""
    counting = numbers_of(run.counts.weighting) | run.counts.settings
    every = counting | dict(run.config)
    return {name: value for name, value in every.items() if name not in UNSEEN}


def same_settings(runs: Sequence[RunView]) -> list[list[Any]]:
    """(name, value in each run…) of every setting."""
    tables = [settings(run) for run in runs]
    return [
        [name, *(table.get(name) for table in tables)]
        for name in dict.fromkeys(name for table in tables for name in table)
    ]


def run_data(run: RunView, plane: str, labels: Features | None = None) -> dict[str, Any]:
    """What report.js reads of one run."""
    counts, place = run.vectors.vocabulary.counts, frequency_bands(run.vectors.vocabulary.counts)[1]
    parts: dict[str, WordLosses | None] = {
        "training": run.training_losses,
        "held_out": run.held_out_losses,
    }
    weighted = {"training": run.counts.training, "held_out": run.counts.held_out}
    plotted = MAPS[plane](run.vectors.vectors)
    near, cosines = nearest(run.vectors, range(min(NEIGHBOURS_OF, len(counts))), NEIGHBOURS)
    bands = int(place.max()) + 1
    next_items = next_item_calibration(run.vectors, run.baskets)
    return {
        "name": run.name,
        "path": run.path,
        "prior": run.config.get("prior"),
        "summary": run.summary,
        "history": run.history,
        "times": run.times,
        "baselines": run.baselines,
        "versions": run.provenance.get("versions", {}),
        "machine": run.provenance.get("machine", ""),
        "command": run.provenance.get("command", []),
        "bands": {
            name: band_data(losses, place, bands)
            for name, losses in parts.items()
            if losses is not None
        },
        "calibration": {
            name: calibration_data(
                calibration(run.vectors, run.counts.weigh(part), run.counts.background_of(part))
            )
            for name, part in weighted.items()
            if part is not None
        }
        | ({} if next_items is None else {"next": calibration_data(next_items)}),
        "parts": next_item_parts(run.vectors),
        "best": word_predictions(run, best=True),
        "worst": word_predictions(run, best=False),
        "map": {
            "points": packed_array(plotted.points.astype(np.float32)),
            "nll": packed_array(run.training_losses.row_nll.astype(np.float32)),
            "groups": map_groups(run.vectors, labels),
            "note": map_note(plotted.method, plotted.faithful, run.vectors.kind.many),
        },
        "near": packed_array(near.astype(np.int32).ravel()),
        "cosines": packed_array(cosines.ravel()),
        "near_of": near.shape[1],
    }


def band_data(losses: WordLosses, place: Any, bands: int) -> dict[str, list[float | None]]:
    """Means of each band, nats a pair: its words as contexts, and as the words to predict.

    Each stands beside the unigram's.
    """
    return {
        "context": band_means(losses.row_nll, losses.row_pairs, place, bands),
        "context_unigram": band_means(losses.row_unigram, losses.row_pairs, place, bands),
        "target": band_means(losses.column_nll, losses.column_pairs, place, bands),
        "target_unigram": band_means(losses.column_unigram, losses.column_pairs, place, bands),
    }


def calibration_data(found: Calibration) -> dict[str, Any]:
    return {
        "predicted": found.predicted,
        "counted": found.counted,
        "pairs": found.pairs,
        "cells": found.cells,
        "rows": found.rows,
    }


def word_predictions(run: RunView, *, best: bool) -> list[list[Any]]:
    """(word, times counted, loss, unigram's loss, gain) of the words predicted best or worst.

    The gain is the unigram's loss minus the loss, in the training part.
    """
    losses = run.training_losses
    gain = np.where(
        losses.column_pairs >= LEAST_PAIRS, losses.column_unigram - losses.column_nll, np.nan
    )
    order = np.argsort(-gain if best else gain, kind="stable")[
        : min(TABLE_WORDS, int((~np.isnan(gain)).sum()))
    ]
    words, counts = run.vectors.index_to_key, run.vectors.vocabulary.counts
    return [
        [
            words[at],
            int(counts[at]),
            float(losses.column_nll[at]),
            float(losses.column_unigram[at]),
            float(gain[at]),
        ]
        for at in order
    ]


def evaluation_rows(
    run: RunView, similarity: Sequence[str | Path], analogies: Sequence[str | Path]
) -> list[list[Any]]:
    """(what, value, 95 % interval, measured on) of each number.

    Exact sums have no interval; rank correlations and shares do.
    """
    rows: list[list[Any]] = []
    for name in ("training", "held_out"):
        losses: Mapping[str, Any] | None = run.summary[name]
        title = f"{name.replace('_', '-')} NLL"
        rows.append(
            [title, losses["nll"], "exact", f"{losses['pairs']:,.1f} weighted pairs"]
            if losses
            else [title, None, "", "nothing"]
        )
    if run.counts.kind in ROWS_OF_ITEMS:
        del rows[1]  # the held-out part is of whole rows, not of pairs
    if (beyond := cut_nats(run.vectors, run.counts)) is not None:
        what = f"{-beyond:+.6f}: the cells that a background stands for, too"
        rows.insert(1, ["training NLL over all cells", rows[0][1] - beyond, "exact", what])
    for path in similarity:
        rank: Similarity = word_similarity(run.vectors, path)
        rows.append(
            [
                f"Spearman's ρ, {Path(path).name}",
                rank.rho,
                interval_text(rank_interval(rank.rho, rank.n)),
                measured_on(rank.n, "pairs", rank.out_of_vocabulary),
            ]
        )
    for path in analogies:
        share: Analogies = word_analogies(run.vectors, path)
        ends = interval_text(wilson_interval(share.accuracy, share.n))
        rows.append(
            [
                f"analogies, {Path(path).name}",
                share.accuracy,
                ends,
                measured_on(share.n, "questions", share.out_of_vocabulary),
            ]
        )
    return rows


def interval_text(ends: tuple[float, float] | None) -> str:
    return "none" if ends is None else f"{ends[0]:.4f} .. {ends[1]:.4f}"


def measured_on(n: int, what: str, out_of_vocabulary: float) -> str:
    return f"{n:,} {what}, {100 * out_of_vocabulary:.2f} % out of vocabulary"
