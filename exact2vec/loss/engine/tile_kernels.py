"""Compiled loops over a tile: some rows × some words of scores x·uᵀ, in the cache.

A tile first holds scores z, then e = exp(z − m_t) with m_t the row's maximum in this tile, then,
row by row up to a `scale`, gradients. Numbers cite docs/maths.md. Cells are compressed rows whose
words are sorted; those of row r in a tile are begin[r]:after[r].
"""

from typing import no_type_check

import numpy as np

from exact2vec.jit import cached, compiled, vectorized
from exact2vec.loss.engine.kernels import exp_of_difference, summed
from exact2vec.loss.engine.kernels import largest as largest_of

SMALL = 1e-6  # K below which it is not the difference of a sum and 1
FAR = 1e-30  # a factor of e below which it is not left to the scale


@cached(fastmath={"contract"})
@no_type_check
def exponentials_in_place(z, m):
    """z → exp(z − m), equation (4): `exponentials` with z as `out` too would not be vectorized."""
    for i in range(z.shape[0]):
        d = z[i] - m
        back = d - z[i]
        z[i] = exp_of_difference(d, (z[i] - (d - back)) - (m + back))


@cached(fastmath={"contract", "reassoc", "nsz"})
@no_type_check
def sum_and_ones(e):
    """(Σ e of those below 1, how many are 1)."""
    total = 0.0
    ones = e.dtype.type(0)
    for i in range(e.shape[0]):
        one = e[i] == 1
        total += np.float64(e.dtype.type(0) if one else e[i])
        ones += e.dtype.type(1) if one else e.dtype.type(0)
    return total, ones


@compiled
@no_type_check
def others_of(e):
    """K = Σ e without one of the largest terms, which are 1: apart where a difference cancels."""
    k = summed(e) - 1.0
    if not k <= SMALL:
        return k
    total, ones = sum_and_ones(e)
    return total + max(ones - 1.0, 0.0)


@compiled
@no_type_check
def cut(starts, words, edges, bounds):
    """bounds[t, row] = the first of a row's cells whose word is at least edges[t]."""
    for row in range(bounds.shape[1]):
        cell, end = starts[row], starts[row + 1]
        for tile in range(len(edges)):
            while cell < end and words[cell] < edges[tile]:
                cell += 1
            bounds[tile, row] = cell


@compiled
@no_type_check
def scores_at_cells(scores, first, begin, after, words, found):
    """The scores of the tile's cells go to their places in `found`."""
    for row in range(scores.shape[0]):
        for cell in range(begin[row], after[row]):
            found[cell] = scores[row, words[cell] - first]


@compiled
@no_type_check
def exclude(scores, first, begin, after, words):
    """−∞ for the tile's cells: they leave the softmax of their row."""
    for row in range(scores.shape[0]):
        for cell in range(begin[row], after[row]):
            scores[row, words[cell] - first] = -np.inf


@vectorized
@no_type_check
def _dense_sums(z, m, dense, keep, spread, weight):
    """(Σ t (m − z), Σ t) with t = weight · (keep · dense + spread); t = 0 adds 0."""
    below, size = 0.0, 0.0
    for word in range(len(z)):
        t = spread
        if len(dense):
            t += keep * np.float64(dense[word])
        if len(weight):
            t *= weight[word]
        gap = np.float64(m) - np.float64(z[word])
        below += 0.0 if t == 0 else t * gap
        size += t
    return below, size


@compiled
@no_type_check
def tile_terms(
    scores,
    bias,
    first,
    begin,
    after,
    words,
    dense,
    keep,
    spread,
    weight,
    at_cells,
    largest,
    others,
    below,
    size,
):
    """Scores (and `bias`, unless empty) → e = exp(z − m_t) in place; m_t and K_t (5) of each row.

    K_t = −1 where all scores are −∞: such a tile has no sum. The scores of its cells go to their
    places in `at_cells`. With `dense` (one row without numbers where there is none) or `spread`,
    also Σ t (m_t − z) and Σ t of what they count.
    """
    counts = dense.shape[1] > 0 or len(spread) > 0
    for row in range(scores.shape[0]):
        z = scores[row]
        if len(bias):
            for word in range(len(z)):
                z[word] += bias[word]
        if len(at_cells):
            for cell in range(begin[row], after[row]):
                at_cells[cell] = z[words[cell] - first]
        m = largest_of(z)
        largest[row] = m
        if counts:
            t = dense[row if len(dense) > 1 else 0]
            s = spread[row] if len(spread) else 0.0
            below[row], size[row] = _dense_sums(z, m, t, keep, s, weight)
        if m == -np.inf:
            others[row] = -1.0
            z[:] = 0
            continue
        exponentials_in_place(z, m)
        others[row] = others_of(z)


