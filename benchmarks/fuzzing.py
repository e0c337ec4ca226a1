"""How many damaged files each reader was tried on, and what that took.

    python benchmarks/fuzzing.py benchmarks/results/fuzzing.jsonl 100000 120
    python benchmarks/fuzzing.py table

It is the search of `make fuzz`, in pieces of so many seconds a reader, until each has had so many
inputs. A line is a piece: its reader, how many inputs it tried, from which seed on, and when. One
that finds a fault ends with the error that says the input, and leaves no line.
"""

import sys
import tempfile
import time
from pathlib import Path

import raw

sys.path.append(str(raw.HERE.parent / "tests"))

PAGE = raw.HERE.parent / "SECURITY.md"


def piece(reader, done, inputs, seconds):
    """The line of a piece; `done` are the lines of the pieces before."""
    from broken_files import BATCH, ROUND
    from test_broken_files import searched

    first = sum(-(-row["inputs"] // (BATCH * ROUND)) for row in done)
    began = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        tried = searched(reader, Path(folder), inputs=inputs, seconds=seconds, first=first)
    return {
        "reader": reader,
        "inputs": tried,
        "first_seed": first,
        "seconds": time.perf_counter() - began[0],
        "cpu_seconds": time.process_time() - began[1],
        "date": time.strftime("%Y-%m-%d"),
    }


def totals(rows):
    """For each reader how many inputs it was tried on, and the day of the last of them."""
    found = {}
    for row in rows:
        inputs, cpu, _ = found.get(row["reader"], (0, 0.0, ""))
        found[row["reader"]] = inputs + row["inputs"], cpu + row["cpu_seconds"], row["date"]
    return found


def table(rows):
    """A line for each reader."""
    lines = ["| reader | inputs | CPU | last |", "|---|---|---|---|"]
    for reader, (inputs, cpu, date) in totals(rows).items():
        lines.append(f"| {reader} | {inputs:,} | {cpu:.0f} s | {date} |")
    return "\n".join(lines)


def main():
    if sys.argv[1] == "table":
        raw.put(PAGE, "fuzzing", table(raw.read(raw.RESULTS / "fuzzing.jsonl")))
        return
    from test_broken_files import EVERY

    results, wanted, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    for reader in sys.argv[4:] or EVERY:
        done = [row for row in raw.read(results) if row["reader"] == reader]
        missing = wanted - sum(row["inputs"] for row in done)
        if missing > 0:
            raw.append(results, piece(reader, done, missing, seconds))


if __name__ == "__main__":
    main()
