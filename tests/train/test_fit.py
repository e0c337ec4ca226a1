"""Training: its losses fall, its options are checked, and a fit that diverges stops."""

import math
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch

from exact2vec.counts.counting import count_text
from exact2vec.counts.counts import Counts
from exact2vec.errors import DivergedError, UsageError
from exact2vec.train import fit as fitting
from exact2vec.train.fit import Course, fit
from exact2vec.train.problem import Problem


@pytest.fixture(scope="module")
def counts():
    random = np.random.default_rng(0)
    return count_text(
        [[f"w{int(i)}" for i in random.zipf(1.5, 40) if i < 60] for _ in range(300)], min_count=3
    )


def test_the_loss_falls_towards_the_floor_and_threads_do_not_matter(counts):
    last = [
        list(fit(counts, vector_size=7, epochs=3, block_rows=11, prior=None, threads=threads))[-1]
        for threads in (1, 2)
    ]
    first = next(fit(counts, vector_size=7, epochs=3, block_rows=11, prior=None))
    assert first.training
    assert last[0].training
    assert 0 < last[0].training.excess < first.training.excess
    assert last[0].training.nll < first.training.nll
    assert torch.equal(last[0].state.inputs, last[1].state.inputs)
    assert torch.equal(last[0].state.outputs, last[1].state.outputs)


@pytest.mark.parametrize("prior", [None, (150.0, 500.0)])
def test_numbers_beyond_the_number_of_words_stay_0_and_nothing_diverges(prior):
    few = count_text(["the cat sat", "the cat ran"] * 20, held_out=0, min_count=1)
    losses = []
    for size in (100, 1500):
        *_, last = fit(few, vector_size=size, prior=prior)
        losses.append(last.losses.nll)
        assert not last.state.inputs[:, 4:].any()
        assert not last.state.outputs[:, 4:].any()
    assert losses[0] == pytest.approx(losses[1], abs=0.05)
    assert max(losses) < 1.5


@pytest.mark.parametrize("at", [0, 1])
def test_an_objective_without_end_stops(counts, monkeypatch, at):
    """The NLL may be a number where what shrinkage adds to it is none."""
    usual = Problem.losses

    def losses(self, state, *, exact):
        found = usual(self, state, exact=exact)
        if (state.step > 0) == at:
            found["training"] = replace(found["training"], objective=math.inf)
        return found

    monkeypatch.setattr(Problem, "losses", losses)
    with pytest.raises(DivergedError, match="objective of the training part is inf; lower --rate"):
        list(fit(counts, vector_size=4, epochs=1))


def test_a_prior_beyond_all_numbers_stops(counts):
    with pytest.raises(DivergedError, match="strengths of the prior"):
        list(fit(counts, vector_size=4, epochs=1, prior=(1e308, 1e308)))


def test_a_wild_rate_stops(counts):
    with pytest.raises(DivergedError, match="rate"):
        list(fit(counts, vector_size=7, rate=1e6))


def test_the_number_of_epochs_is_chosen_by_a_part_of_its_own(counts):
    random = np.random.default_rng(0)
    texts = [[f"w{int(i)}" for i in random.zipf(1.5, 40) if i < 60] for _ in range(300)]
    chosen = count_text(texts, min_count=3, validation=0.2)
    records = [
        record
        for record in fit(
            chosen, vector_size=7, epochs="auto", prior=None, max_epochs=30, block_rows=11
        )
        if record.training is not None
    ]
    nll = [record.validation.nll for record in records]
    assert records[-1].epoch < 30
    assert min(nll[-3:-1]) >= min(nll[:-3])
    assert records[-1].step == records[-1].steps
    assert all(record.losses.standard_error is None for record in records)
    with pytest.raises(UsageError, match="validation"):
        next(fit(counts, epochs="auto"))


def test_epochs_that_are_chosen_end_soon_where_the_start_was_best():
    random = np.random.default_rng(0)
    texts = [[f"w{int(i)}" for i in random.integers(0, 40, 12)] for _ in range(120)]
    noise = count_text(texts, min_count=1, validation=0.2)
    *_, last = fit(noise, vector_size=20, epochs="auto", prior=None, block_rows=11)
    assert last.epoch == 3


def test_the_steps_of_the_inputs_fall_from_1_and_those_of_the_outputs_from_the_rate(counts):
    taken = []

    def listening(state, block, problem, optimizers, rates):
        taken.append(rates)
        return step(state, block, problem, optimizers, rates)

    step = fitting.step
    with mock.patch.object(fitting, "step", listening):
        list(fit(counts, vector_size=7, epochs=2, rate=0.03, block_rows=11))
    shares = 1 - 0.9 * np.arange(len(taken)) / len(taken)
    np.testing.assert_allclose(taken, np.stack([0.03 * shares, shares], axis=1))


def test_one_word_can_be_fitted():
    from scipy.sparse import csr_array

    from exact2vec.counts.vocabulary import Vocabulary
    from exact2vec.counts.weighting import WindowWeighting

    only, weighting = Vocabulary(["only"], np.array([9])), WindowWeighting(5, 0.0)
    counts = Counts(only, csr_array(np.array([[7]])), None, weighting, {})
    *_, last = fit(counts, vector_size=2, epochs=2)
    assert (last.losses.nll, last.losses.floor, last.losses.excess) == (0, 0, 0)


def test_losses_between_the_ends_are_exact_where_a_sweep_is_cheap():
    """Of 2·R·W·D flops, whatever the clock says; a number of epochs that is asked for stays."""
    course = Course(vector_size=100)
    assert course.exact_epochs(15_000, 15_000) == 1
    assert course.exact_epochs(16_000, 16_000) == 0
    assert Course(vector_size=100, exact_every=3).exact_epochs(16_000, 16_000) == 3
    assert Course(vector_size=100, exact_every=0).exact_epochs(10, 10) == 0


def test_estimates_between_the_ends_where_a_sweep_is_dear(counts, monkeypatch):
    monkeypatch.setattr("exact2vec.train.fit.CHEAP_SWEEP", 1.0)
    losses = [record.losses for record in fit(counts, vector_size=3, epochs=3) if record.training]
    exact = [one.standard_error is None for one in losses]
    assert exact == [True, False, False, True]
