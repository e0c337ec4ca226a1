"""How much memory it takes to count the pairs of baskets, and to choose what predicts the next.

docs/scale.md has the measurements behind the copies.
"""

import numpy as np
from scipy.sparse import csr_array

from exact2vec.counts.credit import MOST_CREDITS, pairs_of
from exact2vec.forecast.memory import COUNTED, DOUBLE, SMALL
from exact2vec.train.item_training import table_fits

SAMPLED = 512  # items whose cells are counted beforehand


def expected_cells(baskets: csr_array) -> float:
    """About how many pairs of items share a basket: those of some items, times all.

    Items are sorted by count, so that every so-manieth stands for its neighbours.

    >>> expected_cells(csr_array([[1, 1, 0], [0, 1, 1], [1, 0, 0]]))
    4.0
    """
    size = baskets.shape[1]
    some = np.unique(np.linspace(0, size - 1, SAMPLED).round().astype(int))
    entries = csr_array(baskets.T)[some]
    together = csr_array((np.ones(entries.nnz), entries.indices, entries.indptr), entries.shape)
    cells = (together @ baskets).nnz - np.count_nonzero(np.diff(entries.indptr))
    return float(cells) * size / len(some)


def pairing_bytes(baskets: csr_array, *, rounds: bool) -> float:
    """Bytes at the peak of choosing the mixture, beyond the baskets.

    Counts are held once, and half of them again while they are made. With `rounds` of EM there
    are those of the best round, of the last and of the next, and a credit of each pair.
    """
    size, cells = baskets.shape[1], expected_cells(baskets)
    tables = 2.0 * DOUBLE * size * size if table_fits(size) else 0.0
    credits = DOUBLE * min(pairs_of(baskets), MOST_CREDITS) if rounds else 0.0
    return SMALL + credits + COUNTED * cells * (3.0 if rounds else 1.5) + tables
