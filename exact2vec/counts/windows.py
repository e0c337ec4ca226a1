"""Text windows: how often two words stand near each other, in exact integers."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Int32
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from exact2vec.jit import compiled
from exact2vec.options import available_threads

Rows = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any]]  # lengths of rows, words, counts
CHUNKS = 64  # of rows; more than threads, so that none waits long for another
FEW_PAIRS = 64  # of a context: up to here they are sorted, above summed in accumulators
SHIFT = 4
STRETCH = 1 << SHIFT  # accumulators under one flag


def count_windows(
    ids: Int32[np.ndarray, " token"],
    segments: Int32[np.ndarray, " token"],
    *,
    size: int,
    window: int,
    threads: int | None = None,
) -> csr_array:
    """k(c, w) = Σ (window + 1 − distance) over ordered pairs of tokens in one segment, int64.

    The pairs are at most `window` apart. The matrix is symmetric, `size` × `size`, its rows have
    sorted columns and no stored zeros. Each context has its pairs summed at once, so only those
    of rare contexts are ever sorted. The result does not depend on `threads`.
    """
    starts, places = _places_by_context(ids, size)
    unsigned = ids.view(np.uint32)  # an index that needs no check for counting from the end
    bounds = (
        np.searchsorted(segments, np.arange(segments[-1] + 2))
        if len(segments)
        else np.zeros(2, np.int64)
    )
    pairs = np.minimum(np.diff(starts) * 2 * window, size)
    cost = np.cumsum(np.diff(starts) * 2 * window + size // STRETCH + 1)
    edges = (
        np.unique(
            np.append(np.searchsorted(cost, np.linspace(0, cost[-1], CHUNKS, endpoint=False)), size)
        )
        if size
        else np.zeros(1, np.int64)
    )

    def rows(chunk: int) -> Rows | None:
        contexts = np.arange(edges[chunk], edges[chunk + 1])
        most = int(pairs[contexts].sum()) + STRETCH
        narrow = (
            int(np.diff(starts[edges[chunk] : edges[chunk + 1] + 1]).max()) * window * (window + 1)
            < 2**32
        )
        lengths, words, counts = (
            np.empty(len(contexts), np.int64),
            np.empty(most, np.int32),
            np.empty(most, np.uint32 if narrow else np.int64),
        )
        stored = _count_rows(
            contexts,
            starts,
            places,
            unsigned,
            segments,
            bounds,
            window,
            size,
            lengths,
            words,
            counts,
        )
        return lengths, words[:stored].copy(), counts[:stored].copy()

    with ThreadPoolExecutor(threads or available_threads()) as pool:
        return _joined(list(pool.map(rows, range(len(edges) - 1))), size, pool)


def count_windows_plainly(
    ids: Int32[np.ndarray, " token"],
    segments: Int32[np.ndarray, " token"],
    *,
    size: int,
    window: int,
) -> csr_array:
    """What `count_windows` returns, distance by distance in sparse matrices: its plain twin."""
    above = csr_array((size, size), dtype=np.int64)
    for distance in range(1, min(window, len(ids) - 1) + 1):
        near = segments[:-distance] == segments[distance:]
        left, right = ids[:-distance][near], ids[distance:][near]
        above = (
            above
            + coo_array(
                (np.full(len(left), window + 1 - distance, np.int64), (left, right)),
                shape=(size, size),
            ).tocsr()
        )
    counts = (above + above.T).tocsr()
    counts.sort_indices()
    return counts


def _joined(chunks: list[Rows | None], size: int, pool: ThreadPoolExecutor) -> csr_array:
    """One matrix of the rows of all chunks, each chunk freed when it has been copied."""
    starts = np.zeros(size + 1, np.int64)
    np.cumsum(
        np.concatenate([np.empty(0, np.int64), *(chunk[0] for chunk in chunks if chunk)]),
        out=starts[1:],
    )
    words, counts = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int64)
    places = np.cumsum([0, *(len(chunk[1]) for chunk in chunks if chunk)])

    def copy(number: int) -> None:
        if (chunk := chunks[number]) is not None:
            (
                words[places[number] : places[number + 1]],
                counts[places[number] : places[number + 1]],
            ) = chunk[1], chunk[2]
            chunks[number] = None

    list(pool.map(copy, range(len(chunks))))
    return csr_array(
        (counts, words, starts.astype(np.int32) if starts[-1] < 2**31 else starts),
        shape=(size, size),
    )


@compiled
def _places_by_context(ids, size):
    """(starts, places): context c stands at places[starts[c] : starts[c + 1]], in order."""
    starts = np.zeros(size + 1, np.int64)
    for word in ids:
        starts[word + 1] += 1
    for context in range(size):
        starts[context + 1] += starts[context]
    free = starts[:-1].copy()
    places = np.empty(
        len(ids), np.uint32
    )  # text of 4 G tokens would need a wider type, and 16 GB for its numbers
    for place in range(len(ids)):
        word = ids[place]
        places[free[word]] = place
        free[word] += 1
    return starts, places


@compiled
def _count_rows(
    contexts, starts, places, ids, segment, bounds, window, size, lengths, words, counts
):
    """Write the rows of `contexts` into words and counts, their lengths into `lengths`.

    Returns the number of cells written.
    """
    sums = np.zeros(size + STRETCH, np.int64)
    flags = np.zeros(size // STRETCH + 1, np.uint8)
    stored = 0
    for row in range(len(contexts)):
        begin, end = starts[contexts[row]], starts[contexts[row] + 1]
        before = stored
        if (end - begin) * 2 * window <= FEW_PAIRS:
            stored = _sorted_sums(
                places[begin:end], ids, segment, bounds, window, words, counts, stored
            )
        else:
            for place in places[begin:end]:
                low, high = (
                    max(bounds[segment[place]], place - window),
                    min(bounds[segment[place] + 1], place + window + 1),
                )
                for near in range(low, place):
                    sums[ids[near]] += window + 1 + near - place
                    flags[ids[near] >> SHIFT] = 1
                for near in range(place + 1, high):
                    sums[ids[near]] += window + 1 - near + place
                    flags[ids[near] >> SHIFT] = 1
            for stretch in range(len(flags)):
                if flags[stretch]:
                    flags[stretch] = 0
                    for word in range(stretch * STRETCH, (stretch + 1) * STRETCH):
                        if sums[word] != 0:
                            words[stored], counts[stored] = word, sums[word]
                            sums[word] = 0
                            stored += 1
        lengths[row] = stored - before
    return stored


@compiled
def _sorted_sums(places, ids, segment, bounds, window, words, counts, stored):
    """The row of a rare context: its pairs by insertion into a sorted list."""
    first = stored
    for place in places:
        low, high = (
            max(bounds[segment[place]], place - window),
            min(bounds[segment[place] + 1], place + window + 1),
        )
        for near in range(low, high):
            if near == place:
                continue
            word, weight = ids[near], window + 1 - abs(near - place)
            at = stored
            while at > first and words[at - 1] > word:
                at -= 1
            if at > first and words[at - 1] == word:
                counts[at - 1] += weight
                continue
            for moved in range(stored, at, -1):
                words[moved], counts[moved] = words[moved - 1], counts[moved - 1]
            words[at], counts[at] = word, weight
            stored += 1
    return stored
