"""The whole command on wiki.txt.gz: quality, seconds, peak memory, and the loss recomputed.

    python benchmarks/training.py ../shared/data benchmarks/results/training.jsonl

There are three runs: of 1 and 2 threads, and of 2 threads with exact losses at the start and the
end only. Each writes a line to the JSONL (settings, machine, versions, commit, seconds, peak_bytes,
losses in nats); README's table is made of them. A last line holds the wall and CPU seconds of each
part of the command, in one process; alone:

    python benchmarks/training.py parts ../shared/data
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import raw

SETTINGS = {"min-count": 20, "vector-size": 100, "window": 5, "epochs": 2, "seed": 1}
README = Path(__file__).parents[1] / "README.md"
VECTOR_FILES = ("vectors.safetensors", "history.jsonl", "counts.safetensors", "vocabulary.json")


def measured(command: list[str]) -> tuple[float, int]:
    """Wall seconds and peak resident bytes of a command that must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} ended with status {status}")
    return time.perf_counter() - began, usage.ru_maxrss * 1024


def run(data: Path, threads: int, exact_every: int, folder: Path) -> dict[str, Any]:
    """Train, evaluate, and gather what was seen."""
    exact2vec = [sys.executable, "-m", "exact2vec"]
    flags = [f"--{name}={value}" for name, value in SETTINGS.items()]
    seconds, peak_bytes = measured(
        [
            *exact2vec,
            "train",
            str(data / "text/wiki.txt.gz"),
            "-o",
            str(folder),
            f"--threads={threads}",
            f"--exact-every={exact_every}",
            *flags,
        ]
    )
    sets = {
        name: str(data / "eval" / name)
        for name in ("wordsim353.tsv", "simlex999.tsv", "questions-words.txt")
    }
    found = json.loads(
        subprocess.check_output(
            [
                *exact2vec,
                "evaluate",
                str(folder),
                "--json",
                "--similarity",
                sets["wordsim353.tsv"],
                "--similarity",
                sets["simlex999.tsv"],
                "--analogies",
                sets["questions-words.txt"],
            ]
        )
    )
    printed = json.loads((folder / "summary.json").read_text())
    counting = json.loads((folder / "counting.json").read_text())["tokens"]
    parts = ("training", "held_out", "dropped_training", "dropped_held_out")
    return {
        "settings": SETTINGS,
        "vectors": "the embedding",
        "threads": threads,
        "exact_every": exact_every,
        "seconds": seconds,
        "peak_bytes": peak_bytes,
        "words": found["words"],
        "nll": printed["training"]["nll"],
        "held_out_nll": printed["held_out"]["nll"],
        "unigram": printed["training"]["unigram"],
        "relative_difference_recomputed": max(
            abs(printed[part]["nll"] / found[part]["nll"] - 1) for part in ("training", "held_out")
        ),
        "wordsim353": found["similarity"][sets["wordsim353.tsv"]],
        "simlex999": found["similarity"][sets["simlex999.tsv"]],
        "analogies": found["analogies"][sets["questions-words.txt"]],
        "tokens_read": counting["read"],
        "tokens_unaccounted": counting["read"] - sum(counting[part] for part in parts),
        "digests": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in VECTOR_FILES
        },
        "times": [json.loads(line) for line in (folder / "times.jsonl").read_text().splitlines()],
        "machine": raw.machine(),
    }


class Laps:
    """Wall and CPU seconds from one moment to the next, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}
        self._began = time.perf_counter(), time.process_time()

    def lap(self, name: str) -> None:
        now = time.perf_counter(), time.process_time()
        self.seconds[name] = now[0] - self._began[0], now[1] - self._began[1]
        self._began = now
        print(f"{name:<24}{self.seconds[name][0]:7.2f} s wall{self.seconds[name][1]:7.2f} s CPU")


def part_seconds(data: Path) -> dict[str, tuple[float, float]]:
    """The seconds of the parts of a training with the default losses, and of writing it."""
    laps = Laps()
    from exact2vec import Exact2Vec, Text, count_text

    laps.lap("imports")
    counts = count_text(Text(data / "text/wiki.txt.gz"), min_count=SETTINGS["min-count"])
    laps.lap("reading and counting")
    model = Exact2Vec(vector_size=SETTINGS["vector-size"], epochs=SETTINGS["epochs"])
    model.fit(counts, listen=lambda records: measured_records(records, laps))
    laps.lap("the embedding")
    with tempfile.TemporaryDirectory() as scratch:
        model.save(Path(scratch) / "run", report=False)
    laps.lap("writing")
    return laps.seconds


def measured_records(records: Iterator[Any], laps: Laps) -> Iterator[Any]:
    """The records, with a lap for each that has losses."""
    for record in records:
        if record.training is not None:
            laps.lap(f"pass {record.epoch:g}" if record.step else "start")
        yield record


def table(rows: list[dict[str, Any]]) -> str:
    """README's lines, a pure function of the results."""
    rows = [row for row in rows if "threads" in row]
    first = rows[0]
    lines = [
        f"{first['tokens_read']:,} words of Wikipedia, {first['words']:,} kept (min-count "
        f"{first['settings']['min-count']}), "
        f"{first['settings']['vector-size']} numbers a vector, window "
        f"{first['settings']['window']}, {first['settings']['epochs']} passes, "
        f"{first.get('vectors', 'inputs + outputs')};",
        f"{first['machine']['cores']} shared {first['machine']['processor']} cores, Python "
        f"{first['machine']['python']}, torch {first['machine']['torch']}:",
        "",
        "| threads | exact losses | whole command | peak memory | NLL | held-out NLL | "
        "WordSim-353 | SimLex-999 | Google analogies |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        exact = "every pass" if row["exact_every"] else "start and end"
        lines.append(
            f"| {row['threads']} | {exact} | {row['seconds']:.0f} s | "
            f"{row['peak_bytes'] / 1e9:.2f} GB | {row['nll']:.4f} | {row['held_out_nll']:.4f} "
            f"| {row['wordsim353']['rho']:.3f} | {row['simlex999']['rho']:.3f} | "
            f"{row['analogies']['accuracy']:.3f} |"
        )
    same = rows[0]["digests"] == rows[1]["digests"]
    unaccounted = sum(row["tokens_unaccounted"] for row in rows)
    worst = max(row["relative_difference_recomputed"] for row in rows)
    lines += [
        "",
        f"The unigram's NLL is {first['unigram']:.4f}. With 1 and 2 threads the vectors, counts "
        f"and history are {'the same bytes' if same else 'DIFFERENT'}; "
        f"{unaccounted} tokens are unaccounted for; `evaluate` recomputes the printed losses "
        f"with a relative difference of {worst:.0e}.",
    ]
    return "\n".join(lines)


def main(data: Path, results: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        rows = [
            run(data, threads, every, Path(scratch) / f"{threads}-{every}")
            for threads, every in ((1, 1), (2, 1), (2, 0))
        ]
    seconds = {"parts": part_seconds(data), "machine": raw.machine()}
    results.write_text("".join(json.dumps(row) + "\n" for row in [*rows, seconds]))
    raw.put(README, "training", table(rows))
    print(table(rows))


if __name__ == "__main__" and sys.argv[1] == "parts":
    part_seconds(Path(sys.argv[2]))
elif __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
