"""Each misuse says what was wanted, what came and what to do.

What torch takes in silence is warned of.
"""

import inspect
import warnings
from typing import NamedTuple

import pytest
import torch

import exact2vec as e2v
from exact2vec.errors import LossInputError, LossWarning
from exact2vec.loss import suspicions, validation
from exact2vec.loss.sparse_counts import cells_of

SCORES = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
INDEX = torch.tensor([0, 1, 2, 0])
IMAGES, MASK = torch.zeros(2, 3, 4, 5), torch.zeros(2, 4, 5, dtype=torch.long)
META = torch.ones(3, device="meta")
# as users have them, without the tests' check of types
cross_entropy, nll_loss, log_softmax, linear_cross_entropy = map(
    inspect.unwrap, (e2v.cross_entropy, e2v.nll_loss, e2v.log_softmax, e2v.linear_cross_entropy)
)


class Output(NamedTuple):
    """What many models return."""

    logits: torch.Tensor


@pytest.fixture(autouse=True)
def afresh():
    suspicions._said.clear()
    yield
    suspicions._said.clear()


MISUSES = [
    (
        lambda: e2v.cross_entropy(SCORES, INDEX.float()),
        r"targets look like class indices stored as float32; use targets.long\(\)",
    ),
    (lambda: e2v.cross_entropy(SCORES, INDEX == 0), r"targets are bool: use targets.long\(\)"),
    (
        lambda: e2v.cross_entropy(SCORES, INDEX + 1),
        r"target\[2\] = 3, but there are 3 classes \(0..2\); 1 of 4 targets is out of .* at 1\?",
    ),
    (lambda: e2v.cross_entropy(SCORES, INDEX - 1), r"target\[0\] = -1, but there are 3 classes"),
    (lambda: e2v.nll_loss(SCORES, INDEX + 1), r"target\[2\] = 3"),
    (
        lambda: e2v.linear_cross_entropy(torch.ones(4, 2), torch.ones(3, 2), INDEX + 1),
        r"target\[2\] = 3",
    ),
    (
        lambda: e2v.cross_entropy(torch.ones(2, 5, 3), torch.ones(2, 5).long()),
        r"dim 1 \(size 5\); your target matches dim −1: pass dim=-1",
    ),
    (lambda: e2v.cross_entropy(SCORES, INDEX[:, None]), r"use target.squeeze\(1\)"),
    (lambda: e2v.cross_entropy(SCORES, torch.eye(3)[INDEX].long()), r"target.argmax\(dim=1\)"),
    (
        lambda: e2v.cross_entropy(INDEX, SCORES),
        r"the arguments look swapped: cross_entropy\(scores, target\)",
    ),
    (
        lambda: e2v.cross_entropy(SCORES, INDEX, weight=[1.0, 2, 3]),
        r"weight must be a tensor; got list: use torch.tensor\(weight\)",
    ),
    (
        lambda: e2v.cross_entropy(SCORES, INDEX, weight=torch.ones(3).double()),
        r"use weight.to\(torch.float32\)",
    ),
    (lambda: e2v.cross_entropy(SCORES, INDEX, weight=torch.ones(2)), r"either for all 3 classes"),
    (lambda: e2v.CrossEntropyLoss(SCORES, INDEX), r"write CrossEntropyLoss\(\)\(x, t\)"),
    (lambda: e2v.NLLLoss(SCORES, INDEX), r"write NLLLoss\(\)\(x, t\)"),
    (lambda: e2v.log_softmax(SCORES), r"log_softmax needs dim=.*dim=-1"),
    (
        lambda: e2v.cross_entropy(SCORES, INDEX[:3]),
        r"batch_size \(4\) to match target batch_size \(3\)",
    ),
    (lambda: e2v.cross_entropy(SCORES, INDEX, reduction="average"), r"use 'mean', 'sum' or 'none'"),
    (lambda: e2v.cross_entropy(SCORES), r"either target .* or counts="),
    (
        lambda: e2v.cross_entropy(SCORES, counts=-torch.ones(4, 3)),
        r"counts must be ≥ 0; counts\[0, 0\] = -1, the smallest is -1",
    ),
    (lambda: e2v.cross_entropy(SCORES, counts=torch.ones(4, 2)), r"one count for each score"),
    # what is no tensor
    (lambda: cross_entropy((SCORES, None), INDEX), r"got tuple: .* first element, input\[0\]"),
    (lambda: cross_entropy(Output(SCORES), INDEX), r"got Output: pass input.logits"),
    (lambda: cross_entropy({"logits": SCORES}, INDEX), r'got dict: pass input\["logits"\]'),
    (lambda: cross_entropy([SCORES[0], SCORES[1]], INDEX[:2]), r"use torch.stack\(input\)"),
    (lambda: cross_entropy(SCORES.numpy(), INDEX), r"ndarray: use torch.from_numpy\(input\)"),
    (lambda: cross_entropy(SCORES, INDEX.tolist()), r"list: use torch.tensor\(target\)"),
    (lambda: cross_entropy(SCORES, 1), r"target must be a tensor; got int"),
    (lambda: cross_entropy(None, INDEX), r"NoneType: .* forget its return"),
    (lambda: nll_loss((SCORES,), INDEX), r"first element, input\[0\]"),
    (lambda: log_softmax((SCORES,), 1), r"first element, input\[0\]"),
    (lambda: linear_cross_entropy((SCORES, None), SCORES, INDEX), r"input\[0\]"),
    (lambda: linear_cross_entropy(SCORES, torch.nn.Linear(3, 3), INDEX), r"pass linear.weight"),
    (lambda: cross_entropy(torch.nn.Linear(3, 3), INDEX), r"not the module"),
    # scores that are none
    (
        lambda: e2v.cross_entropy(SCORES.argmax(1), INDEX),
        r"predicted classes \(argmax\): pass the scores",
    ),
    (lambda: e2v.cross_entropy(SCORES.long(), INDEX), r"use scores.float\(\)"),
    (lambda: e2v.cross_entropy(SCORES + 0j, INDEX), r"scores.real"),
    (lambda: e2v.cross_entropy(SCORES.to_sparse(), INDEX), r"use scores.to_dense\(\)"),
    (lambda: e2v.cross_entropy(SCORES[0, 0], INDEX[0]), r"scores have no dimension"),
    (lambda: e2v.cross_entropy(SCORES, INDEX, dim=2), r"dim = 2, but .* dimensions -2..1"),
    # shapes and formats of targets
    (lambda: e2v.cross_entropy(IMAGES, MASK[:, None]), r"use target.squeeze\(1\)$"),
    (lambda: e2v.cross_entropy(IMAGES, MASK[:, None].float()), r"use target.squeeze\(1\).long\(\)"),
    (lambda: e2v.cross_entropy(IMAGES, MASK[..., None]), r"use target.squeeze\(3\)"),
    (lambda: e2v.cross_entropy(IMAGES, IMAGES.movedim(1, -1)), r"use target.movedim\(-1, 1\)"),
    (
        lambda: e2v.cross_entropy(SCORES, torch.eye(3)[INDEX].bool()),
        r"target.long\(\).argmax\(dim=1\)",
    ),
    (lambda: e2v.cross_entropy(SCORES, INDEX.half()), r"stored as float16; use targets.long\(\)"),
    (lambda: e2v.cross_entropy(SCORES, INDEX.double()), r"stored as float64"),
    (lambda: e2v.cross_entropy(SCORES, INDEX + 0j), r"use target.real.long\(\)"),
    (lambda: e2v.cross_entropy(SCORES[:, :1], INDEX.float()), r"BCEWithLogitsLoss"),
    (
        lambda: e2v.cross_entropy(SCORES[:, 0], INDEX),
        r"scores \(4,\) are one row: a batch is \(N, classes\)",
    ),
    (lambda: e2v.cross_entropy(SCORES, INDEX[0]), r"Expected target size \[4\]"),
    (lambda: e2v.nll_loss(SCORES, SCORES), r"nll_loss takes class indices; .* use cross_entropy"),
    (lambda: e2v.cross_entropy(SCORES, SCORES.to_sparse()), r"pass .* as counts="),
    # values of targets
    (lambda: e2v.cross_entropy(SCORES, INDEX * 0 + 1 + INDEX), r"start at 1\? Use target - 1"),
    (lambda: e2v.cross_entropy(SCORES, INDEX - 1), r"Pass ignore_index=-1"),
    (lambda: e2v.cross_entropy(SCORES, INDEX.where(INDEX > 0, 255)), r"Pass ignore_index=255"),
    (lambda: e2v.cross_entropy(SCORES[0], INDEX[0] + 7), r"target = 7, but"),
    (lambda: e2v.cross_entropy(IMAGES, MASK + 3), r"target\[0, 0, 0\] = 3"),
    (lambda: e2v.cross_entropy(SCORES, -SCORES.softmax(1)), r"probabilities\[0, 0\] = -"),
    (lambda: e2v.cross_entropy(SCORES, SCORES * torch.nan), r"finite numbers ≥ 0; .* = nan"),
    (lambda: e2v.cross_entropy(SCORES, counts=SCORES * torch.nan), r"counts\[0, 0\] = nan"),
    (lambda: e2v.cross_entropy(SCORES, counts=SCORES.abs() * torch.inf), r"counts\[0, 0\] = inf"),
    (lambda: e2v.cross_entropy(SCORES, counts=SCORES + 0j), r"must be real numbers"),
    (
        lambda: e2v.cross_entropy(SCORES, INDEX, torch.tensor([1, torch.nan, 1])),
        r"weight\[1\] = nan",
    ),
    (
        lambda: e2v.cross_entropy(SCORES, INDEX, torch.tensor([1, 1, torch.inf])),
        r"weight\[2\] = inf",
    ),
    # devices
    (lambda: e2v.cross_entropy(SCORES, INDEX.to("meta")), r"use target.to\(scores.device\)"),
    (lambda: e2v.cross_entropy(SCORES, INDEX, META), r"use weight.to\(scores.device\)"),
    (lambda: e2v.linear_cross_entropy(SCORES, META[None], INDEX * 0), r"linear_weight on meta"),
    # other arguments
    (lambda: e2v.cross_entropy(SCORES, INDEX, label_smoothing=torch.nan), r"between 0.0 and 1.0"),
    (lambda: cross_entropy(SCORES, INDEX, None, INDEX), r"size_average is a tensor"),
    (lambda: e2v.cross_entropy(SCORES, SCORES.softmax(1), ignore_index=0), r"probabilities 0"),
    (lambda: e2v.cross_entropy(SCORES, counts=SCORES.abs(), ignore_index=0), r"no counts instead"),
    (lambda: e2v.linear_cross_entropy(SCORES[None], SCORES, INDEX), r"input.flatten\(0, -2\)"),
    (lambda: e2v.linear_cross_entropy(SCORES, torch.ones(3, 5), INDEX), r"use linear_weight.T"),
    (
        lambda: e2v.linear_cross_entropy(SCORES, SCORES.double(), INDEX),
        r"use input.to\(torch.float64\)",
    ),
    (lambda: e2v.linear_cross_entropy(SCORES, SCORES, INDEX, rows=0), r"rows must be at least 1"),
    (lambda: e2v.loss_terms(SCORES, INDEX - 1), r"target\[0\] = -1"),
]


