"""nll = entropy + excess, row by row, whatever the targets and wherever the classes are."""

import pytest
import torch

import exact2vec as e2v
from exact2vec.errors import LossWarning

KINDS = ["index", "probabilities", "counts", "csr", "coo"]


def given(kind, shape, dim):
    torch.manual_seed(4)
    rest = [size for place, size in enumerate(shape) if place != dim]
    if kind == "index":
        return {"target": torch.randint(0, shape[dim], rest)}
    if kind == "probabilities":
        return {"target": torch.rand(shape).double().softmax(dim)}
    counts = torch.poisson(torch.rand(shape).double() * 2)
    if kind == "csr":
        return {"counts": counts.to_sparse_csr()}
    return {"counts": counts.to_sparse() if kind == "coo" else counts}


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("shape", [(5, 7), (4, 4), (2, 5, 3)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_terms_are_the_rows_of_the_loss_in_any_dimension(kind, shape):
    if kind == "csr" and len(shape) > 2:
        pytest.skip("CSR is a matrix")
    scores = torch.randn(shape, generator=torch.Generator().manual_seed(3)).double() * 3
    for dim in range(len(shape)):
        for more in ({}, {"label_smoothing": 0.1, "weight": torch.rand(shape[dim]).double()}):
            named = given(kind, shape, dim)
            terms = e2v.loss_terms(scores, **named, **more, dim=dim, rows=2)
            rows = e2v.cross_entropy(scores, **named, **more, dim=dim, reduction="none")
            torch.testing.assert_close(terms.nll, rows)
            torch.testing.assert_close(terms.entropy + terms.excess, rows)
            torch.testing.assert_close(terms.log_sum_exp, scores.logsumexp(dim))
            assert (terms.excess >= 0).all()
            module = e2v.CrossEntropyLoss(
                more.get("weight"), label_smoothing=more.get("label_smoothing", 0.0), dim=dim
            )
            torch.testing.assert_close(module.terms(scores, **named), terms)


def test_dim_is_that_of_cross_entropy():
    scores, target = torch.randn(3, 3).double(), torch.tensor([0, 1, 2])
    torch.testing.assert_close(
        e2v.loss_terms(scores, target, dim=0), e2v.loss_terms(scores.T, target)
    )
    images = torch.randn(2, 3, 4, 5)
    assert e2v.loss_terms(images, torch.zeros(2, 4, 5).long()).nll.shape == (2, 4, 5)
    assert e2v.loss_terms(images[0, :, 0, 0], target[0]).nll.shape == ()


@pytest.mark.parametrize("kind", ["index", "probabilities", "counts"])
def test_terms_of_a_linear_loss(kind):
    inputs, outputs, bias = torch.randn(5, 2).double(), torch.randn(7, 2).double(), torch.rand(7)
    named = given(kind, (5, 7), 1)
    terms = e2v.loss_terms(
        inputs, **named, linear_weight=outputs, linear_bias=bias.double(), rows=2
    )
    torch.testing.assert_close(terms, e2v.loss_terms(inputs @ outputs.T + bias, **named))
    module = e2v.LinearCrossEntropyLoss(2, 7, dtype=torch.float64)
    torch.testing.assert_close(
        module.terms(inputs, **named), e2v.loss_terms(module.linear(inputs), **named)
    )


def test_no_rows_have_no_terms():
    with pytest.warns(LossWarning, match="0 of 0 rows"):
        terms = e2v.loss_terms(torch.zeros(0, 3), counts=torch.zeros(0, 3))
    assert [term.shape for term in terms] == [(0,)] * 4
