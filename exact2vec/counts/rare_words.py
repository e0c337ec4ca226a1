"""Words that stand in the text as contexts only: rows of counts over the kept words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from exact2vec.counts.features import RowCounts
from exact2vec.counts.text_part import TextPart
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
        return RowCounts(self.weighted(weighting, vocabulary), self.words, vocabulary.words)

    def weighted(self, weighting: Weighting, vocabulary: Vocabulary) -> csr_array:
        """The weighted counts n(c, w)."""
        row_keep = (
            np.ones(len(self.words))
            if self.times is None
            else weighting.keep(self.times, max(1, self.kept_tokens))
        )
        column_keep = weighting.keep(vocabulary.counts, vocabulary.total)
        return weighting.weigh(self.counts, row_keep, column_keep)

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


def count_rare_words(training: TextPart, size: int, *, least: int, window: int) -> RareWords:
    """The words of the training part that are counted `least` times but not kept.

    Their rows are of `size` kept words. A row's window holds the nearest kept tokens on each side.
    Its own tokens take no place in other windows.
    """
    rare = training.dropped_words(least)
    row_of = np.full(len(training.times), DROPPED, np.int32)
    row_of[rare] = np.arange(len(rare))
    counts = training.windows_of_rows(row_of, shape=(len(rare), size), window=window)
    names = [training.corpus.distinct[number] for number in rare]
    return RareWords(names, counts, training.times[rare], len(training.words))
