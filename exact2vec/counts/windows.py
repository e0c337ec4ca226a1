"""Text windows: how often two words stand near each other, in exact integers."""

import numpy as np
from jaxtyping import Int32
from scipy.sparse import coo_array, csr_array

CHUNK_PAIRS = 10 << 20  # pairs counted at once, about 0.2 GB


def count_windows(ids: Int32[np.ndarray, " token"], segments: Int32[np.ndarray, " token"], *, size: int, window: int) -> csr_array:
    """k(c, w) = Σ (window + 1 − distance) over the ordered pairs of tokens at most `window` apart in one segment, int64.

    Symmetric, `size` × `size`, rows with sorted columns, no stored zeros.
    """
    above = csr_array((size, size), dtype=np.int64)
    positions = max(1, CHUNK_PAIRS // window)
    for start in range(0, len(ids), positions):
        above = above + _pairs_from(ids, segments, slice(start, start + positions), size, window)
    counts = (above + above.T).tocsr()
    counts.sort_indices()
    return counts


def _pairs_from(ids: np.ndarray, segments: np.ndarray, lefts: slice, size: int, window: int) -> csr_array:
    """The pairs whose left token is one of `lefts`."""
    left_ids, right_ids, weights = [], [], []
    for distance in range(1, min(window, len(ids)) + 1):
        stop = max(lefts.start, min(lefts.stop, len(ids) - distance))
        left, right = slice(lefts.start, stop), slice(lefts.start + distance, stop + distance)
        near = segments[left] == segments[right]
        left_ids.append(ids[left][near])
        right_ids.append(ids[right][near])
        weights.append(np.full(len(left_ids[-1]), window + 1 - distance, np.int64))
    entries = (np.concatenate(weights), (np.concatenate(left_ids), np.concatenate(right_ids)))
    return coo_array(entries, shape=(size, size)).tocsr()
