"""HOW: the count NLL and its gradients over tiles of scores, in torch operations; never rows × words beyond one block of rows.

Two terms a row: the log-sum-exp of its scores, and the scores of what was counted. Each tile (rows of a block × TILE_WORDS) keeps its own
maximum m_t and sum S_t = Σ exp(z − m_t), so that log-sum-exp = m + log Σ_t S_t exp(m_t − m), m = max m_t, needs one exp a score.
Vectors come as `rows`: a context's with a 1 behind it, a word's with its bias, so that a score b_w + u_w·x_c is one product.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from exact2vec.compiled import vectorized
from exact2vec.loss.formulas import excess_terms
from exact2vec.loss.workers import Workers

TILE_WORDS = 1024
PART_ROWS = 128  # rows whose cells one thread sums up
LEAST_LOG_SHARE = (
    -60.0
)  # of a tile's largest probability: below, s_c would leave float32, and p < 1e-26 counts as 1e-26
LANES = 8  # a row is padded with zeros to a multiple of this many numbers


def slices(words: int) -> list[slice]:
    """What a tile holds of so many words, tile by tile."""
    return [slice(start, min(start + TILE_WORDS, words)) for start in range(0, words, TILE_WORDS)]


def rows_of(
    vectors: Float[Tensor, "row dim"], last: Float[Tensor, " row"] | float
) -> Float[Tensor, "row width"]:
    """Each vector with `last` behind it, and zeros up to a multiple of 8: x_c with 1, u_w with b_w."""
    size, dim = vectors.shape
    rows = vectors.new_zeros(size, -(-(dim + 1) // LANES) * LANES)
    rows[:, :dim] = vectors
    rows[:, dim] = last
    return rows


class WeightedCounts:
    """Weighted counts n(c, w), sparse; `totals` are the N_c, `column_totals` the N_w, `total` is N, `floor` their entropy, nats."""

    def __init__(self, counts: csr_array) -> None:
        if not counts.has_canonical_format:
            counts = counts.copy()
            counts.sum_duplicates()
        self.shape: tuple[int, int] = (int(counts.shape[0]), int(counts.shape[1]))
        self.matrix = counts
        self.totals = torch.from_numpy(np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel())
        self.column_totals = torch.from_numpy(
            np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel()
        )
        self.total = float(
            self.totals.numpy().sum()
        )  # by numpy: torch's order of summing depends on the threads of the caller
        self.floor = (
            _entropy(counts.indptr, counts.data, self.totals.numpy()) / self.total
            if self.total > 0
            else 0.0
        )

    def unigram_nll(self, log_unigram: Float[Tensor, " word"]) -> float:
        """−Σ_w N_w log p(w) / N, nats: what one distribution for every context loses."""
        return -float((self.column_totals * log_unigram).numpy().sum()) / self.total

    def block(self, rows: NDArray[np.int64]) -> "BlockCounts":
        found = self.matrix[rows]
        return BlockCounts(
            found.indptr.astype(np.int64),
            found.indices.astype(np.int32, copy=False),
            found.data,
            self.totals[torch.from_numpy(rows)],
        )


@dataclass(frozen=True)
class BlockCounts:
    """The counted cells of some rows, compressed, their words sorted; `totals` are the N_c of the rows, float64."""

    starts: NDArray[np.int64]
    words: NDArray[np.int32]
    counts: NDArray[Any]
    totals: Float[Tensor, " row"]

    def part(self, rows: slice) -> tuple["BlockCounts", slice]:
        """Some of the rows, and where their cells lie."""
        cells = slice(int(self.starts[rows.start]), int(self.starts[rows.stop]))
        starts = self.starts[rows.start : rows.stop + 1] - cells.start
        return BlockCounts(starts, self.words[cells], self.counts[cells], self.totals[rows]), cells

    def tile(self, columns: slice) -> "Cells":
        """The cells within some columns: where they lie in the block, and in the tile."""
        here = np.flatnonzero((self.words >= columns.start) & (self.words < columns.stop))
        row = np.searchsorted(self.starts, here, side="right") - 1
        return Cells(
            *(
                torch.from_numpy(places.astype(np.int64))
                for places in (here, row, self.words[here] - columns.start)
            )
        )


@dataclass(frozen=True)
class Cells:
    """Counted cells of a tile: their places among the cells of the block, their rows, and their words within the tile."""

    place: Int64[Tensor, " cell"]
    row: Int64[Tensor, " cell"]
    word: Int64[Tensor, " cell"]


@dataclass(frozen=True)
class RowLosses:
    """For each row of a block, in nats and float64: N_c · NLL_c, and N_c · KL(counts ‖ model), the excess."""

    nll: Float[Tensor, " row"]
    excess: Float[Tensor, " row"]


class TiledNLL:
    """The exact NLL of counted pairs, block of rows by block of rows. Holds one buffer of `block_rows` × words scores.

    The kernels of a tile, in torch operations here, are what `tiles_cpu.CompiledNLL` replaces by compiled loops.
    """

    def __init__(
        self, workers: Workers, words: int, block_rows: int, dtype: torch.dtype = torch.float32
    ) -> None:
        self.workers = workers
        self.block_rows = block_rows
        self.slices = slices(words)
        self.tiles = range(len(self.slices))
        self.scores = torch.empty(block_rows * words, dtype=dtype)

    def losses(
        self,
        inputs: Float[Tensor, "row width"],
        outputs: Float[Tensor, "word width"],
        rows: NDArray[np.int64],
        counted: list[WeightedCounts],
    ) -> list[RowLosses]:
        """The losses of `rows`, whose vectors are `inputs`, under each of `counted`, from one sweep over the scores."""
        blocks = [counts.block(rows) for counts in counted]
        found = [torch.empty(len(block.words), dtype=self.scores.dtype) for block in blocks]

        def tile_terms(tile: int) -> tuple[Tensor, Tensor, list[Tensor]]:
            scores = self._tile_scores(tile, inputs, outputs)
            return self._terms(scores, self.slices[tile], blocks, found)

        terms = self.workers.map(tile_terms, self.tiles)
        largest, lse = _log_sum_exp([term[0] for term in terms], [term[1] for term in terms])
        shares = [
            (torch.stack([term[2][which] for term in terms]) * (largest - lse).exp()).sum(dim=0)
            for which in range(len(counted))
        ]

        def part(rows_of_block: tuple[int, slice]) -> RowLosses:
            which, some = rows_of_block
            here, cells = blocks[which].part(some)
            return self._row_losses(here, found[which][cells], lse[some], shares[which][some])

        some_rows = [
            slice(start, min(start + PART_ROWS, len(rows)))
            for start in range(0, len(rows), PART_ROWS)
        ]
        parts = iter(
            self.workers.map(
                part, [(which, some) for which in range(len(counted)) for some in some_rows]
            )
        )
        return [_joined([next(parts) for _ in some_rows]) for _ in counted]

    def cell_nll(
        self,
        inputs: Float[Tensor, "row width"],
        outputs: Float[Tensor, "word width"],
        counts: csr_array,
    ) -> NDArray[np.float64]:
        """−log p(w | c), float64, of each stored cell of `counts`, whose rows have the vectors `inputs`."""
        block = BlockCounts(
            counts.indptr.astype(np.int64),
            counts.indices.astype(np.int32, copy=False),
            counts.data,
            torch.ones(counts.shape[0]).double(),
        )
        found = torch.empty(counts.nnz, dtype=self.scores.dtype)
        terms = self.workers.map(
            lambda tile: self._terms(
                self._tile_scores(tile, inputs, outputs), self.slices[tile], [block], [found]
            ),
            self.tiles,
        )
        _, lse = _log_sum_exp([term[0] for term in terms], [term[1] for term in terms])
        return np.asarray(np.repeat(lse.numpy(), np.diff(counts.indptr)) - found.double().numpy())

    def gradients(
        self,
        inputs: Float[Tensor, "row width"],
        outputs: Float[Tensor, "word width"],
        rows: NDArray[np.int64],
        counts: WeightedCounts,
        weights: Float[Tensor, " row"],
        update: Callable[[slice, Tensor], None] | None,
    ) -> Float[Tensor, "row width"]:
        """∂/∂x, x the `inputs` of `rows`, of Σ_c ω_c N_c NLL_c = Σ_c ω_c [N_c lse_c − Σ_w n_cw z_cw]: with G = ω_c (N_c p(w | c) − n_cw), it is G·u.

        A tile holds exp(z − m), and G = ω_c s_c (exp(z − m) − n_cw / s_c) with s_c = N_c exp(m − lse_c): the ω_c s_c multiply rows of vectors, not of scores.
        `update(words, gradient)` gets ∂/∂u = Gᵀ·x of each tile of words, on a worker thread, when nothing else needs their `outputs` any more.
        """

        def forward(tile: int) -> tuple[Tensor, Tensor]:
            return self._exponentials(self._tile_scores(tile, inputs, outputs))

        cells = self.workers.start(lambda: counts.block(rows))
        terms = self.workers.map(forward, self.tiles)
        block = cells.result()
        largest, lse = _log_sum_exp([term[0] for term in terms], [term[1] for term in terms])
        shares = block.totals * (largest - lse).clamp_min(LEAST_LOG_SHARE).exp()
        scale, factor = (
            (weights * shares).to(self.scores.dtype)[..., None],
            (1 / shares).to(self.scores.dtype),
        )
        parts = torch.empty(len(self.slices), *inputs.shape, dtype=self.scores.dtype)

        def backward(tile: int) -> None:
            exponentials, words = self._tile(tile, len(inputs)), self.slices[tile]
            self._subtract(exponentials, words, block, factor[tile])
            torch.mm(exponentials, outputs[words], out=parts[tile]).mul_(scale[tile])
            if update is not None:
                update(words, exponentials.T @ (inputs * scale[tile]))

        self.workers.map(backward, self.tiles)
        return self.workers.run(lambda: parts.sum(dim=0))

    def _tile(self, tile: int, rows: int) -> Float[Tensor, "row word"]:
        """The tile's own stretch of the buffer."""
        words = self.slices[tile]
        return self.scores[words.start * rows : words.stop * rows].view(
            rows, words.stop - words.start
        )

    def _tile_scores(self, tile: int, inputs: Tensor, outputs: Tensor) -> Float[Tensor, "row word"]:
        """z = x·uᵀ, the bias among them."""
        return torch.mm(inputs, outputs[self.slices[tile]].T, out=self._tile(tile, len(inputs)))

    def _exponentials(
        self, scores: Float[Tensor, "row word"]
    ) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"]]:
        """Replace z by exp(z − m) for the row maximum m; m and the row sums in float64."""
        largest = scores.amax(dim=1)
        scores.sub_(largest[:, None]).exp_()
        return largest, scores.sum(dim=1, dtype=torch.float64)

    def _terms(
        self,
        scores: Float[Tensor, "row word"],
        columns: slice,
        blocks: list[BlockCounts],
        found: list[Tensor],
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The row maxima and sums, and for each block the sums of what it did not count; the counted scores go to their places in `found`."""
        cells = [block.tile(columns) for block in blocks]
        for cell, scores_found in zip(cells, found, strict=True):
            scores_found[cell.place] = scores[cell.row, cell.word]
        largest, sums = self._exponentials(scores)
        return largest, sums, [_sum_without(scores, cell) for cell in cells]

    def _subtract(
        self,
        exponentials: Float[Tensor, "row word"],
        columns: slice,
        block: BlockCounts,
        factor: Float[Tensor, " row"],
    ) -> None:
        """exp(z − m) less factor_c n_cw."""
        cells = block.tile(columns)
        exponentials[cells.row, cells.word] -= (
            factor[cells.row] * torch.from_numpy(block.counts)[cells.place]
        )

    def _row_losses(
        self,
        block: BlockCounts,
        scores: Tensor,
        lse: Float[Tensor, " row"],
        uncounted: Float[Tensor, " row"],
    ) -> RowLosses:
        """Σ_w n (lse − z), and Σ_w N_c (q log(q/p) − q + p) over the cells and, in `uncounted`, the p of the other words."""
        row = torch.from_numpy(np.repeat(np.arange(len(lse)), np.diff(block.starts)))
        count, totals = torch.from_numpy(block.counts).double(), block.totals[row]
        cell_nll = lse[row] - scores.double()
        nll = torch.zeros_like(lse).index_add_(0, row, count * cell_nll)
        share = count / totals
        excess = torch.zeros_like(lse).index_add_(
            0, row, totals * excess_terms(share.log() + cell_nll, share)
        )
        return RowLosses(nll, excess + block.totals * uncounted)


@vectorized
def _entropy(starts, counts, totals):  # type: ignore[no-untyped-def]
    """N times formulas.entropy_floor of stored cells, nats: Σ n log(N_c / n), each term ≥ 0."""
    nats = 0.0
    for row in range(len(totals)):
        of_row = 0.0
        for cell in range(starts[row], starts[row + 1]):
            count = np.float64(counts[cell])
            of_row += count * np.log(totals[row] / count)
        nats += of_row
    return nats


def _joined(parts: list[RowLosses]) -> RowLosses:
    return RowLosses(
        torch.cat([part.nll for part in parts]), torch.cat([part.excess for part in parts])
    )


def _sum_without(exponentials: Tensor, cells: Cells) -> Tensor:
    """The row sums of what was not counted; the counted cells are put back."""
    kept = exponentials[cells.row, cells.word]
    exponentials[cells.row, cells.word] = 0.0
    sums = exponentials.sum(dim=1, dtype=torch.float64)
    exponentials[cells.row, cells.word] = kept
    return sums


def _log_sum_exp(
    largest: list[Tensor], sums: list[Tensor]
) -> tuple[Float[Tensor, "tile row"], Float[Tensor, " row"]]:
    """The maxima of each tile, and the log-sum-exp of each row from the tiles' maxima and sums, float64."""
    maxima = torch.stack(largest).double()
    return maxima, (maxima + torch.stack(sums).log()).logsumexp(dim=0)