@pytest.mark.parametrize(
    ("misuse", "message"), MISUSES, ids=[str(number) for number in range(len(MISUSES))]
)
def test_misuse_is_an_error_with_its_cure(misuse, message):
    with pytest.raises(LossInputError, match=message):
        misuse()


WARNINGS = [
    (lambda: e2v.cross_entropy(SCORES.softmax(1), INDEX), "leave the softmax out", True),
    (
        lambda: e2v.nll_loss(SCORES.abs() + 2.3, INDEX),
        r"the largest input is .* > 0: not log-probabilities; apply log_softmax first",
        True,
    ),
    (
        lambda: e2v.nll_loss(SCORES.softmax(1), INDEX),
        "not log-probabilities; use log_softmax in place of softmax",
        True,
    ),
    (
        lambda: e2v.cross_entropy(SCORES, 3 * torch.eye(3)[INDEX]),
        "sum to 3, not to 1: pass counts as counts=",
        True,
    ),
    (
        lambda: e2v.cross_entropy(SCORES, 3 * torch.eye(3)[INDEX].bfloat16()),
        "sum to 3, not to 1: pass counts as counts=",
        True,
    ),
    (
        lambda: e2v.cross_entropy(IMAGES, IMAGES.softmax(-1)),
        r"sum to 1 over dim −1, and to 0.6 over dim 1, .* pass dim=-1",
        True,
    ),
    (lambda: e2v.cross_entropy(SCORES, INDEX, -torch.ones(3)), "not bounded below", True),
    (lambda: e2v.cross_entropy(SCORES[:, :1], INDEX * 0), "the loss is always 0", True),
    (
        lambda: e2v.cross_entropy(torch.randn(2, 5, 5), torch.ones(2, 5).long()),
        "dim=1 or dim=-1",
        True,
    ),
    (lambda: e2v.cross_entropy(SCORES, INDEX * 0 - 100), "0 of 4 targets are kept", False),
    (lambda: e2v.cross_entropy(SCORES[:0], INDEX[:0]), "0 of 0 targets are kept", False),
    (lambda: e2v.cross_entropy(SCORES, counts=torch.zeros(4, 3)), "0 of 4 rows have counts", False),
]


