"""What the block functions of an engine take and give: outputs, cells, a workspace, losses."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from exact2vec.parallel import Workers

LANES = 8  # a row of outputs is padded with zeros to a multiple of this many numbers


@dataclass(frozen=True)
class Outputs:
    """Output vectors u_w and biases b_w in one matrix: `dim` numbers, the bias, and zeros.

    A score b_w + u_w·x_c is then one product: the engine puts the constant 1 behind x_c.
    """

    rows: Float[Tensor, "word width"]
    dim: int

    @classmethod
    def of(cls, vectors: Float[Tensor, "word dim"], bias: Float[Tensor, " word"]) -> "Outputs":
        """A copy of vectors and biases, side by side."""
        size, dim = vectors.shape
        rows = vectors.new_zeros(size, -(-(dim + 1) // LANES) * LANES)
        rows[:, :dim] = vectors
        rows[:, dim] = bias
        return cls(rows, dim)

    @property
    def vectors(self) -> Float[Tensor, "word dim"]:
        return self.rows[:, : self.dim]

    @property
    def bias(self) -> Float[Tensor, " word"]:
        return self.rows[:, self.dim]

    def padded(self, inputs: Float[Tensor, "row dim"]) -> Float[Tensor, "row width"]:
        """The inputs with a 1 where the biases are, and zeros."""
        rows = inputs.new_zeros(len(inputs), self.rows.shape[1])
        rows[:, : self.dim] = inputs
        rows[:, self.dim] = 1
        return rows


@dataclass(frozen=True)
class RankOne:
    """amounts_c · shares_w, float64: counts in every cell of a block; the shares sum to 1."""

    amounts: Float[Tensor, " row"]
    shares: Float[Tensor, " word"]


@dataclass(frozen=True)
class Cells:
    """Counts n(c, w) of a block of rows, compressed: those of row i are at starts[i]:starts[i + 1].

    `words` are sorted within a row, none twice; `counts` are > 0; `totals` are the N_c, float64
    (what a row's counts are shares of, so they may be those of more cells than stand here). With a
    `background`, that is added to every cell, also where none is stored, and is in the totals.
    """

    starts: NDArray[np.int64]
    words: NDArray[np.int32]
    counts: NDArray[Any]
    totals: Float[Tensor, " row"]
    background: RankOne | None = None


@dataclass(frozen=True)
class RowLosses:
    """For each row of a block, in nats and float64: N_c · NLL_c, and N_c · KL(counts ‖ model)."""

    nll: Float[Tensor, " row"]
    excess: Float[Tensor, " row"]


@dataclass(frozen=True)
class Workspace:
    """What an engine may use for block after block: worker threads, and room for the scores."""

    pool: Workers
    scores: Tensor

    @classmethod
    def of(
        cls, pool: Workers, rows: int, words: int, dtype: torch.dtype = torch.float32
    ) -> "Workspace":
        """Room for so many rows of scores."""
        return cls(pool, torch.empty(rows * words, dtype=dtype))
