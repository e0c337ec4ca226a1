"""Shrinkage: rows with few counts borrow from what looks like them.

Each row is pulled towards a mean, m = f·G from its features f (or 0 without features), as if it
had been seen there κ more times. docs/maths.md (13) is the objective, loss/formulas.py its formula.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from exact2vec.counts.features import Describer
from exact2vec.loss.formulas import DAMPING, Pull, metric, penalty
from exact2vec.parallel import Workers
from exact2vec.vectors.ridge import FeatureRows, ridge

SUMMED_ROWS = 4096  # whose penalty one thread sums up
PULL_STEPS = 8  # between output terms of the shrinkage


@dataclass(frozen=True)
class PriorSide:
    """What is fixed of the shrinkage of the inputs, or of the outputs.

    The strength κ in weighted pairs, the features of the rows, and how many pairs each has.
    """

    strength: float
    describer: Describer
    features: FeatureRows
    totals: Float[Tensor, " row"]


@dataclass(frozen=True)
class Prior:
    """What is fixed of a shrinkage. Where rows and columns are the same, so are their features."""

    inputs: PriorSide
    outputs: PriorSide

    @property
    def sides(self) -> tuple[PriorSide, PriorSide]:
        return self.inputs, self.outputs

    @property
    def strengths(self) -> tuple[float, float]:
        """κ_x and κ_u, in weighted pairs."""
        return self.inputs.strength, self.outputs.strength

    @property
    def describer(self) -> Describer:
        """From names to features, of contexts; and of words, where these are the same."""
        return self.inputs.describer


@dataclass(frozen=True)
class Shrinkage:
    """What shrinks the rows of a State, inputs first.

    The `maps` G lead from features to means, the `pulls` towards the means. `pending` is the share
    of the pairs that is not yet in the output term.
    """

    prior: Prior
    maps: tuple[Float[Tensor, "..."], Float[Tensor, "..."]]
    pulls: tuple[Pull, Pull]
    pending: float = 0.0

    def clone(self) -> "Shrinkage":
        maps = self.maps[0].clone(), self.maps[1].clone()
        inputs, outputs = (
            Pull(pull.strength, pull.means.clone(), pull.metric.clone()) for pull in self.pulls
        )
        return replace(self, maps=maps, pulls=(inputs, outputs))

    def input_pull(self, rows: Tensor) -> Pull:
        """The pull of some inputs."""
        return _some(self.pulls[0], rows)

    def output_pull(self, words: slice) -> Pull:
        """The pull of some outputs."""
        return _some(self.pulls[1], words)

    def with_pairs(self, share: float, step: int) -> tuple["Shrinkage", float]:
        """The shrinkage after a block with this share of all pairs.

        The second result is the share whose output term is due in this step: that of `PULL_STEPS`
        steps at a time.
        """
        pending = self.pending + share
        if (step + 1) % PULL_STEPS == 0:
            return replace(self, pending=0.0), pending
        return replace(self, pending=pending), 0.0


def no_means(
    prior: Prior,
    inputs: Float[Tensor, "context dim"],
    outputs: Float[Tensor, "word dim"],
    workers: Workers,
) -> Shrinkage:
    """Shrinkage towards 0, in the metrics of these vectors."""
    dim = inputs.shape[1]
    maps = (
        inputs.new_zeros(prior.inputs.describer.size, dim),
        inputs.new_zeros(prior.outputs.describer.size, dim),
    )
    means = torch.zeros_like(inputs), torch.zeros_like(outputs)
    return Shrinkage(prior, maps, _pulls(prior, means, inputs, outputs, workers))


def refit(
    shrinkage: Shrinkage,
    inputs: Float[Tensor, "context dim"],
    outputs: Float[Tensor, "word dim"],
    workers: Workers,
) -> Shrinkage:
    """Means and metrics of the vectors as they are now: G by `ridge` from the G before."""
    maps, means = [], []
    for side, vectors, before in zip(
        shrinkage.prior.sides, (inputs, outputs), shrinkage.maps, strict=True
    ):
        fitted = ridge(side.features, vectors, side.totals, side.strength, before, workers)
        maps.append(fitted)
        means.append(torch.from_numpy(side.features.matrix @ fitted.numpy()))
    return replace(
        shrinkage,
        maps=(maps[0], maps[1]),
        pulls=_pulls(shrinkage.prior, (means[0], means[1]), inputs, outputs, workers),
    )


def shrinkage_penalty(
    shrinkage: Shrinkage,
    inputs: Float[Tensor, "context dim"],
    outputs: Float[Tensor, "word dim"],
    row_weights: Float[Tensor, " context"],
    workers: Workers,
) -> float:
    """What shrinkage adds to N times the objective, nats, in float64."""
    ones = torch.ones(len(outputs), dtype=torch.float64)
    sides = ((inputs, row_weights, shrinkage.pulls[0]), (outputs, ones, shrinkage.pulls[1]))

    def summed(job: tuple[int, int]) -> float:
        (vectors, weights, pull), rows = sides[job[0]], slice(job[1], job[1] + SUMMED_ROWS)
        doubled = Pull(pull.strength, pull.means[rows].double(), pull.metric.double())
        return float(penalty(vectors[rows].double(), doubled, weights[rows]))

    jobs = [
        (side, first)
        for side, (vectors, *_) in enumerate(sides)
        for first in range(0, len(vectors), SUMMED_ROWS)
    ]
    return sum(workers.map(summed, jobs))


def shrunk_gradient(
    gradient: Float[Tensor, "row dim"],
    vectors: Float[Tensor, "row dim"],
    totals: Float[Tensor, " row"],
    pull: Pull,
) -> Float[Tensor, "row dim"]:
    """The gradient per pair and pseudo-pair, (1 − a)·g + a·(v − m)F with a = κ / (N + κ).

    It is that of NLL + κ/2N (v − m)ᵀF(v − m), times N / (N + κ). g is the `gradient` of a row's
    mean NLL over its N `totals`; F and the means are those of `pull` at these rows. Zero where the
    row's objective is least.
    """
    caution = (pull.strength / (totals + pull.strength)).to(vectors.dtype)[:, None]
    return (1 - caution) * gradient + caution * ((vectors - pull.means) @ pull.metric)


def pull_gradient(
    vectors: Float[Tensor, "row dim"], pull: Pull, share: float
) -> Float[Tensor, "row dim"]:
    """share · κ (v − m)F: the gradient of `share` of κ/2 (v − m)ᵀ F (v − m).

    The share is that of all pairs which the blocks behind it held.
    """
    return (vectors - pull.means) @ (share * pull.strength * pull.metric)


def _some(pull: Pull, rows: Tensor | slice) -> Pull:
    return Pull(pull.strength, pull.means[rows], pull.metric)


def _pulls(
    prior: Prior, means: tuple[Tensor, Tensor], inputs: Tensor, outputs: Tensor, workers: Workers
) -> tuple[Pull, Pull]:
    """Inputs are pulled in the metric of the outputs, F_U, and the other way round.

    The sums are made on workers, whose torch has one thread.
    """
    of_outputs = workers.start(lambda: metric(outputs, prior.outputs.totals, damping=DAMPING))
    of_inputs = workers.start(lambda: metric(inputs, prior.inputs.totals))
    strengths = prior.strengths
    return (
        Pull(strengths[0], means[0], of_outputs.result()),
        Pull(strengths[1], means[1], of_inputs.result()),
    )
