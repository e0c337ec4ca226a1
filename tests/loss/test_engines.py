"""One contract for every engine: targets, dtypes and scales against formulas.py in float64."""

import importlib
import importlib.util
import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import exact2vec
from exact2vec.loss import formulas, targets
from exact2vec.loss.engine import strips
from exact2vec.loss.engine.cells import Cells, Outputs

NAMES = ["reference", "tiled", "compiled"]
KINDS = ["index", "probabilities", "counts", "csr", "coo"]
SETTINGS = [(weighted, smoothing) for weighted in (False, True) for smoothing in (0.0, 0.2)]
SCALES = [None, 0.3]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
SHAPES = [(7, 11, 1), (3, 5, 4), (1, 2, 1), (6, 1, 1), (9, 37, 1)]  # (outer, words, inner)
LINEAR = [(7, 3, 11), (13, 2, 1), (23, 4, 37)]  # (rows, dim, words)
PLACES = [  # a kind of target and a shape that has it: sparse counts have two dimensions
    (kind, shape)
    for kind, shape in itertools.product(KINDS, SHAPES)
    if kind not in ("csr", "coo") or shape[2] == 1
]

pytestmark = pytest.mark.filterwarnings("ignore:Sparse")


@pytest.fixture(params=NAMES)
def engine(request):
    name = f"exact2vec.loss.engine.{request.param}"
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"there is no engine {request.param}")
    return importlib.import_module(name)


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    """Some rows of these problems are a strip of their own, some lie in one that is not full."""
    monkeypatch.setattr(strips, "CPU_SCORES", 40)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tensors of these sizes are faster so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def close(found, expected, dtype=torch.float64, least=0.0):
    """Equal to some units in the last place of `dtype`, of the largest number or of `least`."""
    assert found.dtype == expected.dtype or not found.is_floating_point()
    assert found.shape == expected.shape
    size = max(least, expected.double().abs().max().item() if expected.numel() else 0.0)
    units = 64 if dtype in (torch.float64, torch.float32) else 2
    wide = (found.double(), expected.double())
    torch.testing.assert_close(*wide, rtol=0, atol=units * torch.finfo(dtype).eps * size + 1e-30)


def awkward(shape, dtype, seed=3):
    """Scores with a mean that is not zero, and counts: a row of nothing, a word never counted."""
    torch.manual_seed(seed)
    outer, words, inner = shape
    rows = outer * inner
    scores = ((torch.randn(shape) + 0.7) * 3).to(dtype)
    y = torch.randint(words, (rows,))
    counts = torch.poisson(torch.rand(rows, words) * 1.5)
    if rows > 2:
        y[2], counts[2] = -100, 0
    if words > 1:
        counts[:, 1] = 0
        y = y.where(y != 1, 0)
    counts[0, 0] += 2
    return scores, y, counts, (torch.rand(words) + 0.25).to(dtype)


def in_middle(rows, shape):
    """(row, words) as (outer, words, inner)."""
    outer, words, inner = shape
    return rows.reshape(outer, inner, words).movedim(-1, 1).contiguous()


def targets_of(kind, shape, problem, weighted, smoothing):
    _scores, y, counts, weight = problem
    weight = weight if weighted else None
    if kind == "index":
        return targets.of_indices(y, shape[1], weight, -100, smoothing)
    if kind == "probabilities":
        q = counts / counts.sum(dim=1, keepdim=True).clamp_min(1)
        return targets.of_probabilities(
            in_middle(q.to(weight_type(problem)), shape), weight, smoothing
        )
    if kind == "counts":
        return targets.of_counts(
            in_middle(counts.to(weight_type(problem)), shape), weight, smoothing
        )
    sparse = counts.double().to_sparse_csr() if kind == "csr" else counts.double().to_sparse()
    return targets.of_counts(sparse, weight, smoothing)


def weight_type(problem):
    return problem[3].dtype


