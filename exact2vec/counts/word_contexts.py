"""What stands near words that are not kept, and near the first tokens of some that are.

A vector of a word can be guessed from the mean of what stands near it. The kept words of the sample
show how well: their vectors are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.rare_words import RareWords
from exact2vec.counts.text_part import TextPart
from exact2vec.counts.vocabulary import DROPPED, Vocabulary
from exact2vec.counts.weighting import Weighting
from exact2vec.storage import word_files
from exact2vec.storage.run_folder import Run
from exact2vec.storage.stored_file import optional_file

LEAST = 5  # tokens of a word that is not kept
FIRST = 20  # tokens of a word that are looked at
SAMPLE = 5000  # kept words, at most


@dataclass(frozen=True)
class WordContexts:
    """Counts k(c, w) over the kept words w, of tokens of rare words and of a sample of kept ones.

    `rare` are the words counted 5 times and more that are not kept. `sample` are the numbers of
    kept words, evenly spread over the vocabulary, and `first` has a row for each of them. No more
    than the first 20 tokens of a word are looked at, in each text whose counts were merged.
    """

    rare: RareWords
    sample: NDArray[np.int64]
    first: csr_array

    def merge(self, others: Sequence["WordContexts"]) -> "WordContexts":
        """The contexts in all these texts, counted with the same kept words."""
        first = sum((part.first for part in others), self.first)
        return WordContexts(
            self.rare.merge([part.rare for part in others]), self.sample, csr_array(first)
        )

    def weigh(self, weighting: Weighting, vocabulary: Vocabulary) -> tuple[csr_array, csr_array]:
        """The weighted counts n(c, w) of the rare words, and of the sample."""
        keep = weighting.keep(vocabulary.counts, vocabulary.total)
        sample = weighting.weigh(self.first, keep[self.sample], keep)
        return self.rare.weighted(weighting, vocabulary), sample

    def write(self, folder: Path) -> None:
        """Put the contexts into an open run folder."""
        rare = self.rare
        times = [] if rare.times is None else rare.times.tolist()
        sample = self.sample.tolist()
        word_files.Contexts(rare.words, times, rare.kept_tokens, sample).write(folder)
        word_files.ContextCells(rare.counts, self.first).write(folder)

    @classmethod
    def read(cls, run: Run, columns: int) -> "WordContexts | None":
        """The contexts in a run folder of so many kept words, or None."""
        names = optional_file(word_files.Contexts, run)
        if names is None:
            return None
        cells = word_files.ContextCells.read(run, names, columns)
        times = np.array(names.times, np.int64)
        rare = RareWords(names.words, cells.rare, times, names.kept_tokens)
        return cls(rare, np.array(names.sample, np.int64), cells.first)


def count_word_contexts(training: TextPart, size: int, *, window: int) -> WordContexts | None:
    """The contexts in the training part, over `size` kept words.

    None where no dropped word is counted often enough.
    """
    rare = training.dropped_words(LEAST)
    if not len(rare):
        return None
    sample = np.unique(np.linspace(0, size - 1, min(size, SAMPLE)).astype(np.int64))
    row_of_word = np.full(size + 1, DROPPED, np.int32)  # the last is that of dropped tokens
    row_of_word[sample] = np.arange(len(rare), len(rare) + len(sample))
    row_of = row_of_word[training.numbers]
    row_of[rare] = np.arange(len(rare))
    shape = len(rare) + len(sample), size
    counts = training.windows_of_rows(row_of, shape=shape, window=window, most=FIRST)
    names = [training.corpus.distinct[number] for number in rare]
    of_rare, first = csr_array(counts[: len(rare)]), csr_array(counts[len(rare) :])
    known = RareWords(names, of_rare, training.times[rare], len(training.words))
    return WordContexts(known, sample, first)
