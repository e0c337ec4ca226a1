"""The formulas by autograd: every derivative, rows × words in memory."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from exact2vec.loss import formulas
from exact2vec.loss.engine.cells import Cells, Outputs, RowLosses, Workspace
from exact2vec.loss.targets import Targets, sum_type

NAME = "reference"


def target_nll(
    scores: Tensor, targets: Targets, scale: float | None, kind: torch.dtype | None = None
) -> Tensor:
    """Σ_w t_w · −log p_w of each row of scores, equation (1); see `engine`."""
    outer, words, inner = (*scores.shape, 1)[:3]
    rows = scores.movedim(1, -1).reshape(outer * inner, words).to(targets.value.dtype)
    if words == 0:
        nll = rows.sum(dim=1)
    else:
        matrix = targets.matrix(outer * inner, words)
        nll = formulas.target_nll(_with_nan(rows, matrix), matrix)
    nll = nll if scale is None else nll.sum() * scale
    return nll if kind is None else nll.to(kind)


def _with_nan(rows: Tensor, matrix: Tensor) -> Tensor:
    """The scores; in rows without a finite maximum nan, and 0 where such a row counts nothing.

    By a factor, so that the gradients of the row are nan too.
    """
    infinite = ~rows.detach().amax(dim=1, keepdim=True).isfinite()
    idle = infinite & (matrix.detach() == 0).all(dim=1, keepdim=True)
    factor = torch.where(infinite & ~idle, torch.nan, 1.0).to(rows.dtype)
    return rows.masked_fill(idle, 0.0) * factor


def log_softmax(scores: Tensor) -> Tensor:
    """log p along dimension 1, equation (2), in the dtype of `scores`."""
    rows = scores.movedim(1, -1)
    if rows.shape[-1] == 0:
        return scores.clone()
    return formulas.log_softmax(rows.to(sum_type(rows))).movedim(-1, 1).to(scores.dtype)


def linear_nll(
    inputs: Tensor,
    outputs: Tensor,
    bias: Tensor | None,
    targets: Targets,
    scale: float | None,
    block_rows: int | None,
) -> Tensor:
    """`target_nll` of the scores inputs · outputsᵀ + bias, in the type of the targets' values."""
    wide = targets.value.dtype
    with torch.autocast(inputs.device.type, enabled=False):
        scores = inputs.to(wide) @ outputs.to(wide).T
        scores = scores if bias is None else scores + bias.to(wide)
        return target_nll(scores[:, :, None], targets, scale)


def losses(
    inputs: Tensor,
    outputs: Outputs,
    cells: Sequence[Cells],
    excluded: Cells | None = None,
    workspace: Workspace | None = None,
) -> list[RowLosses]:
    """The `RowLosses` of each set of cells; words `excluded` from a row are not in its softmax."""
    log_p = formulas.log_softmax(_scores(inputs, outputs, excluded))
    found = []
    for each in cells:
        counts, totals = _dense(each, log_p), each.totals[:, None]
        nll = (counts * -log_p.masked_fill(counts == 0, 0.0)).sum(dim=1)
        q = counts / totals.clamp_min(torch.finfo(totals.dtype).tiny)
        ratio = torch.where(counts > 0, q.clamp_min(1e-300).log() - log_p, 1.0)
        excess = torch.where(counts > 0, formulas.excess_terms(ratio, q), log_p.exp())
        found.append(RowLosses(nll, (totals * excess).sum(dim=1)))
    return found


def gradients(
    inputs: Tensor,
    outputs: Outputs,
    cells: Cells,
    weights: Tensor,
    on_tile: Callable[[slice, Tensor], None] | None,
    excluded: Cells | None = None,
    workspace: Workspace | None = None,
) -> Tensor:
    """∂/∂inputs of Σ_c ω_c [N_c lse_c − Σ_w n_cw z_cw]; `on_tile` gets ∂/∂outputs.rows."""
    x = inputs.detach().clone().requires_grad_()
    rows = outputs.rows.detach().clone().requires_grad_()
    with torch.enable_grad():
        scores = _scores(x, Outputs(rows, outputs.dim), excluded)
        counts = _dense(cells, scores)
        counted = (counts * scores.masked_fill(counts == 0, 0.0)).sum(dim=1)
        total = (weights * (cells.totals * scores.logsumexp(dim=1) - counted)).sum()
    d_inputs, d_rows = torch.autograd.grad(total, (x, rows))
    if on_tile is not None:
        on_tile(slice(0, len(rows)), d_rows)
    return d_inputs


def cell_nll(
    inputs: Tensor,
    outputs: Outputs,
    cells: Cells,
    workspace: Workspace | None = None,
) -> NDArray[np.float64]:
    """−log p(w | c) of each cell, nats, float64."""
    log_p = formulas.log_softmax(_scores(inputs, outputs, None)).numpy()
    row = np.repeat(np.arange(len(cells.starts) - 1), np.diff(cells.starts))
    found: NDArray[np.float64] = -log_p[row, cells.words]
    return found


def _scores(inputs: Tensor, outputs: Outputs, excluded: Cells | None) -> Tensor:
    scores = inputs.double() @ outputs.vectors.double().T + outputs.bias.double()
    if excluded is None:
        return scores
    return scores.masked_fill(_dense(excluded, scores) > 0, -torch.inf)


def _dense(cells: Cells, like: Tensor) -> Tensor:
    counts = torch.zeros(like.shape, dtype=like.dtype)
    row = np.repeat(np.arange(len(cells.starts) - 1), np.diff(cells.starts))
    places = torch.from_numpy(row), torch.from_numpy(cells.words.astype(np.int64))
    counts = counts.index_put(places, torch.from_numpy(np.asarray(cells.counts, np.float64)))
    if cells.background is None:
        return counts
    return counts + cells.background.amounts[:, None] * cells.background.shares
