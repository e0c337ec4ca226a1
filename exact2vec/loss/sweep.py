"""The exact losses of counted pairs from one sweep over all rows, and an estimate from some of them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from exact2vec.loss.tiles import RowLosses, TiledNLL, WeightedCounts


@dataclass(frozen=True)
class Losses:
    """Nats per weighted pair: the mean NLL, its excess over the entropy floor of the counts, the unigram's NLL; `pairs` is N.

    `standard_error` is None where `nll` is exact, the sum over all rows; `objective`, nats a pair, is what training minimises, where that was asked for.
    """

    nll: float
    excess: float
    floor: float
    unigram: float
    pairs: float
    standard_error: float | None = None
    objective: float | None = None


def sweep(
    tiled: TiledNLL,
    inputs: Float[Tensor, "context width"],
    outputs: Float[Tensor, "word width"],
    counted: list[WeightedCounts],
    log_unigram: Float[Tensor, " word"],
    *,
    row_weights: Float[Tensor, " context"] | None = None,
) -> list[Losses]:
    """The exact Losses under each of `counted`, all from the same scores; with `row_weights` ω, the objective Σ_c ω_c N_c NLL_c / N of the first."""
    rows = np.flatnonzero(sum(counts.totals.numpy() for counts in counted))
    found = row_losses(tiled, inputs, outputs, rows, counted)
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


def estimate(
    tiled: TiledNLL,
    inputs: Float[Tensor, "context width"],
    outputs: Float[Tensor, "word width"],
    counted: list[WeightedCounts],
    log_unigram: Float[Tensor, " word"],
    *,
    share: float,
    seed: int,
) -> list[Losses]:
    """Unbiased Losses from `share` · rows draws with probability N_c / N, with replacement, and their standard error.

    Source: Hansen and Hurwitz 1943: the mean of NLL_c over the draws estimates Σ N_c NLL_c / N.
    """
    found = []
    for counts in counted:
        probability = (counts.totals / counts.total).numpy()
        draws = np.random.default_rng([seed, len(probability)]).choice(
            len(probability), max(2, round(share * len(probability))), p=probability
        )
        rows, times = np.unique(draws, return_counts=True)
        (losses,) = row_losses(tiled, inputs, outputs, rows, [counts])
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
    tiled: TiledNLL,
    inputs: Float[Tensor, "context width"],
    outputs: Float[Tensor, "word width"],
    rows: np.ndarray,
    counted: list[WeightedCounts],
) -> list[RowLosses]:
    """The losses of `rows`, in their order, block by block."""
    blocks = []
    for start in range(0, len(rows), tiled.block_rows):
        block = rows[start : start + tiled.block_rows]
        blocks.append(tiled.losses(inputs[torch.from_numpy(block)], outputs, block, counted))
    return [
        RowLosses(
            torch.cat([block[which].nll for block in blocks]),
            torch.cat([block[which].excess for block in blocks]),
        )
        for which in range(len(counted))
    ]