def by_formula(rows, matrix, scale):
    """formulas.py in float64, where the rows that count nothing lose nothing."""
    nll = formulas.target_nll(rows, matrix)
    return nll if scale is None else nll.sum() * scale


def direction_for(loss):
    return torch.linspace(0.5, 2, loss.numel(), dtype=loss.dtype).reshape(loss.shape)


def gradients_of(loss, leaves):
    return torch.autograd.grad((loss * direction_for(loss)).sum(), leaves)


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


def linear_problem(rows, dim, words, dtype):
    problem = awkward((rows, words, 1), dtype)
    torch.manual_seed(rows)
    leaves = [torch.randn(rows, dim) + 0.3, torch.randn(words, dim) - 0.2, torch.randn(words)]
    return problem, [leaf.to(dtype) for leaf in leaves]


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
    t = {
        "index": lambda: targets.of_indices(torch.tensor([0, 2]), 3, None, -100, 0.0),
        "probabilities": lambda: targets.of_probabilities(counts[:, :, None], None, 0.0),
        "counts": lambda: targets.of_counts(counts[:, :, None], None, 0.0),
        "csr": lambda: targets.of_counts(counts.to_sparse_csr(), None, 0.0),
    }[kind]()
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
    t = {
        "index": lambda: targets.of_indices(place, 1001, None, -100, 0.0),
        "probabilities": lambda: targets.of_probabilities(counts[:, :, None], None, 0.0),
        "csr": lambda: targets.of_counts(counts.to_sparse_csr(), None, 0.0),
    }[kind]()
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


def ulps(found, true):
    info = torch.finfo(found.dtype)
    unit = info.eps * 2.0 ** torch.floor(torch.log2(true.abs().clamp_min(info.tiny)))
    return float(((found.double() - true).abs() / unit)[true.abs() >= info.tiny].max())


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


# --- the block functions


def cells_of(counts, totals=None):
    matrix = counts.double().to_sparse_csr()
    return Cells(
        matrix.crow_indices().numpy().astype(np.int64),
        matrix.col_indices().numpy().astype(np.int32),
        matrix.values().numpy(),
        counts.double().sum(dim=1) if totals is None else totals,
    )


def block(dtype):
    """A block with a row of nothing, a word never counted, and words that are left out of a row."""
    torch.manual_seed(5)
    x, u, b = (torch.randn(*size).to(dtype) for size in ((6, 3), (17, 3), (17,)))
    counts = torch.poisson(torch.rand(6, 17))
    counts[1], counts[:, 4] = 0, 0
    counts[0, 0] += 1
    out = torch.zeros(6, 17)
    out[0, 3] = out[0, 16] = out[2, 5] = out[5, 0] = 1
    return x, u, b, counts * (1 - out), out


def block_scores(x, u, b, out):
    return (x @ u.T + b).masked_fill(out > 0, -torch.inf)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("excluding", [False, True])
