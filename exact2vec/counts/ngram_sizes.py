"""How many character n-grams words have, counted without keeping one of them."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it loses nothing
WORDS_AT_ONCE = 1 << 16


class FeatureSizes(NamedTuple):
    """What a `Describer` makes of names.

    The `features` are n-grams that two or more names share, and known ones. They stand in `cells`.
    Names spell `distinct` n-grams, and `spelled` of them where each is counted once a name.
    """

    features: int = 0
    cells: int = 0
    spelled: int = 0
    distinct: int = 0


NONE = FeatureSizes()


def ngram_sizes(words: Sequence[str], min_n: int, max_n: int) -> FeatureSizes:
    """The sizes of the n-grams of <word>, as `ngrams` makes them.

    N-grams are told apart by hashes of 64 bits, which confuse two of a million with a probability
    of 1 in 10⁷.

    >>> ngram_sizes(["sun", "sung"], 3, 3)
    FeatureSizes(features=2, cells=4, spelled=7, distinct=5)
    """
    parts = [
        _hashes(words[start : start + WORDS_AT_ONCE], min_n, max_n)
        for start in range(0, len(words), WORDS_AT_ONCE)
    ]
    every = np.concatenate([np.empty(0, np.uint64), *parts])
    _, names = np.unique(every, return_counts=True)
    shared = names[names > 1]
    return FeatureSizes(len(shared), int(shared.sum()), len(every), len(names))


def _hashes(words: Sequence[str], min_n: int, max_n: int) -> NDArray[np.uint64]:
    """A hash of each n-gram of each word, once a word."""
    marked = [f"<{unicodedata.normalize('NFC', word)}>" for word in words]
    text = "".join(marked).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(text, np.uint32).astype(np.uint64)
    word_of = np.repeat(np.arange(len(marked)), [len(word) for word in marked])
    of_word = _mixed(np.arange(len(marked), dtype=np.uint64))
    found = []
    state = np.zeros(len(codes), np.uint64)
    for n in range(1, min(max_n, max(map(len, marked), default=0)) + 1):
        size = len(codes) - n + 1
        state = _mixed(state[:size] + codes[n - 1 :] + np.uint64(1))
        if n >= min_n:
            within = word_of[:size] == word_of[n - 1 :]
            hashes, owners = state[within], word_of[:size][within]
            # once a word: the first of each pair of word and hash
            pairs = hashes ^ of_word[owners]
            _, first = np.unique(pairs, return_index=True)
            found.append(hashes[first])
    return np.concatenate([np.empty(0, np.uint64), *found])


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each number spread over 64 bits. Source: Steele, Lea and Flood 2014, SplitMix64."""
    values = (values + FACTOR) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
