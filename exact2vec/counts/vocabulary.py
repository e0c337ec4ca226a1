"""Words ↔ numbers: which words are kept, in which order, and what was dropped and why."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exact2vec.errors import InputError

DROPPED = -1


@dataclass(frozen=True)
class Vocabulary:
    """The kept words with their counts in the training tokens.

    The most frequent come first, ties in order of spelling. They were chosen among `distinct`
    ones, where that is known.
    """

    words: list[str]
    counts: NDArray[np.int64] | NDArray[np.float64]
    distinct: int | None = None

    def numbers(self, distinct: Sequence[str]) -> NDArray[np.int32]:
        """The place of each of `distinct` in the vocabulary, or −1."""
        place = {word: number for number, word in enumerate(self.words)}
        return np.fromiter((place.get(word, DROPPED) for word in distinct), np.int32, len(distinct))

    @property
    def total(self) -> float:
        """The kept training tokens."""
        total: float = self.counts.sum().item()
        return total


@dataclass(frozen=True)
class TokenCounts:
    """How often each distinct token stands in the training part; counts of parts merge.

    `tokens` and `documents` are all that were read, held-out ones too.
    """

    distinct: list[str]
    counts: NDArray[np.int64]
    tokens: int
    documents: int

    def merge(self, *others: "TokenCounts") -> "TokenCounts":
        """The counts of all these texts together."""
        parts = [self, *others]
        place: dict[str, int] = {}
        for part in parts:
            for token in part.distinct:
                place.setdefault(token, len(place))
        counts = np.zeros(len(place), np.int64)
        for part in parts:
            counts[[place[token] for token in part.distinct]] += part.counts
        tokens = sum(part.tokens for part in parts)
        return TokenCounts(list(place), counts, tokens, sum(part.documents for part in parts))

    def out_of_vocabulary(self, min_count: int) -> tuple[int, float]:
        """How many words are counted so often, and the share of the tokens that are of others.

        >>> TokenCounts(["a", "b"], np.array([3, 1]), 4, 1).out_of_vocabulary(2)
        (1, 0.25)
        """
        kept = self.counts >= min_count
        return int(kept.sum()), float(self.counts[~kept].sum() / max(1, self.counts.sum()))

    def vocabulary(self, min_count: int = 5, max_vocab: int | None = None) -> Vocabulary:
        """The words counted at least `min_count` times, at most `max_vocab` of them.

        Raises InputError where fewer than two words, or no pair, would be left.
        """
        self._refuse_too_little()
        kept = np.flatnonzero(self.counts >= min_count)
        if len(kept) < 2:
            raise InputError(self._why_too_few(min_count, kept))
        order = sorted(
            kept.tolist(), key=lambda number: (-self.counts[number], self.distinct[number])
        )
        words = [self.distinct[number] for number in order[:max_vocab]]
        return Vocabulary(words, self.counts[order[:max_vocab]], len(self.distinct))

    def _refuse_too_little(self) -> None:
        if self.tokens == 0:
            raise InputError("no tokens: the text holds only white space or signs")
        if not self.counts.any():
            raise InputError(
                f"all {self.documents:,} documents ({self.tokens:,} tokens) fell into the held-out "
                "and validation parts; use --held-out 0, or smaller documents"
            )
        if self.tokens == 1:
            raise InputError("1 token: no pairs")
        if np.count_nonzero(self.counts) == 1:
            raise InputError("one word: nothing to predict")

    def _why_too_few(self, min_count: int, kept: NDArray[np.int64]) -> str:
        keeping_two = int(np.sort(self.counts)[-2:][0]) or 1
        if len(kept) == 0:
            return (
                f"no word is counted {min_count} times: the most frequent one "
                f"{int(self.counts.max())} times; --min-count {keeping_two} would keep some"
            )
        return (
            f"one word is counted {min_count} times, {self.distinct[kept[0]]!r}: nothing to "
            f"predict; --min-count {keeping_two} would keep more"
        )
