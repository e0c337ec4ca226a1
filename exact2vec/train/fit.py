"""Training: a generator of records over shuffled blocks of rows."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from exact2vec.counts.counts import Counts, unigram
from exact2vec.errors import DivergedError, UsageError
from exact2vec.loss.sweep import Losses, estimate, sweep
from exact2vec.loss.tiles import TiledCounts, TiledNLL
from exact2vec.loss.workers import Workers
from exact2vec.options import checked
from exact2vec.train.start import spectral_start
from exact2vec.train.updates import adam_update, linear_rate, rms_update

ESTIMATE_SHARE = 0.1  # of the rows, where the exact losses are not due
WORSE_THAN_START = 1.0  # nats above the start's NLL that mean divergence
INPUT_RATE = 10.0  # inputs move by this many times the rate of outputs


@dataclass(frozen=True)
class State:
    """All that training changes. The tensors are updated in place; `copy` keeps them."""

    inputs: Tensor
    outputs: Tensor
    bias: Tensor
    output_mean: Tensor
    output_square: Tensor
    bias_mean: Tensor
    bias_square: Tensor
    input_square: Tensor
    step: int = 0

    def copy(self) -> "State":
        tensors = {field.name: getattr(self, field.name).clone() for field in fields(self) if field.name != "step"}
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
    counts: Counts, *, vector_size: int = 100, epochs: int = 4, rate: float = 0.01, block_rows: int = 256, exact_every: int = 1,
    seed: int = 1, threads: int | None = None,
) -> Iterator[Record]:  # fmt: skip
    """Train on `counts`, yielding a Record before the first step and after every step.

    Losses are measured after every pass: exact at the start, at the end and every `exact_every` passes (0: start and end only),
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
    checked(vector_size=vector_size, epochs=epochs, rate=rate, block_rows=block_rows, exact_every=exact_every, seed=seed, threads=threads)
    weighted = counts.weigh(counts.training)
    training = TiledCounts(weighted)
    counted = [training] if counts.held_out is None else [training, TiledCounts(counts.weigh(counts.held_out))]
    rows = np.flatnonzero(training.totals.numpy() > 0)
    block_rows = min(block_rows, len(rows))
    blocks = math.ceil(len(rows) / block_rows)
    steps = epochs * blocks
    log_unigram = torch.from_numpy(np.log(unigram(training.column_totals.numpy())))
    with Workers(threads) as workers:
        tiled = TiledNLL(workers, training.shape[1], block_rows, vector_size)
        state = initial_state(weighted, vector_size, seed, workers)
        record = measured(Record(state, 0, steps, 0.0), tiled, counted, log_unigram, exact=True, seed=seed)
        ceiling = record.losses.nll + WORSE_THAN_START
        yield record
        for epoch in range(epochs):
            order = np.random.default_rng([seed, epoch]).permutation(rows)
            for start in range(0, len(rows), block_rows):
                state = step(state, order[start : start + block_rows], training, tiled, linear_rate(state.step, steps, first=rate))
                record = Record(state, state.step, steps, state.step / blocks)
                if state.step % blocks == 0:
                    exact = state.step == steps or (exact_every > 0 and (epoch + 1) % exact_every == 0)
                    record = measured(record, tiled, counted, log_unigram, exact=exact, seed=seed)
                    _refuse_divergence(record, ceiling, rate)
                yield record


def _refuse_divergence(record: Record, ceiling: float, rate: float) -> None:
    if not record.losses.nll <= ceiling:
        raise DivergedError(
            f"step {record.step}: the NLL is {record.losses.nll:.4g}, the start's was {ceiling - WORSE_THAN_START:.4f}; lower --rate (now {rate:g})"
        )


def initial_state(weighted: csr_array, vector_size: int, seed: int, workers: Workers) -> State:
    inputs, outputs, bias = spectral_start(weighted, vector_size, seed=seed, workers=workers)
    zeros = torch.zeros_like
    return State(inputs, outputs, bias, zeros(outputs), zeros(outputs), zeros(bias), zeros(bias), torch.zeros(len(inputs)))


def step(state: State, rows: np.ndarray, counts: TiledCounts, tiled: TiledNLL, rate: float) -> State:
    """One block: outputs and biases by Adam, inputs by their row gradient over its running root mean square."""
    place = torch.from_numpy(rows)
    inputs = state.inputs[place]
    gradients = tiled.gradients(inputs, state.outputs, state.bias, rows, counts)
    if not math.isfinite(gradients.nll):
        raise DivergedError(f"step {state.step + 1}: the loss of a block is not finite; lower --rate (now {rate:g})")
    totals = counts.totals[place].float()[:, None]
    direction, state.input_square[place] = rms_update(gradients.inputs / totals, state.input_square[place])
    state.inputs[place] = inputs - INPUT_RATE * rate * direction
    mean_total = counts.total / max(1, int((counts.totals > 0).sum()))

    def update(tile: int) -> None:
        words = counts.slices[tile]
        for value, gradient, mean, square in (
            (state.outputs, gradients.outputs, state.output_mean, state.output_square),
            (state.bias, gradients.bias, state.bias_mean, state.bias_square),
        ):
            direction, mean[words], square[words] = adam_update(gradient[words] / mean_total, mean[words], square[words], state.step + 1)
            value[words] -= rate * direction

    tiled.workers.map(update, tiled.tiles)
    return replace(state, step=state.step + 1)


def measured(record: Record, tiled: TiledNLL, counted: list[TiledCounts], log_unigram: Tensor, *, exact: bool, seed: int) -> Record:
    """The record with its losses, training and held-out: exact from one sweep over all rows, or estimated from a share of them."""
    parameters = record.state.inputs, record.state.outputs, record.state.bias
    found = sweep(tiled, *parameters, counted, log_unigram) if exact else estimate(tiled, *parameters, counted, log_unigram, share=ESTIMATE_SHARE, seed=seed)
    return replace(record, training=found[0], held_out=found[1] if len(found) > 1 else None)
