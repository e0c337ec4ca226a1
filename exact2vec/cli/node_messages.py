"""The tables of an evaluation of nodes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from exact2vec.display import timed

if TYPE_CHECKING:  # they import torch, which a query does not need
    from exact2vec.vectors.evaluate_nodes import NodeEvaluation
    from exact2vec.vectors.label_scores import LabelScores, Splits
    from exact2vec.vectors.link_scores import LinkScores


def watched_splits(splits: "Splits") -> Iterator[tuple[float, int]]:
    """The splits of labels, with the time that is left: it grows with the nodes trained on."""
    shares = [share for share, _ in splits]
    return timed(splits, shares, "judging labels")


def notes(found: "NodeEvaluation") -> list[str]:
    """What is not judged, and why; and that held-out edges are missing from what labels see."""
    from exact2vec.vectors.evaluate_nodes import HELD_OUT_EDGES

    lines = [f"{what} are not judged: {why}" for what, why in found.not_judged.items()]
    if found.labels and HELD_OUT_EDGES in {*found.links, *found.not_judged}:
        lines.append(
            "labels are judged by vectors that have not seen the held-out edges: "
            "train with --held-out 0 to judge them by the whole graph"
        )
    return lines


def evaluation(found: "NodeEvaluation") -> list[list[str]]:
    """Rows of a table: what, its value, and what it is measured on."""
    rows = []
    if found.cut is not None:
        what = "of the training NLL over all cells, those in the background too, from that above"
        rows.append(["difference", f"{-found.cut:+.6f}", what])
    for path, labels in found.labels.items():
        rows += _labels(path, labels)
    for path, links in found.links.items():
        rows += _links(path, links)
    return rows


def _labels(path: str, found: "LabelScores") -> list[list[str]]:
    strangers = f", {found.strangers:,} names that are no nodes left out" * bool(found.strangers)
    isolated = f", {found.isolated:,} of them without a vector" * bool(found.isolated)
    rows = []
    for score in found.scores:
        of = f"{path}: {found.labelled:,} nodes{isolated}{strangers}, {found.labels:,} labels"
        trained = f"{100 * score.trained:g} % trained on, {len(score.micro_of_splits)} splits"
        for name, mean, error in (
            ("micro", score.micro, score.micro_error),
            ("macro", score.macro, score.macro_error),
        ):
            value = f"{100 * mean:.2f} ± {100 * error:.2f}"
            rows.append([f"{name} F1, per cent", value, f"{of}; {trained}"])
    return rows


def _links(path: str, found: "LinkScores") -> list[list[str]]:
    strangers = f", {found.strangers:,} with an end without vector left out" * bool(found.strangers)
    of = f"{path}: {found.edges:,} edges, as many pairs without one{strangers}"
    rows = []
    for score in (found.model, found.degrees, *found.others):
        for name, value in (("AUC", score.auc), ("AP", score.precision)):
            rows.append([f"{name}, per cent", f"{100 * value:.2f}", f"{of}; by {score.score}"])
    return rows
