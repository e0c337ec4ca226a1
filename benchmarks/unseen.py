"""Deleted words: how near the vectors of words that were not trained come to the true ones.

    python benchmarks/unseen.py train ../shared/data/text/wiki.txt.gz SCRATCH [MIN_COUNT] [DIM]
    python benchmarks/unseen.py score SCRATCH [benchmarks/results/unseen.jsonl]
    python benchmarks/unseen.py sets SCRATCH ../shared/data/eval [benchmarks/results/unseen.jsonl]
    python benchmarks/unseen.py fasttext SCRATCH ../shared/data/text/wiki.txt.gz [RESULTS]

Every eighth line of the text is read. 1,500 derived words (a known word and an ending or a
beginning) and 1,500 others, each counted 20 to 1,000 times, are deleted from it. One run is trained
on the whole and one on the rest. The space of the rest is turned onto that of the whole by the
orthogonal map that is best for the words of both. A line holds, for derived and other words, the
mean cosine of the vector to the true one, and how often the true word is the nearest, or among the
ten nearest. Words that are hidden from the ridge alone would be found far more often: the shrinkage
has put what they mean into the words that look like them. The lines of `sets` say what the constant
does to trained words: Spearman's ρ of the whole run on sets of word pairs. `fasttext` does the same
with gensim's FastText: skip-gram, five passes.
"""

import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import raw
from numpy.typing import NDArray

import exact2vec as e2v
from exact2vec.counts.words import tokenizer
from exact2vec.vectors import unseen_words
from exact2vec.vectors.embedding import LEVEL, Embedding, nearest_rotation
from exact2vec.vectors.evaluate import word_similarity
from exact2vec.vectors.unseen_words import Teachers, without_axis

RESULTS = raw.RESULTS / "unseen.jsonl"
ENDINGS = (
    *("s", "ed", "ing", "er", "ers", "ly", "ness", "less", "ful", "ment"),
    *("ity", "al", "ic", "ist", "ists", "ism", "ive", "able", "y"),
)
BEGINNINGS = ("un", "re", "dis", "in", "over", "pre", "anti", "sub", "inter", "non")
OF_A_KIND, FEWEST, MOST = 1500, 20, 1000
LEAST_STEM = 4  # letters
OTHERS = {  # numbers of the ridge, beside those of the package
    "PENALTY": (0.05, 0.1, 0.4, 0.8),
    "RARE_SHARE": (0.0, 0.1, 0.6, 1.0),
    "STRETCH": (1.0, 1.8),
}
PAIRS = ("wordsim353", "simlex999")
LEVELS = (0.0, 0.15, LEVEL, 0.45)
Row = dict[str, Any]


def train(text: Path, scratch: Path, min_count: int = 10, dim: int = 100) -> None:
    """Write the runs of the whole and of the rest, and the deleted words."""
    scratch.mkdir(parents=True, exist_ok=True)
    whole = documents(text)
    how = {"min_count": min_count, "vector_size": dim, "epochs": 2, "exact_every": 100}
    model = e2v.Exact2Vec(**how).fit(whole)
    derived, others = deleted_words(model.wv)
    gone = {*derived, *others}
    model.save(scratch / "whole")
    e2v.Exact2Vec(**how).fit(without(whole, gone)).save(scratch / "rest")
    (scratch / "deleted.json").write_text(json.dumps({"derived": derived, "others": others}))


def documents(text: Path) -> list[list[str]]:
    """The words of every eighth line."""
    cut = tokenizer()
    with gzip.open(text, "rt", encoding="utf-8") as file:
        return [cut(line) for number, line in enumerate(file) if number % 8 == 0]


def without(whole: list[list[str]], gone: set[str]) -> list[list[str]]:
    return [[word for word in document if word not in gone] for document in whole]


def deleted_words(vectors: e2v.Vectors) -> tuple[list[str], list[str]]:
    """Derived words and others, in the order of their hashes, so that nothing is random."""
    counted = zip(vectors.index_to_key, vectors.vocabulary.counts, strict=True)
    words = [word for word, times in counted if FEWEST <= times <= MOST]
    words.sort(key=lambda word: hashlib.blake2b(word.encode(), digest_size=8).digest())
    derived = [word for word in words if any(stem in vectors.key_to_index for stem in stems(word))]
    derived = derived[:OF_A_KIND]
    known = set(derived)
    return derived, [word for word in words if word not in known][:OF_A_KIND]


