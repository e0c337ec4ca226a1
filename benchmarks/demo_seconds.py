"""The demo's two commands beside those of the version before, each command a process, in turns.

    python benchmarks/demo_seconds.py --before REV [RESULTS]

The training of python-docs as `make demo` runs it, with the defaults of its version; the training
of today also with the number of passes and exact losses of the version before; and the neighbours
of three words. Writes a line a turn to RESULTS: wall and CPU seconds of each. The table has the
medians, and over the turns the ratio with its range.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import before
import raw

TURNS = 7
MEASURED = Path(__file__).parents[1] / "docs" / "measured.md"
TODAY, BEFORE = "exact2vec", before.NAME
QUERY = ("neighbors", "RUN", "server", "thread", "list", "-n", "5")
TRAINING = ("train", "python-docs", "-o", "RUN", "--force")
ALIKE = ("--epochs=4", "--exact-every=1")  # the defaults of the version before
COMMANDS = {
    "train": (TRAINING, (*TRAINING, *ALIKE)),
    "train, today's defaults": (TRAINING, TRAINING),
    "neighbors": (QUERY, QUERY),
}


def seconds_of(package: str, folder: Path, run: Path, command: tuple[str, ...]) -> list[float]:
    """Wall and CPU seconds of a command that must succeed."""
    given = [str(run) if part == "RUN" else part for part in command]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", package, *given],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(folder)},
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{package} {command} ended with status {status}")
    return [time.perf_counter() - began, usage.ru_utime + usage.ru_stime]


def turn(folders: dict[str, Path], scratch: Path) -> dict[str, dict[str, list[float]]]:
    """The seconds of each command, by version."""
    return {
        name: {
            package: seconds_of(package, folders[package], scratch / package, command)
            for package, command in zip((BEFORE, TODAY), commands, strict=True)
        }
        for name, commands in COMMANDS.items()
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Medians of seconds, and over those of the version before: the median, with the range."""
    lines = ["| command | seconds | before | today | today over before | from | to |"]
    lines.append("|---" * 7 + "|")
    for name in COMMANDS:
        for place, unit in enumerate(("wall", "CPU")):
            both = [row["commands"][name] for row in rows]
            old, new = ([one[package][place] for one in both] for package in (BEFORE, TODAY))
            ratios = [ours / theirs for ours, theirs in zip(new, old, strict=True)]
            cells = [statistics.median(values) for values in (old, new, ratios)]
            cells += [min(ratios), max(ratios)]
            lines.append(f"| {name} | {unit} | " + " | ".join(f"{one:.2f}" for one in cells) + " |")
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--before", required=True)
    arguments.add_argument("results", nargs="?", type=Path, default=raw.RESULTS / "demo.jsonl")
    asked = arguments.parse_args()
    folders = {TODAY: Path(__file__).parents[1], BEFORE: before.folder_of(asked.before)}
    asked.results.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        turn(folders, Path(scratch))  # compiles, where need be
        for number in range(1, TURNS + 1):
            found = turn(folders, Path(scratch))
            raw.append(asked.results, {"turn": number, "before": asked.before, "commands": found})
    raw.put(MEASURED, "demo", table(raw.read(asked.results)))


if __name__ == "__main__":
    main()
