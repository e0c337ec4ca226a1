"""Steps and fits end where the objective is least."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from shrinkage_problems import SENTENCES, problem_of

from exact2vec.counts.counting import count_text
from exact2vec.loss.engine.cells import Outputs
from exact2vec.loss.formulas import Pull, objective
from exact2vec.parallel import Workers
from exact2vec.train.fit import fit
from exact2vec.train.optimizers import TUNED
from exact2vec.train.row_schedule import Position, Visit
from exact2vec.train.shrinkage import PULL_STEPS
from exact2vec.train.spectral_start import Start
from exact2vec.train.steps import (
    Rates,
    context_block,
    initial_state,
    refitted,
    step,
)


def at_the_optimum(problem, state, most):
    """The vectors that minimise the objective with the pulls of `state` held, by L-BFGS.

    The second result is the gradient there over that at the start: its largest entry at `most`.
    """
    dense = torch.from_numpy(problem.training.matrix.toarray()).double()
    leaves = [value.clone().requires_grad_() for value in (state.inputs, state.outputs, state.bias)]

    def loss():
        for leaf in leaves:
            leaf.grad = None
        value = objective(*leaves, dense, problem.row_weights, state.shrinkage.pulls)
        value.backward()
        return value

    def gradient():
        loss()
        return torch.cat([leaf.grad.flatten() for leaf in leaves]).norm().item()

    first = gradient()
    torch.optim.LBFGS(
        leaves,
        max_iter=4000,
        max_eval=8000,
        tolerance_grad=most * first,
        tolerance_change=0,
        history_size=30,
        line_search_fn="strong_wolfe",
    ).step(loss)
    return [leaf.detach() for leaf in leaves], gradient() / first, loss().item()


@pytest.mark.parametrize(
    "longest",
    [
        pytest.param(0, id="towards zero"),
        pytest.param(None, id="towards n-grams", marks=pytest.mark.soak),
    ],
)
def test_a_step_where_the_objective_is_least_moves_nothing(longest):
    torch.manual_seed(0)
    counts = count_text(SENTENCES, min_count=2, sample=0)
    size, dim = len(counts.words), 2
    with Workers(1) as workers:
        problem = problem_of(counts, workers, longest)
        start = initial_state(
            problem,
            TUNED,
            Start(
                0.5 * torch.randn(size, dim).double(),
                0.5 * torch.randn(size, dim).double(),
                torch.from_numpy(counts.unigram).log(),
            ),
        )
        start = refitted(start, problem)
        (inputs, outputs, bias), ratio, _ = at_the_optimum(problem, start, 1e-7)
        assert ratio < 1e-6
        everything = Visit(np.arange(size), np.ones(size, np.float32), Position())
        due = PULL_STEPS - 1
        for shift, most, least in ((0.0, 1e-5, 0.0), (0.1, 1.0, 1e-3)):
            rows = inputs + shift, Outputs.of(outputs + shift, bias).rows
            square = torch.full_like(rows[1], 1e-2)
            state = replace(
                start,
                inputs=rows[0].clone(),
                output_rows=rows[1].clone(),
                output_memory=(torch.zeros_like(square), square),
                step=due,
            )
            block = context_block(everything, problem)
            moved = step(state, block, problem, TUNED, Rates(0.05, 1.0))
            for before, after in zip(rows, (moved.inputs, moved.output_rows), strict=True):
                assert least <= (after - before).abs().max() <= most


def test_fit_ends_where_the_objective_is_least():
    """With the means and metrics of its end held, L-BFGS finds nothing 1e-3 nats below."""
    counts = count_text(SENTENCES, min_count=2, sample=0)
    *_, end = fit(counts, vector_size=2, epochs=60, prior=(15, 50), exact_every=0, threads=1)
    state = end.state
    pulls = tuple(
        Pull(pull.strength, pull.means.double(), pull.metric.double())
        for pull in state.shrinkage.pulls
    )
    held = SimpleNamespace(
        inputs=state.inputs.double(),
        outputs=state.outputs.double(),
        bias=state.bias.double(),
        shrinkage=SimpleNamespace(pulls=pulls),
    )
    with Workers(1) as workers:
        _, ratio, least = at_the_optimum(problem_of(counts, workers, None), held, 1e-4)
    assert ratio < 1e-3
    assert -1e-7 < end.losses.objective - least < 1e-3
