"""What shrinkage, n-grams and fold-in do for rare and unseen rows.

Each measurement adds a line to the JSONL.

A grid of priors on small texts, with several held-out keys:
    python benchmarks/rare.py small ../shared/data benchmarks/results/rare.jsonl
The sets of wiki.txt.gz, and words below min-count:
    python benchmarks/rare.py wiki ../shared/data benchmarks/results/rare.jsonl
A grid of strengths over vocabulary, vector size, window and seeds:
    python benchmarks/rare.py strengths ../shared/data benchmarks/results/rare.jsonl

Losses are in nats per pair. Seconds are wall seconds of a machine that others may share; the load
is stated.
"""

import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import raw
import torch

import exact2vec as e2v
from exact2vec.counts import corpus as corpora
from exact2vec.counts.features import RowCounts
from exact2vec.counts.rare_words import count_rare_words
from exact2vec.counts.text_part import TextPart
from exact2vec.loss.count_losses import BLOCK_ROWS, WeightedCounts, row_losses
from exact2vec.loss.engine.cells import Outputs, Workspace
from exact2vec.parallel import Workers

SMALL = {
    "time_machine.txt": "paragraph",
    "alice_in_wonderland.txt": "paragraph",
    "sherlock_holmes_adventures.txt": "paragraph",
    "pride_and_prejudice.txt": "paragraph",
    "wiki_1mb.txt": "line",
    "python-docs": "line",
}
PRIORS: list[dict[str, Any]] = [
    {"prior": (150, 500)},
    {"prior": (150, 500), "max_n": 0},
    {"prior": (300, 1000)},
    {"prior": (50, 150)},
]
MIN_COUNT, LEAST = 20, 5
# name: (input, document, counting, vector_size, seeds). A token has window + 1 weighted pairs on
# average, so strengths in tokens would grow with the window.
STRENGTHS: dict[str, tuple[str, str, dict[str, Any], int, int]] = {
    **{
        f"wiki 10,000 words, D {dim}, window {window}": (
            "wiki.txt.gz",
            "line",
            {"min_count": 20, "max_vocab": 10_000, "window": window},
            dim,
            3,
        )
        for dim, window in ((50, 5), (100, 5), (300, 5), (100, 2), (100, 10))
    },
    **{
        f"{text}, D 100, window {window}": (
            text,
            document,
            {"min_count": 3, "held_out": 0.1, "window": window},
            100,
            3,
        )
        for text, document in (
            ("wiki_1mb.txt", "line"),
            ("sherlock_holmes_adventures.txt", "paragraph"),
        )
        for window in (2, 5, 10)
    },
    **{
        f"wiki min-count 20, D 100, window {window}": (
            "wiki.txt.gz",
            "line",
            {"min_count": 20, "window": window},
            100,
            seeds,
        )
        for window, seeds in ((5, 3), (2, 1), (10, 1))
    },
}
FACTORS = (1 / 3, 1 / 2, 1, 2, 3)  # of the default strengths
KEYS, KEYS_WITHOUT_PRIOR, EPOCHS = 5, 3, 20  # of the small texts


def small(data: Path, names: list[str]) -> Any:
    """The held-out NLL of each prior, text and key after each of 20 epochs.

    With min-count 3, D = 100 and 10 % held out.
    """
    for name in names:
        text = e2v.Text(
            name if name == "python-docs" else data / "text" / name, document=SMALL[name]
        )
        for key in range(KEYS):
            corpora.HASH_KEY = f"exact2vec held-out {key}".encode()
            counts = e2v.count_text(text, min_count=3, held_out=0.1)
            for how in [*PRIORS, *([{"prior": None}] if key < KEYS_WITHOUT_PRIOR else [])]:
                began = time.perf_counter()
                measured = [
                    record for record in e2v.fit(counts, epochs=EPOCHS, **how) if record.training
                ]
                last = measured[-1]
                yield {
                    "part": "small",
                    "text": name,
                    "key": key,
                    **how,
                    "epochs": EPOCHS,
                    "words": len(counts.words),
                    "tokens": counts.tokens["read"],
                    "held_out_nll": last.held_out.nll,
                    "by_epoch": [round(record.held_out.nll, 5) for record in measured],
                    "nll": last.losses.nll,
                    "unigram": last.held_out.unigram,
                    "seconds": round(time.perf_counter() - began, 2),
                }


