"""The forecast of memory and time beside what a training takes, over a grid of sizes.

    python benchmarks/forecast.py ../shared/data runs/forecast benchmarks/results/forecast.jsonl
    python benchmarks/forecast.py table

Each training is a process of its own, the command `exact2vec train`. Texts are Wikipedia's, and one
made of words that follow Zipf's law; tables are made. A line holds the forecast (bytes at the peak,
seconds by the clock and of all cores, both from the forecast to the end), and the same measured:
VmHWM, the clock, CPU. Constants of the cost model were set on the lines whose `use` is "fit".
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import raw
from scipy.sparse import coo_array

SYLLABLES = [consonant + vowel for consonant in "bcdfghklmnprstvz" for vowel in "aeiou"]
TYPES = 150_000  # distinct words of the made text
# text or rows of a table, words or columns, numbers, epochs, n-grams, what the line is for
GRID = [
    ("zipf 2 M", 10_000, 50, 1, True, "fit"),
    ("zipf 2 M", 10_000, 100, 1, False, "fit"),
    ("30,000 rows", 10_000, 100, 1, False, "fit"),
    ("wiki", 10_000, 100, 1, True, "report"),
    ("zipf 6 M", 60_000, 50, 0, False, "report"),
    ("zipf 2 M", 30_000, 100, 1, True, "fit"),
    ("zipf 6 M", 60_000, 300, 0, True, "report"),
    ("zipf 2 M", 10_000, 300, 1, True, "fit"),
    ("60,000 rows", 30_000, 50, 1, False, "report"),
    ("wiki", 60_000, 50, 0, True, "report"),
    ("wiki", 60_000, 100, 0, True, "report"),
    ("60,000 rows", 10_000, 300, 1, False, "fit"),
    ("wiki", 30_000, 50, 1, True, "report"),
    ("wiki", 30_000, 300, 0, True, "fit"),
    ("zipf 2 M", 30_000, 50, 1, False, "report"),
    ("wiki", 30_000, 100, 2, True, "report"),
    ("wiki", 60_000, 50, 2, True, "report"),
    ("zipf 6 M", 30_000, 300, 2, False, "report"),
]
NAMES = ("data", "words", "dim", "epochs", "n-grams", "use")


def made_text(path, tokens):
    """A text of words made of syllables, the n-th n times as rare as the first."""
    random = np.random.default_rng(1)
    words = {}
    while len(words) < TYPES:
        syllables = random.integers(0, len(SYLLABLES), 1 + random.poisson(2))
        ending = random.choice(["", "n", "r", "s", "t"])
        words["".join(SYLLABLES[number] for number in syllables) + ending] = None
    words, shares = list(words), 1 / np.arange(3, TYPES + 3)
    with open(path, "w") as file:
        for start in range(0, tokens, 200_000):
            size = min(200_000, tokens - start)
            numbers = random.choice(TYPES, size, p=shares / shares.sum())
            for line in range(0, size, 25):
                file.write(" ".join(words[number] for number in numbers[line : line + 25]) + "\n")


def made_counts(folder, rows, columns):
    """A folder of counts, of 50 cells a row, most of them in the first rows and columns."""
    import exact2vec as e2v

    random, number = np.random.default_rng(1), 50 * rows
    places = ((size * random.random(number) ** 2).astype(np.int64) for size in (rows, columns))
    cells = coo_array((np.ones(number, np.int64), tuple(places)), shape=(rows, columns))
    e2v.Counts.from_matrix(cells).save(folder, force=True)


def input_of(data, words, shared, scratch):
    """The INPUT of a training, and the flags of its kind."""
    if data == "wiki":
        return shared / "text" / "wiki.txt.gz", ["--min-count", "1", "--max-vocab", str(words)]
    if data.endswith("rows"):
        made_counts(scratch / "counts", int(data.split()[0].replace(",", "")), words)
        return scratch / "counts", []
    path = scratch / f"{data}.txt"
    if not path.exists():
        made_text(path, int(data.split()[1]) * 10**6)
    return path, ["--min-count", "1", "--max-vocab", str(words)]


def one(arguments):
    """In a process of its own: train, and print the forecast beside what was taken from it on."""
    from exact2vec import cli, machine
    from exact2vec.cli import forecasting

    marks, shown = {}, forecasting.forecast_line

    def noted(found):
        marks.update(
            forecast={
                "peak_bytes": round(found.peak),
                "seconds": found.total.wall,
                "cpu_seconds": found.total.cpu,
                "stages": {stage.name: list(stage.seconds) for stage in found.seconds},
                "alive_bytes": {name: round(number) for name, number in found.alive.items()},
            },
            held_bytes=found.held,
            held_before_bytes=found.held_before,
            calibration_seconds=found.calibration_seconds,
            at=(time.perf_counter(), time.process_time()),
        )
        return shown(found)

    forecasting.forecast_line = noted
    cli.main(["train", *arguments], standalone_mode=False)
    wall, cpu = marks.pop("at")
    marks["measured"] = {
        "peak_bytes": machine.peak_bytes(),
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
    }
    print(json.dumps(marks))


def measured(settings, shared, scratch):
    """The line of one training."""
    chosen = dict(zip(NAMES, settings, strict=True))
    source, flags = input_of(chosen["data"], chosen["words"], shared, scratch)
    flags += ["--vector-size", str(chosen["dim"]), "--epochs", str(chosen["epochs"])]
    flags += [] if chosen["n-grams"] or "rows" in chosen["data"] else ["--subwords", "no"]
    command = [sys.executable, __file__, "one", str(source), "-o", str(scratch / "run"), "--force"]
    printed = subprocess.run([*command, *flags], check=True, text=True, stdout=subprocess.PIPE)
    return {"settings": chosen, **json.loads(printed.stdout.splitlines()[-1])}


def table(rows):
    """What was forecast over what was taken, a line a training."""
    lines = [
        "| data | words | numbers | epochs | n-grams | to | peak | held before | share of the peak "
        "| CPU | share of the CPU | share of the clock |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        of, said, taken = row["settings"], row["forecast"], row["measured"]
        lines.append(
            f"| {of['data']} | {of['words']:,} | {of['dim']} | {of['epochs']} | "
            f"{'yes' if of['n-grams'] else 'no'} | {of['use']} | "
            f"{taken['peak_bytes'] / 1e9:.2f} GB | "
            f"{row['held_before_bytes'] / 1e9:.2f} GB | {_share(said, taken, 'peak_bytes')} | "
            f"{taken['cpu_seconds']:.0f} s | {_share(said, taken, 'cpu_seconds')} | "
            f"{_share(said, taken, 'seconds')} |"
        )
    return "\n".join(lines)


def _share(said, taken, name):
    return f"{said[name] / taken[name]:.2f}"


def main():
    if sys.argv[1] == "one":
        one(sys.argv[2:])
    elif sys.argv[1] == "table":
        rows = raw.read(raw.RESULTS / "forecast.jsonl")
        raw.put(raw.HERE.parent / "docs" / "scale.md", "forecast", table(rows))
    else:
        shared, scratch, results = map(Path, sys.argv[1:4])
        scratch.mkdir(parents=True, exist_ok=True)
        done = [row["settings"] for row in raw.read(results)]
        for settings in GRID:
            if dict(zip(NAMES, settings, strict=True)) not in done:
                raw.append(results, measured(settings, shared, scratch))


if __name__ == "__main__":
    main()
