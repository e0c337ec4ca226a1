"""The tables and the figure of peers.py, pure functions of its raw lines."""

from pathlib import Path
from typing import Any

from peers_scores import SETS

BUDGETS = (30, 60, 120)  # seconds
SHOWN_SECONDS = (30, 100, 300)
OTHER_VECTORS = ("composed", "sum", "flattened")  # of the same run


def table(rows: list[dict[str, Any]]) -> str:
    """Seconds, and each set with its interval; then the differences.

    At the end stands who is ahead at each budget of seconds.
    """
    scores, runs = scores_of(rows), runs_of(rows)
    lines = [
        "| method | wall s | CPU s | peak GB | held-out NLL | " + " | ".join(SETS) + " |",
        "|" + "---|" * (len(SETS) + 5),
    ]
    for name in sorted(scores, key=str.lower):
        of = runs[name]
        cells = [_cell(scores[name][which]) for which in SETS]
        nll = f"{of['held_out_nll']:.3f}" if "held_out_nll" in of else "no likelihood"
        lines.append(
            f"| {name} | {of['seconds']:.0f} | {of['cpu_seconds']:.0f} | "
            f"{of['peak_bytes'] / 1e9:.1f} | {nll} | " + " | ".join(cells) + " |"
        )
    return "\n".join([*lines, "", differences(rows), "", budgets(rows), "", *softmax_lines(rows)])


def differences(rows: list[dict[str, Any]]) -> str:
    """Ours less each reference's, item by item, with the reference's seconds over ours."""
    found = {(row["difference"], row["from"]): row for row in rows if "difference" in row}
    runs = runs_of(rows)
    lines = [
        "| less | of | its wall s over ours | " + " | ".join(SETS) + " |",
        "|" + "---|" * (len(SETS) + 3),
    ]
    for (name, reference), row in found.items():
        if name.startswith(("exact2vec, 2 epochs", "exact2vec, 3 epochs", "exact2vec, 4 epochs")):
            ratio = runs[reference]["seconds"] / runs[name]["seconds"]
            lines.append(
                f"| {reference} | {name} | {ratio:.1f} | "
                + " | ".join(_cell(row[which], "+") for which in SETS)
                + " |"
            )
    return "\n".join(lines)


def budgets(rows: list[dict[str, Any]]) -> str:
    """For each budget the best result on each set, of ours and of the others.

    Methods that end within the budget take part.
    """
    scores, runs = scores_of(rows), runs_of(rows)
    lines = ["| within | | " + " | ".join(SETS) + " |", "|" + "---|" * (len(SETS) + 2)]
    for seconds in BUDGETS:
        for label, ours_too in (("ours", True), ("others", False)):
            names = [
                name
                for name in scores
                if "seed" not in name
                and runs[name]["seconds"] <= seconds
                and name.startswith("exact2vec") == ours_too
                and not name.endswith(OTHER_VECTORS)
            ]
            best = [
                max(((scores[name][which]["value"], name) for name in names), default=None)
                for which in SETS
            ]
            lines.append(
                f"| {seconds} s | {label} | "
                + " | ".join(f"{one[0]:.3f} ({one[1]})" if one else "none ends" for one in best)
                + " |"
            )
    return "\n".join(lines)


def softmax_lines(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"fastText's full softmax over {row['words']:,} words: {row['pairs_per_second']:,.0f} "
        f"pairs a second ({row['pairs']:,} in {row['seconds']:.0f} s)."
        for row in rows
        if "softmax" in row
    ][-1:]


def runs_of(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The line of each method, and of its other vectors, which is the same."""
    found = {row["method"]: row for row in rows if "method" in row and not row["failed"]}
    others = {f"{name}, {which}": row for name, row in found.items() for which in OTHER_VECTORS}
    return found | others


def scores_of(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["scores"]: row for row in rows if "scores" in row}


def _cell(found: dict[str, Any], sign: str = "") -> str:
    return f"{found['value']:{sign}.3f} ({found['low']:{sign}.3f} to {found['high']:{sign}.3f})"


def figure(rows: list[dict[str, Any]], path: Path) -> None:
    """Each set over seconds: a line for ours and for gensim's epochs, points for the others."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "exact2vec"
    from matplotlib import pyplot

    scores = {
        name: row for name, row in scores_of(rows).items() if not name.endswith(OTHER_VECTORS)
    }
    seconds = {name: runs_of(rows)[name]["seconds"] for name in scores}
    curves = {
        "exact2vec": [
            f"exact2vec, {epochs}"
            for epochs in ("0 epochs", "1 epoch", "2 epochs", "3 epochs", "4 epochs")
        ],
        "exact2vec without prior": [
            f"exact2vec without prior, {epochs}"
            for epochs in ("0 epochs", "1 epoch", "2 epochs", "4 epochs")
        ],
        "gensim SGNS": [f"gensim SGNS, {epochs}" for epochs in ("1 epoch", "2 epochs", "5 epochs")],
    }
    curves |= {
        name: [name]
        for name in scores
        if not any(name in curve for curve in curves.values()) and "seed" not in name
    }
    drawing, panels = pyplot.subplots(1, len(SETS), figsize=(16, 4), layout="constrained")
    for panel, which in zip(panels, SETS, strict=True):
        for (label, names), marker in zip(curves.items(), "osD^vP*Xh<>", strict=False):
            if not (some := [name for name in names if name in scores]):
                continue
            panel.plot(
                [seconds[name] for name in some],
                [scores[name][which]["value"] for name in some],
                marker=marker,
                label=label,
            )
        panel.set(title=which, xlabel="wall seconds, text to vectors", xscale="log")
        panel.set_xticks(SHOWN_SECONDS, map(str, SHOWN_SECONDS))
        panel.minorticks_off()
    drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, metadata={"Date": None})
