"""Shrinkage: the ridge, the penalties, and what a strong, a weak and no prior do to a fit."""

import pickle
from dataclasses import replace
from types import SimpleNamespace

import by_hand
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from exact2vec.counts.counting import count_text
from exact2vec.counts.features import Features
from exact2vec.errors import InputError, UsageError
from exact2vec.loss.engine.cells import Outputs, Workspace
from exact2vec.loss.formulas import Pull, count_nll, metric, objective, penalty
from exact2vec.options import checked
from exact2vec.parallel import Workers
from exact2vec.train import problem as problems
from exact2vec.train.fit import fit
from exact2vec.train.optimizers import TUNED
from exact2vec.train.problem import row_weights
from exact2vec.train.ridge import FeatureRows, learned_share, ridge, ridge_penalty
from exact2vec.train.row_schedule import Position, Visit, visits
from exact2vec.train.shrinkage import PULL_STEPS, pull_gradient, refit, shrunk_gradient
from exact2vec.train.spectral_start import Start
from exact2vec.train.steps import (
    Rates,
    context_block,
    context_blocks,
    initial_state,
    refitted,
    step,
)
from exact2vec.vectors.vectors import Vectors


def solved(features, targets, totals, strength, **how):
    start = torch.zeros(features.shape[1], targets.shape[1], dtype=torch.float64)
    with Workers(1) as workers:
        return ridge(
            FeatureRows(csr_array(features)),
            torch.from_numpy(targets),
            torch.as_tensor(totals, dtype=torch.float64),
            strength,
            start,
            workers,
            **how,
        ).numpy()


def by_least_squares(features, targets, totals, strength):
    """Rows √ω · (f, y), and √λ · (I, 0) below them, λ = (1 − ω̄)²."""
    weights = np.array([total / (total + strength) if total else 0 for total in totals])
    caution = max(
        0.01,
        (1 - np.mean([weight for weight, total in zip(weights, totals, strict=True) if total]))
        ** 2,
    )
    left = np.vstack(
        [np.sqrt(weights)[:, None] * features, np.sqrt(caution) * np.eye(features.shape[1])]
    )
    right = np.vstack(
        [np.sqrt(weights)[:, None] * targets, np.zeros((features.shape[1], targets.shape[1]))]
    )
    return np.linalg.lstsq(left, right, rcond=None)[0]


def test_a_ridge_of_three_rows_is_that_of_least_squares():
    features, targets = (
        np.array([[1, 0.5], [0, 2], [1, 1.0]]),
        np.array([[1.0, -2], [0.3, 4], [2, 2]]),
    )
    for totals, strength in (([3.0, 0, 800], 150.0), ([1.0, 2, 3], 0.0)):
        np.testing.assert_allclose(
            solved(features, targets, totals, strength, tolerance=1e-12),
            by_least_squares(features, targets, totals, strength),
            atol=1e-9,
        )


@given(
    st.integers(0, 10**6),
    st.integers(1, 30),
    st.integers(1, 20),
    st.integers(1, 40),
    st.sampled_from([0.0, 5.0, 1e4]),
)
def test_ridges_of_any_shape_reach_their_residual(seed, rows, size, dim, strength):
    random = np.random.default_rng(seed)
    features = random.random((rows, size)) * (random.random((rows, size)) < 0.3)
    features[:, -1] = features[:, 0]
    features[0] = 0
    totals = random.integers(0, 300, rows) * 1.0
    targets = random.standard_normal((rows, dim))
    found = solved(features, targets, totals, strength, tolerance=1e-3, most_steps=200)
    weights = learned_share(torch.from_numpy(totals), strength).numpy()[:, None]
    right = features.T @ (weights * targets)
    left = (
        right
        - features.T @ (weights * (features @ found))
        - ridge_penalty(torch.from_numpy(totals), strength) * found
    )
    assert (np.linalg.norm(left, axis=0) <= 1.001e-3 * np.linalg.norm(right, axis=0) + 1e-12).all()


def test_the_ridge_does_not_depend_on_threads_and_starts_warm():
    random = np.random.default_rng(0)
    features = csr_array(
        (random.random((400, 300)) * (random.random((400, 300)) < 0.05)).astype(np.float32)
    )
    targets, totals = (
        torch.from_numpy(random.standard_normal((400, 37)).astype(np.float32)),
        torch.from_numpy(random.integers(0, 999, 400) * 1.0),
    )
    rows, start = FeatureRows(features), torch.zeros(300, 37)
    found = []
    for threads in (1, 2, 3):
        with Workers(threads) as workers:
            found.append(ridge(rows, targets, totals, 150.0, start, workers))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    with Workers(1) as workers:
        assert torch.equal(ridge(rows, targets, totals, 150.0, found[0], workers), found[0])


