"""What the formulas say, against plain loops, autograd and finite differences."""

import by_hand
import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shrinkage_problems import shrunk_problem

from exact2vec.counts.counting import count_text
from exact2vec.errors import UsageError
from exact2vec.loss.explain import descend, explain
from exact2vec.loss.formulas import (
    Pull,
    count_nll,
    entropy_floor,
    excess_terms,
    log_softmax,
    metric,
    objective,
    penalty,
)
from exact2vec.train.optimizers import adam_update


def awkward(contexts, words, dim=6, seed=1):
    """Away from the origin, one word never counted, rows of very different size."""
    torch.manual_seed(seed)
    inputs, outputs, bias = (
        torch.randn(contexts, dim) + 0.5,
        torch.randn(words, dim) - 0.2,
        torch.randn(words) * 2 + 1,
    )
    counts = torch.randint(0, 4, (contexts, words)).float() * torch.rand(
        contexts, 1
    ) * 100 + torch.rand(contexts, words)
    if words > 1:
        counts[:, words // 2] = 0
    return inputs.double(), outputs.double(), bias.double(), counts.double()


SIZES = [(1, 1), (3, 2), (5, 7), (11, 13), (4, 29)]


@pytest.mark.parametrize("sizes", SIZES)
def test_each_is_its_formula(sizes):
    problem = awkward(*sizes)
    lists = [value.tolist() for value in problem]
    assert count_nll(*problem).item() == pytest.approx(
        by_hand.count_nll(*lists), rel=1e-12, abs=1e-12
    )
    assert entropy_floor(problem[3]).item() == pytest.approx(
        by_hand.entropy_floor(lists[3]), rel=1e-12, abs=1e-12
    )


def test_count_nll_passes_gradcheck():
    *parameters, counts = awkward(3, 5)
    assert torch.autograd.gradcheck(
        lambda *leaves: count_nll(*leaves, counts), [value.requires_grad_() for value in parameters]
    )


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=9))
def test_log_softmax_is_a_distribution_whatever_the_scores(scores):
    log_p = log_softmax(torch.tensor(scores, dtype=torch.float64))
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert (log_p <= 0).all()


def test_log_softmax_keeps_its_digits_as_p_nears_1():
    log_p = log_softmax(torch.tensor([50.0, 0.0, 0.0], dtype=torch.float64))
    assert log_p[0].item() == pytest.approx(-2 * np.exp(-50), rel=1e-14)
    assert explain([50, 0, 0], 0).gradient[0] == pytest.approx(-2 * np.exp(-50), rel=1e-14)


@given(st.floats(-30, 30), st.floats(1e-30, 1))
def test_excess_terms_are_never_negative_and_are_their_formula(log_ratio, share):
    term = excess_terms(torch.tensor(log_ratio).double(), torch.tensor(share).double()).item()
    assert term >= 0
    assert term == pytest.approx(
        share * (log_ratio - 1 + np.exp(-log_ratio)), rel=1e-6, abs=share * 1e-15
    )


@pytest.mark.parametrize("log_ratio", [1e-9, -1e-5, 1e-4, -5e-4, 9.9e-4, -1.01e-3])
def test_small_excess_terms_keep_their_digits(log_ratio):
    """The series leaves out δ⁵/120, 2e-11 of δ²/2 at most; the difference cancels beyond it."""
    with mpmath.workdps(40):
        true = float(mpmath.mpf(log_ratio) + mpmath.expm1(-mpmath.mpf(log_ratio)))
    term = excess_terms(torch.tensor(log_ratio).double(), torch.tensor(1.0).double()).item()
    assert term == pytest.approx(true, rel=1e-9)


@given(
    st.lists(st.lists(st.integers(0, 5), max_size=25), min_size=1, max_size=6), st.integers(1, 6)
)
def test_windows_are_their_formula(documents, window):
    texts = [[f"w{number}" for number in document] for document in documents]
    expected = {word for text in texts for word in text}
    try:
        counts = count_text(texts, window=window, min_count=1, held_out=0)
    except ValueError as error:
        assert any(
            reason in str(error) for reason in ("no tokens", "no pairs", "nothing to predict")
        )
        return
    numbers = [[counts.words.index(word) for word in text] for text in texts]
    assert counts.training.toarray().tolist() == by_hand.window_counts(
        numbers, len(expected), window
    )
    np.testing.assert_allclose(counts.keep, by_hand.keep(counts.vocabulary.counts.tolist(), 1e-3))


def test_adam_is_its_formula():
    gradients = [0.3, -2.0, 1.1]
    mean = square = torch.zeros(1, dtype=torch.float64)
    for step, gradient in enumerate(gradients, start=1):
        direction, mean, square = adam_update(
            torch.tensor([gradient], dtype=torch.float64), mean, square, step
        )
    assert direction.item() == pytest.approx(by_hand.adam(gradients, 0.9, 0.95, 1e-8), rel=1e-12)


def test_the_numbers_of_the_lecture():
    shown = explain([-1, 2.3, 0.1], 0)
    assert [round(nll, 4) for nll in shown.nll] == [3.4377, 0.1377, 2.3377]
    assert shown.gradient == pytest.approx(
        [p - (place == 0) for place, p in enumerate(shown.probabilities)]
    )
    steps = descend([-1, 0.2], 0, steps=10, rate=0.5)
    assert (len(steps.losses), len(steps.weights)) == (10, 11)
    assert (round(steps.losses[0], 6), round(steps.losses[-1], 6)) == (1.463282, 0.131842)
    assert [round(weight, 6) for weight in steps.weights[-1]] == [0.641514, -1.441514]
    weights = torch.tensor([-1.0, 0.2], dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD([weights], lr=0.5)
    for loss in steps.losses:
        torchs = torch.nn.functional.cross_entropy(weights[None], torch.tensor([0]))
        assert loss == pytest.approx(torchs.item(), rel=1e-12)
        sgd.zero_grad()
        torchs.backward()
        sgd.step()
    assert weights.tolist() == pytest.approx(steps.weights[-1], rel=1e-12)


@pytest.mark.parametrize(
    ("scores", "target"), [([], None), ([1.0], 1), ([float("nan")], None), ([float("inf"), 1], 0)]
)
def test_scores_and_targets_out_of_range(scores, target):
    with pytest.raises(UsageError):
        explain(scores, target)


def test_the_objective_is_its_formula():
    inputs, outputs, bias, counts, weights, pulls = shrunk_problem()
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
    inputs, outputs, bias, counts, weights, pulls = shrunk_problem()

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


def test_penalty_of_means_is_zero():
    inputs, _, _, _, weights, pulls = shrunk_problem()
    assert penalty(pulls[0].means, pulls[0], weights).item() == 0
    assert penalty(inputs, pulls[0], weights).item() > 0
