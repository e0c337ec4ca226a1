"""HOW: the count NLL and its gradients over tiles of scores, in torch operations; never rows × words beyond one block of rows.

Two terms a row: the log-sum-exp of its scores, and the scores of what was counted. Each tile (rows of a block × TILE_WORDS) keeps its own
maximum m_t and sum S_t = Σ exp(z − m_t), so that log-sum-exp = m + log Σ_t S_t exp(m_t − m), m = max m_t, needs one exp a score.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.sparse import csr_array
from torch import Tensor

from exact2vec.loss.formulas import excess_terms
from exact2vec.loss.workers import Workers

TILE_WORDS = 2048


@dataclass(frozen=True)
class Cells:
    """The counted cells of some rows within one tile: where they lie in the tile, and their counts."""

    row: Int64[Tensor, " cell"]
    word: Int64[Tensor, " cell"]
    count: Float[Tensor, " cell"]


class TiledCounts:
    """Weighted counts n(c, w), cut into tiles of columns; `totals` are the N_c."""

    def __init__(self, counts: csr_array, dtype: torch.dtype = torch.float32) -> None:
        self.shape: tuple[int, int] = (int(counts.shape[0]), int(counts.shape[1]))
        self.slices = [slice(start, min(start + TILE_WORDS, self.shape[1])) for start in range(0, self.shape[1], TILE_WORDS)]
        self.tiles = [counts[:, columns] for columns in self.slices]
        self.totals = torch.from_numpy(np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel())
        self.column_totals = torch.from_numpy(np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel())
        self.total = float(self.totals.numpy().sum())  # by numpy: torch's order of summing depends on the threads of the caller
        self.floor = _entropy_floor(counts, self.totals.numpy())
        self.dtype = dtype

    def unigram_nll(self, log_unigram: Float[Tensor, " word"]) -> float:
        """−Σ_w N_w log p(w) / N, nats: what one distribution for every context loses."""
        return -float((self.column_totals * log_unigram).numpy().sum()) / self.total

    def cells(self, tile: int, rows: np.ndarray) -> Cells:
        found = self.tiles[tile][rows]
        row = np.repeat(np.arange(len(rows)), np.diff(found.indptr))
        return Cells(torch.from_numpy(row), torch.from_numpy(found.indices.astype(np.int64)), torch.from_numpy(found.data).to(self.dtype))


@dataclass(frozen=True)
class RowLosses:
    """For each row of a block, in nats and float64: N_c · NLL_c, and N_c · KL(counts ‖ model), the excess."""

    nll: Float[Tensor, " row"]
    excess: Float[Tensor, " row"]


@dataclass(frozen=True)
class BlockGradients:
    """The gradient of Σ_c N_c · NLL_c over the rows of a block, and that sum (`nll`, nats)."""

    nll: float
    inputs: Float[Tensor, "row dim"]
    outputs: Float[Tensor, "word dim"]
    bias: Float[Tensor, " word"]


class TiledNLL:
    """The exact NLL of counted pairs, block of rows by block of rows. Holds one buffer of `block_rows` × words scores."""

    def __init__(self, workers: Workers, words: int, block_rows: int, dim: int, dtype: torch.dtype = torch.float32) -> None:
        self.workers = workers
        self.block_rows = block_rows
        self.tiles = range((words + TILE_WORDS - 1) // TILE_WORDS)
        self.scores = torch.empty(block_rows * words, dtype=dtype)
        self.d_outputs = torch.empty(words, dim, dtype=dtype)
        self.d_bias = torch.empty(words, dtype=dtype)

    def losses(
        self, inputs: Float[Tensor, "row dim"], outputs: Float[Tensor, "word dim"], bias: Float[Tensor, " word"],
        rows: np.ndarray, counted: list[TiledCounts],
    ) -> list[RowLosses]:  # fmt: skip
        """The losses of `rows`, whose vectors are `inputs`, under each of `counted`, from one sweep over the scores."""

        def tile_terms(tile: int) -> tuple[Tensor, Tensor, list[tuple[Cells, Tensor, Tensor]]]:
            scores = self._tile_scores(tile, inputs, outputs, bias, counted[0].slices[tile])
            cells = [counts.cells(tile, rows) for counts in counted]
            counted_scores = [scores[cell.row, cell.word].double() for cell in cells]
            largest, sums = _exponentials(scores)
            uncounted = [_sum_without(scores, cell) for cell in cells]
            return largest, sums, list(zip(cells, counted_scores, uncounted, strict=True))

        terms = self.workers.map(tile_terms, self.tiles)
        largest, lse = _log_sum_exp([term[0] for term in terms], [term[1] for term in terms])
        return [_row_losses(counts.totals[rows], lse, largest, [term[2][which] for term in terms]) for which, counts in enumerate(counted)]

    def cell_nll(self, inputs: Float[Tensor, "row dim"], outputs: Float[Tensor, "word dim"], bias: Float[Tensor, " word"], counts: csr_array) -> np.ndarray:
        """−log p(w | c), float64, of each stored cell of `counts`, whose rows have the vectors `inputs`."""
        found = np.empty(counts.nnz)
        row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))

        def tile_terms(tile: int) -> tuple[Tensor, Tensor]:
            columns = slice(tile * TILE_WORDS, min((tile + 1) * TILE_WORDS, len(outputs)))
            scores = self._tile_scores(tile, inputs, outputs, bias, columns)
            here = (counts.indices >= columns.start) & (counts.indices < columns.stop)
            found[here] = scores[torch.from_numpy(row[here]), torch.from_numpy(counts.indices[here].astype(np.int64) - columns.start)]
            return _exponentials(scores)

        terms = self.workers.map(tile_terms, self.tiles)
        _, lse = _log_sum_exp([term[0] for term in terms], [term[1] for term in terms])
        return np.asarray(lse.numpy()[row] - found)

    def gradients(
        self, inputs: Float[Tensor, "row dim"], outputs: Float[Tensor, "word dim"], bias: Float[Tensor, " word"],
        rows: np.ndarray, counts: TiledCounts,
    ) -> BlockGradients:  # fmt: skip
        """∂/∂(x, u, b) of Σ_c N_c NLL_c = Σ_c [N_c lse_c − Σ_w n_cw z_cw]: with G = N_c p(w | c) − n_cw, they are G·u, Gᵀ·x and Σ_c G.

        The gradients of outputs and bias lie in buffers that the next call overwrites.
        """

        def forward(tile: int) -> tuple[Tensor, Tensor, Tensor, Cells, Tensor]:
            scores = self._tile_scores(tile, inputs, outputs, bias, counts.slices[tile])
            cells = counts.cells(tile, rows)
            counted_scores = (cells.count.double() * scores[cells.row, cells.word].double()).sum()
            largest, sums = _exponentials(scores)
            return largest, sums, counted_scores, cells, scores

        tiles = self.workers.map(forward, self.tiles)
        _largest, lse = _log_sum_exp([tile[0] for tile in tiles], [tile[1] for tile in tiles])
        totals = counts.totals[rows]

        def backward(tile: int) -> Tensor:
            tile_largest, _, _, cells, scores = tiles[tile]
            columns = counts.slices[tile]
            scores *= (totals * (tile_largest.double() - lse).exp()).to(scores.dtype)[:, None]
            scores[cells.row, cells.word] -= cells.count
            torch.mm(scores.T, inputs, out=self.d_outputs[columns])
            torch.sum(scores, dim=0, out=self.d_bias[columns])
            return scores @ outputs[columns]

        parts = self.workers.map(backward, self.tiles)
        d_inputs = self.workers.run(lambda: torch.stack(parts).sum(dim=0))
        nll = float((totals * lse).sum() - torch.stack([tile[2] for tile in tiles]).sum())
        return BlockGradients(nll, d_inputs, self.d_outputs, self.d_bias)

    def _tile_scores(self, tile: int, inputs: Tensor, outputs: Tensor, bias: Tensor, columns: slice) -> Tensor:
        """z = x·uᵀ + b in the tile's own stretch of the buffer."""
        size = columns.stop - columns.start
        start = columns.start * len(inputs)
        scores = self.scores[start : start + size * len(inputs)].view(len(inputs), size)
        return torch.addmm(bias[columns], inputs, outputs[columns].T, out=scores)


