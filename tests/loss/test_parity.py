"""torch's own samples: the same values, gradients, number formats and kinds of error.

Deliberate deviations: the table below.
"""

import itertools
import math
import warnings

import pytest
import torch

import exact2vec as e2v
from exact2vec.errors import LossInputError
from exact2vec.loss import suspicions

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
FUNCTIONS = {
    "log_softmax": e2v.log_softmax,
    "nn.functional.nll_loss": e2v.nll_loss,
    "nn.functional.cross_entropy": e2v.cross_entropy,
    "nn.functional.linear_cross_entropy": e2v.linear_cross_entropy,
}
MODULES = {
    "NLLLoss": e2v.NLLLoss,
    "CrossEntropyLoss": e2v.CrossEntropyLoss,
    "LinearCrossEntropyLoss": e2v.LinearCrossEntropyLoss,
}
# (what torch takes or refuses, what ours does, why); each is called below
DEVIATIONS = [
    (
        lambda: e2v.log_softmax(torch.zeros(2, 3)),
        "an error",
        "torch guesses the dimension, with a deprecation warning",
    ),
    (
        lambda: e2v.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1], dtype=torch.int16)),
        "log(3)",
        "torch refuses integers other than int64 and uint8",
    ),
    (
        lambda: e2v.cross_entropy(torch.tensor([[0.0, -torch.inf]]), torch.tensor([[1.0, 0.0]])),
        "0",
        "torch: 0 · −inf = nan",
    ),
    (
        lambda: e2v.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1], dtype=torch.bool)),
        "an error",
        "a mask is no index",
    ),
    (
        lambda: e2v.cross_entropy(torch.zeros(1, 2), torch.tensor([[1.5, -0.5]])),
        "an error",
        "torch computes with probabilities below 0",
    ),
    (
        lambda: e2v.cross_entropy(
            torch.zeros(1, 2), torch.tensor([0]), torch.tensor([1, torch.nan])
        ),
        "an error",
        "torch computes with class weights that are no numbers",
    ),
    (
        lambda: e2v.nll_loss(
            torch.tensor([[-torch.inf, 0]]), torch.tensor([0]), torch.zeros(2), reduction="sum"
        ),
        "0",
        "torch: 0 · inf = nan for a class of weight 0",
    ),
]
TOLERANCE = {torch.float64: 1e-9, torch.float32: 2e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    suspicions._said.clear()


def leaves(arguments):
    return [one for one in arguments if isinstance(one, torch.Tensor) and one.requires_grad]


def again(value, dtype=None):
    """A leaf of its own, in float64 if told so."""
    if not isinstance(value, torch.Tensor):
        return value
    copy = value.detach().clone()
    return (copy.to(dtype) if dtype and copy.is_floating_point() else copy).requires_grad_(
        value.requires_grad
    )


def outcome(function, positional, named, dtype=None):
    positional, named = (
        [again(one, dtype) for one in positional],
        {name: again(one, dtype) for name, one in named.items()},
    )
    result = function(*positional, **named)
    wanted = leaves([*positional, *named.values()])
    gradients = (
        torch.autograd.grad(result.sum(), wanted, allow_unused=True)
        if wanted and result.requires_grad
        else ()
    )
    return result.detach(), gradients


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "op",
    [op for op in op_db if op.name in FUNCTIONS],
    ids=lambda op: f"{op.name}-{op.variant_test_name}",
)
def test_torchs_samples_of_functions(op, dtype):
    if op.variant_test_name.startswith("chunked") and dtype is not torch.float32:
        pytest.skip("torch's chunks change nothing in ours: one number format is enough")
    torch.manual_seed(0)
    compared = 0
    for sample in op.sample_inputs("cpu", dtype, requires_grad=True):
        named = {name: value for name, value in sample.kwargs.items() if name != "options"}
        double = None if "dtype" in named else torch.float64
        true, true_gradients = outcome(op.op, (sample.input, *sample.args), named, double)
        found, gradients = outcome(FUNCTIONS[op.name], (sample.input, *sample.args), named)
        for mine, theirs in [(found, true), *zip(gradients, true_gradients, strict=True)]:
            if mine is not None and theirs is not None:
                scale = max(1.0, float(theirs.abs().max())) if theirs.numel() else 1.0
                torch.testing.assert_close(
                    mine.double(),
                    theirs.double(),
                    rtol=TOLERANCE[mine.dtype],
                    atol=TOLERANCE[mine.dtype] * scale,
                    equal_nan=True,
                )
        compared += 1
    assert compared > 5


