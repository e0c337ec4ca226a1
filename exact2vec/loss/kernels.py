"""HOW, on a CPU: maximum, exponential and sum of rows of scores in one pass each, compiled by numba (the numbers cite docs/maths.md)."""

from typing import no_type_check

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from exact2vec.compiled import cached

CHUNK = 1024  # scores whose exponentials stay in the first-level cache


@intrinsic
@no_type_check
def _float_of_bits(context, bits):
    result = {types.int32: types.float32, types.int64: types.float64}[bits]

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(result))

    return result(bits), generate


@no_type_check
def exp_of_difference(d, error):
    """exp(d + error) for d ≤ 0; 0 below the normal numbers."""
    raise NotImplementedError("compiled code only")


@overload(exp_of_difference, inline="always")
@no_type_check
def _exp_of_difference(d, error):
    if d == types.float32:

        def single(d, error):
            k = np.floor(d * np.float32(1.44269504) + np.float32(0.5))
            r = (d - k * np.float32(0.693359375)) - k * np.float32(-2.12194440e-4) + error
            p = np.float32(1 / 5040)
            p = p * r + np.float32(1 / 720)
            p = p * r + np.float32(1 / 120)
            p = p * r + np.float32(1 / 24)
            p = p * r + np.float32(1 / 6)
            p = p * r + np.float32(0.5)
            p = p * r + np.float32(1)
            p = p * r + np.float32(1)
            scaled = p * _float_of_bits(np.int32((np.int32(k) + np.int32(127)) << np.int32(23)))
            return np.float32(0) if d < np.float32(-87.6) else scaled

        return single

    def double(d, error):
        k = np.floor(d * 1.4426950408889634 + 0.5)
        r = (d - k * 0.6931471803691238) - k * 1.9082149292705877e-10 + error
        p = 1 / 6227020800
        for divisor in (
            479001600,
            39916800,
            3628800,
            362880,
            40320,
            5040,
            720,
            120,
            24,
            6,
            2,
            1,
            1,
        ):
            p = p * r + 1.0 / divisor
        scaled = p * _float_of_bits((np.int64(k) + np.int64(1023)) << np.int64(52))
        return 0.0 if d < -708.7 else scaled

    return double


@cached(fastmath={"contract"})
@no_type_check
def _exponentials(z, m, out):
    """exp(z − m), equation (4): the rounding error of z − m, by two-sum, goes into the exponent."""
    for i in range(z.shape[0]):
        d = z[i] - m
        back = d - z[i]
        out[i] = exp_of_difference(d, (z[i] - (d - back)) - (m + back))


@cached(fastmath=True)
@no_type_check
def _largest(z):
    m = z[0]
    for i in range(z.shape[0]):
        m = z[i] if z[i] > m else m
    return m


@cached(fastmath={"contract", "reassoc", "nsz"})
@no_type_check
def _total(z, m, e):
    """(Σ e where z < m, how many z are m): the largest terms, 1 each, stay out of the sum."""
    total = np.float64(0)
    ties = np.float32(0)
    for i in range(e.shape[0]):
        tie = z[i] == m
        total += np.float64(z.dtype.type(0) if tie else e[i])
        ties += np.float32(1) if tie else np.float32(0)
    return total, ties


@cached()
@no_type_check
def normalise(scores, exponentials, largest, others):
    """For each row m = max z and K = Σ exp(z − m) without one of the largest, float64 (3); exp(z − m) too, unless `exponentials` has no columns."""
    buffer = np.empty(CHUNK, scores.dtype)
    for row in range(scores.shape[0]):
        m = _largest(scores[row])
        total, ties = 0.0, -1.0
        for start in range(0, scores.shape[1], CHUNK):
            part = scores[row, start : start + CHUNK]
            e = buffer[: part.shape[0]]
            _exponentials(part, m, e)
            more, tied = _total(part, m, e)
            total += more
            ties += tied
            if exponentials.shape[1] > 0:
                exponentials[row, start : start + CHUNK] = e
        largest[row] = m
        others[row] = total + max(ties, 0.0)


@cached()
@no_type_check
def scaled_exponentials(scores, largest, factor, out):
    """out = factor · exp(z − m) for each row (6)."""
    for row in range(scores.shape[0]):
        _exponentials(scores[row], largest[row], out[row])
        for column in range(scores.shape[1]):
            out[row, column] *= factor[row]


@cached()
@no_type_check
def log_probabilities(scores, largest, log_sum, out):
    """out = (z − m) − log1p K for each row (2), rounded once."""
    for row in range(scores.shape[0]):
        m = np.float64(largest[row])
        for column in range(scores.shape[1]):
            out[row, column] = (np.float64(scores[row, column]) - m) - log_sum[row]


@cached()
@no_type_check
def target_terms(scores, starts, column, value, largest, others, losses):
    """Of each row m, K and Σ t (−log p) over its cells starts[row] … starts[row + 1] (1); both terms of −log p are ≥ 0 (2)."""
    normalise(scores, np.empty((0, 0), scores.dtype), largest, others)
    for row in range(scores.shape[0]):
        total, log_sum = 0.0, np.log1p(others[row])
        for cell in range(starts[row], starts[row + 1]):
            if value[cell] != 0:
                total += value[cell] * (
                    (largest[row] - np.float64(scores[row, column[cell]])) + log_sum
                )
        losses[row] = total


@cached()
@no_type_check
def target_gradients(scores, starts, column, value, largest, others, gradient, out):
    """out = c (T p − t) for each row (6), at its cells as `rows.score_gradients` has it; 0 where c or T is."""
    for row in range(scores.shape[0]):
        c, m, k = gradient[row], largest[row], others[row]
        total = value[starts[row] : starts[row + 1]].sum()
        if c == 0 or total == 0:
            out[row] = 0
            continue
        _exponentials(scores[row], scores.dtype.type(m), out[row])
        factor = scores.dtype.type(c * total / (1 + k))
        for column_of in range(scores.shape[1]):
            out[row, column_of] *= factor
        rest = total * k / (1 + k)
        for cell in range(starts[row], starts[row + 1]):
            z = np.float64(scores[row, column[cell]])
            own = (
                (total - value[cell]) - rest
                if z == m
                else total * np.exp(z - m) / (1 + k) - value[cell]
            )
            out[row, column[cell]] = c * own


@cached()
@no_type_check
def tile_terms(scores, start, row, column, at_cells, largest, others):
    """Scores of a tile of columns from `start` on → exp(z − m_t), in place, with m_t, K_t and the scores of its cells; K_t = −1 where all are −∞."""
    for cell in range(row.shape[0]):
        at_cells[cell] = scores[row[cell], column[cell] - start]
    normalise(scores, scores, largest, others)
    for of in range(scores.shape[0]):
        if largest[of] == -np.inf:
            others[of] = -1.0


@cached()
@no_type_check
def tile_gradients(exponentials, factor, start, row, column, at_cells):
    """Exponentials of a tile → gradients, in place: times the row's factor, 0 where it is 0; the cells' own are set."""
    for of in range(exponentials.shape[0]):
        for word in range(exponentials.shape[1]):
            exponentials[of, word] = exponentials[of, word] * factor[of] if factor[of] != 0 else 0
    for cell in range(row.shape[0]):
        exponentials[row[cell], column[cell] - start] = at_cells[cell]
