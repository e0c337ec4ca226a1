"""The loops along the words of a row, compiled; numbers cite docs/maths.md.

Every loop takes the rows `start` to `stop` of its arrays; kernels.py says what its arguments are.
"""

from typing import no_type_check

import numpy as np

from exact2vec.jit import compiled
from exact2vec.loss.engine.kernels import (
    CHUNK,
    cell_gradient,
    confident,
    contracted,
    counts_something,
    first_cell,
    last_cell,
    lift,
    log1p,
    log_sum_parts,
    moderate,
    normalised,
    reordered,
    scaled_exponentials,
    split,
    summed,
    total_parts,
    whole_target,
)


@contracted
@no_type_check
def weighted(dense, keep, spread, weight, t):
    """t = weight · (keep · dense + spread) in float64."""
    for i in range(t.shape[0]):
        t[i] = weight[i] * spread
    if dense.shape[0] > 0:
        for i in range(t.shape[0]):
            t[i] += weight[i] * (keep * np.float64(dense[i]))


@reordered
@no_type_check
def _moments(z, m, dense, keep, spread):
    """(Σ t, Σ t (m − z)), t = keep · dense + spread: 0 counts 0 even where z is −inf."""
    totals, far = 0.0, 0.0
    for i in range(z.shape[0]):
        t = keep * np.float64(dense[i]) + spread
        totals += t
        far += 0.0 if t == 0 else t * (m - np.float64(z[i]))
    return totals, far


@reordered
@no_type_check
def _distances(z, m):
    """Σ (m − z)."""
    far = 0.0
    for i in range(z.shape[0]):
        far += m - np.float64(z[i])
    return far


@compiled
@no_type_check
def _everywhere(z, m, dense, keep, spread, weight, buffer):
    """(Σ t, Σ t (m − z)) of a row, t = weight · (keep · dense + spread)."""
    totals, far = 0.0, 0.0
    if weight.shape[0] + dense.shape[0] == 0:
        return z.shape[0] * spread, spread * _distances(z, m) if spread != 0 else 0.0
    for begin in range(0, z.shape[0], CHUNK):
        part = z[begin : begin + CHUNK]
        if weight.shape[0] == 0:
            more, further = _moments(part, m, dense[begin : begin + CHUNK], keep, spread)
        else:
            t = buffer[: part.shape[0]]
            of = slice(begin, begin + CHUNK)
            weighted(dense[of], keep, spread, weight[of], t)
            more, further = _moments(part, m, t, 1.0, 0.0)
        totals += more
        far += further
    return totals, far


@compiled
@no_type_check
def rows_losses(
    z, start, stop, starts, column, value, dense, spread, weight, keep, tops, others, totals, losses
):
    """Of each row m, K, T = Σ t, and Σ t (−log p) (1); both terms of −log p are ≥ 0 (2)."""
    buffer, targets = np.empty(CHUNK, z.dtype), np.empty(CHUNK)
    everywhere = dense.shape[1] + spread.shape[0] > 0
    for row in range(start, stop):
        m, k = normalised(z[row], buffer)
        tall, far = 0.0, 0.0
        first, last = first_cell(row, starts, column), last_cell(row, starts, column)
        for cell in range(first, last):
            if value[cell] != 0:
                tall += value[cell]
                far += value[cell] * (np.float64(m) - np.float64(z[row, column[cell]]))
        even = spread[row] if spread.shape[0] > 0 else 0.0
        if everywhere:
            more, further = _everywhere(
                z[row], np.float64(m), dense[row], keep, even, weight, targets
            )
            tall += more
            far += further
        tops[row], others[row], totals[row] = m, k, tall
        losses[row] = far + tall * log1p(k) if tall != 0 else far


@contracted
@no_type_check
def _less_targets(z, m, c, tall, rest, down, dense, keep, spread, out):
    """out · down − c t, in place; where z = m it is c ((T − t) − rest), exact as p → 1 (6)."""
    for i in range(z.shape[0]):
        t = keep * np.float64(dense[i]) + spread
        most = c * ((tall - t) - rest)
        out[i] = most if z[i] == m else np.float64(out[i]) * down - c * t


