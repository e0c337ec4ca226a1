"""The exact losses of counted pairs from one sweep over all rows, and an estimate from some of them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from exact2vec.loss.tiles import RowLosses, TiledCounts, TiledNLL


@dataclass(frozen=True)
class Losses:
    """Nats per weighted pair: the mean NLL, its excess over the entropy floor of the counts, the unigram's NLL; `pairs` is N.

    `standard_error` is None where `nll` is exact, the sum over all rows.
    """

    nll: float
    excess: float
    floor: float
    unigram: float
    pairs: float
    standard_error: float | None = None


def sweep(
    tiled: TiledNLL, inputs: Float[Tensor, "context dim"], outputs: Float[Tensor, "word dim"], bias: Float[Tensor, " word"],
    counted: list[TiledCounts], log_unigram: Float[Tensor, " word"],
) -> list[Losses]:  # fmt: skip
    """The exact Losses under each of `counted`, all from the same scores."""
    rows = np.flatnonzero(sum(counts.totals.numpy() for counts in counted))
    return [
        Losses(
            float(rows_of.nll.numpy().sum()) / counts.total,
            float(rows_of.excess.numpy().sum()) / counts.total,
            counts.floor,
            counts.unigram_nll(log_unigram),
            counts.total,
        )
        for rows_of, counts in zip(row_losses(tiled, inputs, outputs, bias, rows, counted), counted, strict=True)
    ]


def estimate(
    tiled: TiledNLL, inputs: Float[Tensor, "context dim"], outputs: Float[Tensor, "word dim"], bias: Float[Tensor, " word"],
    counted: list[TiledCounts], log_unigram: Float[Tensor, " word"], *, share: float, seed: int,
) -> list[Losses]:  # fmt: skip
    """Unbiased Losses from `share` · rows draws with probability N_c / N, with replacement, and their standard error.

    Source: Hansen and Hurwitz 1943: the mean of NLL_c over the draws estimates Σ N_c NLL_c / N.
    """
    found = []
    for counts in counted:
        probability = (counts.totals / counts.total).numpy()
        draws = np.random.default_rng([seed, len(probability)]).choice(len(probability), max(2, round(share * len(probability))), p=probability)
        rows, times = np.unique(draws, return_counts=True)
        (losses,) = row_losses(tiled, inputs, outputs, bias, rows, [counts])
        totals = counts.totals[torch.from_numpy(rows)]
        nll, excess = ((values / totals).numpy().repeat(times) for values in (losses.nll, losses.excess))
        error = float(nll.std(ddof=1) / np.sqrt(len(draws)))
        found.append(Losses(float(nll.mean()), float(excess.mean()), counts.floor, counts.unigram_nll(log_unigram), counts.total, error))
    return found


def row_losses(
    tiled: TiledNLL, inputs: Float[Tensor, "context dim"], outputs: Float[Tensor, "word dim"], bias: Float[Tensor, " word"],
    rows: np.ndarray, counted: list[TiledCounts],
) -> list[RowLosses]:  # fmt: skip
    """The losses of `rows`, in their order, block by block."""
    blocks = []
    for start in range(0, len(rows), tiled.block_rows):
        block = rows[start : start + tiled.block_rows]
        blocks.append(tiled.losses(inputs[torch.from_numpy(block)], outputs, bias, block, counted))
    return [RowLosses(torch.cat([block[which].nll for block in blocks]), torch.cat([block[which].excess for block in blocks])) for which in range(len(counted))]
