"""One part of a text against a vocabulary: its kept tokens closed up, and windows of others."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from exact2vec.counts.corpus import TRAINING, Corpus
from exact2vec.jit import compiled

CHUNK = 1 << 18  # tokens whose windows lie in memory together


@dataclass(frozen=True)
class TextPart:
    """The tokens of one part of a corpus.

    Each distinct token of the corpus has the number of its word, or −1 (`numbers`), and stands in
    the part so many `times`. `words` and `segments` are those of the kept tokens, in their order.
    """

    corpus: Corpus
    part: int
    numbers: NDArray[np.int32]
    times: NDArray[np.int64]
    words: NDArray[np.int32]
    segments: NDArray[np.int32]

    @classmethod
    def of(cls, corpus: Corpus, numbers: NDArray[np.int32], part: int = TRAINING) -> "TextPart":
        """The part of this number."""
        times = token_times(corpus, part)
        kept = int(times[numbers >= 0].sum())
        words, segments = np.empty(kept, np.int32), np.empty(kept, np.int32)
        blocks = corpus.block_tokens, corpus.block_part, corpus.block_segment
        _keep(_unsigned(corpus.ids), *blocks, part, numbers, words, segments)
        return cls(corpus, part, numbers, times, words, segments)

    @property
    def dropped(self) -> int:
        """The tokens of words that are not kept."""
        return int(self.times.sum()) - len(self.words)

    def word_times(self, size: int) -> NDArray[np.int64]:
        """How often each of `size` words stands here."""
        found, kept = np.zeros(size, np.int64), self.numbers >= 0
        found[self.numbers[kept]] = self.times[kept]
        return found

    def dropped_words(self, least: int) -> NDArray[np.int64]:
        """The distinct tokens that are not kept and stand here at least `least` times."""
        return np.flatnonzero((self.numbers < 0) & (self.times >= least))

    def windows_of_rows(
        self,
        row_of: NDArray[np.int32],
        *,
        shape: tuple[int, int],
        window: int,
        most: int | None = None,
    ) -> csr_array:
        """k(c, w) = Σ (window + 1 − distance) over pairs of a token c and a kept token w, int64.

        Each distinct token has its row (`row_of`, or −1), no two the same. Of a row the first
        `most` tokens are looked at; default None: all. Distances are those of the closed-up text of
        kept tokens. A token c that is not kept is put into it, one at a time.
        """
        near, starts = self._neighbours(row_of, shape[0], most)
        edges = np.searchsorted(starts, np.arange(0, starts[-1], CHUNK), side="left")
        edges = np.unique([0, *edges, shape[0]])
        text = self.words, self.segments
        parts = [
            near.of_tokens(starts[first], starts[last]).counts(
                text, starts[first : last + 1], shape, window
            )
            for first, last in pairwise(edges.tolist())
        ]
        return csr_array(vstack(parts, format="csr")) if parts else csr_array(shape, dtype=np.int64)

    def _neighbours(
        self, row_of: NDArray[np.int32], rows: int, most: int | None
    ) -> tuple["Neighbours", NDArray[np.int64]]:
        """What stands beside the tokens of the rows, row by row, and where each row begins."""
        some = row_of >= 0
        times = np.zeros(rows, np.int64)
        times[row_of[some]] = self.times[some]
        if most is not None:
            np.minimum(times, most, out=times)
        starts = np.zeros(rows + 1, np.int64)
        np.cumsum(times, out=starts[1:])
        before, after = np.empty(starts[-1], np.int64), np.empty(starts[-1], np.int64)
        segments = np.empty(starts[-1], np.int32)
        corpus = self.corpus
        blocks = corpus.block_tokens, corpus.block_part, corpus.block_segment
        numbers = self.numbers, row_of, starts
        _places(_unsigned(corpus.ids), *blocks, self.part, *numbers, before, after, segments)
        return Neighbours(before, after, segments), starts


@dataclass(frozen=True)
class Neighbours:
    """For each token c, the kept token before it and the one behind it, and its segment."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    segments: NDArray[np.int32]

    def of_tokens(self, start: np.int64, end: np.int64) -> "Neighbours":
        """Those of the tokens from `start` to `end`."""
        some = slice(start, end)
        return Neighbours(self.before[some], self.after[some], self.segments[some])

    def counts(
        self,
        text: tuple[NDArray[np.int32], NDArray[np.int32]],
        starts: NDArray[np.int64],
        shape: tuple[int, int],
        window: int,
    ) -> csr_array:
        """The counts of rows that begin at these `starts`, over the words and segments of `text`.

        The tokens of a row stand together.
        """
        most = 2 * window * len(self.segments)
        near, weights = np.empty(most, np.int32), np.empty(most, np.int64)
        ends = np.zeros(len(self.segments) + 1, np.int64)
        beside = self.before, self.after, self.segments
        _windows(*beside, *text, window, near, weights, ends[1:])
        cells = slice(0, ends[-1])
        found = csr_array(
            (weights[cells], near[cells], ends[starts - starts[0]]),
            shape=(len(starts) - 1, shape[1]),
        )
        found.sum_duplicates()
        return found