def strengths(data: Path, names: list[str], done: list[dict[str, Any]]) -> Any:
    """The held-out NLL after 4 epochs with each factor of the default strengths.

    Every problem and seed that has no result yet is run.
    """
    known = {
        (row["problem"], row["seed"], row["factor"]) for row in done if row["part"] == "strengths"
    }
    for name in names:
        file, document, counting, dim, seeds = STRENGTHS[name]
        counts = None
        for seed in range(1, seeds + 1):
            for factor in FACTORS:
                if (name, seed, factor) in known:
                    continue
                counts = counts or e2v.count_text(
                    e2v.Text(data / "text" / file, document=document), **counting
                )
                began = time.perf_counter()
                *_, last = e2v.fit(
                    counts,
                    vector_size=dim,
                    epochs=4,
                    exact_every=0,
                    prior=(150 * factor, 500 * factor),
                    seed=seed,
                )
                yield {
                    "part": "strengths",
                    "problem": name,
                    "seed": seed,
                    "factor": factor,
                    "words": len(counts.words),
                    "held_out_nll": last.held_out.nll,
                    "nll": last.losses.nll,
                    "unigram": last.held_out.unigram,
                    "seconds": round(time.perf_counter() - began, 2),
                }


def wiki(data: Path) -> Any:
    """The sets of wiki.txt.gz (D = 100, min-count 20, 4 epochs), and the losses of rare words.

    Those are counted 5 to 19 times; their vectors are composed or folded in.
    """
    text = e2v.Text(data / "text" / "wiki.txt.gz")
    began = time.perf_counter()
    counts = e2v.count_text(text, min_count=MIN_COUNT)
    *_, last = e2v.fit(counts, epochs=4, exact_every=0)
    seconds = time.perf_counter() - began
    vectors = e2v.Vectors.from_state(last.state, counts)
    sets = data / "eval"
    semantic, syntactic = _halves_of_questions(sets / "questions-words.txt")
    for which in ("sum", "inputs", "outputs", "composed"):
        found = e2v.evaluate(
            vectors,
            similarity=[sets / "wordsim353.tsv", sets / "simlex999.tsv", sets / "rg65.tsv"],
            analogies=[semantic, syntactic],
            which=which,
        )
        values = {
            Path(name).name: asdict(one)
            for name, one in (found.similarity | found.analogies).items()
        }
        yield {
            "part": "wiki sets",
            "which": which,
            "words": len(vectors),
            "held_out_nll": last.held_out.nll,
            "nll": last.losses.nll,
            "unigram": last.held_out.unigram,
            "seconds_counting_and_training": round(seconds, 1),
            "sets": values,
        }
    whole = corpora.index_corpus(text, corpora.Draw(0.5))
    numbers = counts.vocabulary.numbers(whole.distinct)
    halves = [
        count_rare_words(TextPart.of(half, numbers), len(counts.words), least=1, window=5).weigh(
            counts.weighting, counts.vocabulary
        )
        for half in (whole, replace(whole, block_part=corpora.HELD_OUT - whole.block_part))
    ]
    times = np.bincount(whole.ids, minlength=len(whole.distinct))
    rare = {
        whole.distinct[number] for number in np.flatnonzero((times >= LEAST) & (times < MIN_COUNT))
    } - set(counts.words)
    names = [name for name in halves[1].rows if name in rare and name in halves[0].place][:8000]
    one, other = (
        RowCounts(half.matrix[[half.place[name] for name in names]], names, half.names)
        for half in halves
    )
    folded = vectors.fold_in(one).folded
    assert folded is not None
    place = [folded.places[name] for name in names]
    assert vectors.composer is not None
    loss = {
        "unigram": unigram_loss(vectors, other),
        "composed": loss_of(vectors, vectors.composer.compose(names)[0], other),
        "folded in": loss_of(vectors, folded.inputs[place], other),
    }
    yield {
        "part": "wiki rare words",
        "words": len(names),
        "pairs_folded": float(one.matrix.sum()),
        "pairs_measured": float(other.matrix.sum()),
        "nll": loss,
    }


def _halves_of_questions(path: Path) -> tuple[Path, Path]:
    """The questions of meaning and of grammar, as files of their own.

    Sections of grammar begin with "gram".
    """
    parts: dict[bool, list[str]] = {False: [], True: []}
    grammar = False
    for line in path.read_text().splitlines(keepends=True):
        grammar = line.startswith(": gram") if line.startswith(":") else grammar
        parts[grammar].append(line)
    folder = Path(tempfile.mkdtemp())
    files = folder / "semantic.txt", folder / "syntactic.txt"
    for file, lines in zip(files, parts.values(), strict=True):
        file.write_text("".join(lines))
    return files


def loss_of(vectors: e2v.Vectors, inputs: Any, counts: RowCounts) -> float:
    """The mean NLL of the pairs of some rows with these input vectors."""
    weighted = WeightedCounts(counts.matrix)
    outputs = Outputs.of(torch.from_numpy(vectors.outputs), torch.from_numpy(vectors.bias))
    rows = torch.from_numpy(np.ascontiguousarray(inputs))
    with Workers() as workers:
        workspace = Workspace.of(workers, BLOCK_ROWS, len(vectors))
        (losses,) = row_losses(rows, outputs, np.arange(len(rows)), [weighted], workspace)
    return float(losses.nll.numpy().sum()) / weighted.total


