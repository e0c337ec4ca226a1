"""Items that no row held but whose features are known: what probability they have to come next.

Their credit counts are nothing, so the mixture gives them nothing. Their output vectors are what
their features say, u_v = f_v·G_u, and the softmax of an item i of the basket gives them

    p(v | i) = exp(b_v + x_i·u_v) / (Z_i + Σ_v' exp(b_v' + x_i·u_v')),
    Z_i = Σ_w exp(b_w + x_i·u_w)

over the trained items w and the new ones v'. No feature says b_v. It is set so that v is as
probable as an item that one row held: Σ_i p_0(i) exp(b_v + x_i·u_v) / Z_i = 1 / entries.
docs/maths.md (22).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.errors import InputError
from exact2vec.vectors.item_model import ItemModel
from exact2vec.vectors.item_parts import Mixture, Probabilities

BLOCK = 1024  # items whose scores of all others are held


@dataclass(frozen=True)
class NewItems:
    """The `names` of new items, with their output vectors, beside the vectors of trained ones.

    `unigram` is p_0 of the trained items, and `entries` how many entries they were counted in.
    """

    names: list[str]
    new_outputs: NDArray[np.float32]
    inputs: NDArray[np.float32]
    outputs: NDArray[np.float32]
    bias: NDArray[np.float32]
    unigram: Float64[np.ndarray, " item"]
    entries: int

    @classmethod
    def of_vectors(cls, vectors: Any) -> "NewItems":
        """Those that the features of a run describe; InputError where there are none."""
        composer = vectors.composer
        known = None if composer is None else composer.describer.known
        rows = [] if known is None else known.rows
        names = [name for name in rows if name not in vectors.key_to_index and composer.knows(name)]
        if not names:
            raise InputError(
                "no new items are known: train with --features of a file that describes items "
                "which no row holds"
            )
        trained = vectors.inputs, vectors.outputs, vectors.bias, vectors.unigram
        return cls(names, composer.compose(names)[1], *trained, int(vectors.vocabulary.total))

    def probabilities(
        self, contexts: csr_array, source_weights: Float64[np.ndarray, " item"]
    ) -> Float64[np.ndarray, "context new"]:
        """Σ_i a_i p(v | i) / Σ_i a_i over the items i of each context, a the `source_weights`.

        Of nothing it is 1 / entries, as of an item that one row held.
        """
        sources, place = np.unique(contexts.indices, return_inverse=True)
        weights = source_weights[contexts.indices]
        sums = np.add.reduceat(np.append(weights, 0), contexts.indptr[:-1])
        sums[np.diff(contexts.indptr) == 0] = 1
        shares = weights / np.repeat(sums, np.diff(contexts.indptr))
        mixed = csr_array((shares, place, contexts.indptr), shape=(contexts.shape[0], len(sources)))
        found = np.asarray(mixed @ self.of_items(sources))
        found[np.diff(contexts.indptr) == 0] = 1 / self.entries
        return found

    def of_items(self, items: NDArray[np.integer]) -> Float64[np.ndarray, "item new"]:
        """p(v | i)."""
        ratios = np.exp(self._scores(items) + self.new_bias)
        return np.asarray(ratios / (1 + ratios.sum(axis=1, keepdims=True)))

    @cached_property
    def new_bias(self) -> Float64[np.ndarray, " new"]:
        """b_v, by which a new item is as probable as one that stands in one row."""
        sums = np.full(len(self.names), -np.inf)
        for start in range(0, len(self.inputs), BLOCK):
            items = np.arange(start, min(start + BLOCK, len(self.inputs)))
            with np.errstate(divide="ignore"):
                scores = self._scores(items) + np.log(self.unigram[items])[:, None]
            sums = np.logaddexp(sums, np.logaddexp.reduce(scores, axis=0))
        return np.asarray(-np.log(self.entries) - sums)

    def _scores(self, items: NDArray[np.integer]) -> Float64[np.ndarray, "item new"]:
        """x_i·u_v − log Z_i."""
        x = self.inputs[items].astype(np.float64)
        of_trained = x @ self.outputs.T.astype(np.float64) + self.bias
        whole = np.logaddexp.reduce(of_trained, axis=1)
        return np.asarray(x @ self.new_outputs.T.astype(np.float64) - whole[:, None])


@dataclass(frozen=True)
class WithNewItems:
    """A model of what comes next over trained items, then the new ones.

    The new items have the probabilities of `NewItems`, with the weights that the mixture gives the
    items of a context, and the trained ones share what is left as they did before. A new item in
    the context says nothing of what comes next.
    """

    model: ItemModel
    new: NewItems

    @property
    def mixture(self) -> Mixture | None:
        return self.model.mixture

    def probabilities(self, contexts: csr_array, *, exclude_seen: bool = True) -> Probabilities:
        """As those of `ItemModel`; a row sums to 1."""
        size = len(self.new.unigram)
        known, also = csr_array(contexts[:, :size]), csr_array(contexts[:, size:])
        of_trained = self.model.probabilities(known, exclude_seen=exclude_seen)
        of_new = self.new.probabilities(known, self._source_weights)
        if exclude_seen:
            of_new[also.nonzero()] = 0
        of_trained *= 1 - of_new.sum(axis=1, keepdims=True)
        found = np.hstack([of_trained, of_new])
        total = found.sum(axis=1, keepdims=True)  # 1, but where every trained item is known
        return np.asarray(found / np.where(total > 0, total, 1))

    def reasons(self, context: NDArray[np.int64], item: int) -> Float64[np.ndarray, " source"]:
        """The share of p(item | context) that is because of each item of it."""
        size = len(self.new.unigram)
        known, found = context < size, np.zeros(len(context))
        if item < size:
            found[known] = self.model.reasons(context[known], item)
        elif known.any():
            p = self.new.of_items(context[known])[:, item - size]
            parts = self._source_weights[context[known]] * p
            found[known] = parts / parts.sum()
        return found

    @property
    def _source_weights(self) -> Float64[np.ndarray, " item"]:
        mixture = self.mixture
        return np.ones(len(self.new.unigram)) if mixture is None else mixture.source_weights
