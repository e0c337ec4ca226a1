"""log_softmax, nll_loss and cross_entropy with torch's arguments, and the last digits right (docs/maths.md; differences: docs/torch.md)."""

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from exact2vec.errors import LossInputError, LossWarning
from exact2vec.loss import checks
from exact2vec.loss.rows import log_softmax_rows, target_rows
from exact2vec.loss.targets import Targets, of_counts, of_indices, of_probabilities


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
) -> Tensor:
    """log p = z − log Σ exp z along `dim`, in nats, equation (2).

    >>> log_softmax(torch.tensor([50.0, 0.0]), dim=0)
    tensor([-1.9287e-22, -5.0000e+01])

    Raises LossInputError where `dim` is missing and there is a choice.
    """
    scores = input if dtype is None else input.to(dtype)
    checks.scores(scores, scores)
    if dim is None:
        if scores.dim() > 1:
            raise LossInputError(
                f"log_softmax needs dim=: for scores of shape {tuple(scores.shape)}, dim=-1 makes rows of {scores.shape[-1]} classes sum to 1"
            )
        dim = 0
    if scores.dim() == 0:
        return scores - scores
    scores = _autocast(scores)
    dim = checks.class_dim(tuple(scores.shape), scores, dim)
    last = scores.movedim(dim, -1)
    return (
        log_softmax_rows(last.reshape(math.prod(last.shape[:-1]), last.shape[-1]))
        .reshape(last.shape)
        .movedim(-1, dim)
    )


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    dim: int | None = None,
) -> Tensor:
    """−Σ w_y log p_y / Σ w_y of the targets y that are not `ignore_index`, from log-probabilities, nats.

    >>> nll_loss(log_softmax(torch.tensor([[-1, 2.3, 0.1]]), dim=1), torch.tensor([0]))
    tensor(3.4377)
    """
    reduction = _reduction(size_average, reduce, reduction)
    _tensors(input, target, reduction, 0.0)
    dim = checks.class_dim(tuple(input.shape), target, dim)
    rest = tuple(size for place, size in enumerate(input.shape) if place != dim)
    words = input.shape[dim]
    checks.weight(weight, words, input.dtype)
    checks.index_target(target, rest, tuple(input.shape))
    indices = target.long()
    log_p = input.movedim(dim, -1).reshape(math.prod(rest), words)
    if checks.looks(input, target):
        checks.index_values(indices, words, ignore_index)
        checks.not_scores(log_p.detach())
    indices = indices.reshape(-1)
    kept = indices != ignore_index
    chosen = indices.where(kept, 0)
    nll = (
        -log_p.gather(1, chosen[:, None]).squeeze(1).double().where(kept, 0.0)
        if words
        else log_p.new_zeros(len(indices)).double()
    )
    weights = kept.double() if weight is None or not words else weight.double()[chosen] * kept
    return _reduced(
        nll * weights if weight is not None else nll, weights.sum(), reduction, rest
    ).to(input.dtype)


def cross_entropy(
    input: Tensor,
    target: Tensor | None = None,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    counts: Tensor | None = None,
    dim: int | None = None,
) -> Tensor:
    """−Σ w_y log p_y / Σ w_y with p = softmax of the scores `input`, nats: equations (1), (7) indices, (8) probabilities, (9) `counts`.

    Classes lie in dimension 1 (0 for one row), as in torch, or in `dim`. `counts` (dense, CSR or COO; row × class) are how often each class was seen:
    their mean is Σ n w nll / Σ n w.

    >>> cross_entropy(torch.tensor([[-1, 2.3, 0.1]]), torch.tensor([0]))
    tensor(3.4377)
    >>> cross_entropy(torch.tensor([[23.0, 0.0]]), torch.tensor([0]))  # torch's is 0
    tensor(1.0262e-10)
    >>> cross_entropy(torch.tensor([[-1, 2.3, 0.1]]), counts=torch.tensor([[1.0, 0, 1]]))
    tensor(2.8877)
    """
    reduction = _reduction(size_average, reduce, reduction)
    wanted = one_target(target, counts, ignore_index)
    _tensors(input, wanted, reduction, label_smoothing)
    scores = _autocast(input)
    dim = checks.class_dim(tuple(scores.shape), wanted, dim)
    rest = tuple(size for place, size in enumerate(scores.shape) if place != dim)
    words = scores.shape[dim]
    checks.weight(weight, words, input.dtype)
    rows = scores.movedim(dim, -1).reshape(math.prod(rest), words)
    if checks.looks(scores):
        checks.not_probabilities(rows.detach())
    targets = targets_of(
        target, counts, weight, ignore_index, label_smoothing, tuple(scores.shape), dim
    )
    return _reduced(target_rows(rows, targets), targets.divisor, reduction, rest).to(scores.dtype)


