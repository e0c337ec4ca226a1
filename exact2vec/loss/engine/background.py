"""What a background of counts adds to the losses and gradients of stored cells.

With n(c, w) = s(c, w) + a_c p_w, a row's Σ_w n (lse_c − z_cw) is that of s plus a_c (lse_c − z̄_c):
the scores enter by their mean z̄_c = Σ_w p_w z_cw = x_c·ū + b̄ alone, with ū = Σ_w p_w u_w. So rows
× words cells cost two products with vectors. The log-sum-exp stands in the N_c of the cells.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from exact2vec.jit import compiled, vectorized
from exact2vec.loss.engine.cells import Cells, Outputs, RankOne, RowLosses
from exact2vec.loss.targets import sum_type

OnTile = Callable[[slice, Tensor], None] | None


def with_background(
    found: RowLosses, log_sums: Tensor, inputs: Tensor, outputs: Outputs, cells: Cells
) -> RowLosses:
    """The losses of cells and background, from those of the cells and each row's log Σ exp z.

    The excess is the NLL less the entropy of the counts: where rows have a background, it is far
    above what rounding does to either.
    """
    background = cells.background
    assert background is not None
    amounts = background.amounts.to(log_sums.device, sum_type(inputs))
    mean_scores = outputs.padded(inputs).to(amounts.dtype) @ _mean_output(outputs, background)
    nll = found.nll + amounts * (log_sums.to(amounts.dtype) - mean_scores)
    return RowLosses(nll, nll - torch.from_numpy(entropies(cells)).to(nll))


def beside_background(
    inputs: Tensor, outputs: Outputs, cells: Cells, weights: Tensor, on_tile: OnTile
) -> tuple[Tensor, OnTile]:
    """What a background adds to ∂/∂inputs, and `on_tile` that adds its part to ∂/∂outputs.

    −ω_c a_c ū to that of x_c, and −p_w Σ_c ω_c a_c x_c to that of u_w; biases are the last number.
    """
    background = cells.background
    assert background is not None
    amounts = (background.amounts * weights).to(inputs.device, sum_type(inputs))
    pulled = amounts[:, None] * _mean_output(outputs, background)[: outputs.dim]
    pull = amounts @ outputs.padded(inputs).to(amounts.dtype)
    shares = background.shares.to(inputs.device, amounts.dtype)

    def add_and_hand_on(words: slice, gradient: Tensor) -> None:
        assert on_tile is not None
        gradient -= (shares[words, None] * pull).to(gradient.dtype)
        on_tile(words, gradient)

    return -pulled.to(inputs.dtype), add_and_hand_on if on_tile is not None else None


def _mean_output(outputs: Outputs, background: RankOne) -> Tensor:
    """Σ_w p_w of the outputs' rows, float64 where the device has it."""
    rows, shares = outputs.rows.detach(), background.shares
    if not rows.is_cpu:
        wide = sum_type(rows)
        return shares.to(rows.device, wide) @ rows.to(wide)
    found = np.zeros(rows.shape[1])
    _add_rows(rows.numpy(), shares.numpy(), found)
    return torch.from_numpy(found)


def entropies(cells: Cells) -> NDArray[np.float64]:
    """Σ_w n log(N_c / n) of each row of cells with a background, nats."""
    found, background = np.empty(len(cells.totals)), cells.background
    assert background is not None
    arrays = background.amounts.numpy(), background.shares.numpy(), cells.totals.numpy()
    _row_entropies(cells.starts, cells.words, cells.counts, *arrays, found)
    return found


@compiled
def _add_rows(rows, shares, found):
    for row in range(len(rows)):
        for place in range(len(found)):
            found[place] += shares[row] * rows[row, place]


@vectorized
def _row_entropies(starts, words, counts, amounts, shares, totals, found):
    """Σ_w n log(N_c / n) with n = counts + amounts · shares: stored cells, then all the others."""
    whole = 0.0
    for share in shares:
        if share > 0:
            whole += share * np.log(share)
    for row in range(len(found)):
        amount, nats, share_stored, terms_stored = amounts[row], 0.0, 0.0, 0.0
        for cell in range(starts[row], starts[row + 1]):
            share = shares[words[cell]]
            n = np.float64(counts[cell]) + amount * share
            nats += n * np.log(totals[row] / n)
            share_stored += share
            if share > 0:
                terms_stored += share * np.log(share)
        if amount > 0:
            rest = np.log(totals[row] / amount) * (1 - share_stored) - (whole - terms_stored)
            nats += amount * rest
        found[row] = nats
