"""Pieces of rows of scores (outer, word, inner), as column_kernels.py works on them.

A piece is (array, outer, at): its class w is array[outer, w, at : at + n]. Where fewer than
`BESIDE` rows lie side by side, a piece is a copy of (word, row).
"""

from typing import no_type_check

import numpy as np

from exact2vec.jit import compiled

PIECE = 8192  # scores of a piece, about: with all that belongs to it in the first-level cache
BESIDE = 64


@compiled
@no_type_check
def piece_rows(words):
    """How many rows a piece has: whole vectors."""
    return max(64, min(512, PIECE // max(1, words) // 16 * 16))


@compiled
@no_type_check
def piece_end(z, begin, stop, size):
    inner = z.shape[2]
    end = min(begin + size, stop)
    return end if inner < BESIDE else min(end, (begin // inner + 1) * inner)


@compiled
@no_type_check
def buffer_of(like, size):
    """Room for copies of `size` rows of (outer, word, inner)."""
    return np.empty(like.shape[1] * size if like.shape[2] < BESIDE else 0, like.dtype)


@compiled
@no_type_check
def place_of(z, begin, n, buffer):
    """The piece of z from row `begin` on; a copy yet to be filled where rows lie apart."""
    inner, words = z.shape[2], z.shape[1]
    if inner >= BESIDE:
        return z, begin // inner, begin % inner
    return buffer[: words * n].reshape((1, words, n)), 0, 0


@compiled
@no_type_check
def read(z, begin, n, buffer):
    """The piece of z from row `begin` on."""
    piece = place_of(z, begin, n, buffer)
    if z.shape[2] < BESIDE:
        copy = piece[0][0]
        for i in range(n):
            outer, at = (begin + i) // z.shape[2], (begin + i) % z.shape[2]
            for word in range(z.shape[1]):
                copy[word, i] = z[outer, word, at]
    return piece


@compiled
@no_type_check
def write(piece, begin, n, out):
    """A copied piece → its place in (outer, word, inner)."""
    if out.shape[2] < BESIDE:
        copy = piece[0][0]
        for i in range(n):
            outer, at = (begin + i) // out.shape[2], (begin + i) % out.shape[2]
            for word in range(out.shape[1]):
                out[outer, word, at] = copy[word, i]


@compiled
@no_type_check
def row_of(piece, word, n):
    """One class of a piece."""
    of, outer, at = piece
    return of[outer, word, at : at + n]


@compiled
@no_type_check
def column_of(piece, i):
    """One row of a piece."""
    of, outer, at = piece
    return of[outer, :, at + i]
