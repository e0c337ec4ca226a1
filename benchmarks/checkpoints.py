"""What checkpoints of a large state take from its training.

    python benchmarks/checkpoints.py runs/checkpoints benchmarks/results/checkpoints.jsonl
    python benchmarks/checkpoints.py table

Trainings of the same counts with and without checkpoints, in turns, each in a process of its own.
A line holds what a training took between its first record and its last: the clock, the CPU of all
threads, and the seconds in which it stood still for a checkpoint (state copied, or an earlier one
waited for). `written` are the seconds that each checkpoint took to be written, beside training.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import raw
from forecast import made_text

TURNS = 3
WORDS, DIM, EPOCHS, TOKENS = 30_000, 100, 2, 2_000_000
HOW = {"none": None, "every 5 minutes": 5.0, "every 3 seconds": 0.05}  # minutes of the flag


def counted(scratch):
    """The counts of a made text, counted once."""
    import exact2vec as e2v

    folder = scratch / "counts"
    if not folder.exists():
        scratch.mkdir(parents=True, exist_ok=True)
        made_text(scratch / "text.txt", TOKENS)
        text = e2v.Text(scratch / "text.txt")
        e2v.count_text(text, min_count=1, max_vocab=WORDS).save(folder)
    return folder


class Clock:
    """Puts itself around the checkpoints of a training, and notes what they take."""

    def __init__(self):
        self.waited, self.written, self.bytes = 0.0, [], 0

    def around(self, checkpoints, unfinished, *, none):
        records_of, wrote = checkpoints.of, unfinished.checkpoint

        def of(kept, records):
            began = time.perf_counter(), time.process_time()
            yield from records if none else records_of(kept, records)
            self.seconds = time.perf_counter() - began[0]
            self.cpu_seconds = time.process_time() - began[1]

        def checkpoint(run, arrays, *others, **named):
            began = time.perf_counter()
            wrote(run, arrays, *others, **named)
            self.written.append(time.perf_counter() - began)
            self.bytes = sum(array.nbytes for array in arrays.values())

        checkpoints.of, unfinished.checkpoint = of, checkpoint
        for name in ("_write", "_wait"):
            setattr(checkpoints, name, self._timed(getattr(checkpoints, name)))

    def _timed(self, function):
        def timed(*arguments):
            began = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                self.waited += time.perf_counter() - began

        return timed


def one(how, arguments):
    """In a process of its own: train, and print what it took."""
    from exact2vec import cli
    from exact2vec.cli.checkpoints import Checkpoints
    from exact2vec.storage.unfinished import Unfinished

    clock = Clock()
    clock.around(Checkpoints, Unfinished, none=HOW[how] is None)
    minutes = [] if HOW[how] is None else ["--checkpoint-minutes", str(HOW[how])]
    cli.main(["train", *arguments, *minutes], standalone_mode=False)
    print(
        json.dumps(
            {
                "seconds": clock.seconds,
                "cpu_seconds": clock.cpu_seconds,
                "stood_still_seconds": clock.waited,
                "written_seconds": clock.written,
                "checkpoint_bytes": clock.bytes,
            }
        )
    )


def measured(how, turn, scratch):
    """The line of one training."""
    counts = counted(scratch)
    command = [sys.executable, __file__, "one", how, str(counts), "-o", str(scratch / "run")]
    command += ["--force", "--vector-size", str(DIM), "--epochs", str(EPOCHS)]
    printed = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
    settings = {"checkpoints": how, "turn": turn, "words": WORDS, "dim": DIM, "epochs": EPOCHS}
    return {"settings": settings, **json.loads(printed.stdout.splitlines()[-1])}


def stood_still(row):
    """The share of a training in which it stood still for its checkpoints."""
    return row["stood_still_seconds"] / row["seconds"]


def table(rows):
    """A line for each way of keeping checkpoints: the middle of its turns, the worst share."""
    lines = [
        "| checkpoints | written | size | training, clock | training, CPU | stood still "
        "| largest share |",
        "|---|---|---|---|---|---|---|",
    ]
    for how in HOW:
        turns = sorted(
            (row for row in rows if row["settings"]["checkpoints"] == how),
            key=lambda row: row["cpu_seconds"],
        )
        if not turns:
            continue
        middle = turns[len(turns) // 2]
        lines.append(
            f"| {how} | {len(middle['written_seconds'])} | "
            f"{max(row['checkpoint_bytes'] for row in turns) / 1e6:.0f} MB | "
            f"{middle['seconds']:.0f} s | {middle['cpu_seconds']:.0f} s | "
            f"{middle['stood_still_seconds']:.2f} s | "
            f"{100 * max(map(stood_still, turns)):.1f} % |"
        )
    return "\n".join(lines)


def main():
    results = raw.RESULTS / "checkpoints.jsonl"
    if sys.argv[1] == "one":
        one(sys.argv[2], sys.argv[3:])
    elif sys.argv[1] == "table":
        raw.put(raw.HERE.parent / "docs" / "scale.md", "checkpoints", table(raw.read(results)))
    else:
        scratch, results = map(Path, sys.argv[1:3])
        done = [
            (row["settings"]["checkpoints"], row["settings"]["turn"]) for row in raw.read(results)
        ]
        for turn in range(TURNS):
            for how in HOW:
                if (how, turn) not in done:
                    raw.append(results, measured(how, turn, scratch))


if __name__ == "__main__":
    main()
