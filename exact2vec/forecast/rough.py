"""Sizes of what is not counted yet: of words whose pairs are not, and of text that is not read."""

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact2vec.counts.corpus import index_text
from exact2vec.counts.input_files import InputFiles
from exact2vec.counts.ngram_sizes import FeatureSizes, ngram_sizes
from exact2vec.counts.text import PYTHON_DOCS, STDIN, Stretch, Text
from exact2vec.storage.files import GZIP_MAGIC, MAGIC_BYTES, decompressed
from exact2vec.storage.zstd import is_zstd

SAMPLE = 1 << 21  # characters, or bytes
PACKED_SAMPLE = 1 << 23  # bytes: what is read ahead of them should be little beside them
COMPANY = 0.8
SPELLED_WORDS = 50_000  # whose n-grams are counted, at most
GRAMS = 40  # features of size^¾ words
GROUPS = 400  # of words with about the same count
LEAST_GROWTH, MOST_GROWTH = 0.4, 0.95  # exponents of how vocabularies grow


@dataclass(frozen=True)
class RoughSizes:
    """About how many tokens a text has, and distinct ones; `growth` is Heaps' exponent.

    Where a text has n times as many tokens, it has about n^growth times as many distinct ones.
    Source: Heaps 1978, Information Retrieval, section 7.5.

    >>> RoughSizes(10**6, 50_000, 0.5).words(min_count=4)
    25000
    """

    tokens: int
    distinct: int
    growth: float

    def words(self, min_count: int = 1, max_vocab: int | None = None) -> int:
        """How many words are counted at least so often: the n-th is counted about n^(−1/growth)."""
        kept = round(self.distinct / math.pow(min_count, self.growth))
        return max(2, min(kept, max_vocab or kept))

    def times(self, words: int) -> NDArray[np.float64]:
        """How often each of so many words stands, by Zipf's law: the n-th n times as rarely."""
        shares = 1 / np.arange(1, self.distinct + 1)
        return np.asarray(self.tokens * shares[:words] / shares.sum())


def expected_cells(times: NDArray[Any], window: int) -> int:
    """How many cells are counted, where words stand `times` often and in any order.

    A pair of words with p and q of the N tokens meets about 2·window·N·p·q times, and at least once
    with 1 − exp of minus that. Words of real text keep company, so their cells are fewer, by about
    `COMPANY`.
    """
    counts = np.sort(np.asarray(times, np.float64))[::-1]
    edges = np.unique(np.geomspace(1, len(counts) + 1, GROUPS).astype(int))
    groups = [counts[first - 1 : last - 1] for first, last in itertools.pairwise(edges)]
    sizes, means = (np.array([f(group) for group in groups]) for f in (len, np.mean))
    meetings = 2 * window * np.outer(means, means) / max(1.0, counts.sum())
    return math.ceil(COMPANY * float((np.outer(sizes, sizes) * -np.expm1(-meetings)).sum()))


def rough_sizes(text: Text) -> RoughSizes | None:
    """What the first two MB of a text say of all of it, and the size of its files.

    None where a part of it is not a file.
    """
    paths = text_files(text.inputs)
    if paths is None:
        return None
    read = FirstOf(text, SAMPLE)
    ids = index_text(read, text.tokens).ids if text.tokens else _numbered(read)
    if len(ids) < 2:
        return None
    size = sum(path.stat().st_size for path in paths) * unpacked_share(paths[0])
    tokens = max(len(ids), round(len(ids) * size / max(1, read.bytes)))
    half, whole = (len(np.unique(some)) for some in (ids[: len(ids) // 2], ids))
    growth = min(MOST_GROWTH, max(LEAST_GROWTH, math.log2(whole / half)))
    return RoughSizes(tokens, round(whole * (tokens / len(ids)) ** growth), growth)


def text_files(inputs: list[str]) -> list[Path] | None:
    """The files of INPUT; None where some of it is not in files, or not there."""
    found: list[Path] = []
    files = InputFiles()
    for name in inputs:
        if name in (PYTHON_DOCS, STDIN) or not os.path.exists(name):
            return None
        found += files.of(Path(name))
    return [path for path in found if path.is_file()] or None


def unpacked_share(path: Path) -> float:
    """How many bytes of text stand for a byte of a file, by its beginning."""
    with open(path, "rb", buffering=0) as file:
        magic = file.read(MAGIC_BYTES)
        if not (magic.startswith(GZIP_MAGIC) or is_zstd(magic)):
            return 1.0
        file.seek(0)
        with decompressed(file) as plain:
            text = 0
            while text < PACKED_SAMPLE and (data := plain.read(SAMPLE)):
                text += len(data)
        return text / max(1, file.tell())


class FirstOf(Text):
    """The first stretches of a text, some characters of it; `bytes` are those that were read."""

    def __init__(self, text: Text, characters: int) -> None:
        settings: dict[str, Any] = dict(text.settings)
        super().__init__(*text.inputs, **settings)
        self.characters = characters
        self.bytes = 0
        self.ended = True

    def stretches(self) -> Iterator[Stretch]:
        """Stretches until there are enough characters; the last one ends its document."""
        self.bytes, self.ended, read = 0, True, 0
        for stretch in super().stretches():
            left = self.characters - read
            part = stretch.text[:left]
            read += len(part)
            self.bytes += len(part.encode(self.encoding, "replace"))
            if read >= self.characters:
                self.ended = False
                yield Stretch(part, stretch.document, True)
                return
            yield stretch


def _numbered(pieces: FirstOf) -> NDArray[np.int64]:
    number: dict[str, int] = {}
    found = [number.setdefault(token, len(number)) for piece in pieces for token in piece.tokens]
    return np.array(found, np.int64)


def expected_features(
    words: Sequence[str] | None, size: int, min_n: int, max_n: int
) -> FeatureSizes:
    """The n-grams of so many words; of some of them where there are many, and then about.

    Without words, as many as English ones have. They grow as the power of ¾ of the words.
    """
    if words is None:
        return FeatureSizes(round(GRAMS * size**0.75), 20 * size, 24 * size, 6 * size)
    if len(words) <= SPELLED_WORDS:
        return ngram_sizes(words, min_n, max_n)
    some = ngram_sizes(words[:: -(-len(words) // SPELLED_WORDS)], min_n, max_n)
    share = len(words) / SPELLED_WORDS
    features, distinct = (round(number * share**0.75) for number in (some.features, some.distinct))
    return FeatureSizes(features, round(some.cells * share), round(some.spelled * share), distinct)
