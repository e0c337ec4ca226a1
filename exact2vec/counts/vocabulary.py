"""Words ↔ numbers: which words are kept, in which order, and what was dropped and why."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exact2vec.counts.corpus import TRAINING, Corpus
from exact2vec.errors import InputError

DROPPED = -1


@dataclass(frozen=True)
class Vocabulary:
    """The kept words, most frequent first (ties in order of spelling), with their counts in the training tokens."""

    words: list[str]
    counts: NDArray[np.int64]

    def numbers(self, distinct: Sequence[str]) -> NDArray[np.int32]:
        """The place of each of `distinct` in the vocabulary, or −1."""
        place = {word: number for number, word in enumerate(self.words)}
        return np.fromiter((place.get(word, DROPPED) for word in distinct), np.int32, len(distinct))

    @property
    def total(self) -> int:
        """The kept training tokens."""
        return int(self.counts.sum())


def build_vocabulary(
    corpus: Corpus, min_count: int = 5, max_vocab: int | None = None
) -> Vocabulary:
    """The words counted at least `min_count` times in the training part, at most `max_vocab` of them.

    Raises InputError where fewer than two words, or no pair, would be left.
    """
    tokens = len(corpus.ids)
    training = corpus.ids[corpus.token_part == TRAINING]
    if tokens == 0:
        raise InputError("no tokens: the text holds only white space or signs")
    if len(training) == 0:
        raise InputError(
            f"all {corpus.documents:,} documents ({tokens:,} tokens) fell into the held-out and validation parts; use --held-out 0, or smaller documents"
        )
    if tokens == 1:
        raise InputError("1 token: no pairs")
    counts = np.bincount(training, minlength=len(corpus.distinct))
    if np.count_nonzero(counts) == 1:
        raise InputError("one word: nothing to predict")
    kept = np.flatnonzero(counts >= min_count)
    if len(kept) == 0:
        most = int(counts.max())
        raise InputError(
            f"no word is counted {min_count} times: the most frequent one {most} times; --min-count {_keeping_two(counts)} would keep some"
        )
    if len(kept) == 1:
        raise InputError(
            f"one word is counted {min_count} times, {corpus.distinct[kept[0]]!r}: nothing to predict; --min-count {_keeping_two(counts)} would keep more"
        )
    order = sorted(kept.tolist(), key=lambda number: (-counts[number], corpus.distinct[number]))[
        :max_vocab
    ]
    return Vocabulary([corpus.distinct[number] for number in order], counts[order].astype(np.int64))


def _keeping_two(counts: NDArray[np.int64]) -> int:
    """The largest min-count that keeps at least two words."""
    return int(np.sort(counts)[-2:][0]) or 1
