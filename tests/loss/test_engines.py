"""One contract for every engine: targets, dtypes and scales against formulas.py in float64."""

import itertools
from dataclasses import replace

import pytest
import torch
from engine_problems import (
    DTYPES,
    KINDS,
    LINEAR,
    MARKS,
    PLACES,
    SCALES,
    SETTINGS,
    SHAPES,
    awkward,
    by_formula,
    close,
    gradients_of,
    linear_problem,
    one_hot_targets,
    targets_of,
    ulps,
)

from exact2vec.loss import formulas, targets

pytestmark = MARKS


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("kind", "shape"), PLACES, ids=str)
def test_given_scores_lose_what_the_formula_says(engine, kind, shape, dtype):
    problem = awkward(shape, dtype)
    outer, words, inner = shape
    for (weighted, smoothing), scale in itertools.product(SETTINGS, SCALES):
        t = targets_of(kind, shape, problem, weighted, smoothing)
        scores = problem[0].clone().requires_grad_()
        nll = engine.target_nll(scores, t, scale)
        exact = problem[0].double().requires_grad_()
        rows = exact.movedim(1, -1).reshape(outer * inner, words)
        matrix = t.matrix(outer * inner, words)
        expected = by_formula(rows, matrix, scale)
        close(nll.detach(), expected.detach(), torch.promote_types(dtype, torch.float32))
        (found,), (right,) = gradients_of(nll, [scores]), gradients_of(expected, [exact])
        close(found, right.to(dtype), dtype, float(matrix.sum(dim=1).max()))  # T p − t


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_log_softmax_is_its_formula(engine, shape, dtype):
    scores = awkward(shape, dtype)[0].requires_grad_()
    exact = scores.detach().double().requires_grad_()
    found = engine.log_softmax(scores)
    expected = formulas.log_softmax(exact.movedim(1, -1)).movedim(-1, 1)
    close(found.detach(), expected.detach().to(dtype), dtype)
    direction = torch.linspace(-0.5, 2, found.numel()).reshape(found.shape).to(dtype)
    (gradient,) = torch.autograd.grad(found, scores, direction)
    (right,) = torch.autograd.grad(expected, exact, direction.double())
    close(gradient, right.to(dtype), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sizes", LINEAR, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_linear_scores_lose_what_the_formula_says(engine, kind, sizes, dtype):
    rows, dim, words = sizes
    problem, plain = linear_problem(rows, dim, words, dtype)
    settings = itertools.product(SETTINGS, SCALES)
    ways = itertools.cycle(itertools.product((5, None, 1), (True, False)))
    for ((weighted, smoothing), scale), (block, biased) in zip(settings, ways, strict=False):
        t = targets_of(kind, (rows, words, 1), problem, weighted, smoothing)
        leaves = [leaf.clone().requires_grad_() for leaf in (plain if biased else plain[:2])]
        exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
        nll = engine.linear_nll(*leaves[:2], leaves[2] if biased else None, t, scale, block)
        scores = exact[0] @ exact[1].T + (exact[2] if biased else 0)
        matrix = t.matrix(rows, words)
        expected = by_formula(scores, matrix, scale)
        close(nll.detach(), expected.detach(), torch.promote_types(dtype, torch.float32))
        pairs = zip(gradients_of(nll, leaves), gradients_of(expected, exact), strict=True)
        for found, right in pairs:
            close(found, right.to(dtype), dtype, float(matrix.sum(dim=1).max()))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["probabilities", "counts", "csr", "index"])
