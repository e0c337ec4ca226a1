"""A training pass beside the version before, in one process, step by step.

    python benchmarks/training_pass.py --before REV [DATA] [RESULTS]

Each turn runs the same blocks of a pass over wiki.txt with each version. Writes a line a turn to
RESULTS: wall and CPU seconds of both. The last line printed is the median ratio and its range.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import before
import raw
import torch

import exact2vec as e2v
from exact2vec.counts.text import Text
from exact2vec.loss.engine.cells import Workspace
from exact2vec.parallel import Workers
from exact2vec.train import steps
from exact2vec.train.optimizers import TUNED
from exact2vec.train.problem import problem_of
from exact2vec.train.row_schedule import visits
from exact2vec.train.spectral_start import spectral_start

TURNS = 9
STEPS = 24


def ours(counts: Any) -> tuple[Any, Any]:
    """A problem without prior, and its first state."""
    workers = Workers(2)
    problem = problem_of(counts, Workspace.of(workers, 256, len(counts.words)), 0.75, 1)
    start = spectral_start(problem.training.matrix, 100, seed=1, workers=workers)
    return problem, steps.initial_state(problem, TUNED, start)


def before_problem(package: Any, text: Path) -> tuple[Any, Any]:
    """The same of the version before."""
    import importlib

    part = {
        name: importlib.import_module(f"{package.__name__}.{name}")
        for name in ("counts.read", "loss.engine.cells", "parallel", "train.fit", "train.start")
    }
    counts = package.count_text(part["counts.read"].Text(text), min_count=20)
    workers = part["parallel"].Workers(2)
    workspace = part["loss.engine.cells"].Workspace.of(workers, 256, len(counts.words))
    problem = part["train.fit"].problem_of(counts, workspace, 0.75, 1)
    start = part["train.start"].spectral_start(
        problem.counted["training"].matrix, 100, seed=1, workers=workers
    )
    return problem, part["train.fit"].initial_state(problem, start)


def table(rows: list[dict[str, Any]]) -> str:
    """Seconds over those of the version before: the median of the turns, with their range."""
    lines = ["| seconds | over the version before | from | to |", "|---|---|---|---|"]
    for place, name in enumerate(("wall", "CPU")):
        both = [(row["seconds"]["exact2vec"], row["seconds"]["before"]) for row in rows]
        ratios = [ours[place] / before[place] for ours, before in both]
        middle = statistics.median(ratios)
        lines.append(f"| {name} | {middle:.2f} | {min(ratios):.2f} | {max(ratios):.2f} |")
    return "\n".join(lines)


def timed(run: Any) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


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
    package = before.package_before(asked.before)
    problem, state = ours(e2v.count_text(Text(text), min_count=20))
    problem_before, state_before = before_problem(package, text)
    fit_before = __import__(f"{package.__name__}.train.fit", fromlist=["step"])
    totals = problem.training.totals.numpy()
    some = list(visits(totals, 1, 256, 1))[:STEPS]
    some_before = list(fit_before.blocks(totals, 1, 256, 1))[:STEPS]

    def run() -> None:
        at = state
        for _, block in steps.context_blocks(some, problem):
            at = steps.step(at, block, problem, TUNED, steps.Rates(0.01, 0.2))

    def run_before() -> None:
        at = state_before
        for block, cells in fit_before.with_cells(some_before, problem_before):
            at = fit_before.step(at, block, cells, problem_before, 0.01, 0.2)

    lines, ratios = [], []
    for turn in range(TURNS + 1):
        found = {"exact2vec": timed(run), "before": timed(run_before)}
        if not turn:
            continue
        ratios.append([a / b for a, b in zip(found["exact2vec"], found["before"], strict=True)])
        lines.append({"kind": "training pass", "turn": turn, "steps": STEPS, "seconds": found})
    machine = raw.machine()
    asked.results.write_text("".join(json.dumps({**x, "machine": machine}) + "\n" for x in lines))
    for name, values in zip(("wall", "CPU"), zip(*ratios, strict=True), strict=True):
        middle = statistics.median(values)
        print(
            f"{name} seconds over the version before: {middle:.3f} "
            f"({min(values):.3f}–{max(values):.3f})"
        )


if __name__ == "__main__":
    main()
