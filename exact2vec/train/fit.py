"""Training: a generator of records over blocks of rows."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from exact2vec.counts.counts import Counts
from exact2vec.errors import DivergedError, UsageError
from exact2vec.loss.sweep import Losses, estimate, sweep
from exact2vec.loss.tiles import TiledNLL, WeightedCounts, rows_of
from exact2vec.loss.tiles_cpu import CompiledNLL
from exact2vec.loss.workers import Workers
from exact2vec.options import checked
from exact2vec.train.rotation import Block, blocks
from exact2vec.train.start import spectral_start
from exact2vec.train.updates import adam_in_place, falling, input_step, inverse_metric, row_weights

ESTIMATE_SHARE = 0.1  # of the rows, where the exact losses are not due
WORSE_THAN_START = 1.0  # nats above the start's NLL that mean divergence
METRIC_STEPS = 16  # between refreshes of the metric of the inputs


@dataclass(frozen=True)
class State:
    """All that training changes. The tensors are updated in place; `copy` keeps them.

    `input_rows` hold each x_c and a 1, `output_rows` each u_w and its bias, as `loss.tiles.rows_of` lays them out.
    """

    input_rows: Float[Tensor, "context width"]
    output_rows: Float[Tensor, "word width"]
    output_mean: Float[Tensor, "word width"]
    output_square: Float[Tensor, "word width"]
    inverse_metric: Float[Tensor, "dim dim"]
    input_length: float
    step: int = 0

    @property
    def inputs(self) -> Float[Tensor, "context dim"]:
        return self.input_rows[:, : len(self.inverse_metric)]

    @property
    def outputs(self) -> Float[Tensor, "word dim"]:
        return self.output_rows[:, : len(self.inverse_metric)]

    @property
    def bias(self) -> Float[Tensor, " word"]:
        return self.output_rows[:, len(self.inverse_metric)]

    def copy(self) -> "State":
        tensors: dict[str, Any] = {field.name: value.clone() for field in fields(self) if isinstance(value := getattr(self, field.name), Tensor)}
        return replace(self, **tensors)


@dataclass(frozen=True)
class Record:
    """One step; `training` is None between passes, where no loss is measured, `held_out` also where nothing is held out."""

    state: State
    step: int
    steps: int
    epoch: float
    training: Losses | None = None
    held_out: Losses | None = None

    @property
    def losses(self) -> Losses:
        """The training losses of a record that was measured."""
        if self.training is None:
            raise UsageError(f"step {self.step} was not measured; look at records whose training is not None")
        return self.training


def fit(
    counts: Counts, *, vector_size: int = 100, epochs: int = 4, rate: float = 0.05, row_power: float = 0.75, block_rows: int = 256,
    exact_every: int = 1, seed: int = 1, threads: int | None = None,
) -> Iterator[Record]:  # fmt: skip
    """Train on `counts`, yielding a Record before the first step and after every step.

    What is minimised is Σ_c ω_c N_c NLL_c / N with ω_c ∝ N_c^(row_power − 1), recorded as `objective` beside the plain NLL.
    Losses are measured after every epoch: exact at the start, at the end and every `exact_every` epochs (0: start and end only),
    otherwise estimated from a tenth of the rows, with a standard error.
    >>> from exact2vec import count_text
    >>> counts = count_text(["sun moon", "dog cat"] * 20, held_out=0)
    >>> records = [record for record in fit(counts, vector_size=2, epochs=2) if record.training is not None]
    >>> [record.epoch for record in records]
    [0.0, 1.0, 2.0]
    >>> records[-1].losses.nll < records[0].losses.nll
    True

    Raises DivergedError where a loss is not finite or more than 1 nat above the start's. Results do not depend on `threads`.
    """
    checked(vector_size=vector_size, epochs=epochs, rate=rate, row_power=row_power, block_rows=block_rows, exact_every=exact_every, seed=seed, threads=threads)
    weighted = counts.weigh(counts.training)
    training = WeightedCounts(weighted)
    with Workers(threads) as workers:
        problem = Problem(
            CompiledNLL(workers, training.shape[1], block_rows),
            [training] if counts.held_out is None else [training, WeightedCounts(counts.weigh(counts.held_out))],
            torch.from_numpy(counts.unigram),
            row_weights(training.totals, row_power),
            seed,
        )
        steps = sum(1 for _ in blocks(training.totals.numpy(), epochs, block_rows, seed))
        state = initial_state(problem, spectral_start(weighted, vector_size, seed=seed, workers=workers))
        record = problem.measured(Record(state, 0, steps, 0.0), exact=True)
        ceiling = record.losses.nll + WORSE_THAN_START
        yield record
        for block in blocks(training.totals.numpy(), epochs, block_rows, seed):
            state = step(state, block, problem, rate * falling(state.step, steps), falling(state.step, steps))
            record = Record(state, state.step, steps, block.epoch)
            if block.epoch == int(block.epoch):
                record = problem.measured(record, exact=state.step == steps or (exact_every > 0 and block.epoch % exact_every == 0))
                _refuse_divergence(record, ceiling, rate)
            yield record


@dataclass(frozen=True)
class Problem:
    """What is minimised: the counts (training, then held-out where there is any), their weights, and the way to their losses."""

    tiled: TiledNLL
    counted: list[WeightedCounts]
    unigram: Float[Tensor, " word"]
    row_weights: Float[Tensor, " context"]
    seed: int

    def measured(self, record: Record, *, exact: bool) -> Record:
        """The record with its losses, training and held-out: exact from one sweep over all rows, or estimated from a share of them."""
        rows = record.state.input_rows, record.state.output_rows
        if exact:
            found = sweep(self.tiled, *rows, self.counted, self.unigram.log(), row_weights=self.row_weights)
        else:
            found = estimate(self.tiled, *rows, self.counted, self.unigram.log(), share=ESTIMATE_SHARE, seed=self.seed)
        return replace(record, training=found[0], held_out=found[1] if len(found) > 1 else None)


def initial_state(problem: Problem, start: tuple[Tensor, Tensor, Tensor]) -> State:
    """The state before the first step, from vectors and biases."""
    inputs, outputs, bias = start
    rows = rows_of(inputs, 1.0), rows_of(outputs, bias)
    state = State(*rows, torch.zeros_like(rows[1]), torch.zeros_like(rows[1]), torch.eye(inputs.shape[1]), 0.0)
    return refreshed(state, problem)


def refreshed(state: State, problem: Problem) -> State:
    """The state with the metric and the mean length of its present vectors."""
    tiled, share = problem.tiled, problem.unigram.float()
    parts = tiled.workers.map(lambda words: (state.outputs[words] * share[words, None]).T @ state.outputs[words], tiled.slices)
    inverse = tiled.workers.run(lambda: inverse_metric(torch.stack(parts).double().sum(dim=0)))
    length = float(problem.tiled.workers.run(lambda: state.inputs.double().norm(dim=1).mean()))
    return replace(state, inverse_metric=inverse.float(), input_length=length)


def step(state: State, block: Block, problem: Problem, rate: float, input_rate: float) -> State:
    """One block: outputs and biases by Adam, inputs by a natural-gradient step."""
    if state.step % METRIC_STEPS == 0:
        state = refreshed(state, problem)
    place, dim = torch.from_numpy(block.rows), len(state.inverse_metric)
    rows, cells = state.input_rows[place], problem.counted[0].block(block.rows)
    weights = torch.from_numpy(block.weights) * problem.row_weights[place]
    mean_total = problem.counted[0].total / max(1, int((problem.counted[0].totals > 0).sum()))

    def update(words: slice, gradient: Tensor) -> None:
        arrays = (tensor[words].numpy() for tensor in (state.output_rows, state.output_mean, state.output_square))
        adam_in_place(*arrays, gradient.numpy(), 1 / mean_total, state.step + 1, rate)

    gradient = problem.tiled.gradients(rows, state.output_rows, cells, weights, update)[:, :dim]
    if not torch.isfinite(gradient).all():
        raise DivergedError(f"step {state.step + 1}: the gradient is not finite; lower --rate (now {rate:g})")
    mean_gradient = gradient / (weights * cells.totals).float()[:, None]
    state.inputs[place] -= problem.tiled.workers.run(lambda: input_step(mean_gradient, state.inverse_metric, input_rate, state.input_length))
    return replace(state, step=state.step + 1)


def _refuse_divergence(record: Record, ceiling: float, rate: float) -> None:
    if not record.losses.nll <= ceiling:
        raise DivergedError(
            f"step {record.step}: the NLL is {record.losses.nll:.4g}, the start's was {ceiling - WORSE_THAN_START:.4f}; lower --rate (now {rate:g})"
        )
