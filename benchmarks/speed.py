"""What counting, the start and a pass cost, on two threads and one.

Measure all parts, or those named:
    python benchmarks/speed.py ../shared/data SCRATCH benchmarks/results/speed.jsonl [PART…]
Print the tables, and draw the cost over tokens and over words:
    python benchmarks/speed.py
    python benchmarks/speed.py figure docs/see/scaling.svg

The parts are:
counting  text to counts, saved, with peak memory, each in a process of its own: min-count 20, 5
          and 1, and text that is not ASCII
pass      a pass beside its three matrix products alone at several tile sizes, interleaved
threads   the same training with one and two workers, digests compared
order     a pass whose threads sum what they happen to have, so that bytes depend on it, beside
          ours, whose sums have a fixed order
shares    where the seconds of two epochs go
scaling   a pass over tokens and over words, beside the model 6·V²·D
"""

import contextlib
import hashlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import raw
import speed_table

RESULTS = raw.RESULTS / "speed.jsonl"
MEASURED = Path(__file__).parents[1] / "docs" / "measured.md"
COUNT = """
import json, resource, sys, time
from exact2vec import Text, count_text
began = time.perf_counter()
counts = count_text(Text(sys.argv[1]), min_count=int(sys.argv[2]))
counted = time.perf_counter() - began
counts.save(sys.argv[3], force=True)
print(json.dumps({
    "counted": counted,
    "saved": time.perf_counter() - began,
    "words": len(counts.words),
    "cells": counts.training.nnz,
    "tokens": counts.tokens["read"],
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}))
"""


def counting(data: Path, scratch: Path) -> list[dict[str, Any]]:
    """Seconds from text to counts and to counts on the disk."""
    text = raw.unpacked_wiki(data, scratch)
    accented = scratch / "accented.txt"
    accented.write_text(text.read_text().translate(str.maketrans("aeo", "áéö")))
    rows = []
    for path, min_count in ((text, 20), (text, 5), (text, 1), (accented, 20)):
        for turn in range(4):  # the first compiles, where nothing is cached yet
            found = json.loads(
                subprocess.check_output(
                    [
                        sys.executable,
                        "-c",
                        COUNT,
                        str(path),
                        str(min_count),
                        str(scratch / "counts"),
                    ]
                )
            )
            if turn:
                rows.append(
                    {
                        "part": "counting",
                        "text": path.name,
                        "bytes": path.stat().st_size,
                        "min_count": min_count,
                        **found,
                    }
                )
    return rows


def one_pass(data: Path, scratch: Path) -> list[dict[str, Any]]:
    """Seconds of a pass, and of its three products alone at several tile sizes.

    Five rounds, interleaved.
    """
    import torch

    from exact2vec import count_text
    from exact2vec.counts.text import Text
    from exact2vec.train import steps
    from exact2vec.train.optimizers import TUNED
    from exact2vec.train.row_schedule import visits

    problem, state = _problem(count_text(Text(raw.unpacked_wiki(data, scratch)), min_count=20), 100)
    some = list(visits(problem.training.totals.numpy(), 1, 256, 1))
    workspace, words = problem.workspace, len(state.output_rows)

    def products(size: int) -> None:
        tiles = [slice(at, min(at + size, words)) for at in range(0, words, size)]
        for block in some:
            rows = len(block.contexts)
            inputs = state.sides[1].padded(state.inputs[:rows])

            def three(tile: slice, inputs: torch.Tensor = inputs, rows: int = rows) -> None:
                scores = workspace.scores[tile.start * rows : tile.stop * rows].view(rows, -1)
                torch.mm(inputs, state.output_rows[tile].T, out=scores)
                scores @ state.output_rows[tile]
                scores.T @ inputs

            workspace.pool.map(three, tiles)

    rows = []
    for number in range(5):
        began = time.perf_counter()
        for _, block in steps.context_blocks(some, problem):
            state = steps.step(state, block, problem, TUNED, steps.Rates(0.01, 0.2))
        row: dict[str, Any] = {
            "part": "pass",
            "round": number,
            "words": words,
            "seconds": time.perf_counter() - began,
            "products": {},
        }
        for size in (256, 512, 1024, 2048):
            began = time.perf_counter()
            products(size)
            row["products"][size] = time.perf_counter() - began
        began = time.perf_counter()
        problem.losses(state, exact=True)
        rows.append(row | {"sweep_seconds": time.perf_counter() - began})
    return rows


def threads(data: Path, scratch: Path) -> list[dict[str, Any]]:
    """The same two epochs with one and two workers."""
    from exact2vec import Text, count_text, fit

    counts = count_text(Text(raw.unpacked_wiki(data, scratch)), min_count=20, max_vocab=15_000)
    rows = []
    for number in (1, 2, 1, 2):
        began, cpu = time.perf_counter(), time.process_time()
        *_, last = fit(counts, epochs=2, exact_every=0, threads=number)
        digest = hashlib.sha256(
            last.state.inputs.numpy().tobytes() + last.state.output_rows.numpy().tobytes()
        ).hexdigest()
        rows.append(
            {
                "part": "threads",
                "threads": number,
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time() - cpu,
                "digest": digest,
            }
        )
    return rows


