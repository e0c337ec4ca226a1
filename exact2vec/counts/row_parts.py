"""Which rows, or which items of rows, are held out: by a keyed hash of what they are, or by time.

Neither the order of the rows nor their names matter, nor what other rows there are.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exact2vec.counts.corpus import HASH_KEY, HELD_OUT, TRAINING, VALIDATION

Numbers = NDArray[np.int64]
Hashes = NDArray[np.uint64]
GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


@dataclass(frozen=True)
class Shares:
    """The shares that are held out and kept for validation, and of what."""

    held_out: float = 0.0
    validation: float = 0.0
    by: str = "row"
    target: float = 0.2


def digest(name: str) -> int:
    """The keyed BLAKE2 of a text, 64 bits."""
    data = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=HASH_KEY).digest(), "big")


def digests(names: Sequence[str]) -> Hashes:
    """The digest of each text."""
    return np.fromiter(map(digest, names), np.uint64, len(names))


def row_digests(starts: Numbers, items: Numbers, names: Sequence[str]) -> Hashes:
    """The digest of each row: of the names of its items in order of spelling.

    Row r holds items[starts[r] : starts[r + 1]], numbers of `names`, both in order of spelling.
    """
    spelled = [names[item] for item in items]
    ends = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    return digests(["\0".join(spelled[start:end]) for start, end in ends])


def mixed(rows: Hashes, items: Hashes) -> Hashes:
    """A hash for each item of a row. Source: splitmix64 (Steele, Lea and Flood 2014)."""
    z = (rows ^ items) + np.uint64(GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
    return np.asarray(z ^ (z >> np.uint64(31)))


def drawn_parts(hashes: Hashes, shares: Shares) -> NDArray[np.uint8]:
    """The part of each: held out below the share, in the validation part up to both.

    >>> drawn_parts(np.array([0, 2**62, 2**63], np.uint64), Shares(0.1, 0.3)).tolist()
    [1, 2, 0]
    """
    share = hashes.astype(np.float64) / 2**64
    parts = np.full(len(hashes), TRAINING, np.uint8)
    parts[share < shares.held_out + shares.validation] = VALIDATION
    parts[share < shares.held_out] = HELD_OUT
    return parts


def last_parts(times: NDArray[np.float64], hashes: Hashes, shares: Shares) -> NDArray[np.uint8]:
    """The part of each: the last are held out, those before them are in the validation part.

    There is one cut-off for all; the hash decides where times are equal.

    >>> last_parts(np.array([3.0, 1, 2, 4]), np.zeros(4, np.uint64), Shares(0.25, 0.25)).tolist()
    [2, 0, 0, 1]
    """
    order = np.lexsort((hashes, -times))
    held_out = int(shares.held_out * len(times) + 0.5)
    both = int((shares.held_out + shares.validation) * len(times) + 0.5)
    parts = np.full(len(times), TRAINING, np.uint8)
    parts[order[:both]] = VALIDATION
    parts[order[:held_out]] = HELD_OUT
    return parts


def keep_one_a_row(parts: NDArray[np.uint8], rows: Numbers, hashes: Hashes) -> NDArray[np.uint8]:
    """The parts of items, that of the largest hash of each row left for training."""
    order = np.lexsort((hashes, rows))
    last = np.append(np.diff(rows[order]) != 0, True)
    kept = parts.copy()
    kept[order[last]] = TRAINING
    return kept


def target_cells(rows: Numbers, hashes: Hashes, share: float) -> NDArray[np.bool_]:
    """Which items of their row are its target: those of the smallest hashes.

    They are `share` of the row's items, at least one and at most all but one.
    """
    order = np.lexsort((hashes, rows))
    sorted_rows = rows[order]
    size = np.bincount(rows)
    wanted = np.clip((share * size + 0.5).astype(np.int64), 1, np.maximum(size - 1, 0))
    first = np.searchsorted(sorted_rows, sorted_rows)
    place = np.arange(len(rows)) - first
    found = np.zeros(len(rows), bool)
    found[order] = place < wanted[sorted_rows]
    return found
