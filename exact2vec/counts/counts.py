"""Counts: k(c, w) with its vocabulary; weighing, saving, loading."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec import runs
from exact2vec.counts.contexts import count_contexts
from exact2vec.counts.corpus import PARTS, Corpus, Draw, index_corpus
from exact2vec.counts.features import RowCounts
from exact2vec.counts.read import Text, tokenizer
from exact2vec.counts.vocabulary import DROPPED, Vocabulary, build_vocabulary
from exact2vec.counts.weighting import (
    Weighting,
    WindowWeighting,
    fields_of,
    numbers_of,
    weighting_of,
)
from exact2vec.counts.windows import count_windows
from exact2vec.errors import CorruptFileError, InputError, UsageError
from exact2vec.options import checked
from exact2vec.tables import html_table

TEXT_SETTINGS = ("tokens", "regex", "document")


@dataclass(frozen=True)
class Counts:
    """Integer counts k(c, w) of the training part, the held-out part and the validation part, and all it takes to count other text alike.

    `held_out` and `validation` are None where no pairs are in them, `rare`, the weighted counts of words that are contexts only, where they were not asked for.
    `tokens` says where each token that was read went.
    """

    vocabulary: Vocabulary
    training: csr_array
    held_out: csr_array | None
    weighting: Weighting
    tokens: dict[str, int]
    settings: dict[str, Any] = field(default_factory=dict)
    rare: RowCounts | None = None
    validation: csr_array | None = None

    @property
    def words(self) -> list[str]:
        return self.vocabulary.words

    @cached_property
    def keep(self) -> NDArray[np.float64]:
        """s_w, the factor of each word in the weighting."""
        return self.weighting.keep(self.vocabulary.counts, self.vocabulary.total)

    @property
    def held_out_digest(self) -> str | None:
        """Held-out losses compare only where this is equal: it covers vocabulary, weighting and held-out pairs."""
        if self.held_out is None:
            return None
        numbers = numbers_of(self.weighting).values()
        covered = repr((self.words, *numbers, self.vocabulary.counts.tolist()))
        digest = hashlib.sha256(covered.encode("utf-8", "backslashreplace"))
        for array in (self.held_out.indptr, self.held_out.indices, self.held_out.data):
            digest.update(np.ascontiguousarray(array, np.int64).tobytes())
        return digest.hexdigest()

    @cached_property
    def unigram(self) -> NDArray[np.float64]:
        """p(w), the share of the weighted pairs of the training part that w ends."""
        return unigram(self.keep * (self.training.T @ self.keep))

    def weigh(self, counts: csr_array) -> csr_array:
        """The weighted pairs n(c, w) of k(c, w), float32."""
        return self.weighting.weigh(counts, self.keep, self.keep)

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write a folder that `Counts.load` reads; refuses an existing one without `force`."""
        with runs.create(Path(folder), kind="counts", force=force) as part:
            self.write(part)

    def write(self, folder: Path) -> None:
        """Put the files of the counts into an open run folder."""
        arrays = {"training." + name: array for name, array in _arrays(self.training).items()}
        for part, matrix in (("held_out.", self.held_out), ("validation.", self.validation)):
            if matrix is not None:
                arrays |= {part + name: array for name, array in _arrays(matrix).items()}
        if self.rare is not None:
            matrix = self.rare.matrix
            arrays |= {
                "rare.indptr": matrix.indptr.astype(np.int64),
                "rare.indices": matrix.indices.astype(np.int32),
                "rare.data": matrix.data,
            }
            runs.write_json(folder / "rare.json", {"rows": self.rare.rows})
        runs.write_arrays(folder / "counts.safetensors", arrays)
        runs.write_json(
            folder / "vocabulary.json",
            {"words": self.words, "counts": self.vocabulary.counts.tolist()},
        )
        runs.write_json(
            folder / "counting.json",
            {
                "weighting": fields_of(self.weighting),
                "tokens": self.tokens,
                "settings": self.settings,
            },
        )

    @classmethod
    def load(cls, folder: str | Path) -> "Counts":
        """Read back what `save` wrote; CorruptFileError where a byte differs."""
        run = runs.open_run(Path(folder))
        if not has_counts(folder):
            raise InputError(
                f"{folder} holds no counts, only vectors: train with counts, or name a run folder"
            )
        vocabulary = read_vocabulary(run)
        counting = run.json("counting.json")
        arrays = run.arrays("counts.safetensors")
        size = len(vocabulary.words)
        return cls(
            vocabulary,
            _matrix(arrays, "training.", size, folder),
            _matrix(arrays, "held_out.", size, folder) if "held_out.data" in arrays else None,
            weighting_of(counting["weighting"]),
            counting["tokens"],
            counting["settings"],
            rare=_rare(run, arrays, vocabulary) if "rare.json" in run.files else None,
            validation=_matrix(arrays, "validation.", size, folder)
            if "validation.data" in arrays
            else None,
        )

    def __repr__(self) -> str:
        held = "none" if self.held_out is None else f"{self.held_out.nnz:,} cells"
        size = f"{len(self.words):,} words, {self.training.nnz:,} cells"
        numbers = numbers_of(self.weighting).items()
        weighting = "".join(f", {name}={value:g}" for name, value in numbers)
        return f"Counts({size}, held out: {held}{weighting})"

    def _repr_html_(self) -> str:
        return html_table(["Counts", ""], _token_rows(self))


