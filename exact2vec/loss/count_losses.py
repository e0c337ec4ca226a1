"""The exact losses of counted pairs from one sweep over all rows; an estimate from some rows."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from exact2vec.jit import vectorized
from exact2vec.loss.background import Background
from exact2vec.loss.engine import engine_of
from exact2vec.loss.engine.background import entropies
from exact2vec.loss.engine.cells import Cells, Outputs, RankOne, RowLosses, Workspace

BLOCK_ROWS = 256


class WeightedCounts:
    """Weighted counts n(c, w): stored cells, and a background where all others are not 0.

    `totals` are the N_c, `column_totals` the N_w, `total` is N, `floor` their entropy in nats.
    """

    def __init__(self, counts: csr_array, background: Background | None = None) -> None:
        if not counts.has_canonical_format:
            counts = counts.copy()
            counts.sum_duplicates()
        self.shape: tuple[int, int] = (int(counts.shape[0]), int(counts.shape[1]))
        self.matrix, self.background = counts, background
        totals, column_totals = (
            np.asarray(counts.sum(axis=axis, dtype=np.float64)).ravel() for axis in (1, 0)
        )
        if background is not None:
            totals += background.row_totals(counts)
            column_totals += background.column_totals(counts)
        self.totals = torch.from_numpy(totals)
        self.column_totals = torch.from_numpy(column_totals)
        self.total = float(totals.sum())
        self.floor = self._entropy() / self.total if self.total > 0 else 0.0

    def _entropy(self) -> float:
        """N times the floor, nats."""
        if self.background is None:
            return float(_entropy(self.matrix.indptr, self.matrix.data, self.totals.numpy()))
        return float(self.row_entropies().sum())

    def row_entropies(self) -> NDArray[np.float64]:
        """N_c times the floor of each row of counts with a background, nats."""
        rows = np.arange(self.shape[0])
        starts = range(0, len(rows), BLOCK_ROWS)
        blocks = [entropies(self.block(rows[start : start + BLOCK_ROWS])) for start in starts]
        return np.concatenate(blocks)

    def unigram_nll(self, log_unigram: Float[Tensor, " word"]) -> float:
        """−Σ_w N_w log p(w) / N, nats: what one distribution for every context loses."""
        return -float((self.column_totals * log_unigram).numpy().sum()) / self.total

    def block(self, rows: NDArray[np.int64]) -> Cells:
        """The cells of some rows, less the background where there is one, and that."""
        found = self.matrix[rows]
        words = found.indices.astype(np.int32, copy=False)
        totals = self.totals[torch.from_numpy(rows)]
        starts, background = found.indptr.astype(np.int64), self.background
        if background is None:
            return Cells(starts, words, found.data, totals)
        amounts = background.amounts[rows]
        beyond = found.data - np.repeat(amounts, np.diff(starts)) * background.shares[words]
        beyond = np.maximum(beyond, np.finfo(np.float32).tiny).astype(found.data.dtype)
        rank_one = RankOne(torch.from_numpy(amounts), torch.from_numpy(background.shares))
        return Cells(starts, words, beyond, totals, rank_one)


@dataclass(frozen=True)
class Losses:
    """Nats per weighted pair: the mean NLL, its excess over the floor, the unigram's NLL.

    `pairs` is N, the floor the entropy of the counts.

    `standard_error` is None where `nll` is exact, the sum over all rows. `objective`, nats a pair,
    is what training minimises, where that was asked for.
    """

    nll: float
    excess: float
    floor: float
    unigram: float
    pairs: float
    standard_error: float | None = None
    objective: float | None = None


def exact_losses(
    inputs: Float[Tensor, "context dim"],
    outputs: Outputs,
    counted: list[WeightedCounts],
    log_unigram: Float[Tensor, " word"],
    workspace: Workspace,
    *,
    row_weights: Float[Tensor, " context"] | None = None,
) -> list[Losses]:
    """The exact Losses under each of `counted`, all from the same scores.

    With `row_weights` ω, also the objective Σ_c ω_c N_c NLL_c / N of the first.
    """
    rows = np.flatnonzero(sum(counts.totals.numpy() for counts in counted))
    found = row_losses(inputs, outputs, rows, counted, workspace)
    losses = [
        Losses(
            float(of.nll.numpy().sum()) / counts.total,
            float(of.excess.numpy().sum()) / counts.total,
            counts.floor,
            counts.unigram_nll(log_unigram),
            counts.total,
        )
        for of, counts in zip(found, counted, strict=True)
    ]
    if row_weights is not None:
        objective = (
            float((found[0].nll * row_weights[torch.from_numpy(rows)]).numpy().sum())
            / counted[0].total
        )
        losses[0] = replace(losses[0], objective=objective)
    return losses


def estimated_losses(
    inputs: Float[Tensor, "context dim"],
    outputs: Outputs,
    counted: list[WeightedCounts],
    log_unigram: Float[Tensor, " word"],
    workspace: Workspace,
    *,
    share: float,
    seed: int,
) -> list[Losses]:
    """Unbiased Losses from `share` · rows draws, and their standard error.

    A row is drawn with probability N_c / N, with replacement.

    Source: Hansen and Hurwitz 1943: the mean of NLL_c over the draws estimates Σ N_c NLL_c / N.
    """
    found = []
    for counts in counted:
        probability = (counts.totals / counts.total).numpy()
        draws = np.random.default_rng([seed, len(probability)]).choice(
            len(probability), max(2, round(share * len(probability))), p=probability
        )
        rows, times = np.unique(draws, return_counts=True)
        (losses,) = row_losses(inputs, outputs, rows, [counts], workspace)
        totals = counts.totals[torch.from_numpy(rows)]
        nll, excess = (
            (values / totals).numpy().repeat(times) for values in (losses.nll, losses.excess)
        )
        error = float(nll.std(ddof=1) / np.sqrt(len(draws)))
        found.append(
            Losses(
                float(nll.mean()),
                float(excess.mean()),
                counts.floor,
                counts.unigram_nll(log_unigram),
                counts.total,
                error,
            )
        )
    return found


def row_losses(
    inputs: Float[Tensor, "context dim"],
    outputs: Outputs,
    rows: NDArray[np.int64],
    counted: list[WeightedCounts],
    workspace: Workspace,
) -> list[RowLosses]:
    """The losses of `rows` under each of `counted`, in their order, block by block."""
    engine = engine_of(inputs, outputs.rows)
    blocks = []
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        cells = [counts.block(block) for counts in counted]
        x = inputs[torch.from_numpy(block)]
        blocks.append(engine.losses(x, outputs, cells, workspace=workspace))
    return [_joined([block[which] for block in blocks]) for which in range(len(counted))]


def _joined(parts: list[RowLosses]) -> RowLosses:
    nll, excess = ([getattr(part, name) for part in parts] for name in ("nll", "excess"))
    return RowLosses(torch.cat(nll), torch.cat(excess))


@vectorized
def _entropy(starts, counts, totals):
    """N times formulas.entropy_floor of stored cells, nats: Σ n log(N_c / n), each term ≥ 0."""
    nats = 0.0
    for row in range(len(totals)):
        of_row = 0.0
        for cell in range(starts[row], starts[row + 1]):
            count = np.float64(counts[cell])
            of_row += count * np.log(totals[row] / count)
        nats += of_row
    return nats
