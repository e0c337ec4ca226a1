"""Options that are of the wrong type, or beyond all measure."""

import inspect

import numpy as np
import pytest

from exact2vec.errors import Exact2VecError, UsageError
from exact2vec.estimator import Exact2Vec
from exact2vec.options import OPTIONS, checked

SIZES = {"vector_size", "epochs", "max_epochs"}  # which take as long as they are large
NUMBERS = [
    name
    for name in inspect.signature(Exact2Vec).parameters
    if name in OPTIONS and OPTIONS[name].kind in (int, float) and name not in SIZES
]
ODD = [0, -1, 5e-324, 1e308, 2**31, 2**63, 2**70, 10**400, float("inf"), float("nan")]


def test_numbers_given_as_text_are_refused():
    with pytest.raises(
        UsageError, match="window must be an integer of at least 1 and below 10001; got '5'"
    ):
        checked(window="5")


@pytest.mark.parametrize("name", [*NUMBERS, "prior"])
def test_no_number_is_too_odd_for_an_option(name):
    """It is refused in a line, or vectors come of it; soon, and without a warning."""
    texts = [text.split() for text in ("sun moon star dog", "dog cat sun", "star cat boat")] * 9
    usual = {"vector_size": 2, "epochs": 1, "min_count": 1, "held_out": 0.2}
    refused = 0
    whole = OPTIONS[name].kind is int
    for odd in [odd for odd in ODD if isinstance(odd, int) or not whole]:
        given = (odd, odd) if name == "prior" else odd
        try:
            vectors = Exact2Vec(**(usual | {name: given})).fit(texts).wv
        except Exact2VecError as error:
            assert 0 < len(str(error)) < 1000
            refused += 1
        else:
            assert np.isfinite(vectors.matrix("embedding")).all()
    assert refused > 0