def one_target(target: Tensor | None, counts: Tensor | None, ignore_index: int | None) -> Tensor:
    if (target is None) == (counts is None):
        raise LossInputError("give either target (class indices or probabilities) or counts=")
    if counts is not None and ignore_index is not None and ignore_index >= 0:
        raise LossInputError(
            f"ignore_index = {ignore_index} has no meaning for counts=: give a row no counts instead"
        )
    return checks.tensor(
        target if counts is None else counts, "target" if counts is None else "counts"
    )


def targets_of(
    target: Tensor | None,
    counts: Tensor | None,
    weight: Tensor | None,
    ignore_index: int,
    smoothing: float,
    shape: tuple[int, ...],
    dim: int,
) -> Targets:
    """The Targets of scores of `shape`, checked."""
    words, rest = shape[dim], tuple(size for place, size in enumerate(shape) if place != dim)
    if counts is not None:
        if tuple(counts.shape) != shape:
            raise LossInputError(
                f"counts have shape {tuple(counts.shape)}, the scores {shape}: give one count for each score"
            )
        if counts.layout == torch.strided:
            counts = counts.movedim(dim, -1).reshape(math.prod(rest), words)
        targets = of_counts(counts, weight, smoothing)
        _check_counts(targets, counts)
        return targets
    assert target is not None
    if target.is_floating_point() and tuple(target.shape) == shape:
        if ignore_index >= 0:
            raise LossInputError(
                "ignore_index is not supported for floating point target (class probabilities): give such rows probabilities 0"
            )
        return of_probabilities(
            target.movedim(dim, -1).reshape(math.prod(rest), words), weight, smoothing
        )
    checks.index_target(target, rest, shape)
    indices = target.long()
    if checks.looks(target):
        checks.index_values(indices, words, ignore_index)
    return of_indices(indices.reshape(-1), words, weight, ignore_index, smoothing)


def _check_counts(targets: Targets, counts: Tensor) -> None:
    values = targets.value if targets.dense is None else targets.dense
    if not checks.looks(values.detach() if values.is_sparse else values):
        return
    if values.numel() and not float(values.detach().amin()) >= 0:
        raise LossInputError(
            f"counts and weights must be ≥ 0; the smallest is {float(values.detach().amin()):.4g}"
        )
    if float(targets.divisor.detach()) == 0:
        warnings.warn(
            f"0 of {counts.shape[0]} rows have counts: the mean of nothing is nan, the sum 0",
            LossWarning,
            stacklevel=4,
        )


def _reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """torch's older arguments, with its own rule and deprecation."""
    if isinstance(size_average, Tensor):
        raise LossInputError(
            "size_average is a tensor: the arguments are cross_entropy(scores, target, weight)"
        )
    if size_average is None and reduce is None:
        return reduction
    return str(torch.nn._reduction.legacy_get_string(size_average, reduce))


def _tensors(scores: Any, target: Any, reduction: str, smoothing: float) -> None:
    checks.tensor(scores, "input")
    checks.tensor(target, "target")
    checks.settings(reduction, smoothing)
    checks.scores(scores, target)


def _autocast(scores: Tensor) -> Tensor:
    """float32 under autocast, as torch does for these losses."""
    half = scores.dtype in (torch.float16, torch.bfloat16)
    return scores.float() if half and torch.is_autocast_enabled(scores.device.type) else scores


def _reduced(rows: Tensor, divisor: Tensor, reduction: str, rest: tuple[int, ...]) -> Tensor:
    """float64 rows → their sum, their sum over the divisor, or each in its place."""
    if reduction == "none":
        return rows.reshape(rest)
    return rows.sum() if reduction == "sum" else rows.sum() / divisor
