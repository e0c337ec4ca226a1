"""A training pass beside the version before, in one process, step by step.

    python benchmarks/training_pass.py --before REV [DATA] [RESULTS]

Both versions train on wiki.txt, a step of each in turn. Writes a line a turn of 12 steps to
RESULTS: wall and CPU seconds of both. The last line printed is the median ratio and its range.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import before
import raw
import torch

import exact2vec

TURNS = 9
STEPS = 12
READERS = ("counts.text", "counts.read")  # where Text stands, today and in earlier versions


def training(package: Any, text: Path) -> Iterator[Any]:
    """The records of a training of one pass without prior, from the first step on."""
    for name in READERS:
        try:
            reader = import_module(f"{package.__name__}.{name}")
            break
        except ModuleNotFoundError:
            continue
    counts = package.count_text(reader.Text(text), min_count=20)
    records = iter(package.fit(counts, epochs=1, prior=None, threads=2))
    next(records)
    return records


def timed_steps(both: dict[str, Iterator[Any]]) -> dict[str, list[float]]:
    """Wall and CPU seconds of STEPS steps of each version, taken in turn."""
    seconds = {name: [0.0, 0.0] for name in both}
    for _, (name, records) in itertools.product(range(STEPS), both.items()):
        wall, cpu = time.perf_counter(), time.process_time()
        next(records)
        seconds[name][0] += time.perf_counter() - wall
        seconds[name][1] += time.process_time() - cpu
    return seconds


def table(rows: list[dict[str, Any]]) -> str:
    """Seconds over those of the version before: the median of the turns, with their range."""
    lines = ["| seconds | over the version before | from | to |", "|---|---|---|---|"]
    for place, name in enumerate(("wall", "CPU")):
        both = [(row["seconds"]["exact2vec"], row["seconds"]["before"]) for row in rows]
        ratios = [ours[place] / before[place] for ours, before in both]
        middle = statistics.median(ratios)
        lines.append(f"| {name} | {middle:.2f} | {min(ratios):.2f} | {max(ratios):.2f} |")
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--before", required=True)
    arguments.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"))
    arguments.add_argument(
        "results", nargs="?", type=Path, default=raw.RESULTS / "training_pass.jsonl"
    )
    asked = arguments.parse_args()
    torch.set_num_threads(2)
    scratch = Path("runs/speed")
    scratch.mkdir(parents=True, exist_ok=True)
    text = raw.unpacked_wiki(asked.data, scratch)
    packages = {"exact2vec": exact2vec, "before": before.package_before(asked.before)}
    both = {name: training(package, text) for name, package in packages.items()}
    timed_steps(both)
    machine = {**raw.machine(), "before": asked.before}
    rows = [
        {"kind": "training pass", "turn": turn, "steps": STEPS, "seconds": timed_steps(both)}
        for turn in range(1, TURNS + 1)
    ]
    asked.results.write_text(
        "".join(json.dumps({**row, "machine": machine}) + "\n" for row in rows)
    )
    print(table(rows))


if __name__ == "__main__":
    main()
