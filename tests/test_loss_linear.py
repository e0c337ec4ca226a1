"""linear_cross_entropy against the dense formula: each kind of target, tile and number of threads; derivatives and transforms."""

import os
import subprocess
import sys
from pathlib import Path

import by_hand
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import exact2vec as e2v
from exact2vec.loss import linear
from exact2vec.loss.formulas import target_nll

TARGETS = ["index", "probability", "csr", "coo", "dense"]
SETTINGS = [
    {},
    {"weight": True},
    {"label_smoothing": 0.2},
    {"weight": True, "label_smoothing": 0.1, "reduction": "sum"},
    {"reduction": "none", "label_smoothing": 0.3},
]


def problem(rows=7, dim=3, words=11, seed=3):
    torch.manual_seed(seed)
    x, u, b = torch.randn(rows, dim) + 0.3, torch.randn(words, dim) - 0.2, torch.randn(words)
    counts = torch.poisson(torch.rand(rows, words)).double()
    counts[2], counts[0, 1] = 0, 3
    given = {
        "index": torch.randint(0, words, (rows,)),
        "probability": torch.rand(rows, words).double(),
        "dense": counts,
    }
    return [one.double().requires_grad_() for one in (x, u, b)], given, torch.rand(words).double()


def keywords(kind, given, settings, weight):
    if kind in ("index", "probability"):
        found = {"target": given[kind]}
    else:
        found = {
            "counts": given["dense"]
            if kind == "dense"
            else given["dense"].to_sparse_csr()
            if kind == "csr"
            else given["dense"].to_sparse()
        }
    return {**found, **settings, **({"weight": weight} if settings.get("weight") else {})}


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(linear, "TILE_WORDS", 4)


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", TARGETS)
def test_blocks_are_the_dense_loss(kind, settings):
    leaves, given, weight = problem()
    named = keywords(kind, given, settings, weight)
    dense = e2v.cross_entropy(leaves[0] @ leaves[1].T + leaves[2], **named)
    direction = torch.rand(dense.shape).double()
    expected = torch.autograd.grad((dense * direction).sum(), leaves)
    for rows in (1, 3, 240):
        loss = e2v.linear_cross_entropy(*leaves[:2], linear_bias=leaves[2], rows=rows, **named)
        torch.testing.assert_close(loss, dense)
        torch.testing.assert_close(torch.autograd.grad((loss * direction).sum(), leaves), expected)
    if "reduction" not in settings and kind != "coo":

        def run(*parameters):
            return e2v.linear_cross_entropy(
                *parameters[:2], linear_bias=parameters[2], rows=3, **named
            )

        assert torch.autograd.gradcheck(run, leaves)
        assert torch.autograd.gradgradcheck(run, leaves)


