"""What a loss was asked to count: checked, and made into `Targets`."""

from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from exact2vec.errors import LossInputError
from exact2vec.loss import suspicions, validation
from exact2vec.loss.layout import Layout, layout_of
from exact2vec.loss.targets import Targets, of_counts, of_indices, of_probabilities, smoothed


class TargetArguments(NamedTuple):
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


def target_arguments(
    target: Any, counts: Any, weight: Any, ignore_index: int, smoothing: float
) -> TargetArguments:
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
    return TargetArguments(target, counts, weight, ignore_index, smoothing)


def targets_of(
    arguments: TargetArguments, layout: Layout, engine: ModuleType | None = None
) -> Targets:
    """The Targets of scores in `layout`, checked; an engine may have a loop for class indices."""
    if arguments.counts is not None:
        return _of_counts(arguments, arguments.counts, layout)
    if not arguments.is_probabilities(layout.shape):
        return index_targets(arguments, layout, engine)
    if arguments.ignore_index >= 0:
        raise LossInputError(
            "ignore_index is not supported for floating point target (class probabilities): "
            "give such rows probabilities 0"
        )
    validation.shares(arguments.given, "probabilities", -validation.ROUNDING)
    suspicions.sums_to_one(arguments.given, layout)
    return of_probabilities(layout.rows(arguments.given), arguments.weight, arguments.smoothing)


def index_targets(
    arguments: TargetArguments, layout: Layout, engine: ModuleType | None = None
) -> Targets:
    """The Targets of class indices, checked."""
    validation.index_form(arguments.given, layout)
    indices, words, ignored = arguments.given.long(), layout.words, arguments.ignore_index
    loop = getattr(engine, "index_cells", None)
    if loop is None:
        validation.index_values(indices, words, ignored)
        return of_indices(
            indices.reshape(-1), words, arguments.weight, ignored, arguments.smoothing
        )
    flat = indices.reshape(-1)
    targets: Targets
    targets, bad, kept = loop(flat, words, ignored, arguments.weight)
    if bad >= 0:
        validation.index_refusal(indices, words, ignored)
    if kept == 0:
        validation.index_values(indices, words, ignored)
    if arguments.smoothing == 0:
        return targets
    rows = None if kept == len(flat) else flat != ignored
    return smoothed(targets, rows, words, arguments.weight, arguments.smoothing)


def _of_counts(arguments: TargetArguments, counts: Tensor, layout: Layout) -> Targets:
    if tuple(counts.shape) != layout.shape:
        raise LossInputError(
            f"counts have shape {tuple(counts.shape)}, the scores {layout.shape}: "
            f"give one count for each score"
        )
    if counts.layout == torch.strided:
        validation.shares(counts, "counts", 0.0)
        counts = layout.rows(counts)
    targets = of_counts(counts, arguments.weight, arguments.smoothing, layout.dim)
    suspicions.nothing_counted(layout.outer * layout.inner, targets.divisor)
    return targets


def targets_of_position(arguments: TargetArguments, k: int, layout: Layout) -> Targets:
    """The targets of the k-th position of rows × classes × positions."""
    given = arguments.given
    if given.layout != torch.strided:
        raise LossInputError("sparse counts need linear_weight (V, D): use counts.to_dense()")
    if given.shape != layout.shape:
        validation.index_form(given, layout)
    given = given.flatten(2 if given.shape == layout.shape else 1)[..., k]
    counted = arguments.counts is not None
    here = arguments._replace(counts=given) if counted else arguments._replace(target=given)
    return targets_of(here, layout_of(layout.shape[:2], 1))
