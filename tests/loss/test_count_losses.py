"""Losses and gradients of counted pairs: each engine against the formulas, and the estimate."""

from unittest.mock import patch

import by_hand
import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from test_formulas import SIZES, awkward

from exact2vec.loss.count_losses import WeightedCounts, estimated_losses, exact_losses
from exact2vec.loss.engine import compiled, forced, reference, tile_kernels, tile_sweeps, tiled
from exact2vec.loss.engine.cells import Outputs, RowLosses, Workspace
from exact2vec.loss.formulas import count_nll, excess_terms, log_softmax
from exact2vec.parallel import Workers
from exact2vec.train.problem import row_weights

WAYS = {
    "reference": (reference, torch.float64, 1e-12),
    "tiled": (tiled, torch.float64, 1e-12),
    "tiled float32": (tiled, torch.float32, 3e-5),
    "compiled": (compiled, torch.float64, 1e-12),
    "compiled float32": (compiled, torch.float32, 3e-5),
}


@pytest.fixture
def small_tiles(request, monkeypatch):
    monkeypatch.setattr(tile_sweeps, "tile_words", lambda: request.param)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("small_tiles", [1, 2, 5, 2048], indirect=True)
@pytest.mark.parametrize("sizes", SIZES)
def test_engines_are_the_formulas(small_tiles, sizes, way):
    engine, dtype, rel = WAYS[way]
    inputs, outputs, bias, dense = (value.to(dtype).double() for value in awkward(*sizes))
    leaves = [value.clone().requires_grad_() for value in (inputs, outputs, bias)]
    weights = torch.linspace(0.5, 2, sizes[0]).double()
    loss = count_nll(*leaves, dense)
    (count_nll(*leaves, dense * weights[:, None]) * (dense * weights[:, None]).sum()).backward()
    counts = WeightedCounts(csr_array(dense.to(dtype).numpy()))
    x, sides = inputs.to(dtype), Outputs.of(outputs.to(dtype), bias.to(dtype))
    cells = counts.block(np.arange(sizes[0]))
    d_outputs = torch.full_like(sides.rows, torch.nan)
    with Workers(2) as workers, forced(engine):
        workspace = Workspace.of(workers, *sizes, dtype)
        log_unigram = torch.zeros(sizes[1]).double()
        (found,) = exact_losses(x, sides, [counts], log_unigram, workspace, row_weights=weights)
        d_inputs = engine.gradients(
            x,
            sides,
            cells,
            weights,
            lambda words, gradient: d_outputs[words].copy_(gradient),
            workspace=workspace,
        )
        nll = engine.cell_nll(x, sides, cells, workspace=workspace)
    lists = [value.tolist() for value in (inputs, outputs, bias, dense)]
    assert found.nll == pytest.approx(loss.item(), rel=rel, abs=rel)
    assert found.floor == pytest.approx(by_hand.entropy_floor(lists[3]), rel=rel, abs=rel)
    assert found.excess == pytest.approx(by_hand.excess(*lists), rel=1e3 * rel, abs=rel)
    row_nll = (dense * (-log_softmax(inputs @ outputs.T + bias))).sum(dim=1)
    weighted = float((weights * row_nll).sum()) / counts.total
    assert found.objective == pytest.approx(weighted, rel=rel, abs=rel)
    of_cells = (nll * dense.numpy()[dense.numpy() > 0]).sum() / counts.total
    assert of_cells == pytest.approx(loss.item(), rel=rel, abs=rel)
    gradients = d_inputs, d_outputs[:, :6], d_outputs[:, 6]
    for got, leaf in zip(gradients, leaves, strict=True):
        torch.testing.assert_close(
            got.double(), leaf.grad, rtol=10 * rel, atol=rel * float(dense.sum())
        )
    assert not d_outputs[:, 7:].any()


@pytest.mark.parametrize("ratio", [-3.0, -2e-3, -9e-4, -1e-8, 0.0, 1e-6, 5e-4, 1.1e-3, 2.0])
def test_the_terms_of_a_cell_are_their_formula(ratio):
    """log q/p is the `ratio`, on both sides of where a series stands for the difference."""
    share, others = np.array([0.25, 0.75]), np.array([0.4])
    minus_log_p = ratio - np.log(share)
    scores = np.log1p(others) - minus_log_p  # of a row whose largest score is 0
    found = np.empty(1), np.empty(1)
    starts, row = np.array([0, 2]), (np.array([8.0]), np.array([0.0]), others, np.zeros(1))
    tile_kernels.row_losses(starts, 8 * share, scores, *row, *found)
    log_ratio = torch.from_numpy(np.log(share) + (-scores + np.log1p(others)))
    terms = excess_terms(log_ratio, torch.from_numpy(share))
    assert found[0][0] == pytest.approx(8 * float(share @ minus_log_p), rel=1e-14)
    assert found[1][0] == pytest.approx(8 * float(terms.sum()), rel=1e-9, abs=1e-15)


def test_outputs_are_vectors_bias_and_zeros():
    sides = Outputs.of(torch.ones(2, 6), torch.tensor([5.0, 7.0]))
    assert sides.rows.tolist() == [[1, 1, 1, 1, 1, 1, 5, 0], [1, 1, 1, 1, 1, 1, 7, 0]]
    assert Outputs.of(torch.ones(2, 8), torch.ones(2)).rows.shape == (2, 16)
    assert sides.padded(torch.full((1, 6), 3.0)).tolist() == [[3, 3, 3, 3, 3, 3, 1, 0]]


