"""What the engine of torch operations promises to devices."""

from dataclasses import replace

import pytest
import torch
from engine_problems import MARKS, SCALES, linear_problem, targets_of, ulps
from torch.utils._python_dispatch import TorchDispatchMode

import exact2vec as e2v
from exact2vec.loss.engine import forced, strips, tiled

pytestmark = MARKS


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
def test_tiled_waits_for_no_device_and_needs_no_float64(
    kind, smoothing, dtype, float64, monkeypatch
):
    if not float64:
        monkeypatch.setattr(tiled, "sum_type", lambda like: torch.float32)
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


@pytest.mark.parametrize("kind", ["cross-entropy", "log-softmax"])
def test_the_gradient_of_one_of_many_largest_scores_keeps_its_digits(kind):
    """p is 1e-5 there: (T − t) − T p K alone would leave it two digits."""
    scores = torch.zeros(1, 100_000, requires_grad=True)
    with forced(tiled):
        if kind == "cross-entropy":
            e2v.cross_entropy(scores, torch.tensor([7])).backward()
        else:
            (-e2v.log_softmax(scores, dim=1)[0, 7]).backward()
    gradient = scores.grad[0]
    assert torch.equal(gradient[:7], gradient[8:9].expand(7))
    torch.testing.assert_close(gradient[0].item(), 1e-5, rtol=3e-7, atol=0.0)


def test_many_equal_terms_add_up_to_their_sum():
    """Float32 sums of 125 of them are off by 5 · 2⁻²⁴."""
    torch.manual_seed(0)
    terms = (-80 - 6 * torch.rand(50, 1, 1)).exp().expand(50, 4000, 1)
    found = strips.row_sums(terms, torch.float64)
    torch.testing.assert_close(found, 4000 * terms[:, :1].double(), rtol=4000 * 2.0**-53, atol=0)


def test_the_gradient_of_log_softmax_rounds_its_terms_and_not_their_sums():
    """p Σ g and g to 3 units in the last place: e^(z − m) has 1, three roundings the rest."""
    torch.manual_seed(0)
    scores = (torch.randn(40, 1000) * 3 - 1000).requires_grad_()
    given = torch.rand(40, 1000)
    with forced(tiled):
        e2v.log_softmax(scores, dim=1).backward(given)
    expected = scores.detach().double().softmax(1) * given.double().sum(1, keepdim=True)
    wrong = (scores.grad.double() - (given - expected)).abs()
    largest = torch.frexp(torch.maximum(expected, given.double()))
    assert float((wrong / 2.0 ** (largest.exponent - 24)).max()) <= 3
