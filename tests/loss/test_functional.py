"""The functions against the definition: each kind of target, reduction and place of the classes."""

import by_hand
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import exact2vec as e2v
from exact2vec.loss import formulas
from exact2vec.loss.engine import compiled, forced, reference, tiled
from exact2vec.loss.targets import BLOCK, CHUNK, of_counts, ordered_sum

KINDS = ["index", "probabilities", "counts"]
SETTINGS = [
    {},
    {"weight": True},
    {"label_smoothing": 0.2},
    {"weight": True, "label_smoothing": 0.1},
]


def problem(kind, shape, dim, seed=3):
    """Scores away from the origin, and what is to be predicted; one row is left out."""
    torch.manual_seed(seed)
    scores = (torch.randn(shape).double() * 3 + 0.7).requires_grad_()
    rest = [size for place, size in enumerate(shape) if place != dim]
    if kind == "index":
        target = torch.randint(0, shape[dim], rest)
        target.view(-1)[1:2] = -100
        return scores, {"target": target}
    if kind == "probabilities":
        return scores, {"target": torch.rand(shape).double().softmax(dim)}
    return scores, {"counts": torch.poisson(torch.rand(shape).double() * 2)}


def by_definition(scores, named, settings, weight, dim):
    """Rows of losses and what their mean divides by: (1) with (7), (8) or (9)."""
    rows = scores.movedim(dim, -1)
    words = rows.shape[-1]
    w = weight if settings.get("weight") else torch.ones(words).double()
    smoothing = settings.get("label_smoothing", 0.0)
    if "counts" in named:
        plain = named["counts"].movedim(dim, -1)
        divisor = (w * plain).sum()
    elif named["target"].is_floating_point():
        plain = named["target"].movedim(dim, -1)
        divisor = plain[..., 0].numel()
    else:
        kept = named["target"] >= 0
        plain = torch.nn.functional.one_hot(named["target"].where(kept, 0), words) * kept[..., None]
        divisor = (w * plain).sum()
    sums = plain.sum(-1, keepdim=True)
    if "counts" not in named and named["target"].is_floating_point():
        sums = torch.ones_like(sums)
    if "target" in named and not named["target"].is_floating_point():
        t = (1 - smoothing) * w * plain + sums * smoothing * w / words
    else:
        t = w * ((1 - smoothing) * plain + sums * smoothing / words)
    nll = formulas.target_nll(rows.reshape(-1, words), t.double().reshape(-1, words))
    return nll.reshape(rows.shape[:-1]), divisor


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(6,), (5, 7), (4, 4), (2, 5, 3), (2, 3, 4, 5)], ids=str)
def test_cross_entropy_is_its_definition_in_any_dimension(shape, kind, settings):
    for dim in range(len(shape)):
        scores, named = problem(kind, shape, dim)
        if len(shape) == 1 and kind == "index":
            named = {"target": torch.tensor(2)}
        weight = torch.rand(shape[dim]).double() + 0.2
        more = {**settings, "weight": weight} if settings.get("weight") else settings
        rows, divisor = by_definition(scores, named, settings, weight, dim)
        for reduction, wanted in {
            "none": rows,
            "sum": rows.sum(),
            "mean": rows.sum() / divisor,
        }.items():
            found = e2v.cross_entropy(scores, **named, **more, dim=dim, reduction=reduction)
            torch.testing.assert_close(found, wanted)
            direction = torch.rand(wanted.shape).double()
            torch.testing.assert_close(
                torch.autograd.grad((found * direction).sum(), scores),
                torch.autograd.grad((wanted * direction).sum(), scores, retain_graph=True),
            )


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_nll_loss_and_log_softmax_are_cross_entropy(weighted, dim):
    scores, named = problem("index", (3, 4, 5), dim)
    weight = torch.rand(scores.shape[dim]).double() if weighted else None
    for reduction in ("none", "sum", "mean"):
        more = {"weight": weight, "reduction": reduction, "dim": dim}
        found = e2v.nll_loss(e2v.log_softmax(scores, dim), named["target"], **more)
        torch.testing.assert_close(found, e2v.cross_entropy(scores, **named, **more))
        torch.testing.assert_close(
            torch.autograd.grad(found.sum(), scores),
            torch.autograd.grad(e2v.cross_entropy(scores, **named, **more).sum(), scores),
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_its_formula_by_hand(kind):
    scores, named = problem(kind, (5, 7), 1)
    rows = [by_hand.log_softmax(row) for row in scores.tolist()]
    if kind == "index":
        wanted = [0.0 if y < 0 else -row[y] for row, y in zip(rows, named["target"], strict=True)]
    else:
        t = named["target" if kind == "probabilities" else "counts"].tolist()
        wanted = [
            sum(-n * p for n, p in zip(*pair, strict=True)) for pair in zip(t, rows, strict=True)
        ]
    assert e2v.cross_entropy(scores, **named, reduction="none").tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("positions", [(), (1,), (2, 3)], ids=str)
def test_linear_cross_entropy_is_that_of_its_scores(positions, kind, settings):
    scores, named = problem(kind, (5, 7, *positions), 1)
    x = torch.randn(5, 3).double().requires_grad_()
    u = torch.randn(7, *positions, 3).double().requires_grad_()
    b = torch.randn(7, *positions).double().requires_grad_()
    more = {**settings, "weight": torch.rand(7).double()} if settings.get("weight") else settings
    scores = torch.einsum("nd,v...d->nv...", x, u) + b
    for reduction in ("none", "sum", "mean"):
        wanted = e2v.cross_entropy(scores, **named, **more, reduction=reduction)
        for rows in (None, 2):
            found = e2v.linear_cross_entropy(
                x, u, **named, linear_bias=b, **more, reduction=reduction, rows=rows
            )
            torch.testing.assert_close(found, wanted)
            torch.testing.assert_close(
                torch.autograd.grad(found.sum(), (x, u, b)),
                torch.autograd.grad(wanted.sum(), (x, u, b), retain_graph=True),
            )


def test_one_row_is_a_batch_of_one():
    x, u, y = torch.randn(3), torch.randn(5, 3), torch.tensor(2)
    batch = e2v.linear_cross_entropy(x[None], u, y[None], reduction="none")
    torch.testing.assert_close(e2v.linear_cross_entropy(x, u, y, reduction="none"), batch[0])
    counts = torch.rand(5)
    torch.testing.assert_close(
        e2v.linear_cross_entropy(x, u, counts=counts),
        e2v.linear_cross_entropy(x[None], u, counts=counts[None]),
    )


def test_torchs_option_is_the_rows():
    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=2)
    x, u, y = torch.randn(5, 3), torch.randn(7, 3), torch.tensor([0, 1, 2, 3, 4])
    found = e2v.linear_cross_entropy(x, u, y, options=options)
    torch.testing.assert_close(found, e2v.linear_cross_entropy(x, u, y, rows=2), rtol=0, atol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_class_weights_and_counts_have_gradients(smoothing):
    scores, named = problem("counts", (3, 4), 1)
    index = torch.tensor([0, -100, 2])
    weight = (torch.rand(4).double() + 0.5).requires_grad_()
    counts = (named["counts"] + 0.5).requires_grad_()

    def of_index(z, w):
        return e2v.cross_entropy(z, index, w, label_smoothing=smoothing)

    def of_counts(z, w, n):
        return e2v.cross_entropy(z, weight=w, counts=n, label_smoothing=smoothing)

    def of_nll(z, w):
        return e2v.nll_loss(z.log_softmax(1), index, w)

    assert torch.autograd.gradcheck(of_index, (scores, weight))
    assert torch.autograd.gradcheck(of_counts, (scores, weight, counts))
    assert torch.autograd.gradcheck(of_nll, (scores, weight))


def test_a_log_probability_of_minus_infinity():
    log_p = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0]], requires_grad=True)
    assert e2v.nll_loss(log_p, torch.tensor([0, 1])) == 0
    assert e2v.nll_loss(log_p, torch.tensor([1, 1])) == torch.inf
    (gradient,) = torch.autograd.grad(e2v.nll_loss(log_p, torch.tensor([1, 1])), log_p)
    assert gradient.tolist() == [[0, -0.5], [0, -0.5]]


