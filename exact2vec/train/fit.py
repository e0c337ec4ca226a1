"""Training: a generator of records over blocks of rows."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from exact2vec.counts.counts import Counts
from exact2vec.counts.features import Describer, Features
from exact2vec.errors import DivergedError, UsageError
from exact2vec.loss.count_losses import (
    BLOCK_ROWS,
    Losses,
    WeightedCounts,
    estimated_losses,
    exact_losses,
)
from exact2vec.loss.engine import engine_of
from exact2vec.loss.engine.cells import Cells, Outputs, Workspace
from exact2vec.options import checked
from exact2vec.parallel import Workers
from exact2vec.train.optimizers import (
    adam_in_place,
    input_step,
    inverse_metric,
    output_rate,
    pull_gradient,
    row_weights,
    shrunk_gradient,
)
from exact2vec.train.row_schedule import Block, blocks
from exact2vec.train.schedule import Schedule
from exact2vec.train.shrinkage import Prior, Shrinkage, no_means, refit, shrinkage_penalty
from exact2vec.train.spectral_start import spectral_start

Strengths = tuple[float, float]

ESTIMATE_SHARE = 0.1  # of the rows, where the exact losses are not due
WORSE_THAN_START = 1.0  # nats above the NLL of the start and of the unigram that mean divergence
PULL_STEPS = 8  # between output terms of the shrinkage
DEFAULT_MAX_N = 6
METRIC_STEPS = 16  # between refreshes of the metric of the inputs
SUMMED_ROWS = 1024  # whose products or lengths one thread sums up


@dataclass(frozen=True)
class State:
    """All that training changes. The tensors are updated in place; `copy` keeps them.

    `output_rows` hold each u_w and its bias, as `Outputs` lays them out; so do their moments.
    """

    inputs: Float[Tensor, "context dim"]
    output_rows: Float[Tensor, "word width"]
    output_mean: Float[Tensor, "word width"]
    output_square: Float[Tensor, "word width"]
    inverse_metric: Float[Tensor, "dim dim"]
    input_length: float
    shrinkage: Shrinkage | None = None
    step: int = 0

    @property
    def sides(self) -> tuple[Float[Tensor, "context dim"], Outputs]:
        """Inputs and outputs, as the engine of the loss takes them."""
        return self.inputs, Outputs(self.output_rows, len(self.inverse_metric))

    @property
    def outputs(self) -> Float[Tensor, "word dim"]:
        return self.sides[1].vectors

    @property
    def bias(self) -> Float[Tensor, " word"]:
        return self.sides[1].bias

    def copy(self) -> "State":
        tensors: dict[str, Any] = {
            field.name: value.clone()
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor | Shrinkage)
        }
        return replace(self, **tensors)


@dataclass(frozen=True)
class Record:
    """One step; `training` is None between passes, where no loss is measured, the others also where nothing is held out.

    `steps` is how many there will be, at most: with epochs "auto" it falls when the end has been chosen.
    """

    state: State
    step: int
    steps: int
    epoch: float
    training: Losses | None = None
    held_out: Losses | None = None
    validation: Losses | None = None

    @property
    def losses(self) -> Losses:
        """The training losses of a record that was measured."""
        if self.training is None:
            raise UsageError(
                f"step {self.step} was not measured; look at records whose training is not None"
            )
        return self.training


def fit(
    counts: Counts,
    *,
    vector_size: int = 100,
    epochs: int | str = 4,
    max_epochs: int = 20,
    rate: float = 0.05,
    row_power: float = 0.75,
    prior: Strengths | None = (150.0, 500.0),
    features: Features | None = None,
    min_n: int = 3,
    max_n: int | None = None,
    block_rows: int = 256,
    exact_every: int = 1,
    seed: int = 1,
    threads: int | None = None,
) -> Iterator[Record]:
    """Train on `counts`, yielding a Record before the first step and after every step.

    What is minimised is Σ_c ω_c N_c NLL_c / N with ω_c ∝ N_c^(row_power − 1), and what shrinks the rows; recorded as `objective` beside the plain NLL.
    Rows are shrunk, with the strengths `prior` (in weighted pairs of window 5; with another window times (window + 1) / 6, for as many tokens), towards
    what their features say: the character n-grams of a word (of `min_n` to `max_n` characters;
    None: 6 for words, 0, none, for other tokens) and `features`. `prior=None` shrinks nothing, and composes no vectors of other words.
    Losses are measured after every epoch: exact at the start, at the end and every `exact_every` epochs (0: start and end only),
    otherwise estimated from a tenth of the rows, with a standard error.
    >>> from exact2vec import count_text
    >>> counts = count_text(["sun moon", "dog cat"] * 20, held_out=0)
    >>> records = [record for record in fit(counts, vector_size=2, epochs=2) if record.training is not None]
    >>> [record.epoch for record in records]
    [0.0, 1.0, 2.0]
    >>> records[-1].losses.objective < records[0].losses.objective
    True

    epochs "auto": at most `max_epochs`, ended early where the NLL of the validation part has not fallen for two epochs: one more epoch then takes
    the rate to its final value.

    Raises DivergedError where a loss is not finite, or more than 1 nat above the larger of the start's and the unigram's. Results do not depend on `threads`.
    """
    checked(
        vector_size=vector_size,
        epochs=epochs,
        max_epochs=max_epochs,
        rate=rate,
        row_power=row_power,
        block_rows=block_rows,
        exact_every=exact_every,
        seed=seed,
        threads=threads,
    )
    if epochs == "auto" and counts.validation is None:
        share = counts.settings.get("validation", 0.0)
        raise UsageError(
            f"epochs 'auto' needs a validation part, and these counts have none: no pairs of the {counts.tokens['documents']:,} documents fell into it with "
            f"validation={share:g}; count with a larger share or smaller documents, or give a number of epochs"
        )
    strengths: Any = checked(prior=prior, min_n=min_n, max_n=max_n)["prior"]
    with Workers(threads) as workers:
        words = len(counts.words)
        rows = min(max(block_rows, BLOCK_ROWS), words)
        problem = problem_of(counts, Workspace.of(workers, rows, words), row_power, seed)
        training = problem.counted["training"]
        problem = replace(
            problem, prior=prior_of(counts, training, strengths, features, min_n, max_n)
        )
        totals, most = training.totals.numpy(), max_epochs if epochs == "auto" else int(epochs)
        ends = tuple(
            step
            for step, block in enumerate(blocks(totals, most, block_rows, seed), start=1)
            if block.epoch == int(block.epoch)
        )
        schedule = Schedule(ends, fixed=epochs != "auto")
        state = initial_state(
            problem, spectral_start(training.matrix, vector_size, seed=seed, workers=workers)
        )
        state = refitted(state, problem) if most == 0 else state
        record = problem.measured(Record(state, 0, schedule.steps, 0.0), exact=True)
        schedule = replace(
            schedule, lowest=record.validation.nll if record.validation else math.inf
        )
        ceiling = max(record.losses.nll, record.losses.unigram) + WORSE_THAN_START
        yield record
        for block, cells in with_cells(blocks(totals, most, block_rows, seed), problem):
            share = schedule.share(state.step)
            rates = output_rate(rate, vector_size) * share, share
            state = step(state, block, cells, problem, *rates)
            state = refitted(state, problem) if block.ends_part else state
            record = Record(state, state.step, schedule.steps, block.epoch)
            if block.epoch == int(block.epoch):
                record = problem.measured(record, exact=schedule.exact_at(state.step, exact_every))
                _refuse_divergence(record, ceiling, rate)
                schedule = schedule.after(
                    state.step, record.validation.nll if record.validation else math.inf
                )
                record = replace(record, steps=schedule.steps)
            yield record
            if state.step == schedule.steps:
                return


@dataclass(frozen=True)
class Problem:
    """What is minimised: the counts ("training", and "held_out" and "validation" where there are any), their weights, and the way to their losses."""

    workspace: Workspace
    counted: dict[str, WeightedCounts]
    unigram: Float[Tensor, " word"]
    row_weights: Float[Tensor, " context"]
    seed: int
    prior: Prior | None = None

    def measured(self, record: Record, *, exact: bool) -> Record:
        """The record with its losses, training and held-out: exact from one sweep over all rows, or estimated from a share of them."""
        asked = *record.state.sides, list(self.counted.values()), self.unigram.log()
        if exact:
            found = exact_losses(*asked, self.workspace, row_weights=self.row_weights)
        else:
            found = estimated_losses(*asked, self.workspace, share=ESTIMATE_SHARE, seed=self.seed)
        if exact and (shrinkage := record.state.shrinkage) is not None:
            shrinking = shrinkage_penalty(
                shrinkage,
                record.state.inputs,
                record.state.outputs,
                self.row_weights,
                self.workspace.pool,
            )
            found[0] = replace(
                found[0],
                objective=(found[0].objective or 0.0) + shrinking / self.counted["training"].total,
            )
        losses = dict(zip(self.counted, found, strict=True))
        return replace(
            record,
            training=losses["training"],
            held_out=losses.get("held_out"),
            validation=losses.get("validation"),
        )


def problem_of(counts: Counts, workspace: Workspace, row_power: float, seed: int) -> Problem:
    """The Problem of these counts, without a prior."""
    parts = {
        "training": counts.training,
        "held_out": counts.held_out,
        "validation": counts.validation,
    }
    counted = {
        name: WeightedCounts(counts.weigh(part)) for name, part in parts.items() if part is not None
    }
    return Problem(
        workspace,
        counted,
        torch.from_numpy(counts.unigram),
        row_weights(counted["training"].totals, row_power),
        seed,
    )


def initial_state(problem: Problem, start: tuple[Tensor, Tensor, Tensor]) -> State:
    """The state before the first step, from vectors and biases."""
    inputs, outputs, bias = start
    rows = Outputs.of(outputs, bias).rows
    moments = torch.zeros_like(rows), torch.zeros_like(rows)
    state = State(inputs.clone(), rows, *moments, torch.eye(inputs.shape[1]), 0.0)
    pool = problem.workspace.pool
    shrinkage = no_means(problem.prior, inputs, outputs, pool) if problem.prior else None
    return refreshed(replace(state, shrinkage=shrinkage), problem)


def prior_of(
    counts: Counts,
    training: WeightedCounts,
    strengths: Strengths | None,
    features: Features | None,
    min_n: int,
    max_n: int | None,
) -> Prior | None:
    """The Prior of these arguments, None where nothing is shrunk."""
    if strengths is None:
        if features is not None or max_n:
            raise UsageError(
                "n-grams and features describe means, and without a prior there are none: leave them out, or give two strengths"
            )
        return None
    longest = (
        max_n if max_n is not None else DEFAULT_MAX_N if counts.settings.get("subwords") else 0
    )
    describer, described = Describer.learn(counts.words, min_n=min_n, max_n=longest, known=features)
    in_inputs, in_outputs = map(counts.weighting.strength_in_pairs, strengths)
    return Prior(
        (in_inputs, in_outputs), describer, described, (training.totals, training.column_totals)
    )


def refitted(state: State, problem: Problem) -> State:
    """The state with means and metrics of its vectors; a row without pairs is its mean."""
    if state.shrinkage is None:
        return state
    shrinkage = refit(state.shrinkage, state.inputs, state.outputs, problem.workspace.pool)
    unseen = problem.counted["training"].totals == 0
    state.inputs[unseen] = shrinkage.pulls[0].means[unseen]
    return replace(state, shrinkage=shrinkage)


def refreshed(state: State, problem: Problem) -> State:
    """The state with the metric and the mean length of its present vectors."""
    pool, share = problem.workspace.pool, problem.unigram.to(state.output_rows.dtype)
    used = min(state.outputs.shape)  # columns beyond the number of words are 0
    outputs = state.outputs[:, :used]
    parts = pool.map(
        lambda words: (outputs[words] * share[words, None]).T @ outputs[words], slices(len(outputs))
    )
    inverse = torch.eye(state.outputs.shape[1], dtype=share.dtype)
    inverse[:used, :used] = pool.run(lambda: inverse_metric(torch.stack(parts).double().sum(dim=0)))
    lengths = pool.map(
        lambda rows: state.inputs[rows].norm(dim=1).sum(dtype=torch.float64),
        slices(len(state.inputs)),
    )
    return replace(
        state,
        inverse_metric=inverse,
        input_length=float(torch.stack(lengths).sum()) / len(state.inputs),
    )


def with_cells(every: Iterable[Block], problem: Problem) -> Iterator[tuple[Block, Cells]]:
    """Each block with its counted cells, which a worker takes out while the block before is at work."""
    training, pool = problem.counted["training"], problem.workspace.pool
    ahead: deque[tuple[Block, Future[Cells]]] = deque()
    for block in every:
        ahead.append((block, pool.start(partial(training.block, block.rows))))
        if len(ahead) > 1:
            first, cells = ahead.popleft()
            yield first, cells.result()
    for block, cells in ahead:
        yield block, cells.result()


def step(
    state: State, block: Block, cells: Cells, problem: Problem, rate: float, input_rate: float
) -> State:
    """One block: outputs and biases by Adam, inputs by a natural-gradient step."""
    if state.step % METRIC_STEPS == 0:
        state = refreshed(state, problem)
    place, training = torch.from_numpy(block.rows), problem.counted["training"]
    inputs, outputs = state.inputs[place], state.sides[1]
    totals, weights = (
        training.totals[place],
        torch.from_numpy(block.weights) * problem.row_weights[place],
    )
    mean_total = training.total / max(1, int((training.totals > 0).sum()))

    shrinkage, share = with_pairs_of_block(
        state.shrinkage, float((weights * totals).sum()) / training.total, state.step
    )

    def update(words: slice, gradient: Tensor) -> None:
        if shrinkage is not None and share:
            gradient[:, : outputs.dim] += pull_gradient(
                state.outputs[words], shrinkage.some(1, words), share
            )
        arrays = (
            tensor[words].numpy()
            for tensor in (state.output_rows, state.output_mean, state.output_square)
        )
        adam_in_place(*arrays, gradient.numpy(), 1 / mean_total, state.step + 1, rate)

    gradient = engine_of(inputs, outputs.rows).gradients(
        inputs, outputs, cells, weights, update, workspace=problem.workspace
    )
    if not torch.isfinite(gradient).all():
        raise DivergedError(
            f"step {state.step + 1}: the gradient is not finite; lower --rate (now {rate:g})"
        )
    mean_gradient = gradient / (weights * totals).float()[:, None]

    def moved() -> Tensor:
        slope = (
            shrunk_gradient(mean_gradient, state.inputs[place], totals, shrinkage.some(0, place))
            if shrinkage
            else mean_gradient
        )
        return input_step(slope, state.inverse_metric, input_rate, state.input_length)

    state.inputs[place] -= problem.workspace.pool.run(moved)
    return replace(state, shrinkage=shrinkage, step=state.step + 1)


def with_pairs_of_block(
    shrinkage: Shrinkage | None, share: float, step: int
) -> tuple[Shrinkage | None, float]:
    """The shrinkage with the pairs of a block, and the share of all pairs whose output term is due in this step: that of PULL_STEPS steps at a time."""
    if shrinkage is None:
        return None, 0.0
    pending = shrinkage.pending + share
    return (
        (replace(shrinkage, pending=0.0), pending)
        if (step + 1) % PULL_STEPS == 0
        else (replace(shrinkage, pending=pending), 0.0)
    )


def slices(rows: int) -> list[slice]:
    """Rows cut into pieces that one thread sums up each, whatever the number of threads."""
    ends = range(0, rows, SUMMED_ROWS)
    return [slice(start, min(start + SUMMED_ROWS, rows)) for start in ends]


def _refuse_divergence(record: Record, ceiling: float, rate: float) -> None:
    if not record.losses.nll <= ceiling:
        raise DivergedError(
            f"step {record.step}: the NLL is {record.losses.nll:.4g}, more than {WORSE_THAN_START:g} nat above the start's and the unigram's "
            f"({ceiling - WORSE_THAN_START:.4f}); lower --rate (now {rate:g})"
        )