def _entropy_floor(counts: csr_array, totals: np.ndarray) -> float:
    """formulas.entropy_floor of stored cells, nats: Σ n log(N_c / n) / N, each term ≥ 0."""
    nats = 0.0
    for start in range(0, counts.shape[0], 1024):
        part = counts[start : start + 1024]
        row_totals = np.repeat(totals[start : start + 1024], np.diff(part.indptr))
        cells = part.data.astype(np.float64)
        nats += float((cells * np.log(row_totals / cells)).sum())
    return nats / float(totals.sum()) if totals.sum() > 0 else 0.0


def _exponentials(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Replace z by exp(z − m) for the row maximum m; m and the row sums in float64."""
    largest = scores.amax(dim=1)
    scores.sub_(largest[:, None]).exp_()
    return largest, scores.sum(dim=1, dtype=torch.float64)


def _sum_without(exponentials: Tensor, cells: Cells) -> Tensor:
    """The row sums of what was not counted; the counted cells are put back."""
    kept = exponentials[cells.row, cells.word]
    exponentials[cells.row, cells.word] = 0.0
    sums = exponentials.sum(dim=1, dtype=torch.float64)
    exponentials[cells.row, cells.word] = kept
    return sums


def _log_sum_exp(largest: list[Tensor], sums: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The maxima (tile × row), and the log-sum-exp of each row from the tiles' maxima and sums, float64."""
    maxima = torch.stack(largest).double()
    return maxima, (maxima + torch.stack(sums).log()).logsumexp(dim=0)


def _row_losses(totals: Tensor, lse: Tensor, largest: Tensor, tiles: list[tuple[Cells, Tensor, Tensor]]) -> RowLosses:
    nll = torch.zeros_like(totals)
    excess = torch.zeros_like(totals)
    for (cells, scores, uncounted), tile_largest in zip(tiles, largest, strict=True):
        count = cells.count.double()
        row_nll = lse[cells.row] - scores
        nll.index_add_(0, cells.row, count * row_nll)
        share = count / totals[cells.row]
        excess.index_add_(0, cells.row, totals[cells.row] * excess_terms(share.log() + row_nll, share))
        excess += totals * uncounted * (tile_largest - lse).exp()
    return RowLosses(nll, excess)
