"""One step: the gradients of the engine go to the optimisers; and what happens between steps."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from exact2vec.errors import DivergedError
from exact2vec.loss.engine import engine_of
from exact2vec.loss.engine.cells import Outputs
from exact2vec.train.inputs import ContextBlock
from exact2vec.train.optimizers import Optimizers, RowSlopes, Step, Surroundings
from exact2vec.train.problem import Problem
from exact2vec.train.row_schedule import PARTS, Position, Visit
from exact2vec.train.shrinkage import (
    Shrinkage,
    no_means,
    pull_gradient,
    refit,
    shrunk_gradient,
)
from exact2vec.train.spectral_start import Start
from exact2vec.train.state import State


class Rates(NamedTuple):
    """Of one step: that of the outputs in their unit, that of the inputs a share of their first."""

    outputs: float
    inputs: float


def initial_state(problem: Problem, optimizers: Optimizers, start: Start) -> State:
    """The state before the first step, from vectors and biases."""
    pool = problem.workspace.pool
    inputs, outputs = start.inputs.clone(), Outputs.of(start.outputs, start.bias)
    around = Surroundings(inputs, problem.score.outputs(outputs, pool), problem.unigram, pool)
    shrinkage = no_means(problem.prior, inputs, start.outputs, pool) if problem.prior else None
    memories = optimizers.outputs.init(outputs.rows), optimizers.inputs.init(around)
    return State(inputs, outputs.rows, *memories, shrinkage)


def step(
    state: State, block: ContextBlock, problem: Problem, optimizers: Optimizers, rates: Rates
) -> State:
    """The state after one block. Inputs, outputs and moments are updated in place."""
    pool, score, number = problem.workspace.pool, problem.score, state.step + 1
    outputs = score.outputs(state.sides[1], pool)
    around = Surroundings(state.inputs, outputs, problem.unigram, pool)
    memory = optimizers.inputs.prepare(state.input_memory, number, around)
    shrinkage, due = _with_pairs(state, block, problem)
    state = replace(state, input_memory=memory, shrinkage=shrinkage, step=number)

    vectors, scale = block.vectors(state.inputs), 1 / problem.mean_total
    x = vectors if score.plain else pool.run(lambda: score.scaled(vectors))
    moving = _MovingOutputs(state, problem, optimizers, Step(number, rates.outputs, scale), due)
    gradient = engine_of(x, outputs.rows).gradients(
        x,
        outputs,
        block.cells,
        block.weights,
        moving.move_tile,
        block.excluded,
        workspace=problem.workspace,
    )
    moving.finish()
    if not torch.isfinite(gradient).all():
        raise DivergedError(
            f"step {number}: the gradient is not finite; lower --rate (now {rates.outputs:g})"
        )

    def move_inputs() -> None:
        d_vectors = score.unscaled_gradient(vectors, gradient)
        moved = block.row_slopes(d_vectors, score.curvature(vectors))
        moved = _shrunk(moved, state, problem)
        optimizers.inputs.step(state.inputs, moved, memory, Step(number, rates.inputs, scale))

    pool.run(move_inputs)
    return state


class _MovingOutputs(NamedTuple):
    """The outputs of one step: each tile moves as soon as its gradient is there."""

    state: State
    problem: Problem
    optimizers: Optimizers
    step: Step
    due: float

    def move_tile(self, words: slice, gradient: Tensor) -> None:
        """What the engine calls, on a worker thread, with ∂/∂ the outputs of some words."""
        state, optimizer = self.state, self.optimizers.outputs
        vectors = state.outputs[words]
        gradient = self.problem.score.output_gradient(vectors, gradient)
        if state.shrinkage is not None and self.due:
            pull = state.shrinkage.output_pull(words)
            gradient[:, : vectors.shape[1]] += pull_gradient(vectors, pull, self.due)
        memory = tuple(tensor[words] for tensor in state.output_memory)
        optimizer.step(state.output_rows[words], gradient, memory, self.step)

    def finish(self) -> None:
        state = self.state
        self.optimizers.outputs.finish(state.sides[1], state.output_memory, self.step)


def _with_pairs(
    state: State, block: ContextBlock, problem: Problem
) -> tuple[Shrinkage | None, float]:
    """The shrinkage with the pairs of a block; the share whose output term is due."""
    if state.shrinkage is None:
        return None, 0.0
    return state.shrinkage.with_pairs(float(block.pairs.sum()) / problem.training.total, state.step)


def _shrunk(moved: RowSlopes, state: State, problem: Problem) -> RowSlopes:
    """The slopes with what shrinks their rows."""
    if state.shrinkage is None:
        return moved
    vectors, pairs = state.inputs[moved.rows], problem.row_pairs[moved.rows]
    pull = state.shrinkage.input_pull(moved.rows)
    return moved._replace(slopes=shrunk_gradient(moved.slopes, vectors, pairs, pull))


def refitted(state: State, problem: Problem) -> State:
    """The state with means and metrics of its vectors; a row without pairs is its mean."""
    if state.shrinkage is None:
        return state
    shrinkage = refit(state.shrinkage, state.inputs, state.outputs, problem.workspace.pool)
    unseen = problem.row_pairs == 0
    state.inputs[unseen] = shrinkage.pulls[0].means[unseen]
    return replace(state, shrinkage=shrinkage)


def context_blocks(
    visits: Iterable[Visit], problem: Problem
) -> Iterator[tuple[Position, ContextBlock]]:
    """Each visit's block, made by a worker while the block before is at work."""
    ahead: deque[tuple[Position, Future[ContextBlock]]] = deque()
    for visit in visits:
        ahead.append(
            (visit.position, problem.workspace.pool.start(partial(context_block, visit, problem)))
        )
        if len(ahead) > 1:
            position, block = ahead.popleft()
            yield position, block.result()
    for position, block in ahead:
        yield position, block.result()


def context_block(visit: Visit, problem: Problem) -> ContextBlock:
    """The contexts of a visit, weighted by ω and by the visit."""
    model = problem.model_of(visit.position.part // PARTS)
    weights = (
        torch.from_numpy(visit.weights) * problem.row_weights[torch.from_numpy(visit.contexts)]
    )
    return model.block(visit.contexts, weights)
