"""torch's own samples for these functions and modules: the same values, gradients and kinds of error. Deliberate deviations: the table below."""

import itertools
import math
import warnings

import pytest
import torch

import exact2vec as e2v
from exact2vec.errors import LossInputError
from exact2vec.loss import checks

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
]
TOLERANCE = {torch.float64: 1e-9, torch.float32: 2e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    checks._said.clear()


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
    count = 0
    for sample in op.sample_inputs("cpu", dtype, requires_grad=True):
        named = {name: value for name, value in sample.kwargs.items() if name != "options"}
        try:
            true, true_gradients = outcome(
                op.op,
                (sample.input, *sample.args),
                named,
                None if "dtype" in named else torch.float64,
            )
        except RuntimeError as error:
            pytest.skip(f"torch itself: {error}")
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
        count += 1
    assert count > 5


@pytest.mark.parametrize("name", MODULES)
def test_torchs_samples_of_modules(name):
    torch.manual_seed(0)
    (info,) = [info for info in module_db if info.module_cls.__name__ == name]
    samples = info.module_inputs_func(info, "cpu", torch.float64, True, False)
    for sample in itertools.islice(
        samples, 0, None, 7 if name == "LinearCrossEntropyLoss" else 1
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
