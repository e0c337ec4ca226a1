"""The embedding of nodes: what a node's own vectors say, and what its neighbours' outputs say.

    s = x + u·R,   o = u + x·Rᵀ,   embedding = n(s) + n(P·o)

R is the orthogonal matrix nearest to UᵀX: counts of a graph are symmetric, so u ≈ sign(λ)·x, and
x + u would cancel the axes of negative λ. P is the transition matrix of the graph that was trained
on: with one hop, d_c Σ_w P(c, w) u_w is the counted part of the gradient of x_c, so P·o is in the
frame of the inputs. n(·) divides a row by its length. What features say is added to both sides
first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.vectors.embedding import Sides, leant, nearest_rotation
from exact2vec.vectors.queries import unit_rows

Row = NDArray[np.float32]


@dataclass(frozen=True)
class NodeEmbedding:
    """The embedding of nodes in `rows`; `rotation` is R, `outputs` are o.

    >>> x, edges = np.eye(2, dtype=np.float32), csr_array([[0, 1.0], [1.0, 0]])
    >>> NodeEmbedding.of_nodes((x, x), None, edges).rows
    array([[1., 1.],
           [1., 1.]], dtype=float32)
    """

    rotation: NDArray[np.float64]
    rows: NDArray[np.float32]
    outputs: NDArray[np.float32]

    @classmethod
    def of_nodes(cls, sides: Sides, composed: Sides | None, edges: csr_array) -> "NodeEmbedding":
        """That of nodes with these inputs and outputs, and of what composes them."""
        x, u = (side.astype(np.float64) for side in leant(sides, composed, 1.0))
        rotation = nearest_rotation(u.T @ x)
        own, outputs = x + u @ rotation, (u + x @ rotation.T).astype(np.float32)
        from exact2vec.counts.walks import transitions  # which needs torch

        spoken = transitions(edges) @ outputs
        return cls(rotation, _summed(own, spoken), outputs)

    def of_features(self, inputs: Row, outputs: Row) -> Row:
        """The embedding of a node without edges, from what its features compose."""
        own = (inputs + outputs @ self.rotation)[None]
        return np.asarray(_summed(own, own)[0])

    def of_edges(self, inputs: NDArray[np.float32], spoken: NDArray[np.float32]) -> Row:
        """The embedding of a new node, from its input vector and P·o of its edges."""
        return np.asarray(_summed(inputs[None], spoken[None])[0])


def _summed(own: NDArray[np.floating], spoken: NDArray[np.floating]) -> NDArray[np.float32]:
    sides = (np.asarray(side, np.float32) for side in (own, spoken))
    return np.asarray(sum(map(unit_rows, sides)), np.float32)
