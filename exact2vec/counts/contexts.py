"""Words that stand in the text as contexts only: rows of counts over the trained words, to be folded in."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from exact2vec.counts.corpus import TRAINING, Corpus
from exact2vec.counts.features import RowCounts
from exact2vec.counts.vocabulary import DROPPED, Vocabulary
from exact2vec.counts.weighting import WindowWeighting


def count_contexts(
    corpus: Corpus, vocabulary: Vocabulary, *, least: int, weighting: WindowWeighting
) -> tuple[RowCounts, int]:
    """The weighted counts of the words of the training part that are counted `least` times but not kept, and how many tokens they are.

    A row's window holds the nearest kept tokens on each side; its own tokens take no place in other windows.
    They are weighted as kept words are.
    """
    training = corpus.token_part == TRAINING
    times = np.bincount(corpus.ids[training], minlength=len(corpus.distinct))
    numbers = vocabulary.numbers(corpus.distinct)
    rare = np.flatnonzero((numbers == DROPPED) & (times >= least))
    row_of = np.full(len(corpus.distinct), DROPPED)
    row_of[rare] = np.arange(len(rare))
    ids = corpus.ids[training]
    counts = windows_of_contexts(
        row_of[ids],
        numbers[ids],
        corpus.token_segment[training],
        shape=(len(rare), len(vocabulary.words)),
        window=weighting.window,
    )
    kept_tokens = max(1, int((numbers[ids] != DROPPED).sum()))
    weighted = weighting.weigh(
        counts,
        weighting.keep(times[rare], kept_tokens),
        weighting.keep(vocabulary.counts, vocabulary.total),
    )
    return RowCounts(weighted, [corpus.distinct[number] for number in rare], vocabulary.words), int(
        times[rare].sum()
    )


def windows_of_contexts(
    rows: NDArray[Any],
    words: NDArray[Any],
    segments: NDArray[np.int32],
    *,
    shape: tuple[int, int],
    window: int,
) -> csr_array:
    """k(c, w) = Σ (window + 1 − distance) over the tokens c with `rows` ≥ 0 and the kept tokens w (`words` ≥ 0) near them, int64.

    Distances are those of the closed-up text of kept tokens, into which one token c at a time is put.
    """
    kept, places = words[words >= 0], np.flatnonzero(rows >= 0)
    kept_segments = segments[words >= 0]
    after = np.cumsum(words >= 0)[places]  # the first kept token behind each c
    counts = csr_array(shape, dtype=np.int64)
    for distance in range(1, min(window, len(kept)) + 1):
        for near in (after - distance, after + distance - 1):
            inside = np.flatnonzero((near >= 0) & (near < len(kept)))
            inside = inside[kept_segments[near[inside]] == segments[places[inside]]]
            cells = (rows[places[inside]], kept[near[inside]])
            counts = (
                counts
                + coo_array(
                    (np.full(len(inside), window + 1 - distance, np.int64), cells), shape=shape
                ).tocsr()
            )
    return csr_array(counts)
