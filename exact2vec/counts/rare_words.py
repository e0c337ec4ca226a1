"""Words that stand in the text as contexts only: rows of counts over the kept words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from exact2vec.counts.corpus import TRAINING, Corpus
from exact2vec.counts.features import RowCounts
from exact2vec.counts.vocabulary import DROPPED, Vocabulary
from exact2vec.counts.weighting import Weighting
from exact2vec.errors import UsageError


@dataclass(frozen=True)
class RareWords:
    """Words that are not kept, with their counts k(c, w) of the kept words near them.

    They stand in the training text `times` each, beside `kept_tokens` kept tokens. `times` is
    None in a run of format 1, where the factor s_c of a word is in its counts already.
    """

    words: list[str]
    counts: csr_array
    times: NDArray[np.int64] | None
    kept_tokens: int

    def weigh(self, weighting: Weighting, vocabulary: Vocabulary) -> RowCounts:
        """The weighted counts, as rows that can be folded in."""
        row_keep = (
            np.ones(len(self.words))
            if self.times is None
            else weighting.keep(self.times, max(1, self.kept_tokens))
        )
        column_keep = weighting.keep(vocabulary.counts, vocabulary.total)
        weighted = weighting.weigh(self.counts, row_keep, column_keep)
        return RowCounts(weighted, self.words, vocabulary.words)

    def counted(self, least: int) -> "RareWords":
        """Those that stand at least `least` times in the training text."""
        times = self._known_times()
        rows = np.flatnonzero(times >= least)
        words = [self.words[row] for row in rows]
        return RareWords(words, csr_array(self.counts[rows]), times[rows], self.kept_tokens)

    def merge(self, others: Sequence["RareWords"]) -> "RareWords":
        """The rare words of all these texts, counted with the same kept words."""
        parts = [self, *others]
        place: dict[str, int] = {}
        for part in parts:
            for word in part.words:
                place.setdefault(word, len(place))
        times = np.zeros(len(place), np.int64)
        counts = csr_array((len(place), self.counts.shape[1]), dtype=np.int64)
        for part in parts:
            rows = np.array([place[word] for word in part.words], np.int64)
            times[rows] += part._known_times()
            cells = part.counts.tocoo()
            moved = coo_array((cells.data, (rows[cells.row], cells.col)), shape=counts.shape)
            counts = counts + moved.tocsr()
        kept_tokens = sum(part.kept_tokens for part in parts)
        return RareWords(list(place), csr_array(counts), times, kept_tokens)

    def _known_times(self) -> NDArray[np.int64]:
        if self.times is None:
            raise UsageError("rare words of a run of format 1 do not merge; count the text again")
        return self.times


def count_rare_words(
    corpus: Corpus, vocabulary: Vocabulary, *, least: int, window: int
) -> RareWords:
    """The words of the training part that are counted `least` times but not kept.

    A row's window holds the nearest kept tokens on each side. Its own tokens take no place in
    other windows.
    """
    training = corpus.token_part == TRAINING
    times = np.bincount(corpus.ids[training], minlength=len(corpus.distinct))
    numbers = vocabulary.numbers(corpus.distinct)
    rare = np.flatnonzero((numbers == DROPPED) & (times >= least))
    row_of = np.full(len(corpus.distinct), DROPPED)
    row_of[rare] = np.arange(len(rare))
    ids = corpus.ids[training]
    counts = windows_of_rows(
        row_of[ids],
        numbers[ids],
        corpus.token_segment[training],
        shape=(len(rare), len(vocabulary.words)),
        window=window,
    )
    kept_tokens = int((numbers[ids] != DROPPED).sum())
    words = [corpus.distinct[number] for number in rare]
    return RareWords(words, counts, times[rare].astype(np.int64), kept_tokens)


def windows_of_rows(
    rows: NDArray[Any],
    words: NDArray[Any],
    segments: NDArray[np.int32],
    *,
    shape: tuple[int, int],
    window: int,
) -> csr_array:
    """k(c, w) = Σ (window + 1 − distance) over pairs of a token c and a kept token w, int64.

    Each token has its row (`rows`, or −1) and its kept word (`words`, or −1). Distances are those
    of the closed-up text of kept tokens, into which one token c at a time is put.
    """
    kept, places = words[words >= 0], np.flatnonzero(rows >= 0)
    kept_segments = segments[words >= 0]
    after = np.cumsum(words >= 0)[places]  # the first kept token behind each c
    counts = csr_array(shape, dtype=np.int64)
    for distance in range(1, min(window, len(kept)) + 1):
        weight = window + 1 - distance
        for near in (after - distance, after + distance - 1):
            inside = np.flatnonzero((near >= 0) & (near < len(kept)))
            inside = inside[kept_segments[near[inside]] == segments[places[inside]]]
            cells = (rows[places[inside]], kept[near[inside]])
            found = coo_array((np.full(len(inside), weight, np.int64), cells), shape=shape)
            counts = counts + found.tocsr()
    return csr_array(counts)