@contracted
@no_type_check
def _less_spread(z, m, c, tall, rest, down, spread, out):
    """`_less_targets` of the same t everywhere."""
    most, less = c * ((tall - spread) - rest), c * spread
    for i in range(z.shape[0]):
        out[i] = most if z[i] == m else np.float64(out[i]) * down - less


@contracted
@no_type_check
def _less_dense(z, m, c, high, low, down, dense, out):
    """`_less_targets` of t = dense in the type of z, high + low being T − rest, m `confident`."""
    for i in range(z.shape[0]):
        t = z.dtype.type(dense[i])
        most = c * ((high - t) + low)
        out[i] = most if z[i] == m else out[i] * down - c * t


@compiled
@no_type_check
def _less_everywhere(z, m, c, tall, rest, down, dense, keep, spread, weight, buffer, out):
    """`_less_targets` of a chunk, t = weight · (keep · dense + spread)."""
    alone = dense.shape[0] > 0 and weight.shape[0] == 0 and keep == 1 and spread == 0
    if alone and moderate(c, tall):
        kind = z.dtype.type
        high, low = total_parts(tall, rest, z)
        top = kind(confident(m, tall, rest))
        _less_dense(z, top, kind(c), high, low, kind(down), dense, out)
    elif weight.shape[0] > 0:
        t = buffer[: z.shape[0]]
        weighted(dense, keep, spread, weight, t)
        _less_targets(z, m, c, tall, rest, down, t, 1.0, 0.0, out)
    elif dense.shape[0] > 0:
        _less_targets(z, m, c, tall, rest, down, dense, keep, spread, out)
    else:
        _less_spread(z, m, c, tall, rest, down, spread, out)


@compiled
@no_type_check
def rows_gradients(
    z, start, stop, starts, column, value, dense, spread, weight, keep, tops, others, totals, c, out
):
    """out = c (T p − t) of each row (6); nan where m is not finite and the row counts something.

    `c` has one number a row, or one for all; empty `totals` are made of `dense`, alone counted.
    """
    targets = np.empty(CHUNK)
    everywhere = dense.shape[1] + spread.shape[0] > 0
    for row in range(start, stop):
        upstream = c[row] if c.shape[0] > 1 else c[0]
        m, k = z.dtype.type(tops[row]), others[row]
        tall = totals[row] if totals.shape[0] > 0 else summed(dense[row])
        first, last = first_cell(row, starts, column), last_cell(row, starts, column)
        even = spread[row] if spread.shape[0] > 0 else 0.0
        if upstream == 0 or np.isnan(k) or (tall == 0 and not everywhere):
            wanted = upstream != 0 and counts_something(
                first, last, value, dense[row], keep, even, weight, z.shape[1]
            )
            out[row] = np.nan if wanted else 0
            continue
        of_row = upstream * tall / (1 + k)
        up, rest = lift(of_row, everywhere), tall * k / (1 + k)
        scale = split(of_row * up, z)
        for begin in range(0, z.shape[1], CHUNK):
            of = slice(begin, begin + CHUNK)
            scaled_exponentials(z[row, of], m, scale, out[row, of])
            if everywhere:
                _less_everywhere(
                    z[row, of],
                    m,
                    upstream,
                    tall,
                    rest,
                    1 / up,
                    dense[row, of],
                    keep,
                    even,
                    weight[of],
                    targets,
                    out[row, of],
                )
        for cell in range(first, last):
            word = column[cell]
            t = value[cell] + whole_target(dense[row], keep, even, weight, word)
            out[row, word] = cell_gradient(
                z[row, word], m, k, upstream, tall, t, value[cell], out[row, word]
            )