def token_times(corpus: Corpus, part: int = TRAINING) -> NDArray[np.int64]:
    """How often each distinct token of a corpus stands in a part."""
    times = np.zeros(len(corpus.distinct), np.int64)
    _count(_unsigned(corpus.ids), corpus.block_tokens, corpus.block_part, part, times)
    return times


def _unsigned(ids: NDArray[np.int32]) -> NDArray[np.uint32]:
    """An index that needs no check for counting from the end."""
    return ids.view(np.uint32)


@compiled
def _count(ids, block_tokens, block_part, part, times):
    """Add the tokens of a part to `times`."""
    start = 0
    for block in range(len(block_tokens)):
        end = start + block_tokens[block]
        if block_part[block] == part:
            for place in range(start, end):
                times[ids[place]] += 1
        start = end


@compiled
def _keep(ids, block_tokens, block_part, block_segment, part, numbers, words, segments):
    """Fill `words` and `segments` with those of the kept tokens of a part."""
    start, kept = 0, 0
    for block in range(len(block_tokens)):
        end = start + block_tokens[block]
        if block_part[block] == part:
            for place in range(start, end):
                number = numbers[ids[place]]
                if number >= 0:
                    words[kept] = number
                    segments[kept] = block_segment[block]
                    kept += 1
        start = end


@compiled
def _places(
    ids,
    block_tokens,
    block_part,
    block_segment,
    part,
    numbers,
    row_of,
    starts,
    before,
    after,
    segments,
):
    """Fill what stands beside the first tokens of each row; row r has starts[r]:starts[r + 1]."""
    free = starts[:-1].copy()
    start, kept = 0, 0
    for block in range(len(block_tokens)):
        end = start + block_tokens[block]
        if block_part[block] == part:
            for place in range(start, end):
                row = row_of[ids[place]]
                is_kept = numbers[ids[place]] >= 0
                if row >= 0 and free[row] < starts[row + 1]:
                    before[free[row]] = kept - 1
                    after[free[row]] = kept + is_kept
                    segments[free[row]] = block_segment[block]
                    free[row] += 1
                kept += is_kept
        start = end


@compiled
def _windows(before, after, token_segment, words, segments, window, near, weights, ends):
    """Write the kept words near each token, and their weights; ends[i] is behind those of i."""
    stored = 0
    for token in range(len(before)):
        for step in range(window):
            place = before[token] - step
            if place < 0 or segments[place] != token_segment[token]:
                break
            near[stored], weights[stored] = words[place], window - step
            stored += 1
        for step in range(window):
            place = after[token] + step
            if place >= len(words) or segments[place] != token_segment[token]:
                break
            near[stored], weights[stored] = words[place], window - step
            stored += 1
        ends[token] = stored