@pytest.mark.parametrize("name", MODULES)
def test_torchs_samples_of_modules(name):
    torch.manual_seed(0)
    (info,) = [info for info in module_db if info.module_cls.__name__ == name]
    samples = info.module_inputs_func(info, "cpu", torch.float64, True, False)
    for sample in itertools.islice(
        samples, 0, None, 17 if name == "LinearCrossEntropyLoss" else 1
    ):  # of 857, of which most differ in torch's chunks
        mine, theirs = (
            kind(*sample.constructor_input.args, **sample.constructor_input.kwargs)
            for kind in (MODULES[name], getattr(torch.nn, name))
        )
        theirs.load_state_dict(mine.state_dict())
        theirs.options = None
        assert isinstance(mine, getattr(torch.nn, name))
        (found, gradients), (true, true_gradients) = (
            outcome(module, sample.forward_input.args, {}) for module in (mine, theirs)
        )
        torch.testing.assert_close(found, true, equal_nan=True)
        torch.testing.assert_close(gradients, true_gradients, equal_nan=True)


@pytest.mark.parametrize("name", MODULES)
def test_torchs_errors_of_modules(name):
    (info,) = [info for info in module_db if info.module_cls.__name__ == name]
    for sample in info.module_error_inputs_func(info, "cpu", torch.float32, False, False):
        given = sample.module_error_input
        if name == "LinearCrossEntropyLoss" and tuple(given.forward_input.args[0].shape) == (4, 5):
            given.forward_input.args[1].data = torch.zeros(4, 2)
        with pytest.raises(sample.error_type) as caught:
            MODULES[name](*given.constructor_input.args, **given.constructor_input.kwargs)(
                *given.forward_input.args
            )
        assert isinstance(caught.value, LossInputError)


def test_torchs_errors_of_functions():
    (op,) = [
        op
        for op in op_db
        if op.name == "nn.functional.linear_cross_entropy" and not op.variant_test_name
    ]
    for error in op.error_inputs("cpu"):
        sample = error.sample_input
        with pytest.raises(error.error_type, match=error.error_regex):
            e2v.linear_cross_entropy(sample.input, *sample.args, **sample.kwargs)


@pytest.mark.parametrize(
    ("call", "result"),
    [deviation[:2] for deviation in DEVIATIONS],
    ids=[deviation[2] for deviation in DEVIATIONS],
)
def test_deliberate_deviations(call, result):
    if result == "an error":
        with pytest.raises(LossInputError):
            call()
    else:
        assert call().item() == pytest.approx(math.log(3) if result == "log(3)" else 0)


SCORE_TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
INDEX = torch.tensor([0, 2, 1, 0])
LOSSES = {
    "cross_entropy": lambda L, z, y=INDEX, **more: L.cross_entropy(z, y, **more),
    "smoothing": lambda L, z, y=INDEX, **more: L.cross_entropy(z, y, label_smoothing=0.1, **more),
    "nll_loss": lambda L, z, y=INDEX, **more: L.nll_loss(z, y, **more),
    "log_softmax": lambda L, z: L.log_softmax(z, dim=1),
    "linear": lambda L, z, y=INDEX, **more: L.linear_cross_entropy(z, z[:3] * 1, y, **more),
}


def torchs_and_ours(call):
    """Results of torch and of ours; an error is its type."""
    for who in (torch.nn.functional, e2v):
        try:
            yield call(who)
        except (RuntimeError, LossInputError):
            yield RuntimeError


def assert_alike(call, tolerance=None):
    torchs, ours = torchs_and_ours(call)
    if torchs is RuntimeError:
        assert ours is RuntimeError
        return 0
    assert ours.dtype == torchs.dtype
    tolerance = tolerance or TOLERANCE[ours.dtype]
    torch.testing.assert_close(ours, torchs, rtol=tolerance, atol=tolerance)
    return 1


@pytest.mark.parametrize("autocast", [False, True], ids=["plain", "autocast"])
@pytest.mark.parametrize("kind", SCORE_TYPES, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_number_formats_with_class_weights(loss, kind, autocast):
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(2)).log_softmax(1).to(kind)
    alike = 0
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        tolerance = 2e-2 if loss == "linear" and autocast else None  # products in bfloat16
        alike += assert_alike(lambda who: LOSSES[loss](who, z), tolerance)
        for weights in SCORE_TYPES if loss != "log_softmax" else ():
            weight = torch.tensor([0.5, 1, 2]).to(weights)
            alike += assert_alike(
                lambda who, weight=weight: LOSSES[loss](who, z, weight=weight), tolerance
            )
    wanted = {"log_softmax": 1}.get(loss, 4 if autocast and kind != torch.float64 else 2)
    assert alike == wanted


