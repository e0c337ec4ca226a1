"""What a loss is made of, row by row: its log-sum-exp, the entropy of its targets and the excess over it (docs/maths.md, equations 11 and 12)."""

from typing import NamedTuple

import torch
from torch import Tensor

from exact2vec.loss import checks
from exact2vec.loss.dense import one_target, targets_of
from exact2vec.loss.formulas import excess_terms, log_softmax, target_nll
from exact2vec.loss.linear import ROWS
from exact2vec.loss.targets import Targets


class Terms(NamedTuple):
    """Nats, float64, one a row: nll = entropy + excess (each times the row's Σ t), excess ≥ 0, and lse = log Σ exp z."""

    nll: Tensor
    log_sum_exp: Tensor
    entropy: Tensor
    excess: Tensor


def loss_terms(
    input: Tensor,
    target: Tensor | None = None,
    *,
    counts: Tensor | None = None,
    linear_weight: Tensor | None = None,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    rows: int = ROWS,
) -> Terms:
    """The Terms of scores (N, V), or of inputs (N, D) with `linear_weight` (V, D), whose scores are held for `rows` rows at a time. To look at: no graph.

    >>> terms = loss_terms(torch.tensor([[1.0, 0.0]]), counts=torch.tensor([[3.0, 1.0]]))
    >>> [round(float(term), 4) for term in terms]
    [2.253, 1.3133, 2.2493, 0.0037]
    """
    with torch.no_grad():
        shape = (len(input), input.shape[1] if linear_weight is None else len(linear_weight))
        one_target(target, counts, ignore_index)
        checks.weight(weight, shape[1], input.dtype)
        targets = targets_of(target, counts, weight, ignore_index, label_smoothing, shape, 1)
        parts = []
        for start in range(0, len(input), rows):
            these = slice(start, start + rows)
            scores = (
                input[these]
                if linear_weight is None
                else torch.nn.functional.linear(input[these], linear_weight, linear_bias)
            )
            parts.append(_terms(scores.double(), _part(targets, these).matrix(*scores.shape)))
        return (
            Terms(*map(torch.cat, zip(*parts, strict=True)))
            if parts
            else Terms(*(torch.empty(0).double(),) * 4)
        )


def _terms(scores: Tensor, t: Tensor) -> Terms:
    totals = t.sum(dim=1, keepdim=True)
    q = t / totals.where(totals > 0, 1.0)
    log_p = log_softmax(scores)
    counted = t > 0
    ratio = torch.where(counted, q.log() - log_p, 1.0)
    excess = torch.where(counted, excess_terms(ratio, q), log_p.exp())
    return Terms(
        target_nll(scores, t),
        scores.logsumexp(dim=1),
        -(totals * torch.xlogy(q, q)).sum(dim=1),
        (totals * excess).sum(dim=1),
    )


def _part(targets: Targets, rows: slice) -> Targets:
    cells = slice(
        *torch.searchsorted(
            targets.row, torch.tensor([rows.start, rows.stop], device=targets.row.device)
        ).tolist()
    )
    shared = targets.dense is None or targets.spread is not None
    dense = targets.dense if shared else targets.dense[rows]  # type: ignore[index]
    spread = None if targets.spread is None else targets.spread[rows]
    return Targets(
        targets.row[cells] - rows.start,
        targets.column[cells],
        targets.value[cells],
        targets.divisor,
        dense,
        spread,
    )
