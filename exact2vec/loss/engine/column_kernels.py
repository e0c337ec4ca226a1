"""The loops of kernels.py where rows lie side by side: classes outside, rows in vector lanes.

For scores (outer, word, inner) with inner > 1, and for rows of few words. Arguments are those of
kernels.py; pieces.py says what a piece of rows is.
"""

from typing import no_type_check

import numpy as np

from exact2vec.jit import compiled
from exact2vec.loss.engine.kernels import (
    LOST,
    cell_gradient,
    confident,
    contracted,
    counts_something,
    exp_of_difference,
    exp_times,
    first_cell,
    last_cell,
    lift,
    log1p,
    log_sum_parts,
    moderate,
    others_in_float64,
    split,
    total_parts,
)
from exact2vec.loss.engine.pieces import (
    buffer_of,
    column_of,
    piece_end,
    piece_rows,
    place_of,
    read,
    row_of,
    write,
)


@contracted
@no_type_check
def _raise_largest(z, m):
    """m = max(m, z). Without the 0 added, LLVM stores only where m grows, ten times as slowly."""
    for i in range(z.shape[0]):
        m[i] = (z[i] if z[i] > m[i] else m[i]) + z.dtype.type(0)


@contracted
@no_type_check
def _exponentials_below(z, m, out, ties):
    """exp(z − m) where z < m (4); the largest terms, 1 each, are counted apart."""
    for i in range(z.shape[0]):
        d = z[i] - m[i]
        back = d - z[i]
        e = exp_of_difference(d, (z[i] - (d - back)) - (m[i] + back))
        out[i] = z.dtype.type(0) if d == 0 else e
        ties[i] += z.dtype.type(1) if d == 0 else z.dtype.type(0)


@compiled
@no_type_check
def _add(e, sums):
    for i in range(e.shape[0]):
        sums[i] += np.float64(e[i])


@compiled
@no_type_check
def _normalise(piece, words, m, others, e, ties):
    """m and K (3) of the rows of a piece; K is nan where m is not finite or one of z is nan."""
    n = m.shape[0]
    m[:], others[:], ties[:] = -np.inf, 0, 0
    for word in range(words):
        _raise_largest(row_of(piece, word, n), m)
    for word in range(words):
        _exponentials_below(row_of(piece, word, n), m, e, ties)
        _add(e, others)
    for i in range(n):
        k = others[i] + max(ties[i] - 1, 0)
        if k < words * LOST:
            k = others_in_float64(column_of(piece, i), m[i])
        others[i] = k if np.isfinite(m[i]) else np.nan


@contracted
@no_type_check
def _add_moments(z, m, dense, keep, spread, share, totals, far):
    """T += t, and far += t (m − z): 0 where t = share · (keep · dense + spread) is."""
    for i in range(z.shape[0]):
        t = share * (keep * np.float64(dense[i]) + spread[i])
        distance = np.float64(m[i]) - np.float64(z[i])
        totals[i] += t
        far[i] += 0.0 if t == 0 else t * distance


@contracted
@no_type_check
def _add_spread(z, m, spread, share, totals, far):
    """`_add_moments` of t = share · spread."""
    for i in range(z.shape[0]):
        t = share * spread[i]
        distance = np.float64(m[i]) - np.float64(z[i])
        totals[i] += t
        far[i] += 0.0 if t == 0 else t * distance


@compiled
@no_type_check
def _add_cells(piece, begin, m, starts, column, value, totals, far):
    """T += t, and far += t (m − z), of the cells of the rows from `begin` on."""
    of, outer, at = piece
    for i in range(m.shape[0]):
        first = first_cell(begin + i, starts, column)
        for cell in range(first, last_cell(begin + i, starts, column)):
            t = value[cell]
            if t != 0:
                totals[i] += t
                far[i] += t * (np.float64(m[i]) - np.float64(of[outer, column[cell], at + i]))


@compiled
@no_type_check
def _logs(others, out):
    for i in range(others.shape[0]):
        out[i] = log1p(others[i])