@pytest.mark.parametrize("hot", [0, 30])
def test_the_uncounted_mass_is_the_same_both_ways(hot):
    """Where the counted cells hold most of a row, their sum is not taken away from the whole."""
    random = np.random.default_rng(hot)
    bias = torch.from_numpy(random.standard_normal(40)).float()
    bias[9] += hot
    dense = (random.random((3, 40)) < 0.4) * np.float32(1) + np.eye(3, 40, k=9, dtype=np.float32)
    dense[:, 9] = 1
    sides = Outputs.of(torch.zeros(40, 1), bias)
    cells = WeightedCounts(csr_array(dense)).block(np.arange(3))
    ours, plain = (
        engine.losses(torch.zeros(3, 1), sides, [cells])[0] for engine in (compiled, reference)
    )
    torch.testing.assert_close(ours.nll, plain.nll, rtol=3e-7, atol=0)
    torch.testing.assert_close(ours.excess, plain.excess, rtol=3e-6, atol=0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("small_tiles", [3], indirect=True)
def test_blocks_with_hot_scores_stay_finite(small_tiles, way):
    engine, dtype, _ = WAYS[way]
    bias = torch.tensor([1e4, -1e4, 0, -3e38, 5, 6, 7]).to(dtype)
    sides = Outputs.of(torch.zeros(7, 1, dtype=dtype), bias)
    counts = WeightedCounts(csr_array(np.array([[1, 2, 3, 0, 1, 1, 1]], np.float32)))
    cells, d_bias = counts.block(np.arange(1)), torch.zeros(7, dtype=dtype)
    d_inputs = engine.gradients(
        torch.ones(1, 1, dtype=dtype),
        sides,
        cells,
        torch.ones(1).double(),
        lambda words, gradient: d_bias[words].copy_(gradient[:, 1]),
    )
    (losses,) = engine.losses(torch.ones(1, 1, dtype=dtype), sides, [cells])
    assert losses.nll.item() == pytest.approx(2 * 2e4 + 3 * 1e4 + 3 * 1e4 - 18)
    assert torch.isfinite(d_inputs).all()
    assert d_bias.tolist() == pytest.approx([8, -2, -3, 0, -1, -1, -1], abs=1e-30)


def test_the_estimate_is_unbiased_and_its_error_honest():
    inputs, outputs, bias, dense = (value.float() for value in awkward(200, 40))
    counts = WeightedCounts(csr_array(dense.numpy()))
    asked = inputs, Outputs.of(outputs, bias), [counts], torch.zeros(40).double()
    with Workers(1) as workers:
        workspace = Workspace.of(workers, 256, 40)
        exact = exact_losses(*asked, workspace)[0]
        found = [
            estimated_losses(*asked, workspace, share=0.2, seed=seed)[0] for seed in range(200)
        ]
    errors = np.array([one.nll - exact.nll for one in found])
    stated = np.mean([one.standard_error for one in found])
    assert abs(errors.mean()) < 4 * stated / np.sqrt(200)
    assert 0.8 < errors.std() / stated < 1.25
    assert exact.standard_error is None


def test_a_matrix_whose_columns_are_not_in_order_has_the_same_losses():
    random = np.random.default_rng(0)
    dense = random.integers(0, 3, (40, 2500)) * (random.random((40, 2500)) < 0.1)
    ordered = csr_array(dense.astype(np.float32))
    mixed = ordered.copy()
    for row in range(40):
        cells = slice(*ordered.indptr[row : row + 2])
        turn = random.permutation(cells.stop - cells.start)
        mixed.indices[cells] = ordered.indices[cells][turn]
        mixed.data[cells] = ordered.data[cells][turn]
    mixed.has_sorted_indices = mixed.has_canonical_format = False
    inputs, outputs = (
        torch.from_numpy(random.standard_normal((size, 8)).astype(np.float32))
        for size in (40, 2500)
    )
    sides = Outputs.of(outputs, torch.zeros(2500))
    for engine in (compiled, tiled):
        one, other = (
            engine.losses(inputs, sides, [WeightedCounts(matrix).block(np.arange(40))])[0]
            for matrix in (ordered, mixed)
        )
        torch.testing.assert_close(one.nll, other.nll, rtol=0, atol=0)


def test_nothing_depends_on_the_threads_of_the_caller():
    random = np.random.default_rng(0)
    counts = csr_array(
        (
            random.random(200_000).astype(np.float32),
            (random.integers(0, 70_000, 200_000), random.integers(0, 70_000, 200_000)),
        ),
        shape=(70_000, 70_000),
    )
    log_unigram = torch.log(torch.rand(70_000, generator=torch.Generator().manual_seed(1)).double())
    rows = torch.zeros(70_000, 8)
    found = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        weighted = WeightedCounts(counts)
        losses = RowLosses(
            weighted.totals[weighted.totals > 0] * 1.1, weighted.totals[weighted.totals > 0] * 0.3
        )
        weights = row_weights(weighted.totals, 0.75)
        with patch("exact2vec.loss.count_losses.row_losses", return_value=[losses]):
            found.append(
                (
                    exact_losses(
                        rows,
                        Outputs(rows, 7),
                        [weighted],
                        log_unigram,
                        Workspace.of(Workers(1), 1, 1),
                        row_weights=weights,
                    ),
                    weights.tolist(),
                )
            )
    torch.set_num_threads(before)
    assert found[0] == found[1]