def unigram_loss(vectors: e2v.Vectors, counts: RowCounts) -> float:
    return float(
        -(
            np.asarray(counts.matrix.sum(axis=0, dtype=np.float64)).ravel()
            * np.log(vectors.unigram)
        ).sum()
        / counts.matrix.sum(dtype=np.float64)
    )


def sets_table(rows: list[dict[str, Any]]) -> str:
    """docs/choosing.md's table of the last run on wiki.txt.gz, a pure function of the results."""
    lines = [
        "| vectors | WordSim-353 | SimLex-999 | RG-65 | Google semantic | Google syntactic |",
        "|---|---|---|---|---|---|",
    ]
    for row in [row for row in rows if row["part"] == "wiki sets"][-4:]:
        sets = row["sets"]
        rho = " | ".join(
            f"{sets[name]['rho']:.3f}" for name in ("wordsim353.tsv", "simlex999.tsv", "rg65.tsv")
        )
        lines.append(
            f"| `{row['which']}` | {rho} | {sets['semantic.txt']['accuracy']:.3f} | "
            f"{sets['syntactic.txt']['accuracy']:.3f} |"
        )
    return "\n".join(lines)


def small_table(rows: list[dict[str, Any]]) -> str:
    """Held-out NLL less the unigram's after the last epoch, over the held-out keys.

    It is that of the defaults, and what each other prior has beyond it, paired.
    """
    found: dict[tuple[str, str], dict[int, float]] = {}
    over_passes: dict[str, list[float]] = {}
    for row in rows:
        if row["part"] == "small" and row["epochs"] == EPOCHS:
            prior = (
                "no"
                if row["prior"] is None
                else ",".join(map(str, row["prior"])) + (" to 0" if row.get("max_n") == 0 else "")
            )
            found.setdefault((row["text"], prior), {})[row["key"]] = (
                row["held_out_nll"] - row["unigram"]
            )
            if prior == "150,500":
                over_passes.setdefault(row["text"], []).append(
                    row["held_out_nll"] - min(row["held_out_nll"], *row["by_epoch"])
                )
    others = [prior for prior in dict.fromkeys(key[1] for key in found) if prior != "150,500"]
    lines = [
        "| text | 150,500 | above the best of its epochs | " + " | ".join(others) + " |",
        "|---" * (len(others) + 3) + "|",
    ]
    for text, above in over_passes.items():
        ours = found[text, "150,500"]
        cells = [f"{np.mean(list(ours.values())):+.3f}", f"{np.mean(above):.3f}"]
        for prior in others:
            beyond = [value - ours[key] for key, value in found.get((text, prior), {}).items()]
            cells.append(
                f"{np.mean(beyond):+.3f} ± {np.std(beyond, ddof=1) / np.sqrt(len(beyond)):.3f}"
                if len(beyond) > 1
                else ""
            )
        lines.append(f"| {text} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def strengths_table(rows: list[dict[str, Any]]) -> str:
    """For each problem the held-out NLL of the default strengths, and that of other factors.

    For the others stands what they have beyond it: the mean over the seeds, their spread in
    brackets.
    """
    found: dict[str, dict[float, dict[int, float]]] = {}
    for row in rows:
        if row["part"] == "strengths":
            found.setdefault(row["problem"], {}).setdefault(row["factor"], {})[row["seed"]] = row[
                "held_out_nll"
            ]
    others = [factor for factor in FACTORS if factor != 1]
    lines = [
        "| problem | held-out NLL | " + " | ".join(f"× {factor:.2g}" for factor in others) + " |",
        "|---" * (len(others) + 2) + "|",
    ]
    for problem, of in found.items():
        cells = [f"{np.mean(list(of[1].values())):.4f}"]
        for factor in others:
            beyond = [value - of[1][seed] for seed, value in of.get(factor, {}).items()]
            spread = f" ({max(beyond) - min(beyond):.4f})" if len(beyond) > 1 else ""
            cells.append(f"{np.mean(beyond):+.4f}{spread}" if beyond else "")
        lines.append(f"| {problem} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rare_lines(rows: list[dict[str, Any]]) -> str:
    """What the words below min-count lose, of the last run."""
    row = [row for row in rows if row["part"] == "wiki rare words"][-1]
    nll = row["nll"]
    return (
        f"{row['words']:,} words counted {LEAST} to {MIN_COUNT - 1} times and not trained, half "
        "of their occurrences (by document) folded in, "
        f"NLL of the other half: "
        f"unigram {nll['unigram']:.3f}, composed {nll['composed']:.3f}, folded in "
        f"{nll['folded in']:.3f} nats a pair."
    )


def main(part: str, data: Path, results: Path, *names: str) -> None:
    parts = {
        "wiki": lambda: wiki(data),
        "small": lambda: small(data, list(names) or list(SMALL)),
        "strengths": lambda: strengths(data, list(names) or list(STRENGTHS), raw.read(results)),
    }
    for row in parts[part]():
        raw.append(results, row)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
