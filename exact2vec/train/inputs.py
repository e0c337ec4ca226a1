"""Input models: where a context's vector x_c comes from, and how x and u make a score.

`OwnRows`: each context has its row x_c. `ComposedRows`: x_c = Σ_i C_ci v_i, of rows that contexts
share. Both turn contexts into a `ContextBlock`, which gives the engine of the loss its x and turns
the gradients of x into those of the rows. The constant that carries the bias is the engine's.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from exact2vec.errors import InputError, UsageError
from exact2vec.loss.count_losses import WeightedCounts
from exact2vec.loss.engine.cells import Cells, Outputs
from exact2vec.parallel import Workers
from exact2vec.train.optimizers import RowSlopes, slices

Margins = tuple[NDArray[np.float64], NDArray[np.float64]]
SHORTEST = 1e-12  # a length below which a vector has no direction


@dataclass(frozen=True)
class ContextBlock:
    """Some contexts, ready for the engine.

    `rows` are the numbers of the input rows that their vectors are made of: x = C v, with the
    `composition` C over these rows; without one each context has a row of its own. `weights`
    multiply the contexts' losses. `excluded` are words left out of a context's log-sum-exp.
    """

    rows: Int[Tensor, " row"]
    cells: Cells
    weights: Float[Tensor, " context"]
    excluded: Cells | None = None
    composition: csr_array | None = None

    @property
    def pairs(self) -> Float[Tensor, " context"]:
        """The weighted pairs of each context."""
        return self.weights * self.cells.totals

    def vectors(self, inputs: Float[Tensor, "row dim"]) -> Float[Tensor, "context dim"]:
        """x of each context."""
        rows = inputs[self.rows]
        if self.composition is None:
            return rows
        return torch.from_numpy(self.composition @ rows.numpy()).to(inputs.dtype)

    def row_slopes(
        self, gradient: Float[Tensor, "context dim"], curvature: Float[Tensor, " context"] | float
    ) -> RowSlopes:
        """From ∂/∂x to ∂/∂v = Cᵀ ∂/∂x, a weighted pair behind each row.

        Behind row i are Σ_c |C_ci| Σ_j |C_cj| of the pairs of c, times the `curvature` of c's
        score in x. So a step of all rows at once moves no score further than it would if each
        context had its row: (Σ_i C_ci δ_i)ᵀ F (Σ_i C_ci δ_i) ≤ Σ_j |C_cj| Σ_i |C_ci| δ_iᵀ F δ_i.
        """
        pairs = self.pairs if isinstance(curvature, float) else self.pairs * curvature
        if self.composition is not None:
            pairs = torch.from_numpy(pairs_behind(self.composition, pairs.numpy()))
            gradient = torch.from_numpy(self.composition.T @ gradient.numpy()).to(gradient.dtype)
        # none are behind a vector without direction, whose gradient is 0
        shares = pairs.clamp_min(torch.finfo(torch.float32).tiny).to(gradient.dtype)
        return RowSlopes(self.rows, gradient / shares[:, None], pairs)


@dataclass(frozen=True)
class OwnRows:
    """Each context has the row of its number among the inputs."""

    counts: WeightedCounts

    @property
    def rows(self) -> int:
        """How many input rows there are."""
        return self.counts.shape[0]

    def block(
        self, contexts: NDArray[np.int64], weights: Float[Tensor, " context"]
    ) -> ContextBlock:
        return ContextBlock(torch.from_numpy(contexts), self.counts.block(contexts), weights)

    def row_pairs(self, weights: Float[Tensor, " context"]) -> Float[Tensor, " row"]:
        """N_c of each row: how sure it is of what it learned."""
        return self.counts.totals

    def penalty_weights(self, weights: Float[Tensor, " context"]) -> Float[Tensor, " row"]:
        """What multiplies the shrinkage of each row: the weight of its context."""
        return weights

    def row_counts(self) -> csr_array:
        """What was counted with each row."""
        return self.counts.matrix

    def margins(self) -> Margins | None:
        """The totals of rows and columns where they are more than those of `row_counts`."""
        if self.counts.background is None:
            return None
        return self.counts.totals.numpy(), self.counts.column_totals.numpy()


@dataclass(frozen=True)
class ComposedRows:
    """x_c = Σ_i C_ci v_i, with C the `composition` (contexts × rows).

    `excluded` (contexts × words, values of 1) are words that cannot follow: they are left out of
    the context's log-sum-exp, as the items of a basket that are known already.

    Raises UsageError where the shapes do not fit, InputError where a counted word is left out.
    """

    counts: WeightedCounts
    composition: csr_array
    excluded: csr_array | None = None

    def __post_init__(self) -> None:
        contexts, words = self.counts.shape
        if self.composition.shape[0] != contexts:
            raise UsageError(
                f"composition: {self.composition.shape[0]:,} rows, but {contexts:,} contexts are "
                "counted; give one row a context"
            )
        if self.excluded is None:
            return
        if self.excluded.shape != (contexts, words):
            raise UsageError(
                f"excluded: wanted {contexts:,} × {words:,}, as the counts; "
                f"got {self.excluded.shape[0]:,} × {self.excluded.shape[1]:,}"
            )
        object.__setattr__(self, "excluded", _sorted(self.excluded))
        _refuse_impossible(self.counts.matrix, _sorted(self.excluded))

    @property
    def rows(self) -> int:
        """How many input rows there are."""
        return int(self.composition.shape[1])

    def block(
        self, contexts: NDArray[np.int64], weights: Float[Tensor, " context"]
    ) -> ContextBlock:
        composition = self.composition[contexts]
        rows, columns = np.unique(composition.indices, return_inverse=True)
        over_rows = csr_array(
            (composition.data, columns.astype(np.int32), composition.indptr),
            shape=(len(contexts), len(rows)),
        )
        excluded = None if self.excluded is None else _cells(self.excluded[contexts])
        numbers = torch.from_numpy(rows.astype(np.int64))
        return ContextBlock(numbers, self.counts.block(contexts), weights, excluded, over_rows)

    def row_pairs(self, weights: Float[Tensor, " context"]) -> Float[Tensor, " row"]:
        """The weighted pairs behind each row, as `ContextBlock.row_slopes` counts them."""
        pairs = (weights * self.counts.totals).numpy()
        return torch.from_numpy(pairs_behind(self.composition, pairs))

    def penalty_weights(self, weights: Float[Tensor, " context"]) -> Float[Tensor, " row"]:
        """What multiplies the shrinkage of each row: 1."""
        return torch.ones(self.rows, dtype=torch.float64)

    def row_counts(self) -> csr_array:
        """What was counted with each row: n(i, w) = Σ_c |C_ci| n(c, w)."""
        return csr_array(abs(self.composition).T @ self.counts.matrix)

    def margins(self) -> Margins | None:
        """None: the totals are those of `row_counts`."""
        return None


InputModel = OwnRows | ComposedRows


@dataclass(frozen=True)
class Score:
    """z = b_w + x·u / T, with T the `temperature`; `by_direction`: b_w + x·u / (T |x| |u|)."""

    by_direction: bool = False
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise UsageError(f"temperature must be a number above 0; got {self.temperature!r}")

    @property
    def plain(self) -> bool:
        """Whether scores are b + x·u."""
        return not self.by_direction and self.temperature == 1

    def scaled(self, vectors: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
        """x as the engine multiplies it: x / T, or x / (T |x|)."""
        if self.plain:
            return vectors
        return vectors / self._divisor(vectors)

    def unscaled_gradient(
        self, vectors: Float[Tensor, "row dim"], gradient: Float[Tensor, "row dim"]
    ) -> Float[Tensor, "row dim"]:
        """∂/∂x from ∂/∂ of what `scaled` returns."""
        if self.plain:
            return gradient
        if self.by_direction:
            gradient = across(vectors, gradient)
        return gradient / self._divisor(vectors)

    def curvature(self, vectors: Float[Tensor, "row dim"]) -> Float[Tensor, " row"] | float:
        """The square of how much faster the scaled vector moves than x; at most, by direction."""
        if self.plain:
            return 1.0
        return self._divisor(vectors)[:, 0].double() ** -2 + torch.zeros(len(vectors)).double()

    def outputs(self, outputs: Outputs, workers: Workers) -> Outputs:
        """Outputs as the engine multiplies them: by direction a copy, else themselves."""
        if not self.by_direction:
            return outputs
        rows = outputs.rows.clone()

        def divide(words: slice) -> None:
            vectors = outputs.vectors[words]
            rows[words, : outputs.dim] = vectors / lengths(vectors)

        workers.map(divide, slices(len(rows)))
        return Outputs(rows, outputs.dim)

    def output_gradient(
        self, vectors: Float[Tensor, "word dim"], gradient: Float[Tensor, "word width"]
    ) -> Float[Tensor, "word width"]:
        """∂/∂u from ∂/∂ of its direction; the numbers behind the vector stay as they are."""
        if self.by_direction:
            dim = vectors.shape[1]
            gradient[:, :dim] = across(vectors, gradient[:, :dim]) / lengths(vectors)
        return gradient

    def _divisor(self, vectors: Tensor) -> Tensor:
        if self.by_direction:
            return lengths(vectors) * self.temperature
        return vectors.new_full((1, 1), self.temperature)


PLAIN = Score()


def lengths(vectors: Float[Tensor, "row dim"]) -> Float[Tensor, "row 1"]:
    """|v| of each row; infinite where it is too short to have a direction."""
    length: Tensor = vectors.norm(dim=1, keepdim=True)
    return length.masked_fill(length < SHORTEST, torch.inf)


def across(
    vectors: Float[Tensor, "row dim"], gradient: Float[Tensor, "row dim"]
) -> Float[Tensor, "row dim"]:
    """The gradient without its part along each vector, which moves no direction."""
    direction = vectors / lengths(vectors)
    return gradient - direction * (gradient * direction).sum(dim=1, keepdim=True)


def pairs_behind(composition: csr_array, pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ_c |C_ci| Σ_j |C_cj| · `pairs` of c, for each row i."""
    size = abs(composition).astype(np.float64)
    behind: NDArray[np.float64] = size.T @ (pairs * np.asarray(size.sum(axis=1)).ravel())
    return behind


def _sorted(matrix: csr_array) -> csr_array:
    """The matrix with its cells in order, none twice; a copy where they are not."""
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix


def _cells(matrix: csr_array) -> Cells:
    """The cells of a matrix, as the engine takes them."""
    totals = torch.from_numpy(np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel())
    words = matrix.indices.astype(np.int32, copy=False)
    return Cells(matrix.indptr.astype(np.int64), words, matrix.data, totals)


def _refuse_impossible(counted: csr_array, excluded: csr_array) -> None:
    both = excluded.astype(bool).multiply(counted.astype(bool)).tocoo()
    if both.nnz:
        raise InputError(
            f"excluded: word {both.col[0]} is left out of context {both.row[0]}, but was counted "
            f"there (so are {both.nnz - 1:,} more); take counted words out of `excluded`"
        )
    if len(full := np.flatnonzero(np.diff(excluded.indptr) == excluded.shape[1])):
        raise InputError(f"excluded: every word is left out of context {full[0]}; leave one in")