def test_targets_have_gradients(engine, kind, weighted, scale):
    """Of values, dense targets and what smoothing spreads, alone and with those of the scores."""
    rows, dim, words = 7, 3, 11
    problem, leaves = linear_problem(rows, dim, words, torch.float64)
    t = targets_of(kind, (rows, words, 1), problem, weighted, 0.2)
    made = {
        name: getattr(t, name).detach().clone().requires_grad_()
        for name in ("value", "dense", "spread")
        if getattr(t, name) is not None and getattr(t, name).numel()
    }
    t = replace(t, **made)
    exact = [leaf.clone().requires_grad_() for leaf in leaves]
    wanted = list(made.values())

    def scores():
        return (exact[0] @ exact[1].T + exact[2])[:, :, None]

    expected = by_formula(scores()[:, :, 0], t.matrix(rows, words), scale)
    right = gradients_of(expected, [*wanted, *exact])
    for nll in (engine.target_nll(scores(), t, scale), engine.linear_nll(*exact, t, scale, 3)):
        for one, two in zip(gradients_of(nll, [*wanted, *exact]), right, strict=True):
            close(one, two)
    linear = engine.linear_nll(*leaves, t, scale, 3)
    for one, two in zip(gradients_of(linear, wanted), right, strict=False):
        close(one, two)


@pytest.mark.parametrize("kind", ["index", "probabilities", "csr"])
def test_every_derivative(engine, kind):
    rows, dim, words = 4, 2, 5
    problem, plain = linear_problem(rows, dim, words, torch.float64)
    t = targets_of(kind, (rows, words, 1), problem, True, 0.1)
    leaves = [leaf.requires_grad_() for leaf in plain]
    scores = awkward((rows, words, 1), torch.float64)[0].requires_grad_()
    for scale in SCALES:
        calls = [
            (lambda *given, s=scale: engine.linear_nll(*given, t, s, 2), leaves),
            (lambda z, s=scale: engine.target_nll(z, t, s), [scores]),
        ]
        for call, given in calls:
            assert torch.autograd.gradcheck(call, given)
            assert torch.autograd.gradgradcheck(call, given)
    assert torch.autograd.gradcheck(engine.log_softmax, [scores])
    assert torch.autograd.gradgradcheck(engine.log_softmax, [scores])


def test_a_graph_that_is_kept_serves_twice(engine):
    problem, plain = linear_problem(7, 3, 11, torch.float32)
    t = targets_of("index", (7, 11, 1), problem, False, 0.0)
    leaves = [leaf.requires_grad_() for leaf in plain]
    loss = engine.linear_nll(*leaves, t, 0.5, 3)
    first = torch.autograd.grad(loss, leaves, torch.tensor(2.0).double(), retain_graph=True)
    second = torch.autograd.grad(loss, leaves, torch.tensor(4.0).double(), retain_graph=True)
    for one, two in zip(first, second, strict=True):
        torch.testing.assert_close(2 * one, two)
    (alone,) = torch.autograd.grad(engine.linear_nll(*leaves, t, 0.5, 3), leaves[1:2])
    torch.testing.assert_close(2 * alone, first[1])


@pytest.mark.parametrize("row", [[torch.inf, 0.0, 1.0], [torch.inf] * 3, [-torch.inf] * 3])
@pytest.mark.parametrize("kind", ["index", "smoothing", "probabilities"])
def test_rows_without_a_finite_maximum_are_nan(engine, kind, row):
    """nan in the loss and in all gradients of that row, and in no other; 0 where nothing counts."""
    scores = torch.tensor([row, [0.0, 1.0, 2.0], row])[:, :, None].requires_grad_()
    y, smoothing = torch.tensor([0, 1, -100]), 0.1 if kind == "smoothing" else 0.0
    q = torch.tensor([[1 / 3] * 3, [1 / 3] * 3, [0.0] * 3])[:, :, None]
    t = targets.of_indices(y, 3, None, -100, smoothing)
    if kind == "probabilities":
        t = targets.of_probabilities(q, None, 0.0)
    nll = engine.target_nll(scores, t, None)
    (gradient,) = torch.autograd.grad(nll.sum(), scores)
    assert nll.isnan().tolist() == [True, False, False]
    assert gradient[:, :, 0].isnan().tolist() == [[True] * 3, [False] * 3, [False] * 3]
    assert nll[2] == 0
    assert (gradient[2] == 0).all()
    x, bias = torch.tensor([[1.0]] * 3, requires_grad=True), torch.tensor(row)
    linear = engine.linear_nll(x, torch.ones(3, 1), bias, t, None, 2)
    (gradient,) = torch.autograd.grad(linear.sum(), x)
    assert gradient[:, 0].isnan().tolist() == [True, True, False]


