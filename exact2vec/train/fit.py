"""Training: a generator of records over shuffled blocks of rows."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from exact2vec.counts.counts import Counts, unigram
from exact2vec.counts.features import Describer, Features
from exact2vec.errors import DivergedError, UsageError
from exact2vec.loss.formulas import Pull
from exact2vec.loss.sweep import Losses, estimate, sweep
from exact2vec.loss.tiles import TiledCounts, TiledNLL
from exact2vec.loss.workers import Workers
from exact2vec.options import checked
from exact2vec.train.prior import Prior, Shrinkage, no_means, refit, shrinkage_penalty
from exact2vec.train.start import spectral_start
from exact2vec.train.updates import adam_update, linear_rate, pull_gradient, rms_update, shrunk_gradient

Strengths = tuple[float, float]
DEFAULT_MAX_N = 6
PULL_EVERY = 8  # steps between output terms, each of the pairs since the one before

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
    shrinkage: Shrinkage | None
    step: int = 0

    def copy(self) -> "State":
        tensors: dict[str, Any] = {field.name: value.clone() for field in fields(self) if isinstance(value := getattr(self, field.name), Tensor | Shrinkage)}
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
    objective: float | None = None

    @property
    def losses(self) -> Losses:
        """The training losses of a record that was measured."""
        if self.training is None:
            raise UsageError(f"step {self.step} was not measured; look at records whose training is not None")
        return self.training


def fit(
    counts: Counts, *, vector_size: int = 100, epochs: int = 4, rate: float = 0.01, prior: Strengths | None = (150.0, 500.0),
    features: Features | None = None, min_n: int = 3, max_n: int | None = None, block_rows: int = 256, exact_every: int = 1,
    seed: int = 1, threads: int | None = None,
) -> Iterator[Record]:  # fmt: skip
    """Train on `counts`, yielding a Record before the first step and after every step.

    Rows are shrunk by the strengths `prior` towards means: those of what is known of a row, the character n-grams of a word (`min_n` to `max_n`
    characters; None: 6 for words, 0, none, for other tokens) and `features`. `prior=None` shrinks nothing.

    Losses are measured after every pass: exact at the start, at the end and every `exact_every` passes (0: start and end only),
    otherwise estimated from a tenth of the rows, with a standard error.
    >>> from exact2vec import count_text
    >>> counts = count_text(["sun moon", "dog cat"] * 20, held_out=0)
    >>> records = [record for record in fit(counts, vector_size=2, epochs=2) if record.training is not None]
    >>> [record.epoch for record in records]
    [0.0, 1.0, 2.0]
    >>> records[-1].objective < records[0].objective
    True

    Raises DivergedError where a loss is not finite or more than 1 nat above the start's. Results do not depend on `threads`.
    """
    strengths: Any = checked(prior=prior, min_n=min_n, max_n=max_n)["prior"]
    checked(vector_size=vector_size, epochs=epochs, rate=rate, block_rows=block_rows, exact_every=exact_every, seed=seed, threads=threads)
    weighted = counts.weigh(counts.training)
    training = TiledCounts(weighted)
    counted = [training] if counts.held_out is None else [training, TiledCounts(counts.weigh(counts.held_out))]
    rows = np.flatnonzero(training.totals.numpy() > 0)
    known = known_rows(counts, training, strengths, features, min_n, max_n)
    block_rows = min(block_rows, len(rows))
    blocks = math.ceil(len(rows) / block_rows)
    steps = epochs * blocks
    log_unigram = torch.from_numpy(np.log(unigram(training.column_totals.numpy())))
    with Workers(threads) as workers:
        tiled = TiledNLL(workers, training.shape[1], block_rows, vector_size)
        state = initial_state(weighted, vector_size, seed, workers, known)
        state = refitted(state, training, workers) if epochs == 0 else state
        record = measured(Record(state, 0, steps, 0.0), tiled, counted, log_unigram, exact=True, seed=seed)
        ceiling = record.losses.nll + WORSE_THAN_START
        yield record
        for epoch in range(epochs):
            order = np.random.default_rng([seed, epoch]).permutation(rows)
            for start in range(0, len(rows), block_rows):
                state = step(state, order[start : start + block_rows], training, tiled, linear_rate(state.step, steps, first=rate))
                state = refitted(state, training, workers) if state.step % blocks == 0 else state
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


def known_rows(
    counts: Counts, training: TiledCounts, strengths: Strengths | None, features: Features | None, min_n: int, max_n: int | None
) -> Prior | None:  # fmt: skip
    """The Prior of these arguments, None where nothing is shrunk."""
    if strengths is None:
        if features is not None or max_n:
            raise UsageError("n-grams and features describe means, and without a prior there are none: leave them out, or give --prior two numbers")
        return None
    longest = max_n if max_n is not None else DEFAULT_MAX_N if counts.settings.get("subwords") else 0
    describer = Describer.learn(counts.words, min_n=min_n, max_n=longest, known=features)
    return Prior(strengths, describer, describer.describe(counts.words), (training.totals, training.column_totals))


def refitted(state: State, counts: TiledCounts, workers: Workers) -> State:
    """The state with means and metrics of its vectors; a row without pairs is its mean."""
    if state.shrinkage is None:
        return state
    shrinkage = refit(state.shrinkage, state.inputs, state.outputs, workers)
    unseen = counts.totals == 0
    state.inputs[unseen] = shrinkage.pulls[0].means[unseen]
    return replace(state, shrinkage=shrinkage)


def initial_state(weighted: csr_array, vector_size: int, seed: int, workers: Workers, prior: Prior | None = None) -> State:
    inputs, outputs, bias = spectral_start(weighted, vector_size, seed=seed, workers=workers)
    zeros = torch.zeros_like
    shrinkage = no_means(prior, inputs, outputs) if prior else None
    return State(inputs, outputs, bias, zeros(outputs), zeros(outputs), zeros(bias), zeros(bias), torch.zeros(len(inputs)), shrinkage)


def step(state: State, rows: np.ndarray, counts: TiledCounts, tiled: TiledNLL, rate: float) -> State:
    """One block: outputs and biases by Adam, inputs by their row gradient over its running root mean square."""
    place = torch.from_numpy(rows)
    inputs = state.inputs[place]
    gradients = tiled.gradients(inputs, state.outputs, state.bias, rows, counts)
    if not math.isfinite(gradients.nll):
        raise DivergedError(f"step {state.step + 1}: the loss of a block is not finite; lower --rate (now {rate:g})")
    totals = counts.totals[place].float()[:, None]
    input_gradient, shrinkage, output_pull = gradients.inputs / totals, state.shrinkage, None
    if shrinkage is not None:
        input_gradient = shrunk_gradient(input_gradient, inputs, counts.totals[place], shrinkage.rows(place))
        pending = shrinkage.pending + float(counts.totals[place].sum()) / counts.total
        due = (state.step + 1) % PULL_EVERY == 0
        output_pull = pending if due else None
        shrinkage = replace(shrinkage, pending=0.0 if due else pending)
    direction, state.input_square[place] = rms_update(input_gradient, state.input_square[place])
    state.inputs[place] = inputs - INPUT_RATE * rate * direction
    mean_total = counts.total / max(1, int((counts.totals > 0).sum()))

    def update(tile: int) -> None:
        words = counts.slices[tile]
        if shrinkage is not None and output_pull is not None:
            pull = shrinkage.pulls[1]
            gradients.outputs[words] += pull_gradient(state.outputs[words], Pull(pull.strength, pull.means[words], pull.metric), output_pull)
        for value, gradient, mean, square in (
            (state.outputs, gradients.outputs, state.output_mean, state.output_square),
            (state.bias, gradients.bias, state.bias_mean, state.bias_square),
        ):
            direction, mean[words], square[words] = adam_update(gradient[words] / mean_total, mean[words], square[words], state.step + 1)
            value[words] -= rate * direction

    tiled.workers.map(update, tiled.tiles)
    return replace(state, shrinkage=shrinkage, step=state.step + 1)


def measured(record: Record, tiled: TiledNLL, counted: list[TiledCounts], log_unigram: Tensor, *, exact: bool, seed: int) -> Record:
    """The record with its losses, training and held-out: exact from one sweep over all rows, or estimated from a share of them."""
    parameters = record.state.inputs, record.state.outputs, record.state.bias
    found = sweep(tiled, *parameters, counted, log_unigram) if exact else estimate(tiled, *parameters, counted, log_unigram, share=ESTIMATE_SHARE, seed=seed)
    shrinkage, pairs = record.state.shrinkage, counted[0].total
    weights = (counted[0].totals > 0).double()
    shrinking = 0.0 if shrinkage is None else shrinkage_penalty(shrinkage, record.state.inputs, record.state.outputs, weights) / pairs
    return replace(record, objective=found[0].nll + shrinking, training=found[0], held_out=found[1] if len(found) > 1 else None)