def test_losses_of_a_block(engine, dtype, excluding):
    x, u, b, counts, out = block(dtype)
    totals = counts.double().sum(dim=1) + torch.tensor([0.0, 0, 1, 0, 2, 0]).double()
    sets = [cells_of(counts), cells_of(counts, totals)]
    found = engine.losses(x, Outputs.of(u, b), sets, cells_of(out) if excluding else None)
    scores = block_scores(x.double(), u.double(), b.double(), out if excluding else 0 * out)
    log_p = scores.log_softmax(dim=1)
    n = counts.double()
    nll = -torch.where(n > 0, n * log_p, 0.0).sum(dim=1)
    for each, cells in zip(found, sets, strict=True):
        q = n / cells.totals[:, None].clamp_min(1)
        terms = torch.where(n > 0, torch.xlogy(q, q) - q * log_p.clamp_min(-1e300) - q, 0.0)
        excess = cells.totals * (terms + log_p.exp()).sum(dim=1)
        assert each.nll.dtype == each.excess.dtype == torch.float64
        close(each.nll, nll, dtype)
        close(each.excess, excess, dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("excluding", [False, True])
def test_gradients_of_a_block_are_those_of_autograd(engine, dtype, excluding):
    x, u, b, counts, out = block(dtype)
    weights = torch.linspace(0.5, 2, 6).double()
    outputs = Outputs.of(u, b)
    found = torch.full_like(outputs.rows, torch.nan)

    def on_tile(words, gradient):
        assert found[words].isnan().all(), "a word came twice"
        found[words] = gradient

    excluded = cells_of(out) if excluding else None
    d_inputs = engine.gradients(x, outputs, cells_of(counts), weights, on_tile, excluded)
    alone = engine.gradients(x, outputs, cells_of(counts), weights, None, excluded)
    assert torch.equal(alone, d_inputs)
    leaves = [one.double().requires_grad_() for one in (x, u, b)]
    scores = block_scores(*leaves, out if excluding else 0 * out)
    n = counts.double()
    counted = (n * scores.masked_fill(n == 0, 0.0)).sum(dim=1)
    total = (weights * (n.sum(dim=1) * scores.logsumexp(dim=1) - counted)).sum()
    right = torch.autograd.grad(total, leaves)
    close(d_inputs, right[0].to(dtype), dtype)
    close(found[:, :3], right[1].to(dtype), dtype)
    close(found[:, 3], right[2].to(dtype), dtype)


# --- what tiled promises to devices


class Watched(TorchDispatchMode):
    """Fails where Python waits for a value, and where there is a float64 that is not allowed."""

    WAITING = ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "unique", "item")

    def __init__(self, float64=True):
        super().__init__()
        self.float64 = float64

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        assert not name.startswith(self.WAITING), f"{name} waits for the device"
        result = function(*args, **(kwargs or {}))
        for one in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(one, torch.Tensor) and not self.float64:
                assert one.dtype != torch.float64, f"{name} makes a float64 tensor"
        return result


def tiled_engine():
    from exact2vec.loss.engine import tiled

    return tiled


def narrow(t):
    """These targets as a device without float64 has them."""

    def single(one):
        return one if one is None or one.dtype != torch.float64 else one.float()

    names = ("value", "divisor", "dense", "spread", "weight")
    return replace(t, **{name: single(getattr(t, name)) for name in names})


def run(t, scores, leaves, gradient):
    """All that is differentiable once, forward and back."""
    engine = tiled_engine()
    for scale in SCALES:
        engine.target_nll(scores, t, scale).sum().backward(gradient)
        engine.linear_nll(*leaves, t, scale, 3).sum().backward(gradient)
    engine.log_softmax(scores).sum().backward()


@pytest.mark.parametrize("float64", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["index", "probabilities", "counts"])
def test_tiled_waits_for_no_device_and_needs_no_float64(kind, smoothing, dtype, float64):
    problem, plain = linear_problem(7, 3, 11, dtype)
    t = targets_of(kind, (7, 11, 1), problem, True, smoothing)
    t = t if float64 else narrow(t)
    if t.dense is not None:
        t = replace(t, dense=t.dense.requires_grad_())
    scores = problem[0].requires_grad_()
    leaves = [leaf.requires_grad_() for leaf in plain]
    with Watched(float64):
        run(t, scores, leaves, torch.ones((), dtype=t.value.dtype))


def test_cells_of_several_a_row_are_cut_before_the_loop():
    """One look at the places of the cells for a sweep, whatever the number of blocks."""

    class Counting(TorchDispatchMode):
        looks = ()

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function._schema.name in ("aten::_local_scalar_dense", "aten::searchsorted"):
                Counting.looks += (function._schema.name,)
            return function(*args, **(kwargs or {}))

    problem, plain = linear_problem(23, 4, 37, torch.float32)
    t = targets_of("csr", (23, 37, 1), problem, False, 0.1)
    leaves = [leaf.requires_grad_() for leaf in plain]
    with Counting():
        tiled_engine().linear_nll(*leaves, t, 1.0, 2).backward()
    assert Counting.looks.count("aten::searchsorted") == 1
    assert Counting.looks.count("aten::_local_scalar_dense") == 0


