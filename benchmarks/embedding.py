"""The numbers of the embedding: how far to lean on features (a), how far to flatten (p).

    python benchmarks/embedding.py ../shared/data benchmarks/results/embedding.jsonl
    python benchmarks/embedding.py table

Texts of .2, 2 and 16 million words; 50, 100 and 300 numbers a vector (of the largest text 100), 1,
2 and 4 epochs, with and without n-grams. Half of the pairs and questions of each set, drawn by a
hash of the line, chooses; the other half reports. A line of the results has both halves for every a
and p of the grid, and for the other vectors of a run: the sum, the inputs, what is composed.
"""

import hashlib
import itertools
import sys
import time
from pathlib import Path
from typing import Any

import raw
from peers_scores import results, value_of

import exact2vec as e2v
from exact2vec.vectors.embedding import Embedding

LEANINGS = (0.0, 0.5, 0.75, 1.0, 1.5)
EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
DIMENSIONS = (50, 100, 300)
EPOCHS = (1, 2, 4)
SETS = ("wordsim353", "simlex999", "rg65", "semantic", "syntactic")
SHOWN = {
    ("sum", None, None): "x + u",
    ("embedding", 0.0, 0.0): "aligned",
    ("embedding", 1.0, 0.25): "aligned, a = 1, p = ¼",
    ("embedding", 1.0, 0.5): "aligned, a = 1, p = ½",
}
SIZES = {"0.2": 0, "2": 0.125, "16": 1.0}  # million words: the share of wiki.txt, or wiki_1mb.txt


def half(line: str) -> int:
    """0 chooses, 1 reports."""
    return hashlib.blake2b(line.encode(), digest_size=1).digest()[0] & 1


def tasks(data: Path, words: list[str]) -> dict[str, list[Any]]:
    """For each set the (half, item) of its lines of known words: see `peers_scores.results`."""
    place = {word: number for number, word in enumerate(words)}
    found: dict[str, list[Any]] = {name: [] for name in SETS}
    for name in SETS[:3]:
        for line in (data / f"eval/{name}.tsv").read_text().lower().splitlines():
            fields = line.split("\t")
            if not line.startswith("#") and fields[0] in place and fields[1] in place:
                found[name].append((half(line), (fields[0], fields[1], float(fields[2]))))
    for line in (data / "eval/questions-words.txt").read_text().lower().splitlines():
        if line.startswith(":"):
            kind = "syntactic" if line.startswith(": gram") else "semantic"
        elif all(place.get(word, 30_000) < 30_000 for word in line.split()):
            found[kind].append((half(line), line.split()))
    return found


def scores(
    words: list[str], matrix: Any, sets: dict[str, list[Any]]
) -> dict[str, list[float | None]]:
    """Of each half of each set: Spearman's rank correlation, or the share answered."""
    found: dict[str, list[float | None]] = {}
    for name, lines in sets.items():
        halves = [[item for number, item in lines if number == which] for which in (0, 1)]
        found[name] = [
            None if len(some) < 10 else round(value_of(results(words, matrix, some)), 4)
            for some in halves
        ]
    return found


def variants(vectors: e2v.Vectors, grams: bool) -> Any:
    """(name, a, p, matrix) of the grid, and of the other vectors of the run."""
    sides = vectors.inputs, vectors.outputs
    composed = vectors.composer.compose(vectors.rows) if grams and vectors.composer else None
    for a, p in itertools.product(LEANINGS if grams else (0.0,), EXPONENTS):
        embedding = Embedding.of_words(sides, composed, leaning=a, exponent=p)
        yield "embedding", a, p, embedding.rows(sides, composed)
    for which in ("sum", "inputs", *(["composed"] if grams else [])):
        yield which, None, None, vectors.matrix(which)


def text_of(data: Path, scratch: Path, size: str) -> Path:
    """The text of so many million words."""
    if size == "0.2":
        return data / "text/wiki_1mb.txt"
    wiki, share = raw.unpacked_wiki(data, scratch), SIZES[size]
    if share == 1:
        return wiki
    part = scratch / f"wiki_{size}.txt"
    if not part.exists():
        articles = wiki.read_text().splitlines(keepends=True)
        part.write_text("".join(articles[:: round(1 / share)]))
    return part


def runs_of(size: str) -> list[tuple[int, int, bool]]:
    """(numbers a vector, epochs, whether there are n-grams) of the runs on a text."""
    dims = (100,) if size == "16" else DIMENSIONS
    with_grams = [(dim, epochs, True) for dim, epochs in itertools.product(dims, EPOCHS)]
    return [*with_grams, (100, 2, False), (100, 4, False)]


def table(rows: list[dict[str, Any]]) -> str:
    """docs/measured.md's table: means over the runs of a text, of the half that reports."""
    header = " | ".join(name for name in SETS)
    lines = [
        f"| million words | numbers | epochs | held-out NLL | vectors | {header} |",
        "|---" * (5 + len(SETS)) + "|",
    ]
    for row in rows:
        shown = row["which"], row["a"], row["p"]
        if row["n-grams"] and shown in SHOWN:
            values = [row["scores"][name][1] for name in SETS]
            cells = " | ".join("none" if one is None else f"{one:.3f}" for one in values)
            lines.append(
                f"| {row['million words']} | {row['dim']} | {row['epochs']} | "
                f"{row['held_out_nll']:.3f} | {SHOWN[shown]} | {cells} |"
            )
    return "\n".join(lines)


def main(data: Path, output: Path, sizes: list[str]) -> None:
    scratch = Path("runs/speed")
    scratch.mkdir(parents=True, exist_ok=True)
    for size in sizes:
        counts = e2v.count_text(
            e2v.Text(text_of(data, scratch, size)), min_count=20 if size == "16" else 5
        )
        sets = tasks(data, counts.words)
        for dim, epochs, grams in runs_of(size):
            began = time.perf_counter()
            *_, last = e2v.fit(
                counts,
                vector_size=dim,
                epochs=epochs,
                exact_every=0,
                max_n=None if grams else 0,
            )
            seconds = time.perf_counter() - began
            vectors = e2v.Vectors.from_state(last.state, counts)
            for which, a, p, matrix in variants(vectors, grams):
                row = {
                    "million words": size,
                    "words": len(counts.words),
                    "dim": dim,
                    "epochs": epochs,
                    "n-grams": grams,
                    "which": which,
                    "a": a,
                    "p": p,
                    "held_out_nll": last.held_out.nll if last.held_out else None,
                    "seconds": round(seconds, 1),
                    "scores": scores(counts.words, matrix, sets),
                }
                raw.append(output, row)


if __name__ == "__main__" and sys.argv[1] == "table":
    page = Path(__file__).parents[1] / "docs/measured.md"
    raw.put(page, "embedding", table(raw.read(raw.RESULTS / "embedding.jsonl")))
elif __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or list(SIZES))