def _token_rows(counts: Counts) -> list[tuple[str, str]]:
    tokens = counts.tokens
    dropped = sum(number for name, number in tokens.items() if name.startswith("dropped_"))
    some = [
        (title, f"{tokens[name]:,}")
        for name, title in (("validation", "for validation"), ("context_only", "context only"))
        if tokens.get(name)
    ]
    numbers = numbers_of(counts.weighting)
    values = ", ".join(f"{value:g}" for value in numbers.values())
    weighting = [(", ".join(numbers), values)] if numbers else []
    return [
        ("tokens read", f"{tokens['read']:,}"),
        ("for training", f"{tokens['training']:,}"),
        ("held out", f"{tokens['held_out']:,}"),
        *some,
        ("dropped", f"{dropped:,}"),
        ("words kept", f"{len(counts.words):,} of {tokens['distinct']:,}"),
        ("cells counted", f"{counts.training.nnz:,}"),
        *weighting,
        ("most frequent", ", ".join(counts.words[:8])),
    ]


def count_text(
    texts: Iterable[object],
    *,
    window: int = 5,
    min_count: int = 5,
    max_vocab: int | None = None,
    sample: float = 1e-3,
    held_out: float = 0.02,
    validation: float = 0.0,
    rare: int | None = None,
    threads: int | None = None,
) -> Counts:
    """Count the words near each word, in one pass over `texts`.

    `texts`: a `Text` (files), or an iterable of documents: strings, cut into lower-cased words, or lists of tokens, taken as they are.
    k(c, w) = Σ (window + 1 − distance) over the pairs at most `window` apart, words below `min_count` dropped first; int64.
    Words counted at least `rare` times that are not kept are counted as contexts only.

    Raises InputError where there is nothing to count or to predict, UsageError for an option out of its range.

    >>> count_text(["the cat sat on the mat", "the dog sat on the log"] * 5, held_out=0)
    Counts(7 words, 35 cells, held out: none, window=5, sample=0.001)
    """
    checked(
        window=window,
        min_count=min_count,
        max_vocab=max_vocab,
        sample=sample,
        held_out=held_out,
        validation=validation,
        rare=rare,
        threads=threads,
    )
    if held_out + validation >= 1:
        raise UsageError(
            f"held_out and validation are shares that leave something to train on, so their sum is below 1; got {held_out:g} + {validation:g}"
        )
    texts, settings = _with_settings(texts)
    settings |= {
        "min_count": min_count,
        "max_vocab": max_vocab,
        "held_out": held_out,
        "validation": validation,
    }
    weighting = WindowWeighting(window, sample)
    corpus = index_corpus(texts, Draw(held_out, validation), tokenizer())
    vocabulary = build_vocabulary(corpus, min_count, max_vocab)
    size = len(vocabulary.words)
    parts, tokens = _split(corpus, vocabulary)
    training, held_pairs, validation_pairs = (
        count_windows(*part, size=size, window=window, threads=threads) for part in parts
    )
    if training.nnz == 0:
        raise InputError(
            f"{len(corpus.ids):,} tokens in {corpus.documents:,} documents: no pairs; windows do not cross documents (see --document)"
        )
    contexts = None
    if rare is not None:
        contexts, context_tokens = count_contexts(
            corpus, vocabulary, least=rare, weighting=weighting
        )
        tokens |= {
            "context_only": context_tokens,
            "dropped_training": tokens["dropped_training"] - context_tokens,
        }
    held, validation_part = (
        pairs if pairs.nnz else None for pairs in (held_pairs, validation_pairs)
    )
    return Counts(
        vocabulary, training, held, weighting, tokens, settings, contexts, validation_part
    )