@compiled
@no_type_check
def columns_losses(
    z, start, stop, starts, column, value, dense, spread, weight, keep, tops, others, totals, losses
):
    """`rows_losses` of scores (outer, word, inner)."""
    words, size = z.shape[1], piece_rows(z.shape[1])
    copied, copied_dense = buffer_of(z, size), buffer_of(dense, size)
    lanes, even_of, logs_of = np.empty((3, size), z.dtype), np.zeros(size), np.empty(size)
    begin = start
    while begin < stop:
        end = piece_end(z, begin, stop, size)
        n = end - begin
        m, even, logs = lanes[0, :n], even_of[:n], logs_of[:n]
        k, tall, far = others[begin:end], totals[begin:end], losses[begin:end]
        tall[:], far[:] = 0, 0
        piece = read(z, begin, n, copied)
        _normalise(piece, words, m, k, lanes[1, :n], lanes[2, :n])
        tops[begin:end] = m
        if spread.shape[0] > 0:
            even[:] = spread[begin:end]
        q = read(dense, begin, n, copied_dense)
        for word in range(words if dense.shape[1] + spread.shape[0] > 0 else 0):
            share = weight[word] if weight.shape[0] > 0 else 1.0
            part = row_of(piece, word, n)
            if dense.shape[1] > 0:
                _add_moments(part, m, row_of(q, word, n), keep, even, share, tall, far)
            else:
                _add_spread(part, m, even, share, tall, far)
        _add_cells(piece, begin, m, starts, column, value, tall, far)
        _logs(k, logs)
        for i in range(n):
            far[i] += tall[i] * logs[i] if tall[i] != 0 else 0.0
        begin = end


@contracted
@no_type_check
def _scaled_exponentials(z, m, factor, rest, power, out):
    """f · exp(rest) · 2^power · exp(z − m) of one class, as `kernels.split` gives them."""
    for i in range(z.shape[0]):
        d = z[i] - m[i]
        back = d - z[i]
        error = (z[i] - (d - back)) - (m[i] + back) + rest[i]
        out[i] = exp_times(d, error, factor[i], power[i])


@contracted
@no_type_check
def _less_targets(z, m, c, tall, rest, down, dense, keep, spread, share, out):
    """out · down − c t, in place; where z = m it is c ((T − t) − rest), exact as p → 1 (6)."""
    for i in range(z.shape[0]):
        t = share * (keep * np.float64(dense[i]) + spread[i])
        most = c[i] * ((tall[i] - t) - rest[i])
        out[i] = most if z[i] == m[i] else np.float64(out[i]) * down[i] - c[i] * t


@contracted
@no_type_check
def _less_dense(z, m, c, high, low, down, dense, out):
    """`_less_targets` of t = dense in the type of z, high + low being T − rest, m `confident`."""
    for i in range(z.shape[0]):
        t = z.dtype.type(dense[i])
        most = c[i] * ((high[i] - t) + low[i])
        out[i] = most if z[i] == m[i] else out[i] * down[i] - c[i] * t


@compiled
@no_type_check
def _all_moderate(c, totals):
    others = 0
    for i in range(c.shape[0]):
        others += c[i] != 0 and not moderate(c[i], totals[i])
    return others == 0


@contracted
@no_type_check
def _less_spread(z, m, c, tall, rest, down, spread, share, out):
    """`_less_targets` of t = share · spread."""
    for i in range(z.shape[0]):
        t = share * spread[i]
        most = c[i] * ((tall[i] - t) - rest[i])
        out[i] = most if z[i] == m[i] else np.float64(out[i]) * down[i] - c[i] * t


@compiled
@no_type_check
def _prepare(z, k, tall, c, everywhere, upstream, rest, down, factor, remainder, power):
    """What the classes of a row share: c, T K / (1 + K), and the parts of c T / (1 + K)."""
    for i in range(k.shape[0]):
        upstream[i] = c[i] if c.shape[0] > 1 else c[0]
        rest[i] = tall[i] * k[i] / (1 + k[i])
        of_row = upstream[i] * tall[i] / (1 + k[i])
        up = lift(of_row, everywhere)
        down[i] = 1 / up
        factor[i], remainder[i], power[i] = split(of_row * up, z)


@compiled
@no_type_check
def _less_cells(piece, q, g, begin, m, k, c, totals, cells, keep, even, weight):
    """`cell_gradient` at the cells of the rows from `begin` on."""
    (of, outer, at), (dense, outer_q, at_q), (into, outer_g, at_g) = piece, q, g
    starts, column, value = cells
    everywhere = dense.shape[1] > 0
    for i in range(m.shape[0]):
        first = first_cell(begin + i, starts, column)
        for cell in range(first, last_cell(begin + i, starts, column)):
            word, own = column[cell], value[cell]
            beside = even[i] + keep * np.float64(
                dense[outer_q, word, at_q + i] if everywhere else 0
            )
            t = own + (beside * weight[word] if weight.shape[0] > 0 else beside)
            found = into[outer_g, word, at_g + i]
            z = of[outer, word, at + i]
            into[outer_g, word, at_g + i] = cell_gradient(
                z, m[i], k[i], c[i], totals[i], t, own, found
            )


