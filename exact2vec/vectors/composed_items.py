"""The composed part: softmax over the items outside a context of one vector made of its items."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.vectors.item_parts import Probabilities, softmax_table

SHORTEST = 1e-12  # a length below which a vector has no direction


@dataclass(frozen=True)
class Composed:
    """softmax over w of b_w + x·u_w / T, with x = |I|^-½ Σ_{i in I} g_i e_i.

    e are the `inputs` (item × number), u the `outputs`, b the `bias`, g the `item_weights`. With
    `by_direction` x and u are divided by their lengths. Nothing in the context gives the softmax
    of the bias.
    """

    inputs: NDArray[np.float32]
    outputs: NDArray[np.float32]
    bias: NDArray[np.float32]
    item_weights: Float64[np.ndarray, " item"]
    by_direction: bool = False
    temperature: float = 1.0
    name: str = field(default="composed")

    def probabilities(self, contexts: csr_array) -> Probabilities:
        shares = composition(contexts, self.item_weights).astype(np.float32)
        x: NDArray[np.float32] = shares @ self.inputs
        if self.by_direction:
            x = _directions(x)
        x = np.asarray(x / self.temperature, np.float32)
        return softmax_table(x, self._scored_outputs, self.bias)

    @cached_property
    def _scored_outputs(self) -> NDArray[np.float32]:
        return _directions(self.outputs) if self.by_direction else self.outputs


def composition(contexts: csr_array, item_weights: Float64[np.ndarray, " item"]) -> csr_array:
    """|I|^-½ g_i of each item of each context."""
    sizes = np.diff(contexts.indptr)
    scale = np.repeat(np.maximum(sizes, 1) ** -0.5, sizes)
    values = item_weights[contexts.indices] * scale
    return csr_array((values, contexts.indices, contexts.indptr), shape=contexts.shape)


def weights_of_items(baskets_with: NDArray[np.int64], power: float) -> Float64[np.ndarray, " item"]:
    """g_i ∝ d_i^−power, with a root mean square of 1 over all entries of the baskets."""
    weights = np.maximum(baskets_with, 1.0) ** -power
    mean = (baskets_with * weights**2).sum() / max(1, baskets_with.sum())
    return np.asarray(weights / np.sqrt(mean or 1.0))


def _directions(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors divided by their lengths; zeros where one is too short."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length < SHORTEST, np.inf, length))
