"""What makes the weighted pairs n(c, w) of the counts k(c, w)."""

import by_hand
import numpy as np
import pytest
from scipy.sparse import csr_array

from exact2vec.counts.weighting import (
    PlainWeighting,
    Weighting,
    WindowWeighting,
    fields_of,
    weighting_of,
)
from exact2vec.errors import InputError, UsageError

COUNTS = np.array([[4, 0, 9], [1, 7, 0]])  # two contexts, three words


def weighed(weighting, counts=COUNTS):
    row_times, column_times = np.array([30, 2]), np.array([50, 3, 1])
    keep = weighting.keep(row_times, 32), weighting.keep(column_times, 54)
    return weighting.weigh(csr_array(counts), *keep).toarray()


@pytest.mark.parametrize("sample", [0.01, 0.5])
def test_the_weighting_by_a_window_is_its_formula(sample):
    rows, columns = by_hand.keep([30, 2], sample), by_hand.keep([50, 3, 1], sample)
    expected = [
        [COUNTS[row, column] / 4 * rows[row] * columns[column] for column in range(3)]
        for row in range(2)
    ]
    found = weighed(WindowWeighting(4, sample))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == np.float32


def test_without_a_sample_every_token_is_kept():
    np.testing.assert_array_equal(weighed(WindowWeighting(4, 0)), COUNTS / 4)


def test_the_plain_weighting_is_none():
    np.testing.assert_array_equal(weighed(PlainWeighting(), COUNTS / 3), np.float32(COUNTS / 3))
    assert PlainWeighting().strength_in_pairs(150) == 150
    assert PlainWeighting().keep(np.array([1, 5]), 6).tolist() == [1, 1]


@pytest.mark.parametrize("weighting", [WindowWeighting(2, 0.1), PlainWeighting()])
def test_a_weighting_comes_back_from_its_fields(weighting):
    assert isinstance(weighting, Weighting)
    assert weighting_of(fields_of(weighting)) == weighting


def test_weights_that_would_vanish_are_refused():
    with pytest.raises(UsageError, match="too small for a float32; use a larger one"):
        weighed(WindowWeighting(5, 1e-60))
    with pytest.raises(InputError, match="scale the matrix up"):
        weighed(PlainWeighting(), COUNTS * 1e-60)
    with pytest.raises(UsageError, match="window must be an integer of at least 1"):
        WindowWeighting(0)
