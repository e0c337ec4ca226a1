"""The held-out NLL of settings around the defaults, from 64 thousand to 17 million words.

    python benchmarks/grid.py ../shared/data benchmarks/results/grid.jsonl [PROBLEM…]

Defaults are chosen on the problems of one half and reported on the other. Without data,
`python benchmarks/grid.py` prints the table of the results. Each run appends a line: problem,
settings, exact losses in nats, seconds. Where a line is there already, the run is not repeated.
"""

import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import raw

RESULTS = raw.RESULTS / "grid.jsonl"
BOOKS = (
    "time_machine.txt",
    "alice_in_wonderland.txt",
    "sherlock_holmes_adventures.txt",
    "pride_and_prejudice.txt",
)
# name: (half, inputs, counting, vector_size)
PROBLEMS: dict[str, tuple[str, list[str], dict[str, Any], int]] = {
    "sherlock": (
        "chosen on",
        ["text/sherlock_holmes_adventures.txt"],
        {"document": "paragraph", "min_count": 3, "held_out": 0.1},
        100,
    ),
    "wiki_1mb": ("chosen on", ["text/wiki_1mb.txt"], {"min_count": 3, "held_out": 0.1}, 100),
    "wiki 10,000 words D 50": (
        "chosen on",
        ["text/wiki.txt.gz"],
        {"max_vocab": 10_000, "min_count": 20},
        50,
    ),
    "time_machine and alice": (
        "reported on",
        [f"text/{book}" for book in BOOKS[:2]],
        {"document": "paragraph", "min_count": 3, "held_out": 0.1},
        50,
    ),
    "python-docs": ("reported on", ["python-docs"], {"min_count": 5, "held_out": 0.1}, 100),
    "wiki 1,000 words": (
        "reported on",
        ["text/wiki.txt.gz"],
        {"max_vocab": 1_000, "min_count": 20},
        100,
    ),
    "wiki 20,000 words": (
        "reported on",
        ["text/wiki.txt.gz"],
        {"max_vocab": 20_000, "min_count": 20},
        100,
    ),
    "wiki 10,000 words D 300": (
        "reported on",
        ["text/wiki.txt.gz"],
        {"max_vocab": 10_000, "min_count": 20},
        300,
    ),
    "wiki min-count 5": ("reported on", ["text/wiki.txt.gz"], {"min_count": 5}, 100),
}
EPOCHS = (1, 2, 4)
BASE = ("vector_size", "epochs", "prior")
# Where rows have few pairs for their numbers, the default prior is run too. Its strengths have a
# grid of their own in rare.py.
FEW_WORDS, LONG = 8_000, 300
AROUND: list[dict[str, Any]] = [
    {},
    {"rate": 0.02},
    {"rate": 0.03},
    {"rate": 0.08},
    {"row_power": 1.0},
    {"row_power": 0.85},
    {"block_rows": 64},
    {"block_rows": 128},
]


def runs(
    data: Path, results: Path, problem: str
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(settings, losses) of every setting of the grid that has no result yet."""
    from exact2vec import Text, count_text, fit

    half, inputs, counting, vector_size = PROBLEMS[problem]
    counting = dict(counting)
    text = Text(
        *(name if name == "python-docs" else data / name for name in inputs),
        document=counting.pop("document", "line"),
    )
    counts = count_text(text, **counting)
    done = [(row["problem"], row["settings"]) for row in raw.read(results)]
    priors = [None, [150, 500]] if len(counts.words) < FEW_WORDS or vector_size >= LONG else [None]
    for prior, around, epochs in itertools.product(priors, AROUND, EPOCHS):
        settings = {"vector_size": vector_size, "epochs": epochs, "prior": prior, **around}
        if (problem, settings) in done or (around and epochs == 1 and len(counts.words) > 25_000):
            continue
        began = time.perf_counter()
        *_, last = fit(counts, exact_every=0, **settings)
        losses = {
            "half": half,
            "words": len(counts.words),
            "tokens": counts.tokens["training"],
            "nll": last.losses.nll,
            "held_out_nll": last.held_out.nll if last.held_out else None,
            "unigram": last.losses.unigram,
            "seconds": time.perf_counter() - began,
        }
        yield settings, losses


def table(rows: list[dict[str, Any]]) -> str:
    """The held-out NLL of the defaults, the best of the grid, and the distance.

    There is a row for each problem, prior and number of epochs.
    """
    lines = [
        "| problem | half | words | prior | epochs | defaults | best | distance | best with |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for problem, prior, epochs in itertools.product(PROBLEMS, (None, [150, 500]), EPOCHS):
        some = [
            row
            for row in rows
            if row["problem"] == problem
            and row["settings"]["epochs"] == epochs
            and row["settings"]["prior"] == prior
        ]
        ours = [row for row in some if set(row["settings"]) == set(BASE)]
        if not ours:
            continue
        best = min(some, key=lambda row: row["held_out_nll"])
        settings = (
            ", ".join(
                f"{name} {value}" for name, value in best["settings"].items() if name not in BASE
            )
            or "the defaults"
        )
        lines.append(
            f"| {problem} | {best['half']} | {best['words']:,} | {'150,500' if prior else 'no'} "
            f"| {epochs} | {ours[0]['held_out_nll']:.4f} "
            f"| {best['held_out_nll']:.4f} | "
            f"{ours[0]['held_out_nll'] - best['held_out_nll']:.4f} | {settings} |"
        )
    return "\n".join(lines)


def main(data: Path, results: Path, problems: list[str]) -> None:
    for problem in problems or PROBLEMS:
        for settings, losses in runs(data, results, problem):
            raw.append(results, {"problem": problem, "settings": settings, **losses})


if __name__ == "__main__":
    if len(sys.argv) > 2:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    print(table(raw.read(RESULTS)))
