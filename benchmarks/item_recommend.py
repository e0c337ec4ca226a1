"""The time of `exact2vec recommend` for every user of gowalla, ten items each.

    python benchmarks/item_recommend.py ../shared/data runs/recommend OUT.jsonl
    python benchmarks/item_recommend.py table

The runs are trained on the public split, unless the folder has them; their vectors, which have no
part in it at this size, for one epoch. The time is that of the whole command: imports, the table of
orders, the model and the file that is written.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import raw
from item_data import Data, gowalla, rows_of

COLUMNS = ("--kind", "table", "--group-by", "user", "--item", "item")
SMALL = ("--min-count", 1, "--vector-size", 10, "--epochs", 1)  # no item is dropped
MODELS = ("all", "mixture")


def written(data: Data, path: Path) -> None:
    """The training rows, an entry a line."""
    with open(path, "w") as file:
        file.write("user,item\n")
        for user, row in enumerate(rows_of(data.baskets)):
            file.writelines(f"u{user},i{item}\n" for item in row)


def timed(*arguments: object) -> dict[str, float]:
    """Seconds, CPU seconds and peak bytes of one command."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "exact2vec", *map(str, arguments)]
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {status}")
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_bytes": 1024 * used.ru_maxrss,
    }


def main(folder: Path, runs: Path, output: Path, models: Sequence[str]) -> None:
    runs.mkdir(parents=True, exist_ok=True)
    data, orders = gowalla(folder / "items"), runs / "orders.csv"
    written(data, orders)
    for model in models:
        run = runs / model
        if not run.exists():
            timed("train", orders, *COLUMNS, *SMALL, "--model", model, "-o", run, "-q")
        to = runs / f"{model}.parquet"
        spent = timed("recommend", run, "--from", orders, *COLUMNS[2:], "-o", to, "--force")
        users, items = data.baskets.shape
        sizes = {"users": users, "items": items, "pairs": data.baskets.nnz, "written": lines_of(to)}
        raw.append(output, {"data": data.name, "model": model, **sizes, **spent})


def lines_of(path: Path) -> int:
    """How many recommendations a file has."""
    import pyarrow.parquet

    return int(pyarrow.parquet.read_metadata(path).num_rows)


def table(rows: list[dict[str, Any]]) -> str:
    """docs/measured.md's table."""
    titles = ["model", "users", "items", "written", "seconds", "CPU seconds", "peak GB"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for row in rows:
        cells = [row["model"], *(f"{row[name]:,}" for name in ("users", "items", "written"))]
        cells += [f"{row['seconds']:.0f}", f"{row['cpu_seconds']:.0f}"]
        lines.append("| " + " | ".join([*cells, f"{row['peak_bytes'] / 1e9:.1f}"]) + " |")
    return "\n".join(lines)


if __name__ == "__main__" and sys.argv[1] == "table":
    page = Path(__file__).parents[1] / "docs/measured.md"
    raw.put(page, "item_recommend", table(raw.read(raw.RESULTS / "item_recommend.jsonl")))
elif __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), sys.argv[4:] or MODELS)