@pytest.mark.parametrize("kind", ["index", "probabilities", "counts", "csr"])
def test_impossible_words_cost_nothing_where_they_do_not_count(engine, kind):
    scores = torch.tensor([[1.0, -torch.inf, 2.0], [-torch.inf, -torch.inf, 3.0]])
    scores = scores[:, :, None].requires_grad_()
    counts = torch.tensor([[1.0, 0, 0], [0, 0, 1]])
    t = one_hot_targets(kind, counts)
    nll = engine.target_nll(scores, t, None)
    (gradient,) = torch.autograd.grad(nll.sum(), scores)
    p = torch.tensor([1.0, 2.0]).double().softmax(0)
    torch.testing.assert_close(nll.detach(), torch.stack([-p[0].log(), 0 * p[0]]))
    expected = torch.stack([torch.stack([p[0] - 1, 0 * p[0], p[1]]), torch.zeros(3).double()])
    torch.testing.assert_close(gradient[:, :, 0], expected.float())


@pytest.mark.parametrize("gap", [20.0, 60.0, 85.0])
@pytest.mark.parametrize("kind", ["index", "probabilities", "csr"])
def test_the_last_digits(engine, kind, gap):
    """5 units in the last place of losses and gradients as p → 1, and of the far words."""
    if engine.NAME == "reference" and gap > 20:
        pytest.skip("autograd of the formula makes the gradient at the maximum by a subtraction")
    torch.manual_seed(0)
    z = torch.rand(6, 1001) * 9 - gap
    place = torch.randint(1001, (6,))
    z[torch.arange(6), place] = torch.rand(6) + 1.3
    counts = torch.nn.functional.one_hot(place, 1001).float()
    t = one_hot_targets(kind, counts)
    scores = z[:, :, None].clone().requires_grad_()
    nll = engine.target_nll(scores, t, None)
    (gradient,) = torch.autograd.grad(nll.sum(), scores)
    e = (z.double() - z.double().amax(1, keepdim=True)).exp()
    others = e.scatter(1, place[:, None], 0.0).sum(1, keepdim=True)
    p = (e / (1 + others)).scatter(1, place[:, None], -others / (1 + others))
    assert ulps(nll.detach().float(), others[:, 0].log1p()) <= 5
    assert ulps(gradient[:, :, 0], p) <= 5
    log_p = engine.log_softmax(scores.detach())[:, :, 0]
    assert ulps(-log_p.gather(1, place[:, None]), others.log1p()) <= 5


def test_nothing_at_all(engine):
    for shape in ((0, 3, 1), (2, 0, 1), (0, 0, 1), (2, 3, 0)):
        t = targets.of_indices(torch.full((shape[0] * shape[2],), -100), shape[1], None, -100, 0.0)
        assert engine.target_nll(torch.zeros(shape), t, 1.0) == 0
        assert engine.log_softmax(torch.zeros(shape)).shape == shape
    t = targets.of_indices(torch.full((4,), -100), 5, None, -100, 0.0)
    x, u = torch.randn(4, 2, requires_grad=True), torch.randn(5, 2)
    engine.linear_nll(x, u, None, t, 1.0, None).backward()
    assert (x.grad == 0).all()
    none = targets.of_indices(torch.empty(0, dtype=torch.int64), 5, None, -100, 0.0)
    assert engine.linear_nll(x[:0], u, None, none, 1.0, None) == 0
