"""The exponential, and what the loops of scores share, compiled; numbers cite docs/maths.md.

Loops along the words of a row are in row_kernels.py, loops over rows side by side in
column_kernels.py. What rows count (`Targets`) comes as `starts, column, value, dense, spread,
weight, keep`: an empty array stands for what is missing; with empty `starts` each row has the cell
of its own number. What an overload returns is unwrapped of the type checker of the tests (jit.py).
"""

from inspect import unwrap
from typing import no_type_check

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from exact2vec.jit import cached, compiled

CHUNK = 1024  # scores whose exponentials and targets stay in the first-level cache
LOST = 2.0**-101  # K per word below which terms that float32 cannot hold might show in K
contracted = cached(error_model="numpy", fastmath={"contract"})
reordered = cached(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@intrinsic
@no_type_check
def _float_of_bits(context, bits):
    result = {types.int32: types.float32, types.int64: types.float64}[bits]

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(result))

    return result(bits), generate


@intrinsic
@no_type_check
def _bits_of_float(context, value):
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


@no_type_check
def _power_of_two(k):
    """2^k for k that is a whole number and in the range of the normal numbers."""
    raise NotImplementedError("compiled code only")


@overload(_power_of_two, inline="always")
@no_type_check
def _power_of_two_compiled(k):
    if k == types.float32:
        return lambda k: _float_of_bits(np.int32((np.int32(k) + np.int32(127)) << np.int32(23)))
    return lambda k: _float_of_bits((np.int64(k) + np.int64(1023)) << np.int64(52))


@no_type_check
def _exp_parts(d, error):
    """(p, k) with exp(d + error) = p · 2^k and k a whole number."""
    raise NotImplementedError("compiled code only")


@overload(_exp_parts, inline="always")
@no_type_check
def _exp_parts_compiled(d, error):
    if d == types.float32:

        @unwrap
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
            return p, k

        return single
    divisors = (479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1)

    @unwrap
    def double(d, error):
        k = np.floor(d * 1.4426950408889634 + 0.5)
        r = (d - k * 0.6931471803691238) - k * 1.9082149292705877e-10 + error
        p = 1 / 6227020800
        for divisor in divisors:
            p = p * r + 1.0 / divisor
        return p, k

    return double


@no_type_check
def exp_of_difference(d, error):
    """exp(d + error) for d ≤ 0; 0 below the normal numbers."""
    raise NotImplementedError("compiled code only")


@overload(exp_of_difference, inline="always")
@no_type_check
def _exp_of_difference_compiled(d, error):
    kind = np.float32 if d == types.float32 else np.float64
    least = kind(-87.6 if d == types.float32 else -708.7)

    @unwrap
    def exp_of(d, error):
        p, k = _exp_parts(d, error)
        return kind(0) if d < least else p * _power_of_two(k)

    return exp_of


@no_type_check
def exp_times(d, error, factor, power):
    """factor · 2^power · exp(d + error) for d ≤ 0, right wherever it is a normal number."""
    raise NotImplementedError("compiled code only")


@overload(exp_times, inline="always")
@no_type_check
def _exp_times_compiled(d, error, factor, power):
    kind = np.float32 if d == types.float32 else np.float64
    low = kind(-126 if d == types.float32 else -1022)

    @unwrap
    def times(d, error, factor, power):
        p, k = _exp_parts(d, error)
        n = k + power
        return (p * factor) * _power_of_two(n) if n >= low else kind(0)

    return times


@contracted
@no_type_check
def exponentials(z, m, out):
    """exp(z − m), equation (4): the rounding error of z − m, by two-sum, goes into the exponent."""
    for i in range(z.shape[0]):
        d = z[i] - m
        back = d - z[i]
        out[i] = exp_of_difference(d, (z[i] - (d - back)) - (m + back))


