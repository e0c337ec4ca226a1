"""The compiled loops of the walks: rows of Σ_h a_h P^h, sparse while few nodes are reached.

LANES rows are walked together, side by side, so that a step along an edge is one vector operation.
Nothing depends on threads: a group of rows is walked and summed in a fixed order.
"""

import numpy as np

from exact2vec.jit import compiled

LANES = 8
SLACK = 1e-9  # of chance: a cell that equals it up to rounding is cut, from either side


@compiled
def walked_rows(first, last, starts, words, steps, hop_weights, scales, shares, cut):
    """Kept cells of rows first:last, their backgrounds, and work; see `walks.WalkedRows`."""
    size, rows = len(shares), last - first
    now, ahead, summed = np.zeros((size, LANES)), np.zeros((size, LANES)), np.zeros((size, LANES))
    seen = np.zeros(size, np.bool_)
    kept, amounts, errors = np.zeros(rows, np.int64), np.zeros(rows), np.zeros(rows)
    columns, values = np.empty(0, np.int32), np.empty(0)
    filled, reached, work = 0, 0, 0
    for group in range(first, last, LANES):
        lanes = min(LANES, last - group)
        work += walk(group, lanes, starts, words, steps, hop_weights, now, ahead, summed, seen)
        order = np.flatnonzero(seen)
        scale = scales[group : group + lanes]
        place = group - first
        here = kept[place : place + lanes]
        reached += share_out(
            order, summed, scale, shares, cut, here, amounts[place:], errors[place:]
        )
        wanted = filled + here.sum()
        if wanted > len(values):
            columns, values = grown(columns, wanted), grown(values, wanted)
        write_cells(order, summed, scale, shares, cut, here, columns[filled:], values[filled:])
        filled = wanted
        for node in order:
            summed[node] = 0.0
            seen[node] = False
    return kept, columns[:filled].copy(), values[:filled].copy(), amounts, errors, reached, work


@compiled
def walk(first, lanes, starts, words, steps, hop_weights, now, ahead, summed, seen):
    """Adds Σ_h a_h (P^h) of some rows to `summed`; returns the edges gone along."""
    here, there = np.empty(len(seen), np.int32), np.empty(len(seen), np.int32)
    mark = np.full(len(seen), -1, np.int32)
    count, work = lanes, 0
    for lane in range(lanes):
        now[first + lane, lane] = 1.0
        here[lane] = first + lane
    for hop in range(len(hop_weights)):
        new = 0
        for place in range(count):
            node = here[place]
            source = now[node]
            work += starts[node + 1] - starts[node]
            for cell in range(starts[node], starts[node + 1]):
                word, step = words[cell], steps[cell]
                if mark[word] != hop:
                    mark[word] = hop
                    there[new] = word
                    new += 1
                target = ahead[word]
                for lane in range(LANES):
                    target[lane] += step * source[lane]
            for lane in range(LANES):
                source[lane] = 0.0
        for place in range(new):
            node = there[place]
            seen[node] = True
            for lane in range(LANES):
                summed[node, lane] += hop_weights[hop] * ahead[node, lane]
        now, ahead = ahead, now
        here, there = there, here
        count = new
    for place in range(count):
        now[here[place]] = 0.0
    return work


@compiled
def share_out(order, summed, scale, shares, cut, kept, amounts, errors):
    """Counts what rows keep; the amounts and errors of their backgrounds. Returns cells > 0.

    A row keeps n > N_c p_w. Its amount α N_c is the rest of its total over the p of other columns.
    """
    lanes = len(scale)
    total, mass, share = np.zeros(lanes), np.zeros(lanes), np.zeros(lanes)
    reached = 0
    for node in order:
        for lane in range(lanes):
            total[lane] += summed[node, lane] * scale[lane]
            reached += summed[node, lane] > 0
    for node in order:
        for lane in range(lanes):
            n = summed[node, lane] * scale[lane]
            if n > 0 and (not cut or n > total[lane] * shares[node] * (1 + SLACK)):
                kept[lane] += 1
                mass[lane] += n
                share[lane] += shares[node]
    for lane in range(lanes):
        rest = total[lane] - mass[lane]
        if cut and share[lane] < 1 and rest > SLACK * total[lane]:
            amounts[lane] = rest / (1 - share[lane])
            errors[lane] = amounts[lane] * (1 - share[lane])
    for node in order:
        for lane in range(lanes):
            n = summed[node, lane] * scale[lane]
            if amounts[lane] > 0 and not n > total[lane] * shares[node] * (1 + SLACK):
                spread = amounts[lane] * shares[node]
                errors[lane] += abs(n - spread) - spread
    return reached


@compiled
def write_cells(order, summed, scale, shares, cut, kept, columns, values):
    """The cells that `share_out` counted, row by row."""
    lanes = len(scale)
    total, place = np.zeros(lanes), np.zeros(lanes, np.int64)
    for lane in range(1, lanes):
        place[lane] = place[lane - 1] + kept[lane - 1]
    for node in order:
        for lane in range(lanes):
            total[lane] += summed[node, lane] * scale[lane]
    for node in order:
        for lane in range(lanes):
            n = summed[node, lane] * scale[lane]
            if n > 0 and (not cut or n > total[lane] * shares[node] * (1 + SLACK)):
                columns[place[lane]], values[place[lane]] = node, n
                place[lane] += 1


@compiled
def grown(array, size):
    """A longer copy, with room for more."""
    found = np.empty(max(size, 2 * len(array)), array.dtype)
    found[: len(array)] = array
    return found
