"""The memory of choosing a mixture beside its forecast, each in a process of its own.

    python benchmarks/pairs_memory.py ../shared/data benchmarks/results/pairs_memory.jsonl
    python benchmarks/pairs_memory.py table

Bytes are the peak of what is resident, beyond what the process held with the baskets.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import items
import raw

from exact2vec import machine
from exact2vec.counts.credit import pairs_of
from exact2vec.forecast.pairs import expected_cells, pairing_bytes
from exact2vec.options import available_threads
from exact2vec.parallel import Workers
from exact2vec.train.item_training import PRESETS, plan_items

SETTINGS = [("groceries", 6), ("retail", 6), ("gowalla", 0), ("gowalla", 1)]
PAGE = Path(__file__).parents[1] / "docs/scale.md"


def measure(folder: Path, results: Path, name: str, rounds: int) -> None:
    """A line: the mixture chosen with at most these rounds of EM."""
    data = items.READERS[name](folder / "items")
    settings = replace(PRESETS[data.kind], model="mixture", rounds=rounds)
    held = machine.resident_bytes()
    with Workers(available_threads()) as workers:
        plan = plan_items(data.fitted, data.chooses, settings, workers=workers)
        counts = items.counted(data, plan, workers)
    row = {
        "data": name,
        "rounds": rounds,
        "items": data.baskets.shape[1],
        "pairs": pairs_of(data.baskets),
        "cells": counts.training.nnz,
        "expected cells": expected_cells(data.baskets),
        "peak": machine.peak_bytes() - held,
        "forecast": pairing_bytes(data.baskets, rounds=rounds > 0),
    }
    raw.append(results, row)


def table(rows: list[raw.Row]) -> str:
    """docs/scale.md's table."""
    lines = [
        "| data | rounds | items | pairs | cells | peak | share of the peak |",
        "|---" * 7 + "|",
    ]
    for row in rows:
        lines.append(
            f"| {row['data']} | {row['rounds']} | {row['items']:,} | {row['pairs'] / 1e6:.1f} M "
            f"| {row['cells'] / 1e6:.1f} M | {row['peak'] / 1e6:,.0f} MB "
            f"| {row['forecast'] / row['peak']:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__" and sys.argv[1] == "table":
    raw.put(PAGE, "pairs", table(raw.read(raw.RESULTS / "pairs_memory.jsonl")))
elif __name__ == "__main__" and len(sys.argv) == 5:
    measure(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
elif __name__ == "__main__":
    for name, rounds in SETTINGS:
        subprocess.run([sys.executable, __file__, *sys.argv[1:3], name, str(rounds)], check=True)
