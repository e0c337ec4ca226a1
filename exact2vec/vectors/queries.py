"""Queries: which vectors, expressions of words, directions, and probabilities of scores."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from exact2vec.errors import UsageError
from exact2vec.options import WHICH_VECTORS

Query = str | NDArray[Any]
Which = Literal["embedding", "sum", "inputs", "outputs", "composed"]


def check_which(which: str) -> None:
    """UsageError for vectors that there are none of."""
    if which not in WHICH_VECTORS:
        raise UsageError(f"which must be one of {', '.join(WHICH_VECTORS)}; got {which!r}")


def queries(given: Any) -> list[Any]:
    """The words and vectors of an argument that is one of them, or several."""
    one = isinstance(given, str) or (isinstance(given, np.ndarray) and given.ndim == 1)
    return [given] if one else list(given)


def checked_vector(query: Any, size: int) -> NDArray[Any]:
    """A query that is no word: a vector of `size` finite numbers, or a UsageError."""
    vector = np.asarray(query)
    numbers = vector.dtype.kind in "fiu" and vector.shape == (size,)
    if not numbers or not np.isfinite(vector).all():
        raise UsageError(
            f"a query is a name, or a vector of {size} finite numbers; "
            f"got {'one of shape ' + str(vector.shape) if vector.ndim else repr(query)}"
        )
    return vector


def signed_words(expression: str) -> tuple[list[str], list[str]]:
    """The words to add and to subtract.

    >>> signed_words("king - man + woman")
    (['king', 'woman'], ['man'])
    """
    plus: list[str] = []
    minus: list[str] = []
    sign: list[str] | None = plus
    for term in expression.split():
        if term in ("+", "-") and sign is None:
            sign = plus if term == "+" else minus
        elif sign is not None and (term not in ("+", "-")):
            sign.append(term)
            sign = None
        else:
            raise UsageError(f"{expression!r} is not a name, or names joined by ' + ' and ' - '")
    if sign is not None:
        raise UsageError(f"{expression!r} ends without a name")
    return plus, minus


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1; a row of zeros stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length == 0, 1, length))


def log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """log p of each row of scores, nats."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def signed_sum(
    plus: Sequence[NDArray[np.float32]], minus: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Σ plus − Σ minus, each vector divided by its length; UsageError where nothing is left."""
    signs = np.array([1.0] * len(plus) + [-1.0] * len(minus), np.float32)
    total = np.asarray(signs @ unit_rows(np.stack([*plus, *minus])))
    if not total.any():
        raise UsageError(
            "the query is a vector of zeros, which has no direction"
            + ": its terms cancel out" * (len(signs) > 1)
        )
    return total
