"""Options that are of the wrong type."""

import pytest

from exact2vec.errors import UsageError
from exact2vec.options import checked


def test_numbers_given_as_text_are_refused():
    with pytest.raises(
        UsageError, match="window must be an integer of at least 1 and below 10001; got '5'"
    ):
        checked(window="5")