@contracted
@no_type_check
def exponentials_below(z, m, out):
    """`exponentials` where z < m, and 0 where z = m."""
    for i in range(z.shape[0]):
        d = z[i] - m
        back = d - z[i]
        e = exp_of_difference(d, (z[i] - (d - back)) - (m + back))
        out[i] = z.dtype.type(0) if d == 0 else e


@reordered
@no_type_check
def summed(e):
    """Σ in float64."""
    found = 0.0
    for i in range(e.shape[0]):
        found += np.float64(e[i])
    return found


@reordered
@no_type_check
def ties(z, m):
    """How many z are m; in the type of z, for its vector lanes."""
    found = z.dtype.type(0)
    for i in range(z.shape[0]):
        found += z.dtype.type(1) if z[i] == m else z.dtype.type(0)
    return found


@contracted
@no_type_check
def scaled_exponentials(z, m, scale, out):
    """scale · exp(z − m), for a `scale` in the parts of `split`; no intermediate underflows."""
    factor, rest, power = scale
    for i in range(z.shape[0]):
        d = z[i] - m
        back = d - z[i]
        out[i] = exp_times(d, (z[i] - (d - back)) - (m + back) + rest, factor, power)


@compiled
@no_type_check
def split(value, z):
    """(f, rest, power) in the type of z: value = f · exp(rest) · 2^power, nothing rounded.

    f is about ¼, so that 2^(power + k) is normal wherever value · 2^k is; about 4 for a huge value.
    """
    kind = z.dtype.type
    bits = _bits_of_float(value)
    power = ((bits >> 52) & 0x7FF) - 1023
    if power == -1023 or not np.isfinite(kind(value)):  # 0, infinite or nan
        return kind(value), kind(0), kind(0)
    fraction = _float_of_bits(bits - (power << 52))
    factor = kind(fraction)
    rest = kind((fraction - np.float64(factor)) / fraction)
    if power > 120:
        return factor * kind(4), rest, kind(power - 2)
    return factor * kind(0.25), rest, kind(power + 2)


@compiled
@no_type_check
def log1p(x):
    """log(1 + x) for x ≥ 0, within 2 ulp in float64, in vector lanes where it is in a loop."""
    u = 1.0 + x
    lost = x - (u - 1.0)
    above = np.uint64(_bits_of_float(u) - 0x3FE6A09E667F3BCD)  # √½
    exponent = np.int64(above >> np.uint64(52))
    f = _float_of_bits(_bits_of_float(u) - (exponent << 52)) - 1.0  # u = (1 + f) 2^exponent
    k = _float_of_bits(exponent + 0x4338000000000000) - 6755399441055744.0
    s = f / (2.0 + f)
    square = s * s
    series = 2 / 21 + square * (2 / 23)
    series = 2 / 17 + square * (2 / 19 + square * series)
    series = 2 / 13 + square * (2 / 15 + square * series)
    series = 2 / 9 + square * (2 / 11 + square * series)
    series = 2 / 5 + square * (2 / 7 + square * series)
    series = 2 / 3 + square * series
    rest = k * 1.9082149292705877e-10 + lost / u + s * square * series
    return k * 0.6931471803691238 + (rest + 2.0 * s) if x < np.inf else x


@cached(fastmath=True)
@no_type_check
def largest(z):
    """max z; anything but a finite number where one of z is nan or +inf, or all are −inf.

    In four streams: one alone would wait for each comparison.
    """
    part = z.shape[0] // 4
    a = b = c = d = z[0]
    for i in range(part):
        a = max(a, z[i])
        b = max(b, z[i + part])
        c = max(c, z[i + 2 * part])
        d = max(d, z[i + 3 * part])
    m = max(max(a, b), max(c, d))
    for i in range(4 * part, z.shape[0]):
        m = max(m, z[i])
    return m


@reordered
@no_type_check
def total(z, m, e):
    """(Σ e where z < m, how many z are m): the largest terms, 1 each, stay out of the sum."""
    others = np.float64(0)
    ties = np.float32(0)
    for i in range(e.shape[0]):
        tie = z[i] == m
        others += np.float64(z.dtype.type(0) if tie else e[i])
        ties += np.float32(1) if tie else np.float32(0)
    return others, ties