@compiled
@no_type_check
def _clear_rows(q, g, begin, k, c, cells, keep, even, weight):
    """0 where nothing flows back, nan where a row without a finite maximum counts something."""
    starts, column, value = cells
    for i in range(k.shape[0]):
        if c[i] == 0 or np.isnan(k[i]):
            first = first_cell(begin + i, starts, column)
            last = last_cell(begin + i, starts, column)
            into = column_of(g, i)
            wanted = c[i] != 0 and counts_something(
                first, last, value, column_of(q, i), keep, even[i], weight, into.shape[0]
            )
            into[:] = np.nan if wanted else 0


@compiled
@no_type_check
def columns_gradients(
    z, start, stop, starts, column, value, dense, spread, weight, keep, tops, others, totals, c, out
):
    """`rows_gradients` of scores (outer, word, inner)."""
    words, size = z.shape[1], piece_rows(z.shape[1])
    copied, gradient, copied_dense = buffer_of(z, size), buffer_of(z, size), buffer_of(dense, size)
    lanes, parts = np.empty((4, size), z.dtype), np.empty((5, size), z.dtype)
    wide = np.zeros((5, size))
    alone = dense.shape[1] > 0 and spread.shape[0] == 0 and weight.shape[0] == 0 and keep == 1
    begin = start
    while begin < stop:
        end = piece_end(z, begin, stop, size)
        n = end - begin
        m, factor, remainder, power = lanes[0, :n], lanes[1, :n], lanes[2, :n], lanes[3, :n]
        upstream, rest, even, tall = wide[0, :n], wide[1, :n], wide[2, :n], wide[3, :n]
        down = wide[4, :n]
        m[:], k = tops[begin:end], others[begin:end]
        piece, q = read(z, begin, n, copied), read(dense, begin, n, copied_dense)
        g = place_of(out, begin, n, gradient)
        if spread.shape[0] > 0:
            even[:] = spread[begin:end]
        if totals.shape[0] > 0:
            tall[:] = totals[begin:end]
        else:
            tall[:] = 0
            for word in range(words):
                _add(row_of(q, word, n), tall)
        c_of = c[begin:end] if c.shape[0] > 1 else c
        everywhere = dense.shape[1] + spread.shape[0] > 0
        _prepare(z, k, tall, c_of, everywhere, upstream, rest, down, factor, remainder, power)
        plain = alone and _all_moderate(upstream, tall)
        c_own, high, low, lower = parts[0, :n], parts[1, :n], parts[2, :n], parts[3, :n]
        tops_own = parts[4, :n]
        for i in range(n if plain else 0):
            c_own[i], lower[i] = upstream[i], down[i]
            tops_own[i] = confident(m[i], tall[i], rest[i])
            high[i], low[i] = total_parts(tall[i], rest[i], z)
        for word in range(words):
            part, into = row_of(piece, word, n), row_of(g, word, n)
            share = weight[word] if weight.shape[0] > 0 else 1.0
            _scaled_exponentials(part, m, factor, remainder, power, into)
            if plain:
                _less_dense(part, tops_own, c_own, high, low, lower, row_of(q, word, n), into)
            elif dense.shape[1] > 0:
                target = row_of(q, word, n)
                _less_targets(part, m, upstream, tall, rest, down, target, keep, even, share, into)
            elif spread.shape[0] > 0:
                _less_spread(part, m, upstream, tall, rest, down, even, share, into)
        cells = starts, column, value
        _less_cells(piece, q, g, begin, m, k, upstream, tall, cells, keep, even, weight)
        _clear_rows(q, g, begin, k, upstream, cells, keep, even, weight)
        write(g, begin, n, out)
        begin = end


@compiled
@no_type_check
def _less_both(z, high, low, out):
    for i in range(z.shape[0]):
        out[i] = (z[i] - high[i]) - low[i]


@compiled
@no_type_check
def columns_log_softmax(z, start, stop, tops, others, out):
    """`rows_log_softmax` of scores (outer, word, inner)."""
    words, size = z.shape[1], piece_rows(z.shape[1])
    copied, written = buffer_of(z, size), buffer_of(z, size)
    lanes, logs_of = np.empty((3, size), z.dtype), np.empty(size)
    begin = start
    while begin < stop:
        end = piece_end(z, begin, stop, size)
        n = end - begin
        m, high, low = lanes[0, :n], lanes[1, :n], lanes[2, :n]
        k, logs = others[begin:end], logs_of[:n]
        piece, into = read(z, begin, n, copied), place_of(out, begin, n, written)
        _normalise(piece, words, m, k, high, low)
        tops[begin:end] = m
        _logs(k, logs)
        for i in range(n):
            high[i], low[i] = log_sum_parts(np.float64(m[i]), logs[i], z)
        for word in range(words):
            _less_both(row_of(piece, word, n), high, low, row_of(into, word, n))
        write(into, begin, n, out)
        begin = end
