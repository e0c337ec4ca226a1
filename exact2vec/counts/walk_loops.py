"""The compiled loops of the walks: rows of Σ_h a_h P^h, sparse while few nodes are reached.

LANES rows are walked together, side by side, so that a step along an edge is one vector operation.
Nothing depends on threads: a group of rows is walked and summed in a fixed order.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact2vec.jit import compiled

LANES = 8
SCAN = 16  # nodes are put in order by a scan where more than one in so many is reached
SLACK = 1e-9  # of chance: a cell that equals it up to rounding is cut, from either side


def new_scratch(size: int) -> tuple[NDArray[Any], ...]:
    """What walks over so many nodes fill and empty again; each job has it to itself.

    Steps, steps ahead and their sums; nodes marked in a hop and seen in any; lists of nodes.
    """
    lanes = (np.zeros((size, LANES)) for _ in range(3))
    signs = (np.zeros(size, np.bool_) for _ in range(2))
    return *lanes, *signs, *(np.empty(size, np.int32) for _ in range(3))


@compiled
def walked_rows(first, last, starts, words, steps, hop_weights, scales, shares, least, scratch):
    """Kept cells of rows first:last, their backgrounds, and work; see `walks.WalkedRows`.

    Kept are those above `least` times chance: all where it is 0.

    `scratch` is as `new_scratch` made it, and is so again at the end.
    """
    rows, summed = last - first, scratch[2]
    kept, amounts, errors = np.zeros(rows, np.int64), np.zeros(rows), np.zeros(rows)
    columns, values = np.empty(0, np.int32), np.empty(0)
    filled, reached, work = 0, 0, 0
    for group in range(first, last, LANES):
        lanes = min(LANES, last - group)
        order, along = walk(group, lanes, starts, words, steps, hop_weights, scratch)
        work += along
        scale = scales[group : group + lanes]
        place = group - first
        here = kept[place : place + lanes]
        reached += share_out(
            order, summed, scale, shares, least, here, amounts[place:], errors[place:]
        )
        wanted = filled + here.sum()
        if wanted > len(values):
            columns, values = grown(columns, wanted), grown(values, wanted)
        write_cells(order, summed, scale, shares, least, here, columns[filled:], values[filled:])
        filled = wanted
        for node in order:
            summed[node] = 0.0
    return kept, columns[:filled].copy(), values[:filled].copy(), amounts, errors, reached, work


@compiled
def walk(first, lanes, starts, words, steps, hop_weights, scratch):
    """Adds Σ_h a_h (P^h) of some rows to `summed`.

    Returns the nodes reached, in order, and how many edges were gone along.
    """
    now, ahead, summed, marked, seen, here, there, reached = scratch
    count, work, found = lanes, 0, 0
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
                if not marked[word]:
                    marked[word] = True
                    there[new] = word
                    new += 1
                target = ahead[word]
                for lane in range(LANES):
                    target[lane] += step * source[lane]
            for lane in range(LANES):
                source[lane] = 0.0
        for place in range(new):
            node = there[place]
            marked[node] = False
            if not seen[node]:
                seen[node] = True
                reached[found] = node
                found += 1
            for lane in range(LANES):
                summed[node, lane] += hop_weights[hop] * ahead[node, lane]
        now, ahead = ahead, now
        here, there = there, here
        count = new
    for place in range(count):
        now[here[place]] = 0.0
    order = in_order(reached[:found], seen)
    for node in order:
        seen[node] = False
    return order, work


@compiled
def in_order(nodes, seen):
    """These nodes, which are those `seen`, sorted: by a scan where there are many."""
    return (
        np.sort(nodes).astype(np.int64) if SCAN * len(nodes) < len(seen) else np.flatnonzero(seen)
    )


@compiled
def share_out(order, summed, scale, shares, least, kept, amounts, errors):
    """Counts what rows keep; the amounts and errors of their backgrounds. Returns cells > 0.

    A row keeps n > least · N_c p_w. Its amount α N_c is the rest of its total over the p of the
    other columns.
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
            if n > least * total[lane] * shares[node] * (1 + SLACK):
                kept[lane] += 1
                mass[lane] += n
                share[lane] += shares[node]
    for lane in range(lanes):
        rest = total[lane] - mass[lane]
        if least > 0 and share[lane] < 1 and rest > SLACK * total[lane]:
            amounts[lane] = rest / (1 - share[lane])
            errors[lane] = amounts[lane] * (1 - share[lane])
    for node in order:
        for lane in range(lanes):
            n = summed[node, lane] * scale[lane]
            if amounts[lane] > 0 and not n > least * total[lane] * shares[node] * (1 + SLACK):
                spread = amounts[lane] * shares[node]
                errors[lane] += abs(n - spread) - spread
    return reached


@compiled
def write_cells(order, summed, scale, shares, least, kept, columns, values):
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
            if n > least * total[lane] * shares[node] * (1 + SLACK):
                columns[place[lane]], values[place[lane]] = node, n
                place[lane] += 1


@compiled
def grown(array, size):
    """A longer copy, with room for more."""
    found = np.empty(max(size, 2 * len(array)), array.dtype)
    found[: len(array)] = array
    return found
