"""What is minimised: counts with their weights, scores, shrinkage; and how it is measured."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from exact2vec.counts.counts import Counts, unigram
from exact2vec.counts.features import Describer, Features
from exact2vec.errors import UsageError
from exact2vec.loss.count_losses import (
    BLOCK_ROWS,
    Losses,
    WeightedCounts,
    estimated_losses,
    exact_losses,
)
from exact2vec.loss.engine import engine_of
from exact2vec.loss.engine.cells import Outputs, Workspace
from exact2vec.options import checked
from exact2vec.train.inputs import PLAIN, InputModel, OwnRows, Score
from exact2vec.train.shrinkage import Prior, PriorSide, shrinkage_penalty
from exact2vec.train.state import State
from exact2vec.vectors.ridge import FeatureRows

Strengths = tuple[float, float]
FeaturesOfSides = Features | tuple[Features | None, Features | None]

ESTIMATE_SHARE = 0.1  # of the rows, where the exact losses are not due
DEFAULT_MAX_N = 6


@dataclass(frozen=True)
class Problem:
    """Σ_c ω_c N_c NLL_c / N over the contexts of the training part, and what shrinks the rows.

    `parts` are "training", and "held_out" and "validation" where there are any. `row_weights` are
    the ω_c. With `passes` the contexts of each epoch are those of `passes(epoch)` instead, as many
    as in the training part: what a basket is made of may be drawn anew. `unigram` is p(w), which
    the metric of the inputs and the unigram's NLL are of; `seed` draws the contexts of estimates.
    """

    workspace: Workspace
    parts: dict[str, InputModel]
    unigram: Float[Tensor, " word"]
    row_weights: Float[Tensor, " context"]
    seed: int
    prior: Prior | None = None
    score: Score = PLAIN
    passes: Callable[[int], InputModel] | None = None

    @property
    def model(self) -> InputModel:
        """The training part."""
        return self.parts["training"]

    @property
    def training(self) -> WeightedCounts:
        """What was counted in the training part."""
        return self.model.counts

    @cached_property
    def mean_total(self) -> float:
        """The mean of the N_c that are not 0."""
        return self.training.total / max(1, int((self.training.totals > 0).sum()))

    @cached_property
    def row_pairs(self) -> Float[Tensor, " row"]:
        """How many pairs are behind each input row."""
        return self.model.row_pairs(self.row_weights)

    def model_of(self, epoch: int) -> InputModel:
        """The contexts that this epoch visits."""
        return self.model if self.passes is None else self.passes(epoch)

    def losses(self, state: State, *, exact: bool) -> dict[str, Losses]:
        """The losses of each part.

        Exact from one sweep over all contexts, or estimated from a tenth of them; those of composed
        contexts are always exact.
        """
        pool = self.workspace.pool
        inputs, outputs = state.inputs, self.score.outputs(state.sides[1], pool)
        if all(isinstance(part, OwnRows) for part in self.parts.values()):
            measured = self._losses_of_own_rows(inputs, outputs, exact)
        else:
            measured = self._losses_of_blocks(inputs, outputs)
        if (exact or self.passes) and state.shrinkage is not None:
            weights = self.model.penalty_weights(self.row_weights)
            nats = shrinkage_penalty(state.shrinkage, inputs, state.outputs, weights, pool)
            objective = (measured[0].objective or 0.0) + nats / self.training.total
            measured[0] = replace(measured[0], objective=objective)
        return dict(zip(self.parts, measured, strict=True))

    def _losses_of_own_rows(self, inputs: Tensor, outputs: Outputs, exact: bool) -> list[Losses]:
        pool, counted = self.workspace.pool, [part.counts for part in self.parts.values()]
        x = inputs if self.score.plain else pool.run(lambda: self.score.scaled(inputs))
        sides = x, outputs, counted, self.unigram.log(), self.workspace
        if exact:
            return exact_losses(*sides, row_weights=self.row_weights)
        return estimated_losses(*sides, share=ESTIMATE_SHARE, seed=self.seed)

    def _losses_of_blocks(self, inputs: Tensor, outputs: Outputs) -> list[Losses]:
        measured = []
        for name, part in self.parts.items():
            weights = self.row_weights if name == "training" else None
            measured.append(self._losses_of_part(part, inputs, outputs, weights))
        return measured

    def _losses_of_part(
        self, part: InputModel, inputs: Tensor, outputs: Outputs, row_weights: Tensor | None
    ) -> Losses:
        """The exact losses of contexts that may be composed, block by block."""
        counts, nll, excess, objective = part.counts, 0.0, 0.0, 0.0
        contexts = np.flatnonzero(counts.totals.numpy())
        for start in range(0, len(contexts), BLOCK_ROWS):
            some = contexts[start : start + BLOCK_ROWS]
            block = part.block(some, torch.ones(len(some), dtype=torch.float64))
            x = self.workspace.pool.run(lambda block=block: self._scaled(block.vectors(inputs)))  # type: ignore[misc]
            (found,) = engine_of(x, outputs.rows).losses(
                x, outputs, [block.cells], block.excluded, workspace=self.workspace
            )
            nll += float(found.nll.numpy().sum())
            excess += float(found.excess.numpy().sum())
            if row_weights is not None:
                weighted = found.nll * row_weights[torch.from_numpy(some)]
                objective += float(weighted.numpy().sum())
        return Losses(
            nll / counts.total,
            excess / counts.total,
            counts.floor,
            counts.unigram_nll(self.unigram.log()),
            counts.total,
            objective=None if row_weights is None else objective / counts.total,
        )

    def _scaled(self, vectors: Tensor) -> Tensor:
        return self.score.scaled(vectors)


def problem_of(counts: Counts, workspace: Workspace, row_power: float, seed: int) -> Problem:
    """The Problem of these counts, whose contexts have their own rows, without a prior."""
    parts = {
        "training": counts.training,
        "held_out": counts.held_out,
        "validation": counts.validation,
    }
    models: dict[str, InputModel] = {
        name: OwnRows(WeightedCounts(counts.weigh(part), counts.background_of(part)))
        for name, part in parts.items()
        if part is not None
    }
    weights = row_weights(models["training"].counts.totals, row_power)
    return Problem(workspace, models, torch.from_numpy(counts.unigram), weights, seed)


def composed_problem(
    training: InputModel,
    workspace: Workspace,
    *,
    row_power: float = 0.75,
    seed: int = 1,
    score: Score = PLAIN,
    passes: Callable[[int], InputModel] | None = None,
    held_out: InputModel | None = None,
    validation: InputModel | None = None,
) -> Problem:
    """The Problem of contexts of any input model, without a prior.

    `passes` gives the contexts of each epoch, where they differ from those that are measured. All
    parts are over the same input rows and the same words.
    """
    parts = {"training": training, "held_out": held_out, "validation": validation}
    models: dict[str, InputModel] = {name: part for name, part in parts.items() if part is not None}
    for name, part in models.items():
        _refuse_other_sizes(name, part, training)

    def checked_pass(epoch: int) -> InputModel:
        assert passes is not None
        model = passes(epoch)
        _refuse_other_sizes(f"epoch {epoch}", model, training)
        if model.counts.shape[0] != training.counts.shape[0]:
            raise UsageError(
                f"epoch {epoch}: {model.counts.shape[0]:,} contexts, but the training part has "
                f"{training.counts.shape[0]:,}; give as many"
            )
        return model

    shares = torch.from_numpy(unigram(training.counts.column_totals.numpy()))
    weights = row_weights(training.counts.totals, row_power)
    every = None if passes is None else checked_pass
    return Problem(workspace, models, shares, weights, seed, score=score, passes=every)


def _refuse_other_sizes(name: str, part: InputModel, training: InputModel) -> None:
    sizes, wanted = ((model.rows, model.counts.shape[1]) for model in (part, training))
    if sizes != wanted:
        raise UsageError(
            f"{name}: {sizes[0]:,} input rows and {sizes[1]:,} words, but the training part has "
            f"{wanted[0]:,} and {wanted[1]:,}; give all parts the same ones"
        )


def row_weights(totals: Float[Tensor, " context"], power: float) -> Float[Tensor, " context"]:
    """ω_c = N_c^(α − 1) · N / Σ N_c^α, with mean 1 over the pairs; 0 for a row without pairs.

    α = `power`; 1 gives ω = 1.
    """
    shares = totals / totals.max()  # at most 1: no power of them overflows
    weights = torch.where(shares > 0, shares.clamp_min(1e-300) ** (float(power) - 1), 0.0)
    scale = float(totals.numpy().sum() / (weights * totals).numpy().sum())
    return weights * scale


def prior_of_counts(
    counts: Counts,
    *,
    prior: Strengths | None,
    features: FeaturesOfSides | None,
    min_n: int,
    max_n: int | None,
) -> Prior | None:
    """The Prior that `fit` makes of these counts and arguments."""
    strengths: Any = checked(prior=prior, min_n=min_n, max_n=max_n)["prior"]
    background = counts.background_of(counts.training)
    training = WeightedCounts(counts.weigh(counts.training), background)
    return prior_of(counts, training, strengths, features, min_n, max_n)


def prior_of(
    counts: Counts,
    training: WeightedCounts,
    strengths: Strengths | None,
    features: FeaturesOfSides | None,
    min_n: int,
    max_n: int | None,
) -> Prior | None:
    """The Prior of these arguments, None where nothing is shrunk."""
    if strengths is None:
        if features is not None or max_n:
            raise UsageError(
                "n-grams and features describe means, and without a prior there are none: "
                "leave them out, or give two strengths"
            )
        return None
    subwords = counts.settings.get("subwords")
    longest = max_n if max_n is not None else DEFAULT_MAX_N if subwords else 0
    of_rows, of_columns = features_of_sides(counts, features)
    in_inputs, in_outputs = map(counts.weighting.strength_in_pairs, strengths)
    describer, described = Describer.learn(counts.rows, min_n=min_n, max_n=longest, known=of_rows)
    inputs = PriorSide(in_inputs, describer, FeatureRows(described), training.totals)
    if counts.square:
        outputs = replace(inputs, strength=in_outputs, totals=training.column_totals)
        return Prior(inputs, outputs)
    describer, described = Describer.learn(
        counts.columns, min_n=min_n, max_n=longest, known=of_columns
    )
    outputs = PriorSide(in_outputs, describer, FeatureRows(described), training.column_totals)
    return Prior(inputs, outputs)


def features_of_sides(
    counts: Counts, features: FeaturesOfSides | None
) -> tuple[Features | None, Features | None]:
    """The features of rows and of columns: the same where the counts are square."""
    if isinstance(features, tuple):
        if counts.square:
            raise UsageError(
                "features: rows and columns of these counts are the same; give one e2v.Features"
            )
        return features
    if features is not None and not counts.square:
        raise UsageError(
            "features: rows and columns of these counts differ; give two e2v.Features, of the rows "
            "and of the columns, as (rows, None) where the columns have none"
        )
    return features, features