def shares(data: Path, scratch: Path) -> list[dict[str, Any]]:
    """Seconds of two epochs with the default prior, and of their parts; three rounds.

    Losses are exact at the start and the end.
    """
    from exact2vec import Text, count_text
    from exact2vec.train import fit, problem

    parts = {
        "prior_of": "n-grams",
        "spectral_start": "start",
        "step": "steps",
        "refitted": "means",
        "exact_losses": "exact losses",
        "estimated_losses": "estimates",
    }
    spent = dict.fromkeys(parts.values(), 0.0)

    def timed(name: str) -> Any:
        module = problem if name.endswith("_losses") else fit
        function = getattr(module, name)

        def call(*args: Any, **extra: Any) -> Any:
            began = time.perf_counter()
            result = function(*args, **extra)
            spent[parts[name]] += time.perf_counter() - began
            return result

        return mock.patch.object(module, name, call)

    counts, rows = count_text(Text(raw.unpacked_wiki(data, scratch)), min_count=20), []
    for number in range(3):
        spent.update(dict.fromkeys(spent, 0.0))
        began = time.perf_counter()
        with contextlib.ExitStack() as stack:
            for name in parts:
                stack.enter_context(timed(name))
            for _ in fit.fit(counts, epochs=2, exact_every=0):
                pass
        rows.append(
            {
                "part": "shares",
                "round": number,
                "words": len(counts.words),
                "seconds": time.perf_counter() - began,
                "spent": dict(spent),
            }
        )
    return rows


def scaling(data: Path, scratch: Path) -> list[dict[str, Any]]:
    """Seconds to count and of a pass, over tokens and over words, D = 100."""
    from exact2vec import Text, count_text
    from exact2vec.train import steps
    from exact2vec.train.optimizers import TUNED
    from exact2vec.train.row_schedule import visits

    text, rows = raw.unpacked_wiki(data, scratch), []
    for tokens, words, min_count in (
        (5, 20_000, 1),
        (10, 20_000, 1),
        (17, 20_000, 1),
        (17, 10_000, 1),
        (17, 33_000, 1),
        (17, 77_000, 5),
    ):
        part = scratch / "part.txt"
        part.write_bytes(
            text.read_bytes()[: round(len(text.read_bytes()) * min(1, tokens / 16.556))].rpartition(
                b"\n"
            )[0]
        )
        began = time.perf_counter()
        counts = count_text(Text(part), min_count=min_count, max_vocab=words)
        counted = time.perf_counter() - began
        problem, state = _problem(counts, 100)
        began = time.perf_counter()
        some = visits(problem.training.totals.numpy(), 1, 256, 1)
        for _, block in steps.context_blocks(some, problem):
            state = steps.step(state, block, problem, TUNED, steps.Rates(0.01, 0.2))
        seconds = time.perf_counter() - began
        rows.append(
            {
                "part": "scaling",
                "tokens": counts.tokens["read"],
                "words": len(counts.words),
                "count_seconds": counted,
                "pass_seconds": seconds,
                "model_gigaflops": 6 * len(counts.words) ** 2 * 100 / 1e9,
            }
        )
    return rows


def _problem(counts: Any, dim: int) -> tuple[Any, Any]:
    """A problem without prior and its first state."""
    from exact2vec.loss.engine.cells import Workspace
    from exact2vec.parallel import Workers
    from exact2vec.train.optimizers import TUNED
    from exact2vec.train.problem import problem_of
    from exact2vec.train.spectral_start import spectral_start
    from exact2vec.train.steps import initial_state

    workers = Workers(2)
    whole = problem_of(counts, Workspace.of(workers, 256, len(counts.words)), 0.75, 1)
    problem = replace(whole, parts={"training": whole.model})
    start = spectral_start(problem.training.matrix, dim, seed=1, workers=workers)
    return problem, initial_state(problem, TUNED, start)


PARTS = {
    "counting": counting,
    "pass": one_pass,
    "threads": threads,
    "shares": shares,
    "scaling": scaling,
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["figure"]:
        speed_table.figure(raw.read(RESULTS), Path(sys.argv[2]))
    if len(sys.argv) > 3:
        Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
        for part in sys.argv[4:] or PARTS:
            for row in PARTS[part](Path(sys.argv[1]), Path(sys.argv[2])):
                raw.append(Path(sys.argv[3]), row)
        raw.put(MEASURED, "speed", speed_table.tables(raw.read(RESULTS)))
    print(speed_table.tables(raw.read(RESULTS)))