@pytest.mark.parametrize("kind", ["index", "probability", "dense"])
def test_the_dense_loss_is_its_formula_by_hand(kind):
    (x, u, b), given, _weight = problem()
    scores = x @ u.T + b
    named = keywords(kind, given, {}, None)
    rows = [by_hand.log_softmax(row) for row in scores.tolist()]
    t = torch.nn.functional.one_hot(given["index"], 11).double() if kind == "index" else given[kind]
    sums = [
        sum(-n * log_p for n, log_p in zip(*pair, strict=True))
        for pair in zip(t.tolist(), rows, strict=True)
    ]
    assert e2v.cross_entropy(scores, **named, reduction="none").tolist() == pytest.approx(sums)
    assert target_nll(scores, t).tolist() == pytest.approx(sums)
    assert e2v.cross_entropy(scores, **named).item() == pytest.approx(
        sum(sums) / (7 if kind != "dense" else t.sum().item())
    )
    terms = e2v.loss_terms(x.detach(), **named, linear_weight=u, linear_bias=b, rows=3)
    assert terms.nll.tolist() == pytest.approx(sums)
    assert (terms.entropy + terms.excess).tolist() == pytest.approx(sums)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_stored_counts_have_gradients():
    (x, u, b), given, weight = problem()
    found = []
    for loss in (
        lambda c: e2v.linear_cross_entropy(x, u, counts=c, linear_bias=b, weight=weight, rows=3),
        lambda c: e2v.cross_entropy(x @ u.T + b, counts=c, weight=weight),
    ):
        counts = given["dense"].to_sparse_csr().requires_grad_()
        loss(counts).backward()
        found.append(counts.grad.values())
    dense = given["dense"].clone().requires_grad_()
    e2v.cross_entropy(x @ u.T + b, counts=dense, weight=weight).backward()
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], dense.grad[given["dense"] > 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_bits_for_1_and_2_threads(monkeypatch, dtype):
    monkeypatch.setattr(linear, "TILE_WORDS", 512)
    torch.manual_seed(0)
    x, u, y = (
        torch.randn(500, 24).to(dtype).requires_grad_(),
        torch.randn(5000, 24).to(dtype).requires_grad_(),
        torch.randint(0, 5000, (500,)),
    )
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            loss, dense = (
                e2v.linear_cross_entropy(x, u, y),
                e2v.cross_entropy(x @ u.detach()[:999].T, y % 999),
            )
            scores = torch.linspace(-9, 9, 500 * 999).reshape(500, 999).to(dtype).requires_grad_()
            found.append(
                [
                    loss.detach(),
                    *torch.autograd.grad(loss, (x, u)),
                    *torch.autograd.grad(e2v.cross_entropy(scores, y % 999), scores),
                ]
            )
            assert dense.isfinite()
    finally:
        torch.set_num_threads(before)
    assert all(map(torch.equal, *found))
    other = e2v.linear_cross_entropy(x, u, y, rows=17)
    torch.testing.assert_close(other.detach(), found[0][0], rtol=4 * torch.finfo(dtype).eps, atol=0)


def test_tile_sizes_differ_by_rounding_alone(monkeypatch):
    """Each loss and gradient is a sum; sums of 40 rows differ by 4 eps Σ |terms| at most, the terms of the product that made the scores included."""
    torch.manual_seed(1)
    x, u, y = (
        torch.randn(40, 24).requires_grad_(),
        torch.randn(1000, 24).requires_grad_(),
        torch.randint(0, 1000, (40,)),
    )
    z = x.detach().double() @ u.detach().double().T
    p = z.softmax(1)
    sizes = x.detach().abs().double() @ u.detach().abs().double().T  # Σ |terms| of each score
    g = (p - torch.nn.functional.one_hot(y, 1000)).abs() + p * (
        sizes + (p * sizes).sum(1, keepdim=True)
    )
    size_of_loss = (
        z.logsumexp(1).abs()
        + z.gather(1, y[:, None])[:, 0].abs()
        + (p * sizes).sum(1)
        + sizes.gather(1, y[:, None])[:, 0]
    )
    bounds = [
        size_of_loss.sum() / 40,
        g @ u.detach().abs().double() / 40,
        g.T @ x.detach().abs().double() / 40,
    ]
    found = []
    for tile, rows in ((64, 7), (1000, 40), (3, 1), (512, 13)):
        monkeypatch.setattr(linear, "TILE_WORDS", tile)
        loss = e2v.linear_cross_entropy(x, u, y, rows=rows)
        found.append([loss.detach(), *torch.autograd.grad(loss, (x, u))])
    for other in found[1:]:
        for one, two, bound in zip(found[0], other, bounds, strict=True):
            assert (
                (one.double() - two.double()).abs() <= 4 * torch.finfo(torch.float32).eps * bound
            ).all()


@st.composite
def calls(draw):
    """Scores of any number of dimensions, with each kind of target and setting that torch has too."""
    rows, words = draw(st.integers(1, 4)), draw(st.integers(2, 5))
    rest = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    torch.manual_seed(draw(st.integers(0, 99)))
    scores = torch.randn(rows, words, *rest).double() * draw(st.sampled_from([0.1, 3.0, 30.0]))
    if draw(st.booleans()):
        target = torch.rand(scores.shape).double()
    else:
        target = torch.randint(0, words, (rows, *rest))
        target[torch.rand(target.shape) < draw(st.sampled_from([0.0, 0.3]))] = -100
        target.view(-1)[0] = 0
    settings = {
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.2])),
    }
    weight = torch.rand(words).double() + 0.1 if draw(st.booleans()) else None
    return scores, target, {**settings, "weight": weight}


