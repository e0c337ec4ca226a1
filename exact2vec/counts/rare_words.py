"""Words that stand in the text as contexts only: rows of counts over the kept words."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, vstack

from exact2vec.counts.corpus import TRAINING, Corpus
from exact2vec.counts.features import RowCounts
from exact2vec.counts.vocabulary import DROPPED, Vocabulary
from exact2vec.counts.weighting import Weighting
from exact2vec.errors import UsageError
from exact2vec.jit import compiled

CHUNK = 1 << 18  # tokens whose windows lie in memory together


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


def count_rare_words(
    corpus: Corpus, vocabulary: Vocabulary, *, least: int, window: int
) -> RareWords:
    """The words of the training part that are counted `least` times but not kept.

    A row's window holds the nearest kept tokens on each side. Its own tokens take no place in
    other windows.
    """
    training = corpus.token_part == TRAINING
    ids, segments = corpus.ids[training], corpus.token_segment[training]
    times = np.bincount(ids, minlength=len(corpus.distinct))
    numbers = vocabulary.numbers(corpus.distinct)
    rare = np.flatnonzero((numbers == DROPPED) & (times >= least))
    row_of = np.full(len(corpus.distinct), DROPPED, np.int32)
    row_of[rare] = np.arange(len(rare))
    rows, words = row_of[ids], numbers[ids]
    shape = len(rare), len(vocabulary.words)
    counts = windows_of_rows(rows, words, segments, shape=shape, window=window)
    kept_tokens = int((words != DROPPED).sum())
    names = [corpus.distinct[number] for number in rare]
    return RareWords(names, counts, times[rare].astype(np.int64), kept_tokens)


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
    of the closed-up text of kept tokens. A token c that is not kept is put into it, one at a time.
    """
    kept = words >= 0
    places = np.flatnonzero(rows >= 0)
    places = places[np.argsort(rows[places], kind="stable")]
    after = np.cumsum(kept, dtype=np.int64)[places]  # the first kept token behind each c
    near = Nearby(after - 1 - kept[places], after, segments[places])
    text = words[kept], segments[kept]
    starts = np.zeros(shape[0] + 1, np.int64)
    np.cumsum(np.bincount(rows[places], minlength=shape[0]), out=starts[1:])
    edges = np.searchsorted(starts, np.arange(0, len(places), CHUNK), side="left")
    edges = np.unique([0, *edges, shape[0]])
    parts = [
        near.of_tokens(starts[first], starts[last]).counts(
            text, starts[first : last + 1], shape, window
        )
        for first, last in pairwise(edges.tolist())
    ]
    return csr_array(vstack(parts, format="csr")) if parts else csr_array(shape, dtype=np.int64)


@dataclass(frozen=True)
class Nearby:
    """For each token c, the kept token before it and the one behind it, and its segment."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    segments: NDArray[np.int32]

    def of_tokens(self, start: np.int64, end: np.int64) -> "Nearby":
        """Those of the tokens from `start` to `end`."""
        some = slice(start, end)
        return Nearby(self.before[some], self.after[some], self.segments[some])

    def counts(
        self,
        text: tuple[NDArray[Any], NDArray[np.int32]],
        starts: NDArray[np.int64],
        shape: tuple[int, int],
        window: int,
    ) -> csr_array:
        """The counts of rows that begin at these `starts`, over the words and segments of `text`.

        The tokens of a row stand together.
        """
        words, segments = text
        steps = np.arange(window)
        near = np.hstack([self.before[:, None] - steps, self.after[:, None] + steps])
        inside = (near >= 0) & (near < len(words))
        near[~inside] = 0
        if len(words):
            inside &= segments[near] == self.segments[:, None]
        weights = np.broadcast_to(np.tile(window - steps, 2), near.shape)[inside]
        cells = np.concatenate([[0], np.cumsum(inside.sum(axis=1))])[starts - starts[0]]
        found = csr_array(
            (weights.astype(np.int64), words[near[inside]].astype(np.int32), cells),
            shape=(len(starts) - 1, shape[1]),
        )
        found.sum_duplicates()
        return found


@compiled
def first_tokens(rows, size, most):
    """Whether each token is among the first `most` of its row; those of row −1 are not."""
    seen = np.zeros(size, np.int64)
    found = np.zeros(len(rows), np.bool_)
    for place in range(len(rows)):
        row = rows[place]
        if row >= 0 and seen[row] < most:
            seen[row] += 1
            found[place] = True
    return found