@compiled
@no_type_check
def join_tiles(tile_largest, tile_others, largest, others, shift):
    """m and K of each row from those of its tiles (5), exp(m_t − m); K is nan if m is infinite."""
    tiles = tile_largest.shape[0]
    for row in range(len(largest)):
        first = 0
        for tile in range(1, tiles):
            if not tile_largest[tile, row] <= tile_largest[first, row]:
                first = tile
        m = np.float64(tile_largest[first, row])
        total = 0.0
        for tile in range(tiles):
            shift[tile, row] = np.exp(np.float64(tile_largest[tile, row]) - m)
            if shift[tile, row] > 0:
                alone = 0.0 if tile == first else shift[tile, row]
                total += tile_others[tile, row] * shift[tile, row] + alone
            elif np.isnan(shift[tile, row]):
                total = np.nan
        largest[row] = m
        others[row] = total if np.isfinite(m) else np.nan


@compiled
@no_type_check
def row_terms(starts, value, at_cells, largest, others, tile_largest, below, size, nll, totals):
    """Σ t (−log p) of each row (1), and T = Σ t, from its cells and its dense sums, if any."""
    for row in range(len(largest)):
        m, log_sum = largest[row], np.log1p(others[row])
        loss, total = 0.0, 0.0
        for cell in range(starts[row], starts[row + 1]):
            if value[cell] != 0:
                loss += value[cell] * ((m - np.float64(at_cells[cell])) + log_sum)
                total += value[cell]
        for tile in range(below.shape[0]):
            if size[tile, row] != 0:
                rest = (m - np.float64(tile_largest[tile, row])) + log_sum
                loss += below[tile, row] + size[tile, row] * rest
                total += size[tile, row]
        nll[row], totals[row] = loss, total


@compiled
@no_type_check
def cell_nll(starts, at_cells, largest, others, nll):
    """−log p of each cell (2)."""
    for row in range(len(largest)):
        log_sum = np.log1p(others[row])
        for cell in range(starts[row], starts[row + 1]):
            nll[cell] = (largest[row] - np.float64(at_cells[cell])) + log_sum


@vectorized
@no_type_check
def _times(z, factor):
    for word in range(len(z)):
        z[word] *= factor


@vectorized
@no_type_check
def _dense_gradients(e, factor, top, at_top, c, dense, keep, spread, weight):
    """e → factor · e − c t, and at_top − c t where the score is the row's largest."""
    for word in range(len(e)):
        t = spread
        if len(dense):
            t += keep * np.float64(dense[word])
        if len(weight):
            t *= weight[word]
        p = np.float64(e[word])
        e[word] = (at_top if top and p == 1 else factor * p) - c * t