@pytest.mark.filterwarnings("ignore:scores of shape")
@given(calls(), st.integers(-5, 4))
def test_any_shape_is_torchs_number_and_gradient(call, dim):
    scores, target, settings = call
    theirs = scores.clone().requires_grad_()
    expected = torch.nn.functional.cross_entropy(theirs, target, **settings)
    direction = torch.rand(expected.shape).double()
    (gradient,) = torch.autograd.grad((expected * direction).sum(), theirs)
    ours = scores.clone().requires_grad_()
    loss = e2v.cross_entropy(ours, target, **settings)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad((loss * direction).sum(), ours)[0], gradient)
    dim = dim % scores.dim()
    moved = target.movedim(1, dim) if target.is_floating_point() else target
    torch.testing.assert_close(
        e2v.cross_entropy(scores.movedim(1, dim), moved, dim=dim, **settings), expected
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_second_backward_tied_weights_transforms_and_autocast():
    (x, u, _b), given, _weight = problem()
    y = given["index"]
    loss = e2v.linear_cross_entropy(x, u, y)
    first = torch.autograd.grad(loss, (x, u), retain_graph=True)
    torch.testing.assert_close(
        torch.autograd.grad(2 * loss, (x, u)), tuple(2 * one for one in first)
    )
    table = torch.randn(5, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda e: e2v.linear_cross_entropy(torch.tanh(e), e, torch.arange(5)), table
    )
    plain = torch.nn.functional.cross_entropy
    for ours, theirs in (
        (
            lambda x: e2v.linear_cross_entropy(x, u.detach(), y),
            lambda x: plain(x @ u.detach().T, y),
        ),
        (lambda x: e2v.cross_entropy(x, y % 3), lambda x: plain(x, y % 3)),
    ):
        z = x.detach()
        torch.testing.assert_close(torch.func.grad(ours)(z), torch.func.grad(theirs)(z))
        torch.testing.assert_close(
            torch.func.jvp(ours, (z,), (z.cos(),)), torch.func.jvp(theirs, (z,), (z.cos(),))
        )
        torch.testing.assert_close(torch.func.hessian(ours)(z), torch.func.hessian(theirs)(z))
        torch.testing.assert_close(
            torch.autograd.functional.hessian(ours, z), torch.func.hessian(theirs)(z)
        )
    per_row = torch.func.vmap(torch.func.grad(e2v.cross_entropy))(x.detach(), y % 3)
    torch.testing.assert_close(per_row, torch.func.vmap(torch.func.grad(plain))(x.detach(), y % 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = e2v.linear_cross_entropy(x.float(), u.float(), y)
        dense = e2v.cross_entropy(x.bfloat16(), y % 3)
    assert found.dtype == dense.dtype == torch.float32
    torch.testing.assert_close(found, loss.detach().float(), rtol=2e-2, atol=0)


def test_steps_have_the_bits_of_torchs_sgd():
    start, targets = [[-1.0, 0.2, 3.0], [0.5, 0.1, -2.0]], torch.tensor([0, 2])
    found = e2v.descend(start, targets, steps=7, rate=0.3)
    assert (len(found.losses), len(found.weights)) == (7, 8)
    weights = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD([weights], lr=0.3)
    for step in range(7):
        weights.grad = (
            torch.tensor(
                [row.gradient for row in e2v.explain(weights, targets).rows], dtype=torch.float64
            )
            / 2
        )
        sgd.step()
        assert weights.tolist() == found.weights[step + 1]
    assert found.losses[0] == pytest.approx(
        torch.nn.functional.cross_entropy(torch.tensor(start), targets).item(), rel=1e-6
    )
    assert "<td>" in found._repr_html_()
    assert "mean loss" in str(e2v.explain(start, targets))
    assert e2v.explain(start, targets)._repr_html_().count("<tr>") == 7


def test_torch_compile():
    code = """
import torch, exact2vec as e2v
x, u, y = torch.randn(5, 3), torch.randn(7, 3), torch.tensor([0, 6, 2, -100, 1])
for loss in (lambda x: e2v.linear_cross_entropy(x, u, y), lambda x: e2v.cross_entropy(x @ u.T, y, label_smoothing=.1)):
    a, b = (x.clone().requires_grad_() for _ in range(2))
    one, two = loss(a), torch.compile(loss, backend="aot_eager")(b)
    one.backward(), two.backward()
    torch.testing.assert_close((one, a.grad), (two, b.grad))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(e2v.__file__).parents[1])}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=environment)


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_counts_are_smoothed_as_dense_ones(weighted):
    torch.manual_seed(0)
    scores, weight = torch.randn(4, 6).double(), torch.rand(6).double() + 0.5 if weighted else None
    counts = torch.randint(0, 3, (4, 6)).double()
    log_p = torch.log_softmax(scores, 1)
    smooth = 0.8 * counts + 0.2 / 6 * counts.sum(dim=1, keepdim=True)
    weights = torch.ones(6).double() if weight is None else weight
    expected = -(weights * smooth * log_p).sum() / (weights * counts).sum()
    for form in (counts, counts.to_sparse_csr(), counts.to_sparse()):
        torch.testing.assert_close(
            e2v.cross_entropy(scores, counts=form, weight=weight, label_smoothing=0.2), expected
        )
    target = torch.tensor([0, 5, 2, 2])
    torchs = torch.nn.functional.cross_entropy(scores, target, weight, label_smoothing=0.2)
    torch.testing.assert_close(
        e2v.cross_entropy(scores, target, weight, label_smoothing=0.2), torchs
    )
