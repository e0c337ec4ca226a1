"""The functions of every engine that work on a block of rows of counts."""

import numpy as np
import pytest
import torch
from engine_problems import MARKS, close

from exact2vec.loss.engine.cells import Cells, Outputs, RankOne

pytestmark = MARKS


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


def backed(counts):
    """Cells with a background, and the dense counts that they stand for; a row has none of it."""
    amounts = torch.tensor([0.5, 2.0, 0.0, 3.0, 1.0, 0.25]).double()
    shares = torch.linspace(1, 4, 17).double()
    shares[4] = 0
    shares /= shares.sum()
    dense = counts.double() + amounts[:, None] * shares
    cells = cells_of(counts, dense.sum(dim=1))
    return Cells(
        cells.starts, cells.words, cells.counts, cells.totals, RankOne(amounts, shares)
    ), dense


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_losses_with_a_background_are_those_of_dense_counts(engine, dtype):
    x, u, b, counts, _ = block(dtype)
    cells, dense = backed(counts)
    found, plain = engine.losses(x, Outputs.of(u, b), [cells, cells_of(counts)])
    log_p = (x.double() @ u.double().T + b.double()).log_softmax(dim=1)
    q = dense / dense.sum(dim=1, keepdim=True)
    close(found.nll, -(dense * log_p).sum(dim=1), dtype)
    excess = torch.xlogy(dense, q).sum(dim=1) - (dense * log_p).sum(dim=1)
    close(found.excess, excess, dtype, least=found.nll.max().item())
    close(plain.nll, -(counts * log_p).sum(dim=1), dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_gradients_with_a_background_are_those_of_dense_counts(engine, dtype):
    x, u, b, counts, _ = block(dtype)
    cells, dense = backed(counts)
    weights, outputs = torch.linspace(0.5, 2, 6).double(), Outputs.of(u, b)
    found = torch.full_like(outputs.rows, torch.nan)
    d_inputs = engine.gradients(x, outputs, cells, weights, found.__setitem__)
    assert torch.equal(engine.gradients(x, outputs, cells, weights, None), d_inputs)
    leaves = [one.double().requires_grad_() for one in (x, u, b)]
    log_p = (leaves[0] @ leaves[1].T + leaves[2]).log_softmax(dim=1)
    right = torch.autograd.grad(-(weights[:, None] * dense * log_p).sum(), leaves)
    close(d_inputs, right[0].to(dtype), dtype)
    close(found[:, :3], right[1].to(dtype), dtype)
    close(found[:, 3], right[2].to(dtype), dtype)
