"""The three products of a tile by MKL and by oneDNN, on one thread.

    python benchmarks/products.py benchmarks/results/products.jsonl
    python benchmarks/products.py table

A tile is 256 rows by 768 words. A line of the results has, for a size of the vectors and a product,
the median microseconds of a call by each library, over turns in which both are called in turn.
"""

import itertools
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import raw
import torch

from exact2vec.loss.engine import matrix_products as products
from exact2vec.machine import processor_vendor

ROWS, WORDS = 256, 768
SIZES = (56, 104, 304, 768)
TURNS, CALLS = 15, 20
LIBRARIES = {"MKL": False, "oneDNN": True}
RESULTS = raw.RESULTS / "products.jsonl"
MEASURED = raw.HERE.parent / "docs" / "measured.md"


def calls(size: int) -> dict[str, Callable[[], Any]]:
    """The three products of a tile with vectors of so many numbers."""
    torch.manual_seed(1)
    x, u, tile = torch.randn(ROWS, size), torch.randn(WORDS, size), torch.randn(ROWS, WORDS)
    out = torch.empty(ROWS, WORDS)
    return {
        "scores": lambda: products.rows_by_rows(x, u, out),
        "gradient of inputs": lambda: products.rows_by_columns(tile, u),
        "gradient of outputs": lambda: products.columns_by_columns(tile, x),
    }


def measured(call: Callable[[], Any]) -> dict[str, float]:
    """Median microseconds of a call by each library."""
    seen: dict[str, list[float]] = {library: [] for library in LIBRARIES}
    choose = products.onednn_is_faster
    for _, (library, onednn) in itertools.product(range(TURNS), LIBRARIES.items()):
        products.onednn_is_faster = lambda onednn=onednn: onednn  # type: ignore[misc, assignment]
        call()
        began = time.perf_counter()
        for _ in range(CALLS):
            call()
        seen[library].append((time.perf_counter() - began) / CALLS * 1e6)
    products.onednn_is_faster = choose
    return {library: statistics.median(times) for library, times in seen.items()}


def run(results: Path) -> None:
    torch.set_num_threads(1)
    kind = {
        "vendor": processor_vendor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
    }
    for size in SIZES:
        for product, call in calls(size).items():
            flops = 2 * ROWS * WORDS * size
            line = {"size": size, "product": product, "flops": flops} | kind
            raw.append(results, line | {"microseconds": measured(call)})


def table(rows: list[dict[str, Any]]) -> str:
    """GF/s by each library, and how much of MKL's time oneDNN takes."""
    lines = ["| numbers a vector | product | MKL, GF/s | oneDNN, GF/s | oneDNN / MKL, time |"]
    lines.append("|---|---|---|---|---|")
    for row in rows:
        mkl, onednn = (row["microseconds"][library] for library in LIBRARIES)
        rates = [f"{row['flops'] / time / 1e3:.0f}" for time in (mkl, onednn)]
        cells = [str(row["size"]), row["product"], *rates, f"{onednn / mkl:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1] == "table":
        raw.put(MEASURED, "products", table(raw.read(RESULTS)))
    else:
        run(Path(sys.argv[1]))