@given(st.integers(0, 3 * CHUNK), st.integers(0, 2**32 - 1))
def test_an_ordered_sum_is_a_sum(size, seed):
    values = torch.rand(size, generator=torch.Generator().manual_seed(seed)).double()
    torch.testing.assert_close(ordered_sum(values), values.sum())


def test_sums_do_not_depend_on_the_number_of_threads():
    torch.manual_seed(1)
    index, weight = torch.randint(0, 3, (300_001,)), torch.rand(3).double()
    log_p, counts = torch.randn(300_001, 3).double().log_softmax(1), torch.rand(300_001, 3)
    threads, found = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            loss = e2v.nll_loss(log_p, index, weight, reduction="sum")
            found.append((loss.item(), of_counts(counts[:, :, None], None, 0.1).divisor.item()))
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2]


def test_sums_of_counts_hold_a_block_in_float64():
    counts = torch.poisson(torch.rand(2 * BLOCK // 100 + 7, 100, 1)).to(torch.int32)
    targets = of_counts(counts.float(), torch.arange(100.0), 0.5)
    assert targets.divisor == (counts[:, :, 0].double() @ torch.arange(100).double()).sum()
    torch.testing.assert_close(targets.spread, counts.sum(1)[:, 0].double() * 0.005)


SIGNED = [torch.int8, torch.int16, torch.int32, torch.int64]
UNSIGNED = [torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64]


@pytest.mark.parametrize("engine", [reference, tiled, compiled], ids=lambda engine: engine.NAME)
@pytest.mark.parametrize("kind", [*SIGNED, *UNSIGNED], ids=str)
def test_counts_may_be_whole_numbers_of_any_type(kind, engine):
    draw = torch.Generator().manual_seed(3)
    for shape in ((5, 7), (2, 3, 4), (2, 300)):
        counts = torch.randint(0, 2 if kind == torch.bool else 9, shape, generator=draw).to(kind)
        scores = torch.randn(shape, generator=draw).requires_grad_()
        expected = e2v.cross_entropy(scores.double(), counts=counts.double(), label_smoothing=0.1)
        with forced(engine):
            found = e2v.cross_entropy(scores, counts=counts, label_smoothing=0.1)
        torch.testing.assert_close(found.double(), expected, rtol=2e-7, atol=0)
        gradients = [torch.autograd.grad(loss, scores)[0] for loss in (found, expected)]
        torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-7)