@pytest.mark.parametrize("autocast", [False, True], ids=["plain", "autocast"])
@pytest.mark.parametrize("kind", SCORE_TYPES, ids=str)
@pytest.mark.parametrize("shares", SCORE_TYPES, ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_number_formats_of_probabilities(smoothing, shares, kind, autocast):
    torch.manual_seed(2)
    z, q = torch.randn(4, 3).to(kind), torch.rand(4, 3).softmax(1).to(shares)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        assert assert_alike(lambda who: who.cross_entropy(z, q, label_smoothing=smoothing), 2e-2)


@pytest.mark.parametrize("loss", LOSSES)
def test_modes_and_defaults_of_torch_change_no_number(loss):
    class Marked(torch.Tensor):
        """A subclass without ways of its own."""

    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    plain = LOSSES[loss](e2v, z)
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        for mode in (torch.no_grad(), torch.inference_mode(), torch.device("meta")):
            with mode:
                torch.testing.assert_close(LOSSES[loss](e2v, z), plain, rtol=0, atol=0)
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True)
        torch.testing.assert_close(LOSSES[loss](e2v, z), plain, rtol=0, atol=0)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.use_deterministic_algorithms(deterministic)
    marked = LOSSES[loss](e2v, z.as_subclass(Marked))
    torch.testing.assert_close(marked.as_subclass(torch.Tensor), plain)


@pytest.mark.parametrize("kind", ["index", "probabilities", "counts", "weight"])
def test_inference_mode_leaves_nothing_for_training(kind):
    """What is made in inference mode cannot be saved for a backward: nothing may be kept of it."""
    z = torch.randn(4, 3, requires_grad=True)
    given = {
        "index": {"target": INDEX},
        "probabilities": {"target": torch.full((4, 3), 1 / 3)},
        "counts": {"counts": torch.ones(4, 3)},
        "weight": {"target": INDEX, "weight": torch.ones(3)},
    }[kind]
    with torch.inference_mode():
        e2v.cross_entropy(z, **given)
    e2v.cross_entropy(z, **given).backward()
    with torch.no_grad(), torch.enable_grad():
        assert e2v.cross_entropy(z, **given).requires_grad
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("loss", ["cross_entropy", "smoothing", "nll_loss", "linear"])
def test_nothing_kept_has_torchs_value_and_gradient(loss, reduction):
    """The mean is nan; nothing pulls at a row that is ignored."""
    found = []
    for who in (torch.nn.functional, e2v):
        z = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), requires_grad=True)
        value = LOSSES[loss](who, z, INDEX * 0, ignore_index=0, reduction=reduction)
        (gradient,) = torch.autograd.grad(value.sum(), z)
        found.append((value.detach(), gradient))
    torch.testing.assert_close(found[1], found[0], equal_nan=True)


TRANSFORMS = {
    "grad": lambda z, y: torch.func.grad(lambda z: e2v.cross_entropy(z, y))(z),
    "linear": lambda z, y: torch.func.grad(lambda z: e2v.linear_cross_entropy(z, torch.eye(3), y))(
        z
    ),
    "nll": lambda z, y: torch.func.grad(lambda z: e2v.nll_loss(z.log_softmax(1), y))(z),
    "vmap": lambda z, y: torch.func.vmap(e2v.cross_entropy)(z[None], y[None]),
    "vmap of grad": lambda z, y: torch.func.vmap(torch.func.grad(e2v.cross_entropy))(
        z[None], y[None]
    ),
    "jvp": lambda z, y: torch.func.jvp(lambda z: e2v.cross_entropy(z, y), (z,), (z,))[1],
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_targets_are_checked_inside_of_transforms(transform):
    z = torch.tensor([[0.0, 1, 2], [3, 1, 0]])
    assert TRANSFORMS[transform](z, torch.tensor([0, 2])).isfinite().all()
    with pytest.raises(IndexError, match=r"1\] = -1, but there are 3 classes"):
        TRANSFORMS[transform](z, torch.tensor([0, -1]))


def test_targets_in_a_subclass_are_checked():
    class Marked(torch.Tensor):
        """A subclass without ways of its own."""

    with pytest.raises(IndexError, match=r"target\[1\] = -1"):
        e2v.cross_entropy(torch.zeros(2, 3), torch.tensor([0, -1]).as_subclass(Marked))