@pytest.mark.parametrize(
    ("misuse", "message", "once"), WARNINGS, ids=[str(number) for number in range(len(WARNINGS))]
)
def test_what_looks_like_a_mistake_is_warned_of(misuse, message, once):
    with pytest.warns(LossWarning, match=message):
        misuse()
    with warnings.catch_warnings(record=True) as again:
        warnings.simplefilter("always")
        misuse()
    assert bool(again) != once


def test_a_warning_names_the_line_of_the_caller():
    for call in (e2v.cross_entropy, e2v.CrossEntropyLoss()):
        with pytest.warns(LossWarning) as seen:
            call(SCORES, INDEX * 0 - 100)
        assert [one.filename for one in seen] == [__file__]


QUIET = {
    "probabilities": lambda: e2v.cross_entropy(SCORES, SCORES.softmax(1)),
    "16-bit probabilities": lambda: e2v.cross_entropy(SCORES, SCORES.softmax(1).bfloat16()),
    "a row of no probability": lambda: e2v.cross_entropy(SCORES, torch.eye(3)[[0, 1, 2, 2]] * KEPT),
    "rounded below 0": lambda: e2v.cross_entropy(SCORES, torch.eye(3)[INDEX] - 1e-9),
    "scores": lambda: e2v.cross_entropy(SCORES.abs(), INDEX),
    "ignored": lambda: e2v.cross_entropy(SCORES, INDEX.where(INDEX > 0, -100)),
    "images": lambda: e2v.cross_entropy(IMAGES, MASK),
}
KEPT = torch.tensor([[1.0], [0], [1], [1]])