@pytest.mark.parametrize("kind", ["index", "probabilities"])
def test_tiled_runs_where_there_are_no_values(kind):
    """On the meta device a look at a value is an error."""
    problem, plain = linear_problem(7, 3, 11, torch.float32)
    t = targets_of(kind, (7, 11, 1), problem, True, 0.2)
    names = ("row", "column", "value", "divisor", "dense", "spread", "weight")
    given = {name: getattr(t, name) for name in names}
    t = replace(t, **{name: one if one is None else one.to("meta") for name, one in given.items()})
    leaves = [leaf.to("meta").requires_grad_() for leaf in plain]
    scores = problem[0].to("meta").requires_grad_()
    run(t, scores, leaves, torch.ones((), dtype=torch.float64, device="meta"))
    assert all(leaf.grad.shape == leaf.shape for leaf in [scores, *leaves])


@pytest.mark.parametrize("kind", ["index", "smoothing", "probabilities", "counts", "csr"])
def test_tiled_holds_a_block_of_scores(kind):
    """No tensor has more numbers than the scores of a block, where none was given that has."""

    class Largest(TorchDispatchMode):
        found = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            ones = result if isinstance(result, (tuple, list)) else (result,)
            sizes = [one.untyped_storage().nbytes() // 4 for one in ones if _fresh(one, given)]
            Largest.found = max(Largest.found, *sizes, 0)
            return result

    def _fresh(one, given):
        return isinstance(one, torch.Tensor) and one.untyped_storage().data_ptr() not in given

    rows, dim, words = 200, 4, 1000
    problem, plain = linear_problem(rows, dim, words, torch.float32)
    t = targets_of(
        *(
            ("index", (rows, words, 1), problem, False, 0.2)
            if kind == "smoothing"
            else (kind, (rows, words, 1), problem, False, 0.0)
        )
    )
    leaves = [leaf.requires_grad_() for leaf in plain]
    tensors = [*leaves, *(one for one in vars(t).values() if isinstance(one, torch.Tensor))]
    given = {one.untyped_storage().data_ptr() for one in tensors}
    with Largest():
        tiled_engine().linear_nll(*leaves, t, 1.0, 10).backward()
    assert 10 * words <= Largest.found <= 10 * words + 1000


def test_sums_depend_on_no_thread():
    """A row of 3,000,001 words, and 1,000,003 rows: more than torch sums in one thread."""
    torch.manual_seed(1)
    values = torch.rand(1, 3_000_001, 1)
    losses = values.flatten()[:1_000_003]
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append((strips.row_sums(values), strips.ordered_sum(losses)))
    finally:
        torch.set_num_threads(before)
    assert len({tuple(one.item() for one in pair) for pair in found}) == 1
    assert ulps(found[0][0], values.double().sum()[None, None, None]) <= 1
    assert ulps(found[0][1], losses.double().sum()) <= 1


# --- which engine serves what


def indexed(scores, y):
    from exact2vec.loss.engine import engine_of

    t = targets.of_indices(y, scores.shape[1], None, -100, 0.0)
    return engine_of(scores).target_nll(scores[:, :, None], t, 1.0)


def products(x, u, y):
    from exact2vec.loss.engine import engine_of

    t = targets.of_indices(y, len(u), None, -100, 0.0)
    return engine_of(x, u).linear_nll(x, u, None, t, 1.0, 3)


def plainly(x, u, y):
    return torch.nn.functional.cross_entropy((x @ u.T).double(), y, reduction="sum")


class Sub(torch.Tensor):
    """A subclass of tensors."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, in its jvp
def test_one_derivative_of_torch_func_is_tiled_and_others_are_formulas():
    from exact2vec.loss.engine import engine_of

    x, u, y = torch.randn(7, 3), torch.randn(11, 3), torch.randint(11, (7,))
    names = []

    def named(x):
        names.append(engine_of(x).NAME)
        return products(x, u, y)

    for ours, theirs in ((named, lambda x: plainly(x, u, y)),):
        torch.testing.assert_close(torch.func.grad(ours)(x), torch.func.grad(theirs)(x))
        torch.testing.assert_close(torch.func.hessian(ours)(x), torch.func.hessian(theirs)(x))
        twice = [
            torch.func.grad(lambda x, f=f: torch.func.grad(f)(x).square().sum())(x)
            for f in (ours, theirs)
        ]
        torch.testing.assert_close(*twice)
        leaf = x.clone().requires_grad_()
        mixed = [
            torch.autograd.grad(torch.func.grad(f)(leaf).square().sum(), leaf)[0]
            for f in (ours, theirs)
        ]
        torch.testing.assert_close(*mixed)
        several = [torch.func.vmap(f)(torch.stack([x, 2 * x])) for f in (ours, theirs)]
        torch.testing.assert_close(*several)
    assert names == ["tiled", "reference", "reference", "tiled", "reference"]
    assert engine_of(x.as_subclass(Sub)).NAME == engine_of(x.to("meta")).NAME == "tiled"


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_target_that_is_no_class_is_an_error_at_run_time(wrong):
    z, y = torch.tensor([[0.0, 1, 2], [3.0, 1, 0]]), torch.tensor([0, wrong])
    calls = [
        lambda: torch.func.grad(lambda z: indexed(z, y))(z),
        lambda: torch.func.vmap(indexed)(z[None], y[None]),
        lambda: torch.func.vmap(lambda z: indexed(z, y))(z[None]),
        lambda: indexed(z, y.as_subclass(Sub)),
        lambda: torch.func.grad(lambda z: products(z, torch.eye(3), y))(z),
        lambda: targets.of_indices(y, 3, torch.ones(3), -100, 0.1),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="out of bounds"):
            call()


COMPILED = """
import torch
from exact2vec.loss import targets
from exact2vec.loss.engine import engine_of

def linear(x, u, y):
    t = targets.of_indices(y, len(u), None, -100, 0.1)
    return engine_of(x, u).linear_nll(x, u, None, t, 1.0, 3)

def given(z, u, y):
    t = targets.of_indices(y, z.shape[1], None, -100, 0.1)
    return engine_of(z).target_nll(z[:, :, None], t, 1.0)

def plain(x, u, y):
    nll = torch.nn.functional.cross_entropy
    return nll((x @ u.T).double(), y, reduction="sum", label_smoothing=0.1)

x, u, y, graphs = torch.randn(7, 3), torch.randn(11, 3), torch.randint(11, (7,)), []

def backend(graph, _inputs):
    graphs.append([str(node.target) for node in graph.graph.nodes])
    return graph

torch.compile(linear, backend=backend, fullgraph=True)(x, u, y)
assert len(graphs) == 1, graphs
assert sum("exact2vec.linear_nll" in target for target in graphs[0]) == 1, graphs
leaves = [x.requires_grad_(), u.requires_grad_()]
expected = torch.autograd.grad(plain(x, u, y), leaves)
for call in (linear, lambda x, u, y: given(x @ u.T, u, y)):
    torch._dynamo.reset()
    compiled = torch.compile(call, backend="aot_eager", fullgraph=True)
    loss = compiled(x, u, y)
    torch.testing.assert_close(loss, plain(x, u, y), rtol=1e-5, atol=0)
    torch.testing.assert_close(torch.autograd.grad(loss, leaves), expected)
    try:
        compiled(x, u, y - 20)
    except RuntimeError as error:
        assert "out of bounds" in str(error), error
    else:
        raise AssertionError("a negative target was taken for a class")
"""


def test_a_compiler_takes_the_linear_loss_whole():
    """One graph, with the loss as one operator in it: what it holds is the operator's block.

    In a process of its own: a compiler does not read the types that are checked here.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(exact2vec.__file__).parents[1])}
    command = [sys.executable, "-W", "ignore", "-c", COMPILED]
    subprocess.run(command, check=True, env=environment)
