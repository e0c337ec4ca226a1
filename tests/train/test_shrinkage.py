"""What a strong, a weak and no prior do to a step and to a fit."""

import pickle

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from shrinkage_problems import SENTENCES, by_least_squares, problem_of, shrunk_problem

from exact2vec.counts.counting import count_text
from exact2vec.counts.features import Features
from exact2vec.errors import InputError, UsageError
from exact2vec.loss.formulas import Pull, objective
from exact2vec.options import checked
from exact2vec.parallel import Workers
from exact2vec.train.fit import fit
from exact2vec.train.optimizers import TUNED
from exact2vec.train.problem import row_weights
from exact2vec.train.row_schedule import visits
from exact2vec.train.shrinkage import pull_gradient, refit, shrunk_gradient
from exact2vec.train.spectral_start import Start
from exact2vec.train.steps import (
    Rates,
    context_blocks,
    initial_state,
    refitted,
    step,
)
from exact2vec.vectors.vectors import Vectors


@pytest.fixture(scope="module")
def counts():
    return count_text(SENTENCES, min_count=2)


HOW = {"vector_size": 4, "epochs": 3, "block_rows": 4}


def last(counts, **how):
    *_, record = fit(counts, **(HOW | how))
    return record


def test_the_terms_of_a_step_are_the_gradient_of_the_objective():
    inputs, outputs, bias, counts, weights, pulls = shrunk_problem()
    leaves = [value.clone().requires_grad_() for value in (inputs, outputs)]
    (objective(*leaves, bias, counts, weights, pulls) * counts.sum()).backward()
    totals = counts.sum(dim=1)
    scores = inputs @ outputs.T + bias
    residual = totals[:, None] * scores.softmax(dim=1) - counts
    ours = shrunk_gradient(residual @ outputs / totals[:, None], inputs, totals, pulls[0])
    torch.testing.assert_close(ours * (weights * (totals + 15.0))[:, None], leaves[0].grad)
    both = pull_gradient(outputs, pulls[1], 0.4) + pull_gradient(outputs, pulls[1], 0.6)
    torch.testing.assert_close((weights[:, None] * residual).T @ inputs + both, leaves[1].grad)


def test_with_means_held_a_strong_prior_gives_them_and_none_the_unshrunk_row():
    inputs, _, _, counts, _, pulls = shrunk_problem()
    totals = counts.sum(dim=1)
    gradient = torch.ones_like(inputs)
    strong, none = (
        Pull(strength, pulls[0].means, torch.eye(3, dtype=torch.float64))
        for strength in (1e12, 0.0)
    )
    torch.testing.assert_close(
        inputs - shrunk_gradient(gradient, inputs, totals, strong),
        pulls[0].means,
        atol=1e-8,
        rtol=0,
    )
    torch.testing.assert_close(shrunk_gradient(gradient, inputs, totals, none), gradient)


def test_no_prior_and_one_of_zeros_are_the_same_bytes(counts):
    none, zeros = last(counts, prior=None), last(counts, prior=(0, 0))
    assert torch.equal(none.state.inputs, zeros.state.inputs)
    assert torch.equal(none.state.outputs, zeros.state.outputs)
    assert zeros.state.shrinkage is None


def test_the_recorded_objective_is_the_formula(counts):
    record = last(counts)
    state, dense = record.state, torch.from_numpy(counts.weigh(counts.training).toarray()).double()
    pulls = tuple(
        Pull(pull.strength, pull.means.double(), pull.metric.double())
        for pull in state.shrinkage.pulls
    )
    tensors = [value.double() for value in (state.inputs, state.outputs, state.bias)]
    weights = row_weights(dense.sum(dim=1), 0.75)
    assert record.losses.objective == pytest.approx(
        objective(*tensors, dense, weights, pulls).item(), rel=1e-6
    )


def test_shrinkage_shrinks_and_threads_do_not_matter(counts):
    records = [last(counts, prior=prior, max_n=0) for prior in (None, (1e3, 1e3), (1e5, 1e5))]
    sizes = [
        float((record.state.inputs @ record.state.outputs.T).square().mean()) for record in records
    ]
    assert sizes[0] > sizes[1] > sizes[2]
    one, two = (last(counts, threads=threads) for threads in (1, 2))
    assert torch.equal(one.state.inputs, two.state.inputs)
    assert torch.equal(one.state.shrinkage.maps[1], two.state.shrinkage.maps[1])