def problem(seed=0, contexts=6, words=7, dim=3):
    """Inputs, outputs, bias, counts, row weights and pulls, float64, away from the origin."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    inputs, outputs, bias = normal(contexts, dim) + 0.5, normal(words, dim) - 0.2, normal(words)
    counts = (
        torch.rand(contexts, words, generator=generator, dtype=torch.float64)
        * torch.tensor([1.0, 5, 30, 200, 2, 9])[:contexts, None]
    )
    weights = torch.rand(contexts, generator=generator, dtype=torch.float64) + 0.5
    pulls = (
        Pull(15.0, normal(contexts, dim), metric(outputs, counts.sum(dim=0), damping=0.1)),
        Pull(50.0, normal(words, dim), metric(inputs, counts.sum(dim=1))),
    )
    return inputs, outputs, bias, counts, weights, pulls


def test_the_objective_is_its_formula():
    inputs, outputs, bias, counts, weights, pulls = problem()
    lists = [value.tolist() for value in (inputs, outputs, bias, counts)]
    expected = by_hand.weighted_nll(*lists, weights.tolist())
    expected += by_hand.penalty(
        lists[0], pulls[0].means.tolist(), pulls[0].metric.tolist(), weights.tolist(), 15.0
    )
    expected += by_hand.penalty(
        lists[1], pulls[1].means.tolist(), pulls[1].metric.tolist(), [1.0] * 7, 50.0
    )
    assert objective(inputs, outputs, bias, counts, weights, pulls).item() == pytest.approx(
        expected / counts.sum().item(), rel=1e-12
    )
    ones, none = (
        torch.ones(6, dtype=torch.float64),
        tuple(Pull(0.0, pull.means, pull.metric) for pull in pulls),
    )
    assert objective(inputs, outputs, bias, counts, ones, none).item() == pytest.approx(
        count_nll(inputs, outputs, bias, counts).item(), rel=1e-12
    )


def test_with_fresh_metrics_the_objective_does_not_tell_the_scale_of_inputs_from_that_of_outputs():
    inputs, outputs, bias, counts, weights, pulls = problem()

    def at(scale):
        means = (scale * pulls[0].means, pulls[1].means / scale)
        x, u = scale * inputs, outputs / scale
        fresh = (
            Pull(15.0, means[0], metric(u, counts.sum(dim=0), damping=0.1)),
            Pull(50.0, means[1], metric(x, counts.sum(dim=1))),
        )
        return objective(x, u, bias, counts, weights, fresh).item()

    assert at(3.0) == pytest.approx(at(1.0), rel=1e-12)


def test_the_metric_by_hand():
    vectors, totals = torch.tensor([[1.0, 2], [3, -1]]), torch.tensor([3.0, 1]).double()
    product = 0.75 * np.outer([1, 2], [1, 2]) + 0.25 * np.outer([3, -1], [3, -1])
    np.testing.assert_allclose(metric(vectors, totals).numpy(), product, rtol=1e-6)
    np.testing.assert_allclose(
        metric(vectors, totals, damping=0.1).numpy(),
        product + 0.1 * np.trace(product) / 2 * np.eye(2),
        rtol=1e-6,
    )


def test_the_terms_of_a_step_are_the_gradient_of_the_objective():
    inputs, outputs, bias, counts, weights, pulls = problem()
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
    inputs, _, _, counts, _, pulls = problem()
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


def test_the_maps_do_not_vanish_as_the_strength_grows():
    random = np.random.default_rng(0)
    features, targets = random.random((300, 4)), random.standard_normal((300, 3))
    totals = np.full(300, 100.0)
    fitted = [
        np.linalg.norm(features @ solved(features, targets, totals, strength))
        for strength in (1.0, 1e3, 1e8)
    ]
    assert min(fitted[1:]) > 0.5 * fitted[0]


TOPICS = [
    "sunny sunless sunlight moonlight moonless",
    "doghouse dogless doglike catlike catless",
    "rainy rainless rainfall snowfall snowless",
]


RANDOM = np.random.default_rng(0)
SENTENCES = [
    [str(word) for word in RANDOM.choice(TOPICS[RANDOM.integers(3)].split(), 6)] for _ in range(300)
]


@pytest.fixture(scope="module")
def counts():
    return count_text(SENTENCES, min_count=2)


HOW = {"vector_size": 4, "epochs": 3, "block_rows": 4}


def last(counts, **how):
    *_, record = fit(counts, **(HOW | how))
    return record


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


def test_penalty_of_means_is_zero():
    inputs, _, _, _, weights, pulls = problem()
    assert penalty(pulls[0].means, pulls[0], weights).item() == 0
    assert penalty(inputs, pulls[0], weights).item() > 0


def problem_of(counts, workers, how, dtype=torch.float64):
    size = len(counts.words)
    problem = problems.problem_of(counts, Workspace.of(workers, size, size, dtype), 0.75, 1)
    return replace(
        problem,
        prior=problems.prior_of(counts, problem.training, (15.0, 50.0), None, 3, how),
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


@pytest.mark.parametrize("longest", [0, None], ids=["towards zero", "towards n-grams"])
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
