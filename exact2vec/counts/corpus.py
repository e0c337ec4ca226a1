"""Tokens as numbers, in blocks of documents, some of them held out."""

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact2vec.counts.sentences import pieces_of
from exact2vec.counts.text import Piece, Text
from exact2vec.counts.token_table import Numbering
from exact2vec.counts.tokens import (
    BLANK,
    DOCUMENT_KINDS,
    LINE,
    classes_for,
    code_points,
    reduce_text,
)
from exact2vec.counts.words import normal_form

BLOCK_TOKENS = 10_000
HANDED_OVER = 1 << 18  # bytes of tokens
HASH_KEY = b"exact2vec held-out 0"
PARTS = ("training", "held_out", "validation")
TRAINING, HELD_OUT, VALIDATION = range(3)


@dataclass(frozen=True)
class Corpus:
    """What was read: `ids[i]` is the place in `distinct` of the i-th token.

    Blocks are stretches of documents.
    """

    ids: NDArray[np.int32]
    distinct: list[str]
    block_tokens: NDArray[np.int64]
    block_document: NDArray[np.int64]
    block_part: NDArray[np.uint8]

    @property
    def documents(self) -> int:
        return len(np.unique(self.block_document))

    @property
    def token_document(self) -> NDArray[np.int64]:
        return np.repeat(self.block_document, self.block_tokens)

    @property
    def block_segment(self) -> NDArray[np.int32]:
        """The segment of each block: neighbouring blocks of a document that lie in the same part.

        Windows stay within a segment.
        """
        starts = np.ones(len(self.block_part), bool)
        starts[1:] = (np.diff(self.block_document) != 0) | (
            self.block_part[1:] != self.block_part[:-1]
        )
        return np.cumsum(starts, dtype=np.int32)


def index_corpus(
    texts: Iterable[object],
    draw: "Draw | None" = None,
    tokenize: Callable[[str], list[str]] | None = None,
) -> Corpus:
    """The corpus of a `Text`, or of documents as `pieces_of` takes them.

    Compiled loops read a `Text` whose kind of tokens they know.
    """
    if isinstance(texts, Text) and texts.tokens is not None:
        return index_text(texts, texts.tokens, draw)
    return index_pieces(pieces_of(texts, tokenize), draw)


@dataclass(frozen=True)
class Draw:
    """Draws the part of a block by the hash of its tokens, as a number in [0, 1).

    Below `held_out` the block is held out. Below `held_out` + `validation` it is in the validation
    part. Duplicates stay together, and neither the order of the files nor their encoding matters.
    The hash is a keyed BLAKE2 of the tokens in UTF-8, joined by spaces.
    """

    held_out: float = 0.0
    validation: float = 0.0

    def __bool__(self) -> bool:
        return self.held_out + self.validation > 0

    def part(self, digest: "hashlib.blake2b") -> int:
        share = int.from_bytes(digest.digest(), "big") / 2**64
        return (
            HELD_OUT
            if share < self.held_out
            else VALIDATION
            if share < self.held_out + self.validation
            else TRAINING
        )


def index_pieces(pieces: Iterable[Piece], draw: Draw | None = None) -> Corpus:
    """Number the tokens in order of appearance, and draw the part of each block.

    A document is one block, one of more than 10,000 tokens is cut into blocks of 10,000.
    """
    number: defaultdict[str, int] = defaultdict()
    number.default_factory = number.__len__
    ids, lengths, documents, parts = array("i"), array("q"), array("q"), array("B")
    for document, tokens in _blocks(pieces):
        ids.extend(map(number.__getitem__, tokens))
        lengths.append(len(tokens))
        documents.append(document)
        parts.append(
            draw.part(keyed_hash(" ".join(tokens).encode("utf-8", "surrogatepass")))
            if draw
            else TRAINING
        )
    return Corpus(
        np.frombuffer(ids, np.int32),
        list(number),
        np.frombuffer(lengths, np.int64),
        np.frombuffer(documents, np.int64),
        np.frombuffer(parts, np.uint8),
    )


