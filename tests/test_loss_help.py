"""Each misuse says what was wanted, what came and what to do; what torch takes in silence is warned of."""

import warnings

import pytest
import torch

import exact2vec as e2v
from exact2vec.errors import LossInputError, LossWarning
from exact2vec.loss import checks

SCORES = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
INDEX = torch.tensor([0, 1, 2, 0])


@pytest.fixture(autouse=True)
def afresh():
    checks._said.clear()
    yield
    checks._said.clear()


MISUSES = [
    (
        lambda: e2v.cross_entropy(SCORES, INDEX.float()),
        r"targets look like class indices stored as float32; use targets.long\(\)",
    ),
    (lambda: e2v.cross_entropy(SCORES, INDEX == 0), r"targets are bool: use targets.long\(\)"),
    (
        lambda: e2v.cross_entropy(SCORES, INDEX + 1),
        r"target\[2\] = 3, but there are 3 classes \(0..2\); 1 of 4 targets .* Labels that start at 1\?",
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
        r"must be ≥ 0; the smallest is -1",
    ),
    (lambda: e2v.cross_entropy(SCORES, counts=torch.ones(4, 2)), r"one count for each score"),
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


@pytest.mark.parametrize("dtype", checks.INTEGERS, ids=str)
def test_every_integer_is_an_index(dtype):
    assert e2v.cross_entropy(SCORES, INDEX.to(dtype)) == e2v.cross_entropy(SCORES, INDEX)


def test_class_last():
    scores, target = torch.randn(2, 5, 3), torch.tensor([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])
    torch.testing.assert_close(
        e2v.cross_entropy(scores, target, dim=-1), e2v.cross_entropy(scores.movedim(-1, 1), target)
    )


def test_modules_say_their_divisor():
    assert "divisor: Σ w_y over the kept targets" in repr(e2v.CrossEntropyLoss(torch.ones(3)))
    assert "divisor: 1 (the sum)" in e2v.NLLLoss(reduction="sum").describe()
    assert "divisor" in e2v.LinearCrossEntropyLoss(2, 3, rows=1).describe()
    assert (e2v.CrossEntropyLoss().terms(SCORES, INDEX).entropy == 0).all()
