"""What the vectors of each method are worth: its results on the sets, and the differences."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SETS = ("WordSim-353", "SimLex-999", "RG-65", "Google semantic", "Google syntactic")
REFERENCES = (
    "gensim SGNS, 5 epochs",
    "gensim FastText skipgram, 5 epochs",
    "fastText skipgram, 5 epochs",
    "PPMI-SVD",
)
Found = dict[str, tuple[list[str], NDArray[np.float32]]]  # words and vectors of each method


def score_rows(found: Found, folder: Path) -> Iterator[dict[str, Any]]:
    """A `scores` line for each method, and a `difference` line for each reference too."""
    common = set.intersection(*(set(words) for words, _ in found.values()))
    questions = items(folder, common)
    hits = {
        name: {which: results(words, vectors, questions[which]) for which in SETS}
        for name, (words, vectors) in found.items()
    }
    for name, its in hits.items():
        values = {which: interval(its[which]) for which in SETS}
        yield {"scores": name, "common_words": len(common), **values}
    for name in filter(lambda name: name.startswith("exact2vec, "), hits):
        for reference in references_of(name, hits):
            less = {which: interval(hits[name][which], hits[reference][which]) for which in SETS}
            yield {"difference": name, "from": reference, **less}


def references_of(name: str, there: Iterable[str]) -> Iterator[str]:
    """The references that are there, plain and flattened: seed 2 is compared with seed 2."""
    seed = f", {name[-6:]}" if "seed" in name else ""
    for reference in REFERENCES:
        its = reference + seed if reference + seed in there else reference
        yield from (which for which in (its, f"{its}, flattened") if which in there)


def items(folder: Path, common: set[str]) -> dict[str, Any]:
    """Each set's items among the common words: pairs with scores, or questions of four words."""
    found: dict[str, Any] = {name: [] for name in SETS}
    for name, file in zip(SETS[:3], ("wordsim353.tsv", "simlex999.tsv", "rg65.tsv"), strict=True):
        for line in (folder / file).read_text().lower().splitlines():
            if (
                not line.startswith("#")
                and (fields := line.split("\t"))[0] in common
                and fields[1] in common
            ):
                found[name].append((fields[0], fields[1], float(fields[2])))
    part = ""
    for line in (folder / "questions-words.txt").read_text().lower().splitlines():
        if line.startswith(":"):
            part = "Google syntactic" if line.startswith(": gram") else "Google semantic"
        elif set(words := line.split()) <= common:
            found[part].append(words)
    return found


def results(
    words: list[str], vectors: NDArray[np.float32], questions: list[Any]
) -> NDArray[np.float64]:
    """For pairs an array of (cosine, human score) rows; for questions whether each is answered.

    Answers are looked for among the first 30,000 words.
    """
    from exact2vec.vectors.vectors import unit_rows

    place, unit = {word: number for number, word in enumerate(words)}, unit_rows(vectors)
    if isinstance(questions[0], tuple):
        return np.array(
            [(unit[place[one]] @ unit[place[other]], score) for one, other, score in questions]
        )
    asked = np.array([[place[word] for word in question] for question in questions])
    right = []
    for start in range(0, len(asked), 256):
        a, b, c, answer = asked[start : start + 256].T
        cosine = (unit[b] - unit[a] + unit[c]) @ unit[:30_000].T
        for known in (a, b, c):
            inside = known < cosine.shape[1]
            cosine[np.flatnonzero(inside), known[inside]] = -np.inf
        right.append(cosine.argmax(axis=1) == answer)
    return np.concatenate(right).astype(np.float64)


def value_of(found: NDArray[np.float64]) -> float:
    from scipy.stats import spearmanr

    return (
        float(spearmanr(found[:, 0], found[:, 1]).statistic)
        if found.ndim == 2
        else float(found.mean())
    )


def interval(
    found: NDArray[np.float64], reference: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """The value or the difference from the reference, n, and the 95 % interval.

    The interval is that of 1,000 bootstrap draws of the items.
    """
    random = np.random.default_rng(0)

    def value(rows: NDArray[np.int64]) -> float:
        return value_of(found[rows]) - (0.0 if reference is None else value_of(reference[rows]))

    draws = [value(random.integers(0, len(found), len(found))) for _ in range(1000)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return {
        "value": value(np.arange(len(found))),
        "n": len(found),
        "low": float(low),
        "high": float(high),
    }
