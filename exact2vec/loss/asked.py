"""What a loss was asked to count: checked, and made into `Targets`."""

from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from exact2vec.errors import LossInputError
from exact2vec.loss import suspicions, validation
from exact2vec.loss.layout import Layout, layout_of
from exact2vec.loss.targets import Targets, of_counts, of_indices, of_probabilities, smoothed


class Asked(NamedTuple):
    """What a loss is to count: class indices or probabilities, or counts; and how they weigh."""

    target: Tensor | None
    counts: Tensor | None
    weight: Tensor | None
    ignore_index: int
    smoothing: float

    @property
    def given(self) -> Tensor:
        """The target or the counts: whichever was given."""
        given = self.target if self.counts is None else self.counts
        assert given is not None
        return given

    def is_probabilities(self, shape: tuple[int, ...]) -> bool:
        """Whether the target is, for scores of `shape`."""
        target = self.target
        if target is None or target.shape != shape or not target.is_floating_point():
            return False
        return target.layout is torch.strided


def asked_of(target: Any, counts: Any, weight: Any, ignore_index: int, smoothing: float) -> Asked:
    """What was asked for: one of target and counts, which must be tensors."""
    if (target is None) == (counts is None):
        raise LossInputError("give either target (class indices or probabilities) or counts=")
    if counts is None:
        validation.tensor(target, "target")
    else:
        validation.tensor(counts, "counts")
        if ignore_index >= 0:
            raise LossInputError(
                f"ignore_index = {ignore_index} has no meaning for counts=: "
                f"give a row no counts instead"
            )
    return Asked(target, counts, weight, ignore_index, smoothing)


def targets_of(asked: Asked, layout: Layout, engine: ModuleType | None = None) -> Targets:
    """The Targets of scores in `layout`, checked; an engine may have a loop for class indices."""
    if asked.counts is not None:
        return _of_counts(asked, asked.counts, layout)
    if not asked.is_probabilities(layout.shape):
        return of_indices_asked(asked, layout, engine)
    if asked.ignore_index >= 0:
        raise LossInputError(
            "ignore_index is not supported for floating point target (class probabilities): "
            "give such rows probabilities 0"
        )
    validation.shares(asked.given, "probabilities", -validation.ROUNDING)
    suspicions.sums_to_one(asked.given, layout)
    return of_probabilities(layout.rows(asked.given), asked.weight, asked.smoothing)


def of_indices_asked(asked: Asked, layout: Layout, engine: ModuleType | None = None) -> Targets:
    """The Targets of class indices, checked."""
    validation.index_form(asked.given, layout)
    indices, words, ignored = asked.given.long(), layout.words, asked.ignore_index
    loop = getattr(engine, "index_cells", None)
    if loop is None:
        validation.index_values(indices, words, ignored)
        return of_indices(indices.reshape(-1), words, asked.weight, ignored, asked.smoothing)
    flat = indices.reshape(-1)
    targets: Targets
    targets, bad, kept = loop(flat, words, ignored, asked.weight)
    if bad >= 0:
        validation.index_refusal(indices, words, ignored)
    if kept == 0:
        validation.index_values(indices, words, ignored)
    if asked.smoothing == 0:
        return targets
    rows = None if kept == len(flat) else flat != ignored
    return smoothed(targets, rows, words, asked.weight, asked.smoothing)


def _of_counts(asked: Asked, counts: Tensor, layout: Layout) -> Targets:
    if tuple(counts.shape) != layout.shape:
        raise LossInputError(
            f"counts have shape {tuple(counts.shape)}, the scores {layout.shape}: "
            f"give one count for each score"
        )
    if counts.layout == torch.strided:
        validation.shares(counts, "counts", 0.0)
        counts = layout.rows(counts)
    targets = of_counts(counts, asked.weight, asked.smoothing, layout.dim)
    suspicions.nothing_counted(layout.outer * layout.inner, targets.divisor)
    return targets


def targets_of_position(asked: Asked, k: int, layout: Layout) -> Targets:
    """The targets of the k-th position of rows × classes × positions."""
    given = asked.given
    if given.layout != torch.strided:
        raise LossInputError("sparse counts need linear_weight (V, D): use counts.to_dense()")
    if given.shape != layout.shape:
        validation.index_form(given, layout)
    given = given.flatten(2 if given.shape == layout.shape else 1)[..., k]
    counted = asked.counts is not None
    here = asked._replace(counts=given) if counted else asked._replace(target=given)
    return targets_of(here, layout_of(layout.shape[:2], 1))
