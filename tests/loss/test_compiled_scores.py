"""The compiled engine of given scores against the formulas in float64."""

import math

import pytest
import torch
from torch import Tensor

from exact2vec.loss.engine import compiled, reference
from exact2vec.loss.targets import Targets, of_counts, of_indices, of_probabilities

# rows along words, rows of few words, positions side by side, positions that are copied
SHAPES = [(5, 7, 1), (30, 1500, 1), (900, 5, 1), (3, 21, 70), (2, 70, 9), (4, 1, 3)]
KINDS = ["index", "smoothing", "probabilities", "smooth_probabilities", "counts", "smooth_counts"]
TOLERANCE = {
    torch.float64: 1e-13,
    torch.float32: 2e-7,
    torch.bfloat16: 2.0**-8,
    torch.float16: 2.0**-11,
}


def targets_of(kind: str, shape: tuple[int, int, int], weight: Tensor | None) -> Targets:
    outer, words, inner = shape
    smoothing = 0.1 if "smooth" in kind else 0.0
    if kind in ("index", "smoothing"):
        y = torch.randint(words, (outer * inner,))
        y[::3] = -100
        return of_indices(y, words, weight, -100, smoothing)
    if "probabilities" in kind:
        return of_probabilities(torch.randn(shape).softmax(1), weight, smoothing)
    if kind.startswith("csr"):
        counts = torch.randint(3, (outer * inner, words)) * torch.randint(2, (outer * inner, words))
        return of_counts(counts.double().to_sparse_coo().coalesce(), weight, smoothing)
    return of_counts(torch.randint(3, shape).double(), weight, smoothing)


