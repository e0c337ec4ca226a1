"""The tables and the figure of speed.py, pure functions of its raw lines."""

from pathlib import Path
from typing import Any

import numpy as np


def _middle(values: list[float]) -> float:
    return float(np.median(values))


def tables(rows: list[dict[str, Any]]) -> str:
    """Each part's figures: medians, with the range where there are several."""
    lines = [
        "| text | min-count | words | tokens | text to counts | saved | peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    counted = [row for row in rows if row["part"] == "counting"]
    for text, min_count in dict.fromkeys((row["text"], row["min_count"]) for row in counted):
        of = [row for row in counted if (row["text"], row["min_count"]) == (text, min_count)]
        seconds, saved, peak = (
            _middle([row[what] for row in of]) for what in ("counted", "saved", "peak_bytes")
        )
        lines.append(
            f"| {text}, {of[0]['bytes'] / 1e6:.0f} MB | {min_count} | {of[0]['words']:,} | "
            f"{of[0]['tokens']:,} "
            f"| {seconds:.1f} s | {saved:.1f} s | {peak / 1e9:.2f} GB |"
        )
    if passes := [row for row in rows if row["part"] == "pass"]:
        ratios = [row["seconds"] / min(row["products"].values()) for row in passes]
        seconds, best = (
            _middle(values)
            for values in (
                [row["seconds"] for row in passes],
                [min(row["products"].values()) for row in passes],
            )
        )
        lines += [
            "",
            f"A pass at V = {passes[0]['words']:,}, D = 100: {seconds:.1f} s, "
            f"{np.median(ratios):.2f} times (from {min(ratios):.2f} to "
            f"{max(ratios):.2f}) its three products alone at the best tile size ({best:.1f} s); "
            "an exact sweep of the training part: "
            f"{np.median([row['sweep_seconds'] for row in passes]):.1f} s.",
        ]
    if runs := [row for row in rows if row["part"] == "threads"]:
        one, two = ([row for row in runs if row["threads"] == number] for number in (1, 2))
        same = len({row["digest"] for row in runs}) == 1
        lines += [
            "",
            f"One and two workers give {'the same bytes' if same else 'DIFFERENT bytes'}; two: "
            f"{min(row['seconds'] for row in two):.1f} s where one "
            f"takes {min(row['seconds'] for row in one):.1f} s.",
        ]
    if rounds := [row for row in rows if row["part"] == "shares"]:
        whole = _middle([row["seconds"] for row in rounds])
        spent = {
            name: _middle([row["spent"][name] for row in rounds]) for name in rounds[0]["spent"]
        }
        lines += [
            "",
            f"Two epochs after counting: {whole:.1f} s, of them "
            + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spent.items())
            + f"; the means of the prior are {spent['means'] / whole:.0%} of all.",
        ]
    if scales := [row for row in rows if row["part"] == "scaling"]:
        lines += [
            "",
            "| tokens | words | counting | a pass | GF/s of the model 6·V²·D |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {row['tokens']:,} | {row['words']:,} | {row['count_seconds']:.1f} s | "
            f"{row['pass_seconds']:.1f} s "
            f"| {row['model_gigaflops'] / row['pass_seconds']:.0f} |"
            for row in scales
        ]
    return "\n".join(lines)


def figure(rows: list[dict[str, Any]], path: Path) -> None:
    """Seconds to count over tokens; seconds of a pass over words.

    Beside them stand 6·V²·D flops at the rate of the largest vocabulary.
    """
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "exact2vec"
    from matplotlib import pyplot

    scales = [row for row in rows if row["part"] == "scaling"]
    by_tokens = [row for row in scales if row["words"] == scales[0]["words"]]
    by_words = sorted(
        (row for row in scales if row["tokens"] == max(row["tokens"] for row in scales)),
        key=lambda row: int(row["words"]),
    )
    drawing, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(
        [row["tokens"] / 1e6 for row in by_tokens],
        [row["count_seconds"] for row in by_tokens],
        "o-",
        label="text to counts",
    )
    left.plot(
        [row["tokens"] / 1e6 for row in by_tokens],
        [row["pass_seconds"] for row in by_tokens],
        "s--",
        label="a pass",
    )
    left.set(
        xlabel="million tokens",
        ylabel="seconds",
        title=f"{by_tokens[0]['words']:,} words",
        ylim=(0, None),
        xlim=(0, None),
    )
    words, seconds = [row["words"] for row in by_words], [row["pass_seconds"] for row in by_words]
    rate = by_words[-1]["model_gigaflops"] / seconds[-1]
    right.plot(words, seconds, "s--", label="a pass")
    right.plot(
        words,
        [row["model_gigaflops"] / rate for row in by_words],
        ":",
        label=f"6·V²·D at {rate:.0f} GF/s",
    )
    right.set(
        xlabel="words V",
        xscale="log",
        yscale="log",
        title=f"{by_words[-1]['tokens'] / 1e6:.1f} million tokens, D = 100",
    )
    for panel in (left, right):
        panel.legend()
    drawing.savefig(path, metadata={"Date": None})