@compiled
@no_type_check
def rows_log_softmax(z, start, stop, tops, others, out):
    """log p = (z − m) − log1p K of each row (2), within an ulp; and its m and K (3)."""
    buffer = np.empty(CHUNK, z.dtype)
    for row in range(start, stop):
        m, k = normalised(z[row], buffer)
        tops[row], others[row] = m, k
        high, low = log_sum_parts(np.float64(m), log1p(k), z)
        _less_both(z[row], high, low, out[row])


@compiled
@no_type_check
def _less_both(z, high, low, out):
    for i in range(z.shape[0]):
        out[i] = (z[i] - high) - low


@compiled
@no_type_check
def target_gradients(
    z,
    start,
    stop,
    starts,
    column,
    value,
    dense,
    spread,
    weight,
    keep,
    tops,
    others,
    c,
    d_spread,
    d_dense,
):
    """∂/∂dense and ∂/∂spread of c Σ t (−log p) (1); arrays without length are left.

    z and dense are (outer, word, inner). 0 where t and p are both 0, and where c is.
    """
    inner = z.shape[2]
    for row in range(start, stop):
        of, at = row // inner, row % inner
        upstream = c[row] if c.shape[0] > 1 else c[0]
        log_sum = log1p(others[row])
        even = spread[row] if spread.shape[0] > 0 else 0.0
        summed = 0.0
        for word in range(z.shape[1]):
            far = tops[row] - np.float64(z[of, word, at])
            t = whole_target(dense[of, :, at], keep, even, weight, word)
            idle = upstream == 0 or (t == 0 and far == np.inf)
            each = 0.0 if idle else upstream * (far + log_sum)
            each *= weight[word] if weight.shape[0] > 0 else 1.0
            summed += each
            if d_dense.shape[1] > 0:
                d_dense[of, word, at] = keep * each
        if d_spread.shape[0] > 0:
            d_spread[row] = summed


@compiled
@no_type_check
def all_classes(target, words, ignored):
    """Whether every index is one of the classes, and none is the ignored one."""
    out = 0
    for row in range(target.shape[0]):
        out += (target[row] < 0) | (target[row] >= words) | (target[row] == ignored)
    return out == 0


@compiled
@no_type_check
def index_cells(target, words, ignored, weight, column, value):
    """The cells of class indices into column and value; (first bad row or −1, rows kept, Σ value).

    A row whose index is `ignored` gets value 0 at column 0; others `weight` at the index, or 1.
    """
    bad, kept, divisor = -1, 0, 0.0
    for row in range(target.shape[0]):
        y = target[row]
        column[row], value[row] = 0, 0.0
        if y == ignored:
            continue
        kept += 1
        if y < 0 or y >= words:
            bad = row if bad < 0 else bad
            continue
        column[row] = y
        value[row] = weight[y] if weight.shape[0] > 0 else 1.0
        divisor += value[row]
    return bad, kept, divisor


@compiled
@no_type_check
def next_place(outer, place, z):
    """Where the row behind this one is in (outer, word, inner)."""
    return (outer, place + 1) if place + 1 < z.shape[2] else (outer + 1, 0)


@compiled
@no_type_check
def gathered_losses(log_p, start, stop, column, value, losses):
    """−t log p of the one cell of each row; 0 where t is. log_p is (outer, word, inner)."""
    outer, place = start // log_p.shape[2], start % log_p.shape[2]
    for row in range(start, stop):
        t = value[row]
        at = np.float64(log_p[outer, column[row], place]) if t != 0 else 0.0
        losses[row] = -t * at if t != 0 else 0.0
        outer, place = next_place(outer, place, log_p)


@compiled
@no_type_check
def scattered(start, stop, column, value, c, out):
    """−c t at the one cell of each row; the rest of `out` stays."""
    outer, place = start // out.shape[2], start % out.shape[2]
    for row in range(start, stop):
        upstream = c[row] if c.shape[0] > 1 else c[0]
        out[outer, column[row], place] = -upstream * value[row]
        outer, place = next_place(outer, place, out)