def count_new_words(
    texts: Iterable[object],
    vocabulary: Vocabulary,
    weighting: Weighting,
    settings: dict[str, Any],
    *,
    least: int = 1,
) -> RowCounts:
    """The weighted counts, over the words of a run, of the other words of new text that are counted at least `least` times; cut and weighted as the run was."""
    corpus = index_corpus(
        texts, tokenize=tokenizer(settings.get("tokens") or "words", settings.get("regex"))
    )
    return count_contexts(corpus, vocabulary, least=least, weighting=_of_text(weighting))[0]


def has_counts(folder: str | Path) -> bool:
    """Whether a run folder holds counts, or vectors alone."""
    return "counts.safetensors" in runs.open_run(Path(folder)).files


def _with_settings(texts: Iterable[object]) -> tuple[Iterable[object], dict[str, Any]]:
    """The texts, and how to cut other text alike: lists of tokens are taken as they are, so other text is cut at white space."""
    if isinstance(texts, Text):
        words = texts.settings["tokens"] == "words" and texts.settings["regex"] is None
        return texts, {name: texts.settings[name] for name in TEXT_SETTINGS} | {"subwords": words}
    if isinstance(texts, str):
        return texts, {}
    rest = iter(texts)
    first = list(itertools.islice(rest, 1))
    tokens = "words" if first and isinstance(first[0], str) else "space"
    return itertools.chain(first, rest), {
        "tokens": tokens,
        "regex": None,
        "document": "line",
        "subwords": True,
    }


def count_alike(
    texts: Iterable[object],
    vocabulary: Vocabulary,
    weighting: Weighting,
    settings: dict[str, Any],
    *,
    tokenized: bool,
) -> tuple[csr_array, Corpus, NDArray[np.int32]]:
    """Count new texts with a run's vocabulary, weighting and tokens: k(c, w), what was read, and the word number of each token (or −1)."""
    tokenize = (
        None if tokenized else tokenizer(settings.get("tokens") or "words", settings.get("regex"))
    )
    corpus = index_corpus(texts, tokenize=tokenize)
    if len(corpus.ids) == 0:
        raise InputError("no tokens: the text holds only white space or signs")
    ids, kept = _kept_ids(corpus, vocabulary)
    counts = count_windows(
        ids[kept],
        corpus.token_segment[kept],
        size=len(vocabulary.words),
        window=_of_text(weighting).window,
    )
    return counts, corpus, ids