@compiled
@no_type_check
def others_in_float64(z, m):
    """K (3) with terms that float32 cannot hold: for the rare row whose K is as small."""
    others = 0.0
    for i in range(z.shape[0]):
        if z[i] < m:
            others += np.exp(np.float64(z[i]) - np.float64(m))
    return others


@compiled
@no_type_check
def normalised(z, buffer):
    """(m, K) of a row (3); K is nan where m is not finite or one of z is nan."""
    m = largest(z)
    if not np.isfinite(m):
        return m, np.nan
    others, tied = 0.0, -1.0
    for start in range(0, z.shape[0], CHUNK):
        part = z[start : start + CHUNK]
        e = buffer[: part.shape[0]]
        exponentials_below(part, m, e)
        others += summed(e)
        tied += ties(part, m)
    others += max(tied, 0.0)
    return m, others_in_float64(z, m) if others < z.shape[0] * LOST else others


@compiled
@no_type_check
def first_cell(row, starts, column):
    """Where the cells of a row begin."""
    if starts.shape[0] > 0:
        return starts[row]
    return row if column.shape[0] > 0 else 0


@compiled
@no_type_check
def last_cell(row, starts, column):
    """The place behind the last cell of a row."""
    if starts.shape[0] > 0:
        return starts[row + 1]
    return row + 1 if column.shape[0] > 0 else 0


@compiled
@no_type_check
def counts_something(first, last, value, dense, keep, spread, weight, words):
    """Whether one of the t of a row is not 0: for the rare row without a finite maximum."""
    for cell in range(first, last):
        if value[cell] != 0:
            return True
    for word in range(words if dense.shape[0] > 0 or spread != 0 else 0):
        t = keep * dense[word] + spread if dense.shape[0] > 0 else spread
        if t != 0 and (weight.shape[0] == 0 or weight[word] != 0):
            return True
    return False


@compiled
@no_type_check
def whole_target(dense, keep, spread, weight, word):
    """weight · (keep · dense + spread) of one class."""
    t = keep * dense[word] + spread if dense.shape[0] > 0 else spread
    return t * weight[word] if weight.shape[0] > 0 else t


@compiled
@no_type_check
def log_sum_parts(m, log_sum, z):
    """m + log_sum in float64 as a sum of two numbers in the type of z."""
    high = z.dtype.type(m + log_sum)
    return high, z.dtype.type((m - np.float64(high)) + log_sum)


@compiled
@no_type_check
def lift(value, wanted):
    """A power of two that keeps value · exp(−gap) normal until t is taken off, or 1."""
    return 2.0**64 if wanted and abs(value) < 2.0**60 else 1.0


@compiled
@no_type_check
def moderate(c, total):
    """Whether c and T leave c t in the middle of the numbers of float32."""
    return 2.0**-60 < abs(c) < 2.0**60 and abs(total) < 2.0**60


@compiled
@no_type_check
def confident(m, total, rest):
    """m where p of the largest is at least ½, else a number that no score is."""
    return m if abs(rest) <= abs(total) / 2 else m * np.nan


@compiled
@no_type_check
def total_parts(total, rest, z):
    """T − rest as a sum of two numbers in the type of z, the first of which is T's own."""
    high = z.dtype.type(total)
    return high, z.dtype.type((total - np.float64(high)) - rest)


@compiled
@no_type_check
def cell_gradient(z, m, k, c, tall, t, value, found):
    """c (T p − t) (6) of one class; `found` lacks −c · value.

    Where z = m it is c ((T − t) − T K / (1 + K)), which keeps its digits as p → 1.
    """
    if z == m:
        return c * ((tall - t) - tall * k / (1 + k))
    if abs(c * t) > 2.0**-100:
        return np.float64(found) - c * value
    return c * (tall * np.exp(np.float64(z) - np.float64(m)) / (1 + k) - t)
