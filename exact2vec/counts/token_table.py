"""Tokens as numbers: a hash table from the bytes of a token to its number.

Each match is verified byte by byte.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from exact2vec.jit import compiled

EMPTY = -1
SPACE = 32


class Numbering:
    """Numbers tokens in order of appearance.

    >>> numbering = Numbering()
    >>> numbering.numbers(np.frombuffer(b"to be or not to be", np.uint8)).tolist()
    [0, 1, 2, 3, 0, 1]
    >>> numbering.tokens()
    ['to', 'be', 'or', 'not']
    """

    def __init__(self, slots: int = 1 << 16) -> None:
        self._slots = np.full(slots, EMPTY, np.int32)
        self._hashes = np.empty(slots // 2, np.uint64)
        self._starts = np.zeros(slots // 2 + 1, np.int64)
        self._bytes = np.empty(1 << 20, np.uint8)
        self._size = 0

    def numbers(self, text: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The numbers of the tokens of `text`, which are parted by single spaces or line ends."""
        found = np.empty(len(text) // 2 + 1, np.int32)
        place = count = 0
        self._make_room(len(text))
        while True:
            place, count, self._size = _number(
                text,
                place,
                found,
                count,
                self._slots,
                self._hashes,
                self._starts,
                self._bytes,
                self._size,
            )
            if place >= len(text):
                return found[:count].copy()
            self._grow()

    def tokens(self) -> list[str]:
        """Every token, by number."""
        text = self._bytes[: self._starts[self._size]].tobytes()
        starts = self._starts[: self._size + 1].tolist()
        return [
            text[start:end].decode("utf-8", "surrogatepass")
            for start, end in itertools.pairwise(starts)
        ]

    def _make_room(self, size: int) -> None:
        needed = int(self._starts[self._size]) + size
        if needed > len(self._bytes):
            self._bytes = np.concatenate(
                [
                    self._bytes,
                    np.empty(max(needed, 2 * len(self._bytes)) - len(self._bytes), np.uint8),
                ]
            )

    def _grow(self) -> None:
        slots = 4 * len(self._slots)
        self._slots = np.full(slots, EMPTY, np.int32)
        self._hashes = np.concatenate(
            [self._hashes, np.empty(slots // 2 - len(self._hashes), np.uint64)]
        )
        self._starts = np.concatenate(
            [self._starts, np.empty(slots // 2 + 1 - len(self._starts), np.int64)]
        )
        _rebuild(self._slots, self._hashes, self._size)


@compiled
def _number(text, place, found, count, slots, hashes, starts, known, size):
    """Number the tokens from `place` on, until the table is half full: (place, count, size).

    FNV-1a, linear probing.
    """
    mask = np.uint64(len(slots) - 1)
    while place < len(text) and size < len(hashes):
        end = place
        code = np.uint64(14695981039346656037)
        while end < len(text) and text[end] != SPACE and text[end] != 10:
            code = (code ^ np.uint64(text[end])) * np.uint64(1099511628211)
            end += 1
        length = end - place
        if length == 0:
            place += 1
            continue
        slot = (code ^ (code >> np.uint64(32))) & mask
        while True:
            number = slots[slot]
            if number == EMPTY:
                number = size
                slots[slot] = number
                hashes[number] = code
                start = starts[number]
                for offset in range(length):
                    known[start + offset] = text[place + offset]
                starts[number + 1] = start + length
                size += 1
                break
            if hashes[number] == code and starts[number + 1] - starts[number] == length:
                start = starts[number]
                same = True
                for offset in range(length):
                    if known[start + offset] != text[place + offset]:
                        same = False
                        break
                if same:
                    break
            slot = (slot + np.uint64(1)) & mask
        found[count] = number
        count += 1
        place = end + 1
    return place, count, size


@compiled
def _rebuild(slots, hashes, size):
    mask = np.uint64(len(slots) - 1)
    for number in range(size):
        slot = (hashes[number] ^ (hashes[number] >> np.uint64(32))) & mask
        while slots[slot] != EMPTY:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = number