def weighted_pairs(
    ids: NDArray[np.int32],
    documents: NDArray[np.int64],
    weighting: Weighting,
    keep: NDArray[np.float64],
    chunk: int = 1 << 20,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]]:
    """The pairs of words near each other in a document, some at a time.

    Yields for each pair its document, the left word, the right word, and the weight n that it
    has in either direction.
    """
    window = _of_text(weighting).window
    for distance in range(1, min(window, len(ids)) + 1):
        for start in range(0, len(ids) - distance, chunk):
            left = slice(start, min(start + chunk, len(ids) - distance))
            right = slice(left.start + distance, left.stop + distance)
            near = documents[left] == documents[right]
            one, other = ids[left][near], ids[right][near]
            weight = (window + 1 - distance) / window * keep[one] * keep[other]
            yield documents[left][near], one, other, weight


def _of_text(weighting: Weighting) -> WindowWeighting:
    if not isinstance(weighting, WindowWeighting):
        raise UsageError(
            f"new text needs a run that was trained on text; this one has {weighting}: "
            "give the counts of new rows instead"
        )
    return weighting


def unigram(column_totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """p(w), the share of the pairs that w ends; a word without pairs counts half the smallest total, so that log p is finite."""
    least = column_totals[column_totals > 0].min()
    smoothed = np.where(column_totals > 0, column_totals, least / 2)
    return np.asarray(smoothed / smoothed.sum())


def read_vocabulary(run: runs.Run) -> Vocabulary:
    """The vocabulary of a run folder, its two columns checked against each other."""
    stored = run.json("vocabulary.json")
    words, counts = stored["words"], np.array(stored["counts"], np.int64)
    if len(words) != len(counts) or len(set(words)) != len(words):
        raise CorruptFileError(
            f"{run.folder / 'vocabulary.json'}: {len(words)} words, {len(counts)} counts, {len(set(words))} distinct; they should be as many"
        )
    return Vocabulary(words, counts)


def _rare(run: runs.Run, arrays: dict[str, NDArray[Any]], vocabulary: Vocabulary) -> RowCounts:
    rows = run.json("rare.json")["rows"]
    matrix = runs.compressed_rows(
        arrays, "rare.", (len(rows), len(vocabulary.words)), run.folder / "counts.safetensors"
    )
    return RowCounts(matrix, rows, vocabulary.words)


def _split(
    corpus: Corpus, vocabulary: Vocabulary
) -> tuple[list[tuple[NDArray[np.int32], NDArray[np.int32]]], dict[str, int]]:
    """The kept tokens of each part, with their segments, and where every token went."""
    ids, kept = _kept_ids(corpus, vocabulary)
    part_of, segments = corpus.token_part, corpus.token_segment
    tokens = {"read": len(ids), "documents": corpus.documents, "distinct": len(corpus.distinct)}
    found = []
    for number, name in enumerate(PARTS):
        here = kept & (part_of == number)
        found.append((ids[here], segments[here]))
        tokens |= {
            name: len(found[-1][0]),
            f"dropped_{name}": int((part_of == number).sum()) - len(found[-1][0]),
        }
    return found, tokens


def _kept_ids(
    corpus: Corpus, vocabulary: Vocabulary
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    ids = vocabulary.numbers(corpus.distinct)[corpus.ids]
    return ids, ids != DROPPED


def _arrays(counts: csr_array) -> dict[str, NDArray[Any]]:
    """The three arrays of the matrix; counts in the narrowest unsigned type that holds them, to save disk."""
    largest = int(counts.data.max(initial=0))
    return {
        "indptr": counts.indptr.astype(np.int64),
        "indices": counts.indices.astype(np.int32),
        "data": counts.data.astype(np.uint32 if largest < 2**32 else np.int64),
    }


def _matrix(
    arrays: dict[str, NDArray[Any]], prefix: str, size: int, folder: str | Path
) -> csr_array:
    matrix = runs.compressed_rows(arrays, prefix, (size, size), Path(folder) / "counts.safetensors")
    matrix.data = matrix.data.astype(np.int64)
    return csr_array(matrix)
