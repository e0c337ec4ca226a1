"""Optimisers of outputs and inputs, and the update rules that they are made of.

Another optimiser is tried by passing it to `fit`. It is a value with two duties: `init` makes what
it remembers (tensors, which the training state keeps), and `step` moves parameters in place by
their gradients. The rules themselves are pure functions; a compiled twin meets every output.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from exact2vec.jit import vectorized
from exact2vec.loss.engine.cells import Outputs
from exact2vec.loss.formulas import DAMPING
from exact2vec.parallel import Workers

BETA1, BETA2, EPSILON = 0.9, 0.95, 1e-8
LONGEST_STEP = 0.5  # of the mean length of the inputs
FULL_RATE_SIZE = 100  # numbers a vector, up to which the rate is taken as given
METRIC_STEPS = 16  # between refreshes of the metric of the inputs
SUMMED_ROWS = 1024  # whose products or lengths one thread sums up

Memory = tuple[Tensor, ...]  # what an optimiser remembers from step to step


class Step(NamedTuple):
    """What all tiles of a step share.

    `number` is 1 for the first step. `rate` is in units of the parameter. `scale` turns a gradient
    of Σ_c N_c NLL_c into that of a context of mean weight, in nats.
    """

    number: int
    rate: float
    scale: float = 1.0


class RowSlopes(NamedTuple):
    """The gradient of some inputs, in nats a weighted pair, and the weighted pairs behind each."""

    rows: Int[Tensor, " row"]
    slopes: Float[Tensor, "row dim"]
    pairs: Float[Tensor, " row"]


class Surroundings(NamedTuple):
    """What an optimiser of inputs may look at between steps."""

    inputs: Float[Tensor, "context dim"]
    outputs: Outputs
    unigram: Float[Tensor, " word"]
    workers: Workers


@runtime_checkable
class OutputOptimizer(Protocol):
    """Moves output vectors with their biases, which lie side by side in rows.

    The engine of the loss calls `step` for each tile of words, on worker threads, as soon as the
    gradient of the tile is there. `finish` follows once, when all tiles are done.
    """

    def init(self, rows: Tensor) -> Memory:
        """What is remembered, each tensor with a row a word."""

    def step(self, rows: Tensor, gradient: Tensor, memory: Memory, step: Step) -> None:
        """Move one tile of rows in place, and its part of the memory. It may use up `gradient`."""

    def finish(self, outputs: Outputs, memory: Memory, step: Step) -> None:
        """Move all rows in place, where a step needs to see them together."""


@runtime_checkable
class InputOptimizer(Protocol):
    """Moves the input rows that a block of contexts is made of."""

    def init(self, around: Surroundings) -> Memory:
        """What is remembered before the first step."""

    def prepare(self, memory: Memory, number: int, around: Surroundings) -> Memory:
        """What is remembered when step `number` (1 is the first) begins."""

    def step(self, inputs: Tensor, moved: RowSlopes, memory: Memory, step: Step) -> None:
        """Move the rows in place. The rate is 1 at first, and falls."""


@dataclass(frozen=True)
class Adam:
    """Outputs by Adam, in one compiled loop; see `adam_update`."""

    def init(self, rows: Tensor) -> Memory:
        return torch.zeros_like(rows), torch.zeros_like(rows)

    def step(self, rows: Tensor, gradient: Tensor, memory: Memory, step: Step) -> None:
        mean, square = memory
        arrays = rows.numpy(), mean.numpy(), square.numpy(), gradient.numpy()
        adam_in_place(*arrays, step.scale, step.number, step.rate)

    def finish(self, outputs: Outputs, memory: Memory, step: Step) -> None:
        pass


@dataclass(frozen=True)
class NaturalGradient:
    """Inputs by natural gradient: see `input_step`.

    It remembers the inverse metric of the outputs and the mean length of the inputs, which it
    takes anew every 16 steps.
    """

    def init(self, around: Surroundings) -> Memory:
        return inverse_metric_of_outputs(around), mean_length(around)

    def prepare(self, memory: Memory, number: int, around: Surroundings) -> Memory:
        return self.init(around) if (number - 1) % METRIC_STEPS == 0 else memory

    def step(self, inputs: Tensor, moved: RowSlopes, memory: Memory, step: Step) -> None:
        inverse, length = memory
        inputs[moved.rows] -= input_step(moved.slopes, inverse, step.rate, float(length))


@dataclass(frozen=True)
class AdamOfInputs:
    """Inputs by Adam, with a first rate of their own; rows without gradient move on by momentum.

    For inputs that many contexts share, as those of composed contexts.
    """

    rate: float = 0.01

    def init(self, around: Surroundings) -> Memory:
        return torch.zeros_like(around.inputs), torch.zeros_like(around.inputs)

    def prepare(self, memory: Memory, number: int, around: Surroundings) -> Memory:
        return memory

    def step(self, inputs: Tensor, moved: RowSlopes, memory: Memory, step: Step) -> None:
        gradient = torch.zeros_like(inputs)
        gradient[moved.rows] = moved.slopes * moved.pairs.to(inputs.dtype)[:, None]
        arrays = (one.numpy() for one in (inputs, *memory, gradient))
        adam_in_place(*arrays, step.scale, step.number, self.rate * step.rate)


@dataclass(frozen=True)
class Optimizers:
    """The optimisers of a training: by default those that it is tuned for."""

    outputs: OutputOptimizer = field(default_factory=Adam)
    inputs: InputOptimizer = field(default_factory=NaturalGradient)


TUNED = Optimizers()


def adam_update(
    gradient: Float[Tensor, "*shape"],
    mean: Float[Tensor, "*shape"],
    square: Float[Tensor, "*shape"],
    step: int,
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """(direction, mean, square) after `step` ≥ 1 gradients.

        m ← β₁m + (1 − β₁)g,  v ← β₂v + (1 − β₂)g²,  direction = m̂ / (√v̂ + ε)

    The direction has no unit, so a rate has the unit of the parameter.
    Source: Kingma and Ba 2015, algorithm 1, with β = .9, .95.
    """
    mean = BETA1 * mean + (1 - BETA1) * gradient
    square = BETA2 * square + (1 - BETA2) * gradient.square()
    scale = (square / (1 - BETA2**step)).sqrt() + EPSILON
    return mean / (1 - BETA1**step) / scale, mean, square


@vectorized
def adam_in_place(value, mean, square, gradient, scale, step, rate):
    """value ← value − rate · the direction of `adam_update` for scale · gradient.

    One loop over float32 arrays; mean and square follow.
    """
    beta1, beta2 = np.float32(BETA1), np.float32(BETA2)
    unbiased1, unbiased2 = np.float32(rate / (1 - BETA1**step)), np.float32(1 / (1 - BETA2**step))
    factor, epsilon, one = np.float32(scale), np.float32(EPSILON), np.float32(1)
    for row in range(value.shape[0]):
        for place in range(value.shape[1]):
            slope = factor * gradient[row, place]
            first = beta1 * mean[row, place] + (one - beta1) * slope
            second = beta2 * square[row, place] + (one - beta2) * slope * slope
            mean[row, place] = first
            square[row, place] = second
            value[row, place] -= unbiased1 * first / (np.sqrt(second * unbiased2) + epsilon)


def output_rate(rate: float, vector_size: int) -> float:
    """`rate`, times √(100 / vector_size) beyond 100 numbers.

    Adam moves each number by about the rate, so all of them move a score by rate · √vector_size.
    """
    return rate * min(1.0, math.sqrt(FULL_RATE_SIZE / vector_size))


def inverse_metric(second_moment: Float[Tensor, "dim dim"]) -> Float[Tensor, "dim dim"]:
    """F⁻¹ for F = Σ_w p_w u_w u_wᵀ + δ·I; float64.

    The sum is given; δ is a tenth of its mean eigenvalue. F is the Fisher information of a
    context's vector where p(w | c) = p_w: one metric for all contexts.
    Source: Amari 1998, natural gradient.
    """
    values, basis = torch.linalg.eigh(second_moment)
    values = values.clamp_min(0)
    inverse: Tensor = (basis / (values + DAMPING * values.mean().clamp_min(1e-12))) @ basis.T
    return inverse


def inverse_metric_of_outputs(around: Surroundings) -> Float[Tensor, "dim dim"]:
    """F⁻¹ of the present outputs, p the unigram; numbers that no vector uses have 1."""
    vectors = around.outputs.vectors
    # numbers beyond the smaller side are 0 in every vector
    used = min(*vectors.shape, len(around.inputs))
    vectors, unigram = vectors[:, :used], around.unigram.to(vectors.dtype)
    sums = around.workers.map(
        lambda words: (vectors[words] * unigram[words, None]).T @ vectors[words],
        slices(len(vectors)),
    )
    inverse = torch.eye(around.inputs.shape[1], dtype=vectors.dtype)
    inverse[:used, :used] = around.workers.run(
        lambda: inverse_metric(torch.stack(sums).double().sum(dim=0))
    )
    return inverse


def mean_length(around: Surroundings) -> Float[Tensor, ""]:
    """The mean length of the input rows; float64."""
    lengths = around.workers.map(
        lambda rows: around.inputs[rows].norm(dim=1).sum(dtype=torch.float64),
        slices(len(around.inputs)),
    )
    return torch.stack(lengths).sum() / len(around.inputs)


def input_step(
    gradient: Float[Tensor, "row dim"],
    inverse: Float[Tensor, "dim dim"],
    rate: float,
    mean_length: float,
) -> Float[Tensor, "row dim"]:
    """What is subtracted from the inputs: rate · F⁻¹ g for the gradient g of each row a pair.

    No row moves further than half the mean length of the inputs.
    """
    direction = rate * (gradient @ inverse)
    length = direction.norm(dim=1, keepdim=True)
    longest = LONGEST_STEP * mean_length
    clipped: Tensor = direction * (longest / length.clamp_min(1e-12)).clamp_max(1.0)
    return clipped


def slices(rows: int) -> list[slice]:
    """Rows cut into pieces that one thread sums up each, whatever the number of threads."""
    starts = range(0, rows, SUMMED_ROWS)
    return [slice(start, min(start + SUMMED_ROWS, rows)) for start in starts]