def test_the_means_are_the_ridge_of_the_last_vectors_and_a_start_has_them_too(counts):
    for epochs in (0, 3):
        record = last(counts, epochs=epochs)
        shrinkage = record.state.shrinkage
        weighted = counts.weigh(counts.training)
        features = shrinkage.prior.inputs.features.matrix.toarray().astype(float)
        expected = by_least_squares(
            features,
            record.state.inputs.numpy().astype(float),
            np.asarray(weighted.sum(axis=1)),
            150.0,
        )
        found = shrinkage.pulls[0].means.numpy()
        assert np.abs(found - features @ expected).max() < 0.1 * np.abs(found).max()


def test_a_row_without_counts_is_predicted_from_its_features():
    random = np.random.default_rng(1)
    genre = {f"item{number}": number % 3 for number in range(30)}
    groups = [[name for name in genre if genre[name] == kind] for kind in range(3)]
    counts = count_text(
        [list(random.choice(groups[random.integers(3)], 5)) for _ in range(500)],
        min_count=1,
        held_out=0,
        sample=0,
    )
    rows = [*genre, "new0", "new1", "new2"]
    matrix = np.zeros((33, 3))
    matrix[np.arange(33), [*genre.values(), 0, 1, 2]] = 1
    record = last(
        counts,
        features=Features(csr_array(matrix), rows, ["rock", "jazz", "folk"]),
        max_n=0,
        epochs=6,
        vector_size=8,
    )
    vectors = Vectors.from_state(record.state, counts)
    for kind in range(3):
        assert {word for word, _ in vectors.predict_output_word([f"new{kind}"], topn=5)} <= set(
            groups[kind]
        )
        assert {word for word, _ in vectors.most_similar(f"new{kind}", topn=5)} <= set(groups[kind])


def test_bad_priors_and_features_are_refused(counts):
    for prior in ((-1, 5), (float("nan"), 5), (float("inf"), 1)):
        with pytest.raises(UsageError, match="prior must be two finite numbers"):
            next(fit(counts, prior=prior))
    for prior in ((1, 2, 3), (1,), "x,y", ""):
        with pytest.raises(UsageError, match="prior must be two finite numbers"):
            checked(prior=prior)
    assert checked(prior="150,500") == checked(prior=(150, 500)) == {"prior": (150.0, 500.0)}
    with pytest.raises(UsageError, match="without a prior there are none"):
        next(fit(counts, prior=None, max_n=6))
    with pytest.raises(InputError, match="15 of the 15 trained rows are not among its 1"):
        next(fit(counts, features=Features(csr_array([[1]]), ["other"])))


def test_refits_start_from_the_maps_before(counts):
    record = last(counts)
    with Workers(1) as workers:
        again = refit(record.state.shrinkage, record.state.inputs, record.state.outputs, workers)
    assert torch.equal(again.maps[0], record.state.shrinkage.maps[0])


def test_three_steps_and_four_are_seven_across_a_refit(counts):
    with Workers(1) as workers:
        problem = problem_of(counts, workers, None, torch.float32)
        start = torch.randn(15, 3, generator=torch.Generator().manual_seed(0))
        plan = list(visits(problem.training.totals.numpy(), 3, 4, 1))[:14]
        assert any(visit.position.ends_part for visit in plan[6:-2])

        def run(state, some):
            for position, block in context_blocks(some, problem):
                state = step(state, block, problem, TUNED, Rates(0.05, 0.5))
                state = refitted(state, problem) if position.ends_part else state
            return state

        first = Start(start, start + 1, torch.zeros(15))
        whole = run(initial_state(problem, TUNED, first), plan)
        half = run(initial_state(problem, TUNED, first), plan[:6])
        kept, saved = half.copy(), pickle.dumps(half)
        run(half, plan[6:9])
        again, copied = run(pickle.loads(saved), plan[6:]), run(kept, plan[6:])
    assert whole.step == again.step == copied.step

    def tensors(state):
        return [state.inputs, state.output_rows, *state.output_memory, *state.input_memory]

    for one, other, third in zip(*map(tensors, (whole, again, copied)), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, third)
    assert whole.shrinkage.pending == again.shrinkage.pending > 0
    for one, other in zip(whole.shrinkage.maps, again.shrinkage.maps, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(whole.shrinkage.pulls, again.shrinkage.pulls, strict=True):
        assert torch.equal(one.means, other.means)
        assert torch.equal(one.metric, other.metric)
