"""What a loss is made of, row by row: log-sum-exp, entropy of the targets and excess over it.

docs/maths.md, equations 11 and 12.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from exact2vec.errors import LossInputError
from exact2vec.loss import validation
from exact2vec.loss.arguments import TargetArguments, target_arguments, targets_of
from exact2vec.loss.formulas import excess_terms, log_softmax, target_nll
from exact2vec.loss.layout import Layout, layout_of
from exact2vec.loss.targets import Targets

ROWS = 256  # of scores, held at once


class Terms(NamedTuple):
    """Nats, float64, one a row, in the shape of class indices.

    nll = entropy + excess, each times the row's Σ t; excess ≥ 0; log_sum_exp = log Σ exp z.
    """

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
    dim: int | None = None,
) -> Terms:
    """The Terms of scores, their classes in `dim` (as in cross_entropy); to look at: no graph.

    With `linear_weight` (V, D), `input` are inputs (N, D), and the scores of `rows` rows are held
    at a time.

    >>> terms = loss_terms(torch.tensor([[1.0, 0.0]]), counts=torch.tensor([[3.0, 1.0]]))
    >>> [round(float(term), 4) for term in terms]
    [2.253, 1.3133, 2.2493, 0.0037]
    """
    arguments = target_arguments(target, counts, weight, ignore_index, label_smoothing)
    validation.settings("none", label_smoothing)
    with torch.no_grad():
        layout = _layout(input, arguments, linear_weight, linear_bias, dim)
        if weight is not None:
            validation.tensor(weight, "weight")
            validation.weight(weight, layout.words, input.dtype, input.device)
        targets = targets_of(arguments, layout)
        vectors = _last(input, layout.dim if linear_weight is None else -1)
        parts = [_terms(vectors[:0].new_zeros(0, layout.words).double(), _part(targets, 0, 0))]
        for start in range(0, len(vectors), rows):
            these = vectors[start : start + rows]
            if linear_weight is not None:
                these = torch.nn.functional.linear(these, linear_weight, linear_bias)
            parts.append(_terms(these.double(), _part(targets, start, start + len(these))))
        return Terms(*(torch.cat(term).reshape(layout.rest) for term in zip(*parts, strict=True)))


def _layout(
    input: Tensor,
    arguments: TargetArguments,
    outputs: Tensor | None,
    bias: Tensor | None,
    dim: int | None,
) -> Layout:
    """That of the scores, checked."""
    if outputs is None:
        validation.scores(validation.tensor(input, "input"), arguments.given)
        shape = tuple(input.shape)
        return layout_of(shape, validation.class_dim(shape, arguments.given, dim))
    validation.linear_shapes(input, outputs, bias, arguments.given)
    validation.same_format(input, outputs, bias)
    if outputs.dim() > 2 or dim is not None:
        raise LossInputError("the terms of a linear loss want linear_weight (V, D), and no dim")
    shape = (*input.shape[:-1], len(outputs))
    return layout_of(shape, len(shape) - 1)


def _last(tensor: Tensor, dim: int) -> Tensor:
    """(row, word): the dimension `dim` last, the others numbering the rows."""
    last = tensor.movedim(dim, -1)
    return last.reshape(last.numel() // max(1, last.shape[-1]), last.shape[-1])


def _terms(scores: Tensor, targets: Targets) -> Terms:
    t = targets.matrix(*scores.shape)
    totals = t.sum(dim=1, keepdim=True)
    q = t / totals.where(totals > 0, 1.0)
    log_p = log_softmax(scores) if scores.shape[1] else scores
    counted = t > 0
    ratio = torch.where(counted, q.log() - log_p, 1.0)
    excess = torch.where(counted, excess_terms(ratio, q), log_p.exp())
    return Terms(
        target_nll(scores, t) if scores.shape[1] else scores.sum(dim=1),
        scores.logsumexp(dim=1),
        -(totals * torch.xlogy(q, q)).sum(dim=1),
        (totals * excess).sum(dim=1),
    )


def _part(targets: Targets, start: int, stop: int) -> Targets:
    """The Targets of some rows."""
    cells = slice(start, stop)
    if targets.row is not None:
        edges = torch.tensor([start, stop], device=targets.row.device)
        cells = slice(*torch.searchsorted(targets.row, edges).tolist())
    dense = None if targets.dense is None else _last(targets.dense, 1)[start:stop, :, None]
    return replace(
        targets,
        row=None if targets.row is None else targets.row[cells] - start,
        column=targets.column[cells],
        value=targets.value[cells],
        dense=dense,
        spread=None if targets.spread is None else targets.spread[start:stop],
    )