def index_text(text: Text, tokens: str, draw: Draw | None = None) -> Corpus:
    """What `index_pieces` makes of `text`, by compiled loops.

    One thread reduces the text to its tokens, another numbers them.
    """
    reduction, numbering = _Reduction(tokens, draw), Numbering()
    ids: list[NDArray[np.int32]] = []
    with ThreadPoolExecutor(1) as other:
        waiting: Future[NDArray[np.int32]] | None = None
        for reduced in _gathered(_reductions(text, reduction)):
            if waiting is not None:
                ids.append(waiting.result())
            waiting = other.submit(numbering.numbers, reduced)
        if waiting is not None:
            ids.append(waiting.result())
    return Corpus(
        np.concatenate([np.empty(0, np.int32), *ids]), numbering.tokens(), *reduction.blocks()
    )


def _reductions(text: Text, reduction: "_Reduction") -> Iterator[NDArray[np.uint8]]:
    for stretch in text.stretches():
        yield reduction.reduced(stretch.text, stretch.document)
        if stretch.ends_document:
            yield reduction.end_document()


def _gathered(pieces: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """The same bytes in pieces that are worth handing to another thread; none is empty."""
    held, size = list[NDArray[np.uint8]](), 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= HANDED_OVER:
            yield np.concatenate(held)
            held, size = [], 0
    if size:
        yield np.concatenate(held)


class _Reduction:
    """Text reduced to its tokens, stretch by stretch, with the blocks that it ends."""

    def __init__(self, tokens: str, draw: Draw | None) -> None:
        self._tokens, self._draw = tokens, draw
        self._state = np.zeros(3, np.int64)
        self._state[BLANK] = 1
        self._hash = keyed_hash()
        self._lengths: list[NDArray[np.int64]] = []
        self._documents: list[NDArray[np.int64]] = []
        self._parts: list[int] = []

    def reduced(self, text: str, document: str) -> NDArray[np.uint8]:
        codes = code_points(normal_form(text) if self._tokens == "words" else text)
        return self._reduce(codes, DOCUMENT_KINDS[document])

    def end_document(self) -> NDArray[np.uint8]:
        return self._reduce(np.array([ord("\n")], np.uint8), LINE)

    def blocks(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
        none = np.empty(0, np.int64)
        return (
            np.concatenate([none, *self._lengths]),
            np.concatenate([none, *self._documents]),
            np.array(self._parts, np.uint8),
        )

    def _reduce(self, codes: NDArray[Any], document: int) -> NDArray[np.uint8]:
        most = len(codes) // 2 + 2
        ends, lengths, documents = (np.empty(most, np.int64) for _ in range(3))
        reduced = np.empty(len(codes) * (1 if codes.dtype == np.uint8 else 4) + 2, np.uint8)
        size, blocks = reduce_text(
            codes,
            classes_for(codes, self._tokens),
            document,
            BLOCK_TOKENS,
            self._state,
            reduced,
            ends,
            lengths,
            documents,
        )
        self._lengths.append(lengths[:blocks].copy())
        self._documents.append(documents[:blocks].copy())
        self._add_parts(reduced[:size], ends[:blocks].tolist())
        return reduced[:size]

    def _add_parts(self, reduced: NDArray[np.uint8], ends: list[int]) -> None:
        if not self._draw:
            self._parts += [TRAINING] * len(ends)
            return
        text, start = reduced.data, 0
        for end in ends:
            self._hash.update(text[start:end])
            self._parts.append(self._draw.part(self._hash))
            self._hash, start = keyed_hash(), end + 1
        self._hash.update(text[start:])


def _blocks(pieces: Iterable[Piece]) -> Iterator[tuple[int, list[str]]]:
    document = 0
    waiting: list[str] = []
    for tokens, ends_document in pieces:
        waiting += tokens
        if len(waiting) > BLOCK_TOKENS:
            whole = (len(waiting) - 1) // BLOCK_TOKENS * BLOCK_TOKENS
            for start in range(0, whole, BLOCK_TOKENS):
                yield document, waiting[start : start + BLOCK_TOKENS]
            waiting = waiting[whole:]
        if ends_document:
            if waiting:
                yield document, waiting
            document, waiting = document + 1, []
    if waiting:
        yield document, waiting


def keyed_hash(data: bytes = b"") -> "hashlib.blake2b":
    return hashlib.blake2b(data, digest_size=8, key=HASH_KEY)