def assert_same(scores: Tensor, targets: Targets, scale: float | None) -> None:
    own = scores.detach().requires_grad_()
    wide = scores.detach().double().requires_grad_()
    found, wanted = (
        compiled.target_nll(own, targets, scale),
        reference.target_nll(wide, targets, scale),
    )
    assert found.dtype == torch.float64
    loss_tolerance = 1e-13 if scores.dtype == torch.float64 else 3e-7
    torch.testing.assert_close(found, wanted, rtol=loss_tolerance, atol=loss_tolerance)
    upstream = torch.randn(found.shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(found, own, upstream)
    (truth,) = torch.autograd.grad(wanted, wide, upstream)
    assert gradient.is_contiguous()
    assert gradient.dtype == scores.dtype
    tolerance = TOLERANCE[scores.dtype]
    size = float(truth.abs().amax())
    torch.testing.assert_close(gradient.double(), truth, rtol=tolerance, atol=tolerance * size)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("kind", [*KINDS, "csr", "csr_smooth"])
@pytest.mark.parametrize("weighted", [False, True])
def test_is_its_formula(
    shape: tuple[int, int, int], dtype: torch.dtype, kind: str, weighted: bool
) -> None:
    torch.manual_seed(1)
    weight = torch.rand(shape[1]) if weighted else None
    scores = torch.randn(shape).mul(5).to(dtype)
    assert_same(scores, targets_of(kind, shape, weight), None if weighted else 2.5)


@pytest.mark.parametrize("kind", ["index", "smooth_probabilities"])
def test_any_strides(kind: str) -> None:
    torch.manual_seed(2)
    for scores in (
        torch.randn(70, 9, 2).permute(2, 0, 1),
        torch.randn(3, 40, 200)[:, ::2, 5:].mul(3),
        torch.randn(1, 90, 1).expand(6, 90, 3),
        torch.randn(200, 400).T[:, :, None],
    ):
        assert_same(scores, targets_of(kind, tuple(scores.shape), None), None)


@pytest.mark.parametrize("shape", [(30, 1500, 1), (900, 5, 1), (3, 21, 70)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_log_softmax_is_its_formula(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    scores = torch.randn(shape).mul(5).to(dtype).requires_grad_()
    wide = scores.detach().double().requires_grad_()
    found, wanted = compiled.log_softmax(scores), reference.log_softmax(wide)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(found.double(), wanted, rtol=tolerance, atol=0)
    upstream = torch.randn(shape).to(dtype)
    found.backward(upstream)
    wanted.backward(upstream.double())
    assert scores.grad is not None
    assert wide.grad is not None
    size = float(upstream.double().sum(dim=1).abs().amax())
    torch.testing.assert_close(
        scores.grad.double(), wide.grad, rtol=tolerance, atol=tolerance * size
    )


def test_gradients_of_log_softmax_that_sum_to_0() -> None:
    """Such a row still counts: its gradient is the upstream one."""
    for shape in [(1, 3, 1), (2, 3, 100)]:
        scores = torch.zeros(shape, requires_grad=True)
        upstream = torch.tensor([1.0, -1.0, 0.0])[None, :, None].expand(shape)
        compiled.log_softmax(scores).backward(upstream)
        torch.testing.assert_close(scores.grad, upstream.contiguous(), rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(20, 300, 1), (2, 9, 70)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gathered_nll(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    torch.manual_seed(4)
    targets = targets_of("index", shape, torch.rand(shape[1]))
    log_p = torch.randn(shape).mul(5).to(dtype).log_softmax(1)
    log_p[0, int(targets.column[0]), 0] = -math.inf  # of a row that is ignored
    log_p.requires_grad_()
    found = compiled.gathered_nll(log_p, targets, 0.5)
    rows = log_p.detach().movedim(1, -1).reshape(-1, shape[1]).double()
    at = rows.gather(1, targets.column[:, None])[:, 0]
    wanted = 0.5 * torch.where(targets.value == 0, 0.0, -targets.value * at).sum()
    torch.testing.assert_close(found, wanted, rtol=1e-14, atol=0)
    found.backward()
    dense = targets.matrix(len(rows), shape[1]).mul(-0.5).to(dtype)
    dense = dense.reshape(shape[0], shape[2], shape[1]).movedim(-1, 1)
    torch.testing.assert_close(log_p.grad, dense, rtol=0, atol=0)


def test_index_cells() -> None:
    weight = torch.tensor([0.5, 1.0, 2.0])
    cells, bad, kept = compiled.index_cells(torch.tensor([2, -100, 0]), 3, -100, weight)
    assert (bad, kept, float(cells.divisor)) == (-1, 2, 2.5)
    assert cells.column.tolist() == [2, 0, 0]
    assert cells.value.tolist() == [2.0, 0.0, 0.5]
    for wrong in (3, -1):
        target = torch.tensor([0, wrong, 7])
        assert compiled.index_cells(target, 3, -100, None)[1:] == (1, 3)


@pytest.mark.parametrize("shape", [(6, 300, 1), (2, 7, 80)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients_of_targets(shape: tuple[int, int, int], smoothing: float) -> None:
    torch.manual_seed(5)
    found = []
    start = torch.rand(shape), torch.randn(shape)
    for engine, dtype in ((compiled, torch.float32), (reference, torch.float64)):
        counts, scores = (each.clone().to(dtype).requires_grad_() for each in start)
        targets = of_counts(counts, torch.arange(1, shape[1] + 1).float(), smoothing)
        found.append(torch.autograd.grad(engine.target_nll(scores, targets, 2.0), [counts, scores]))
    for ours, theirs in zip(*found, strict=True):
        size = float(theirs.abs().amax())
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-6, atol=2e-7 * size)


def test_gradient_of_cell_values() -> None:
    torch.manual_seed(6)
    found = []
    for engine in (compiled, reference):
        weight = torch.linspace(1, 2, 300, dtype=torch.float64, requires_grad=True)
        targets = of_indices(torch.arange(0, 300, 7), 300, weight, 14, 0.0)
        scores = torch.randn(43, 300, 1, generator=torch.Generator().manual_seed(1)).double()
        (gradient,) = torch.autograd.grad(engine.target_nll(scores, targets, None).sum(), weight)
        found.append(gradient)
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-14)


def test_second_derivatives() -> None:
    torch.manual_seed(7)
    scores = torch.randn(3, 5, 2, dtype=torch.float64, requires_grad=True)
    targets = targets_of("smooth_counts", (3, 5, 2), torch.rand(5))
    torch.autograd.gradgradcheck(lambda z: compiled.target_nll(z, targets, 1.5), scores)
    torch.autograd.gradgradcheck(compiled.log_softmax, scores)


@pytest.mark.parametrize("kind", ["index", "smoothing", "probabilities", "csr"])
@pytest.mark.parametrize("shape", [(700, 1000, 1), (90000, 7, 1), (1, 9, 70000)])
def test_threads_change_nothing(kind: str, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(8)
    scores = torch.randn(shape).mul(4)
    targets = targets_of(kind, shape, None)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            z = scores.clone().requires_grad_()
            loss = compiled.target_nll(z, targets, 1.0)
            loss.backward()
            found.append((loss, z.grad, compiled.log_softmax(scores)))
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


def test_far_terms() -> None:
    """Terms that float32 cannot hold show in sums and scaled gradients that it can."""
    for inner in (1, 70):
        z = torch.full((1, 1000, inner), -87.7)
        z[:, 0], z[:, 1] = 0, -75
        y = of_indices(torch.zeros(inner, dtype=torch.int64), 1000, None, -100, 0.0)
        right = math.exp(-75) + 998 * math.exp(float(z[0, 2, 0]))
        found = compiled.target_nll(z, y, None)
        torch.testing.assert_close(found, torch.full_like(found, right), rtol=2e-7, atol=0)

        z = torch.tensor([0.0, -88.0])[None, :, None].repeat(1, 1, inner).requires_grad_()
        y = of_indices(torch.zeros(inner, dtype=torch.int64), 2, None, -100, 0.0)
        compiled.target_nll(z, y, 65536.0).backward()
        right = 65536 * math.exp(-88)
        wanted = torch.tensor([-right, right])[None, :, None].expand(1, 2, inner)
        assert z.grad is not None
        torch.testing.assert_close(z.grad, wanted.contiguous(), rtol=2e-7, atol=0)

        z = torch.tensor([0.0, -90.0])[None, :, None].repeat(1, 1, inner)
        counts = torch.tensor([1e15, 0.0])[None, :, None].repeat(1, 1, inner)
        found = compiled.target_nll(z, of_counts(counts, None, 0.0), None)
        right = 1e15 * math.exp(-90)
        torch.testing.assert_close(found, torch.full_like(found, right), rtol=2e-7, atol=0)


def test_small_differences_of_smaller_terms() -> None:
    """c T p alone is below the normal numbers, c (T p − t) is not."""
    z = torch.tensor([0.0, -90.0])[None, :, None].requires_grad_()
    t = of_probabilities(torch.tensor([1.0, 3e-38])[None, :, None], None, 0.0)
    compiled.target_nll(z, t, 1.0).backward()
    assert z.grad is not None
    right = math.exp(-90) - float(torch.tensor(3e-38))
    assert float(z.grad[0, 1, 0]) == pytest.approx(right, rel=3e-7, abs=0)


@pytest.mark.parametrize("inner", [1, 70])
@pytest.mark.parametrize("words", [4, 200])
@pytest.mark.parametrize("kind", ["index", "smoothing", "probabilities"])
def test_rows_without_a_finite_maximum(inner: int, words: int, kind: str) -> None:
    torch.manual_seed(9)
    for bad in (math.inf, math.nan, -math.inf):
        scores = torch.randn(6, words, inner)
        scores[1 if kind != "probabilities" else 0] = bad
        if bad > 0:
            scores[4, 1, 0] = bad
        else:
            scores[4, :, 0] = bad
        z = scores.requires_grad_()
        targets = targets_of(kind, (6, words, inner), None)
        losses = compiled.target_nll(z, targets, None)
        losses.sum().backward()
        assert z.grad is not None
        ill = ~scores.detach().amax(dim=1).isfinite()
        idle = targets.matrix(6 * inner, words).sum(dim=1).reshape(6, inner) == 0
        assert torch.equal(losses.detach().reshape(6, inner).isnan(), ill & ~idle)
        assert torch.equal(z.grad.isnan().all(dim=1), ill & ~idle)
        assert torch.equal(z.grad.isnan().any(dim=1), ill & ~idle)
        assert not z.grad.movedim(1, -1)[idle].any()


def test_what_counts_nothing_adds_0_where_a_score_is_minus_infinite() -> None:
    for inner in (1, 70):
        scores = torch.zeros(1, 3, inner)
        scores[:, 2] = -math.inf
        z = scores.requires_grad_()
        t = of_probabilities(
            torch.tensor([0.5, 0.5, 0.0])[None, :, None].repeat(1, 1, inner), None, 0.0
        )
        loss = compiled.target_nll(z, t, None)
        torch.testing.assert_close(loss, torch.full_like(loss, math.log(2)), rtol=1e-7, atol=0)
        loss.sum().backward()
        assert z.grad is not None
        assert not z.grad.any()


@pytest.mark.parametrize("shape", [(600, 1000, 1), (64, 10, 1), (1, 9, 70000)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_modes_of_the_caller(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    torch.manual_seed(10)
    scores, targets = torch.randn(shape).to(dtype), targets_of("index", shape, None)
    wanted = compiled.target_nll(scores, targets, 1.0), compiled.log_softmax(scores)
    before = torch.get_default_dtype()
    for mode in (torch.no_grad(), torch.inference_mode(), torch.device("meta")):
        with mode:
            found = compiled.target_nll(scores, targets, 1.0), compiled.log_softmax(scores)
        assert torch.equal(found[0], wanted[0])
        assert torch.equal(found[1], wanted[1])
    try:
        torch.set_default_dtype(torch.float64)
        assert compiled.log_softmax(scores).dtype == dtype
    finally:
        torch.set_default_dtype(before)