@compiled
@no_type_check
def tile_gradients(
    e,
    first,
    begin,
    after,
    words,
    value,
    beside,
    dense,
    keep,
    spread,
    weight,
    shift,
    others,
    totals,
    upstream,
    scale,
):
    """e → G / scale in place: G = c (T p − t) (6), rows × words, with c the `upstream` of a row.

    p = e exp(m_t − m) / (1 + K). The factor of e is left to the `scale`, which multiplies rows of
    vectors instead of scores, unless the tile lies too far below the row's best for that, or there
    is `dense` or `spread`. At a cell t is `value` and what stands `beside` it (or nothing).
    """
    counts = dense.shape[1] > 0 or len(spread) > 0
    for row in range(e.shape[0]):
        c, total, k = upstream[row], totals[row], others[row]
        scale[row] = 0
        if c == 0 or total == 0:
            e[row, :] = 0
            continue
        share = shift[row] / (1 + k)
        factor, rest = c * total * share, total * k / (1 + k)
        top = shift[row] == 1
        if not counts and share > FAR and abs(factor) > FAR:
            scale[row] = factor
            less = c / factor
            part = e[row]
            for cell in range(begin[row], after[row]):
                place = np.uint32(words[cell] - first)  # unsigned: no check for a negative one
                t = value[cell] + (beside[cell] if len(beside) else 0.0)
                if top and part[place] == 1:
                    part[place] = less * ((total - t) - rest)
                else:
                    part[place] -= less * t
            continue
        own = np.empty(after[row] - begin[row])
        for cell in range(begin[row], after[row]):
            t = value[cell] + (beside[cell] if len(beside) else 0.0)
            p = np.float64(e[row, words[cell] - first])
            own[cell - begin[row]] = (
                c * ((total - t) - rest) if top and p == 1 else factor * p - c * t
            )
        if counts:
            d = dense[row if len(dense) > 1 else 0]
            s = spread[row] if len(spread) else 0.0
            _dense_gradients(e[row], factor, top, c * (total - rest), c, d, keep, s, weight)
        else:
            _times(e[row], e.dtype.type(factor))
        for cell in range(begin[row], after[row]):
            e[row, words[cell] - first] = own[cell - begin[row]]
        scale[row] = 1


@compiled
@no_type_check
def add_column_sums(g, scale, sums):
    """sums += Σ_rows scale · g, float64."""
    for row in range(g.shape[0]):
        factor = np.float64(scale[row])
        for word in range(g.shape[1]):
            sums[word] += factor * np.float64(g[row, word])


@compiled
@no_type_check
def tile_dense_nll(scores, bias, largest, others, upstream, keep, weight, out):
    """out = c · weight · keep · (−log p), from scores again: the gradients of dense targets."""
    for row in range(scores.shape[0]):
        c, m, log_sum = upstream[row] * keep, largest[row], np.log1p(others[row])
        for word in range(scores.shape[1]):
            z = np.float64(scores[row, word] + bias[word] if len(bias) else scores[row, word])
            w = weight[word] if len(weight) else 1.0
            out[row, word] = c * w * ((m - z) + log_sum)


@compiled
@no_type_check
def uncounted_sums(e, others, first, begin, after, words, uncounted):
    """Σ e of the words that are no cells: the whole sum less the cells', or summed anew.

    It is summed anew where the cells hold half of the sum or more, and a difference would cancel.
    """
    for row in range(e.shape[0]):
        whole, counted = others[row] + 1.0, 0.0
        for cell in range(begin[row], after[row]):
            counted += e[row, words[cell] - first]
        if counted < 0.5 * whole:
            uncounted[row] = whole - counted
            continue
        kept = np.empty(after[row] - begin[row], e.dtype)
        for place in range(after[row] - begin[row]):
            kept[place] = e[row, words[begin[row] + place] - first]
            e[row, words[begin[row] + place] - first] = 0
        total, ones = sum_and_ones(e[row])
        uncounted[row] = total + ones
        for place in range(after[row] - begin[row]):
            e[row, words[begin[row] + place] - first] = kept[place]


@compiled
@no_type_check
def row_losses(starts, counts, at_cells, totals, largest, others, uncounted, nll, excess):
    """N_c Σ_w q (−log p), and N_c Σ_w (q log(q/p) − q + p) with the words that are no cells.

    q = n / N_c. The terms of the cells are formulas.excess_terms: one pass, nothing stored.
    """
    for row in range(len(totals)):
        m, log_sum = largest[row], np.log1p(others[row])
        of_nll, of_excess = 0.0, 0.0
        for cell in range(starts[row], starts[row + 1]):
            q, minus_log_p = counts[cell] / totals[row], (m - at_cells[cell]) + log_sum
            ratio = np.log(q) + minus_log_p
            if abs(ratio) < 1e-3:
                square = ratio * ratio
                beyond = square * (0.5 - ratio / 6 + square / 24)
            else:
                beyond = ratio + np.expm1(-ratio)
            of_nll += q * minus_log_p
            of_excess += q * beyond
        nll[row] = totals[row] * of_nll
        excess[row] = totals[row] * (of_excess + uncounted[row])