def stems(word: str) -> Iterator[str]:
    """What is left of a word without an ending or a beginning."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) >= len(ending) + LEAST_STEM:
            yield word.removesuffix(ending)
    for beginning in BEGINNINGS:
        if word.startswith(beginning) and len(word) >= len(beginning) + LEAST_STEM:
            yield word.removeprefix(beginning)


class Truth:
    """The vectors of the whole, and the map that turns those of the rest onto them."""

    def __init__(self, whole: e2v.Vectors, rest: e2v.Vectors, level: float) -> None:
        self.rest, self.level = rest, level
        (self.embedding, vectors), (self.of_rest, others) = (
            embedded(wv, level) for wv in (whole, rest)
        )
        self.vectors, self.rest_vectors, self.places = vectors, others, whole.key_to_index
        common = [word for word in rest.index_to_key if word in self.places]
        here = vectors[[self.places[word] for word in common]] - self.embedding.constant
        there = others[[rest.key_to_index[word] for word in common]] - self.of_rest.constant
        self.turn = nearest_rotation(there.T @ here)

    def learned(self, words: list[str]) -> NDArray[np.float32]:
        """What the package says of words that were not trained, in the space of the rest."""
        rest = self.rest
        teachers = Teachers.of_run(
            rest.vocabulary, rest.weighting, rest.composer, rest.word_contexts
        )
        assert teachers is not None
        return teachers.gram_map(self.rest_vectors, self.of_rest.constant).rows(words)

    def mapped(self, words: list[str]) -> NDArray[np.float32]:
        """The composed vectors, mapped as trained ones are."""
        assert self.rest.composer is not None
        composed = self.rest.composer.compose(words)
        return self.of_rest.rows(composed, composed)

    def score(self, words: list[str], rows: NDArray[np.float32]) -> Row:
        """Mean cosine to the true vectors, and shares of words nearest and among the ten."""
        turned = np.asarray((rows - self.of_rest.constant) @ self.turn, np.float32)
        turned = without_axis(turned, self.embedding.constant) + self.embedding.constant
        return ranks(turned, self.vectors, [self.places[word] for word in words])


def embedded(vectors: e2v.Vectors, level: float) -> tuple[Embedding, NDArray[np.float32]]:
    """The embedding with a constant of this level, and the vectors of the trained words."""
    assert vectors.composer is not None
    sides, composed = vectors.spaces.sides, vectors.composer.compose(vectors.index_to_key)
    embedding = Embedding.of_words(sides, composed, level=level)
    return embedding, embedding.rows(sides, composed)


def ranks(rows: NDArray[Any], vectors: NDArray[Any], true: list[int]) -> Row:
    """Mean cosine of rows to their true vectors, and how often those are the nearest."""
    cosines = unit(rows) @ unit(vectors).T
    of_true = cosines[np.arange(len(true)), true]
    nearer = (cosines > of_true[:, None]).sum(axis=1)
    nearest, among_ten = float((nearer < 1).mean()), float((nearer < 10).mean())
    return {"cosine": float(of_true.mean()), "nearest": nearest, "among_ten": among_ten}


def unit(rows: NDArray[Any]) -> NDArray[Any]:
    """Each row divided by its length."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def score(scratch: Path, results: Path = RESULTS) -> None:
    """Append a line for each way and each number."""
    whole, rest = e2v.load(scratch / "whole"), e2v.load(scratch / "rest")
    deleted = json.loads((scratch / "deleted.json").read_text())
    about = {
        "min_count": whole.settings["min_count"],
        "vector_size": whole.vector_size,
        "words": len(whole),
        "rare_words": len(rest.word_contexts.rare.words) if rest.word_contexts else 0,
    }
    for level in LEVELS:
        truth = Truth(whole, rest, level)
        for way in (truth.mapped, truth.learned):
            scores = {kind: truth.score(words, way(words)) for kind, words in deleted.items()}
            raw.append(results, about | {"way": way.__name__, "level": level} | scores)
    truth = Truth(whole, rest, LEVEL)
    for name, value in ((name, value) for name, values in OTHERS.items() for value in values):
        before = getattr(unseen_words, name)
        setattr(unseen_words, name, value)
        scores = {kind: truth.score(words, truth.learned(words)) for kind, words in deleted.items()}
        setattr(unseen_words, name, before)
        raw.append(results, about | {"way": "learned", "level": LEVEL, name: value} | scores)


def fasttext(scratch: Path, text: Path, results: Path = RESULTS) -> None:
    """Append a line of gensim's FastText, trained on the whole and on the rest."""
    from gensim.models import FastText

    deleted = json.loads((scratch / "deleted.json").read_text())
    min_count = e2v.load(scratch / "whole").settings["min_count"]
    whole, gone = documents(text), {word for words in deleted.values() for word in words}
    how = {"vector_size": 100, "min_count": min_count, "sg": 1, "epochs": 5, "workers": 2}
    trained, rest = (FastText(some, **how, seed=1).wv for some in (whole, without(whole, gone)))
    common = [word for word in rest.index_to_key if word in trained.key_to_index]
    turn = nearest_rotation(rest[common].T.astype(np.float64) @ trained[common])
    scores = {}
    for kind, words in deleted.items():
        turned = np.stack([rest[word] for word in words]) @ turn
        places = [trained.key_to_index[word] for word in words]
        scores[kind] = ranks(turned, trained.vectors, places)
    about = {"min_count": min_count, "words": len(trained), "way": "gensim FastText", **how}
    raw.append(results, about | scores)


def sets(scratch: Path, data: Path, results: Path = RESULTS) -> None:
    """Append a line for each level: ρ of trained words on two sets of pairs."""
    run = e2v.load(scratch / "whole")
    arrays = run.inputs, run.outputs, run.bias, run.unigram
    for level in LEVELS:
        embedding, _ = embedded(run, level)
        trained = run.vocabulary, *arrays, run.weighting, run.settings, run.composer
        vectors = e2v.Vectors(*trained, embedding=embedding)
        rho = {name: word_similarity(vectors, data / f"{name}.tsv").rho for name in PAIRS}
        about = {"vector_size": run.vector_size, "words": len(run), "level": level}
        raw.append(results, about | rho)


if __name__ == "__main__":
    command, first, *rest_of_line = sys.argv[1:]
    if command == "train":
        train(Path(first), Path(rest_of_line[0]), *map(int, rest_of_line[1:]))
    else:
        {"score": score, "sets": sets, "fasttext": fasttext}[command](
            Path(first), *map(Path, rest_of_line)
        )