@pytest.mark.parametrize("name", QUIET)
def test_what_is_right_is_not_warned_of(name):
    assert QUIET[name]().isfinite()


@pytest.mark.parametrize("dtype", validation.INTEGERS, ids=str)
def test_every_integer_is_an_index(dtype):
    assert e2v.cross_entropy(SCORES, INDEX.to(dtype)) == e2v.cross_entropy(SCORES, INDEX)


def test_class_last():
    scores, target = torch.randn(2, 5, 3), torch.tensor([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])
    torch.testing.assert_close(
        e2v.cross_entropy(scores, target, dim=-1), e2v.cross_entropy(scores.movedim(-1, 1), target)
    )


def csr(starts, columns, values, shape=(2, 3)):
    columns, values = torch.tensor(columns), torch.tensor(values)
    return torch.sparse_csr_tensor(
        torch.tensor(starts), columns, values, shape, check_invariants=False
    )


def coo(rows, columns, values, shape=(2, 3)):
    places = torch.tensor([rows, columns])
    return torch.sparse_coo_tensor(places, torch.tensor(values), shape, check_invariants=False)


COUNT_LOSSES = {
    "cross_entropy": lambda n: e2v.cross_entropy(torch.zeros(2, 3), counts=n),
    "linear": lambda n: e2v.linear_cross_entropy(torch.zeros(2, 4), torch.zeros(3, 4), counts=n),
    "terms": lambda n: e2v.loss_terms(torch.zeros(2, 3), counts=n).nll.sum(),
    "module": lambda n: e2v.CrossEntropyLoss()(torch.zeros(2, 3), counts=n),
    "linear module": lambda n: e2v.LinearCrossEntropyLoss(4, 3)(torch.zeros(2, 4), counts=n),
}
BAD_COUNTS = [
    (
        lambda: csr([0, 1, 2], [0, 3], [1.0, 2]),
        r"counts\[1, 3\] = 2 is in row 1, column 3, .* 3 classes",
    ),
    (
        lambda: csr([0, 1, 2], [0, 2**40], [1.0, 1]),
        r"column 1099511627776, but there are 3 classes",
    ),
    (lambda: csr([0, 1, 2], [-1, 0], [1.0, 1]), r"row 0, column -1, but there are 3 classes"),
    (lambda: csr([0, 2, 1], [0, 1], [1.0, 1]), r"end at 1 where 2"),
    (lambda: csr([0, 3, 2], [0, 1], [1.0, 1]), r"fall from row 1 to the next"),
    (lambda: csr([0, 1, 3], [0, 1], [1.0, 1]), r"end at 3 where 2"),
    (lambda: csr([1, 1, 2], [0, 1], [1.0, 1]), r"start at 1 where 0"),
    (lambda: csr([0, 1, 2], [0, 1], [1.0, -1]), r"counts must be ≥ 0; counts\[1, 1\] = -1"),
    (lambda: csr([0, 1, 2], [0, 1], [1.0, torch.nan]), r"finite numbers ≥ 0; counts\[1, 1\] = nan"),
    (lambda: csr([0, 1, 2], [0, 1], [torch.inf, 1]), r"finite numbers ≥ 0; counts\[0, 0\] = inf"),
    (lambda: csr([0, 1, 2], [0, 1], [1j, 1]), r"one real number a cell"),
    (
        lambda: csr([0, 1, 2], [0, 1], [1.0, 1], (2, 4)),
        r"counts have shape \(2, 4\), the scores \(2, 3\)",
    ),
    (lambda: csr([0, 1, 1, 2], [0, 1], [1.0, 1], (3, 3)), r"counts have shape \(3, 3\)"),
    (lambda: coo([0, 1], [0, 3], [1.0, 1]), r"row 1, column 3, but there are 3 classes"),
    (lambda: coo([0, 2], [0, 1], [1.0, 1]), r"row 2, column 1, but there are 2 rows \(0..1\)"),
    (lambda: coo([0, -1], [0, 1], [1.0, 1]), r"row -1, column 1, but there are 2 rows"),
    (lambda: coo([0, 1], [0, -3], [1.0, 1]), r"column -3, but there are 3 classes"),
    (lambda: coo([0, 1], [0, 1], [1, -1]), r"counts must be ≥ 0; counts\[1, 1\] = -1"),
    (lambda: torch.ones(2, 3).to_sparse_csc(), r"format sparse_csc: use counts.to_sparse_csr\(\)"),
]


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("loss", COUNT_LOSSES)
@pytest.mark.parametrize(
    ("counts", "message"), BAD_COUNTS, ids=[str(number) for number in range(len(BAD_COUNTS))]
)
def test_counts_that_lie_outside_or_are_none(counts, message, loss):
    with pytest.raises(IndexError, match=message):
        COUNT_LOSSES[loss](counts())


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("loss", COUNT_LOSSES)
@pytest.mark.parametrize(
    "counts",
    [
        lambda: csr([0, 2, 3], [2, 0, 1], [2.0, 1, 3]),  # not sorted
        lambda: csr([0, 3, 4], [2, 0, 2, 1], [1.5, 1, 0.5, 3.0]),  # a column twice
        lambda: csr([0, 2, 3], [0, 2, 1], [1, 2, 3]),  # int64
        lambda: coo([1, 0, 0], [1, 2, 0], [3.0, 2, 1]),
        lambda: coo([1, 0, 0, 1], [1, 2, 0, 1], [1, 2, 1, 2]),  # int64, a cell twice
        lambda: torch.tensor([[1, 0, 2], [0, 3, 0]], dtype=torch.uint8),
    ],
    ids=["unsorted", "twice", "int64", "coo", "coo twice", "uint8"],
)
def test_counts_in_any_order_and_number_format(counts, loss):
    torch.manual_seed(5)
    found = COUNT_LOSSES[loss](counts())
    torch.manual_seed(5)
    dense = COUNT_LOSSES[loss](torch.tensor([[1.0, 0, 2], [0, 3, 0]]))
    torch.testing.assert_close(found, dense)


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", ["coo", "csr"])
@pytest.mark.parametrize("shape", [(3, 5), (4, 4), (2, 3, 4)], ids=str)
def test_classes_of_sparse_counts_in_any_dimension(layout, shape):
    if layout == "csr" and len(shape) > 2:
        pytest.skip("CSR is a matrix")
    scores, counts = torch.randn(shape).double(), torch.poisson(torch.rand(shape).double() * 2)
    stored = counts.to_sparse_csr() if layout == "csr" else counts.to_sparse()
    for dim in (*range(len(shape)), -1):
        for more in ({}, {"label_smoothing": 0.2}, {"reduction": "none"}):
            found = e2v.cross_entropy(scores, counts=stored, dim=dim, **more)
            dense = e2v.cross_entropy(scores, counts=counts, dim=dim, **more)
            last = e2v.cross_entropy(
                scores.movedim(dim, -1).flatten(0, -2),
                counts=counts.movedim(dim, -1).flatten(0, -2),
                **more,
            )
            torch.testing.assert_close(found, dense)
            torch.testing.assert_close(found.reshape(-1), last.reshape(-1))


def test_cells_are_sorted_and_have_gradients():
    values = torch.tensor([1.0, 2, 3, 4], requires_grad=True)
    places = torch.tensor([[1, 0, 1, 0], [2, 1, 2, 0]])
    cells = cells_of(torch.sparse_coo_tensor(places, values, (2, 3), check_invariants=True), dim=0)
    assert cells.row.tolist() == [0, 1, 2]
    assert cells.column.tolist() == [0, 0, 1]
    assert cells.stored.tolist() == [4, 2, 4]
    (gradient,) = torch.autograd.grad(cells.stored @ torch.tensor([1.0, 10, 100]), values)
    assert gradient.tolist() == [100, 10, 100, 1]
