"""The time of `exact2vec recommend` for every user of gowalla, ten items each.

    python benchmarks/item_recommend.py ../shared/data runs/recommend OUT.jsonl
    python benchmarks/item_recommend.py table

The run is trained on the public split, unless the folder has it, with all parts of the default
model and of their sizes. Its composed part is trained for one pass, and its vectors, which have no
part in it at this size, for one epoch: the time does not depend on how good they are. It is that of
the whole command: imports, the table of orders, the model and the file that is written.
"""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import raw
from item_data import Data, gowalla, rows_of

import exact2vec as e2v
from exact2vec.storage.next_item_files import NextItems
from exact2vec.storage.run_folder import open_run
from exact2vec.train.item_training import PRESETS

COLUMNS = {"group_by": "user", "item": "item"}


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


def trained(orders: Path, run: Path) -> None:
    """The run of these orders, with one pass and one epoch."""
    preset = PRESETS["table"]
    PRESETS["table"] = replace(preset, composed=replace(preset.composed, epochs=1))
    baskets = e2v.count_baskets(orders, **COLUMNS, min_count=1)
    e2v.Exact2Vec(vector_size=10, epochs=1).fit(baskets).save(run)


def main(folder: Path, runs: Path, output: Path) -> None:
    runs.mkdir(parents=True, exist_ok=True)
    data, orders, run = gowalla(folder / "items"), runs / "orders.csv", runs / "run"
    written(data, orders)
    if not run.exists():
        trained(orders, run)
    flags = ("--group-by", COLUMNS["group_by"], "--item", COLUMNS["item"])
    to = runs / "next.parquet"
    spent = timed("recommend", run, "--from", orders, *flags, "-o", to, "--force")
    users, items = data.baskets.shape
    shares = NextItems.read(open_run(run)).shares
    sizes = {"users": users, "items": items, "pairs": data.baskets.nnz, "written": lines_of(to)}
    raw.append(output, {"data": data.name, "shares": shares, **sizes, **spent})


def lines_of(path: Path) -> int:
    """How many recommendations a file has."""
    import pyarrow.parquet

    return int(pyarrow.parquet.read_metadata(path).num_rows)


def table(rows: list[dict[str, Any]]) -> str:
    """docs/measured.md's table."""
    titles = ["users", "items", "written", "seconds", "CPU seconds", "peak GB"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for row in rows:
        cells = [f"{row[name]:,}" for name in ("users", "items", "written")]
        cells += [f"{row['seconds']:.0f}", f"{row['cpu_seconds']:.0f}"]
        lines.append("| " + " | ".join([*cells, f"{row['peak_bytes'] / 1e9:.1f}"]) + " |")
    return "\n".join(lines)


if __name__ == "__main__" and sys.argv[1] == "table":
    page = raw.HERE.parent / "docs" / "measured.md"
    raw.put(page, "item_recommend", table(raw.read(raw.RESULTS / "item_recommend.jsonl")))
elif __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
