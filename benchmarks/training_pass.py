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
from exact2vec.counts.read import Text
from exact2vec.loss.engine.cells import Workspace
from exact2vec.parallel import Workers
from exact2vec.train import fit
from exact2vec.train.row_schedule import blocks
from exact2vec.train.spectral_start import spectral_start

TURNS = 9
STEPS = 24


def ours(counts: Any) -> tuple[Any, Any]:
    """A problem without prior, and its first state."""
    workers = Workers(2)
    problem = fit.problem_of(counts, Workspace.of(workers, 256, len(counts.words)), 0.75, 1)
    matrix = problem.counted["training"].matrix
    return problem, fit.initial_state(problem, spectral_start(matrix, 100, seed=1, workers=workers))


def before_problem(package: Any, text: Path) -> tuple[Any, Any]:
    """The same of the version before."""
    import importlib

    part = {
        name: importlib.import_module(f"{package.__name__}.{name}")
        for name in ("counts.read", "loss.tiles_cpu", "loss.workers", "train.fit", "train.start")
    }
    counts = package.count_text(part["counts.read"].Text(text), min_count=20)
    workers = part["loss.workers"].Workers(2)
    tiled = part["loss.tiles_cpu"].CompiledNLL(workers, len(counts.words), 256)
    problem = part["train.fit"].problem_of(counts, tiled, 0.75, 1)
    start = part["train.start"].spectral_start(
        problem.counted["training"].matrix, 100, seed=1, workers=workers
    )
    return problem, part["train.fit"].initial_state(problem, start)


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
    step_before = __import__(f"{package.__name__}.train.fit", fromlist=["step"]).step
    totals = problem.counted["training"].totals.numpy()
    some = list(blocks(totals, 1, 256, 1))[:STEPS]

    def run() -> None:
        at = state
        for block, cells in fit.with_cells(some, problem):
            at = fit.step(at, block, cells, problem, 0.01, 0.2)

    def run_before() -> None:
        at = state_before
        for block in some:
            at = step_before(at, block, problem_before, 0.01, 0.2)

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
            f"{name} seconds over the version before: {middle:.3f} ({min(values):.3f}–{max(values):.3f})"
        )


if __name__ == "__main__":
    main()
