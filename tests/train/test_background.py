"""Counts with a background are trained on as the dense counts that they stand for."""

import numpy as np
import pytest
import torch
from graphs_made import dense_counts, edge_list, weights_of

import exact2vec as e2v
from exact2vec.loss import formulas
from exact2vec.loss.count_losses import WeightedCounts
from exact2vec.vectors import evaluate_nodes
from exact2vec.vectors.evaluate import losses
from exact2vec.vectors.evaluate_nodes import cut_nats

SMALL = {"vector_size": 6, "prior": (5.0, 5.0), "epochs": 2, "block_rows": 7, "threads": 1}


def stood_for(counts):
    """n(c, w), dense."""
    cells, background = counts.training.toarray(), counts.background
    spread = background.amounts[:, None] * background.shares
    return np.where(cells > 0, cells, spread)


@pytest.fixture(scope="module", params=[10_000, 700], ids=["chance", "more than chance"])
def cut(request):
    edges = edge_list(weights_of(60))
    found = e2v.count_edges(edges, hops=4, whole_cells=0, most_cells=request.param)
    assert (found.settings["read"]["cut"] > 1) == (request.param == 700)
    return found


@pytest.fixture(scope="module")
def dense(cut):
    return e2v.Counts.from_matrix(stood_for(cut), cut.rows, cut.columns)


def test_totals_floor_and_unigram_are_those_of_dense_counts(cut, dense):
    found = WeightedCounts(cut.weigh(cut.training), cut.background)
    wanted = WeightedCounts(dense.weigh(dense.training))
    for name in ("totals", "column_totals"):
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name), rtol=1e-6, atol=0)
    assert found.total == pytest.approx(wanted.total, rel=1e-7)
    assert found.floor == pytest.approx(wanted.floor, rel=1e-6)
    np.testing.assert_allclose(cut.unigram, dense.unigram, rtol=1e-6)


def test_training_goes_as_with_dense_counts(cut, dense, monkeypatch):
    # the start is of the cells above chance alone: of both counts the same, but for rounding
    *_, one = e2v.fit(cut, **SMALL)
    *_, other = e2v.fit(dense, **SMALL)
    for name in ("nll", "excess", "floor", "unigram", "objective"):
        found, wanted = (getattr(last.losses, name) for last in (one, other))
        assert found == pytest.approx(wanted, abs=2e-3), name


def test_losses_are_those_of_the_formula(cut):
    *_, last = e2v.fit(cut, **SMALL)
    x, u, b = (one.double() for one in (last.state.inputs, last.state.outputs, last.state.bias))
    counts = torch.from_numpy(stood_for(cut))
    wanted = formulas.count_nll(x, u, b, counts)
    assert last.losses.nll == pytest.approx(wanted.item(), rel=1e-6)
    assert last.losses.floor == pytest.approx(formulas.entropy_floor(counts).item(), rel=1e-6)
    vectors = e2v.Vectors.from_state(last.state, cut)
    assert losses(vectors, cut, threads=1)[0].nll == pytest.approx(last.losses.nll, rel=1e-7)


def test_what_the_cut_changes_is_known_exactly_and_bounded_before(cut, monkeypatch):
    monkeypatch.setattr(evaluate_nodes, "ROWS", 17)
    *_, last = e2v.fit(cut, **SMALL)
    vectors = e2v.Vectors.from_state(last.state, cut)
    x, u, b = (one.double() for one in (last.state.inputs, last.state.outputs, last.state.bias))
    order = [int(name[1:]) for name in cut.rows]
    whole = torch.from_numpy(dense_counts(weights_of(60), 4)[order][:, order])
    true = formulas.count_nll(x, u, b, torch.from_numpy(stood_for(cut))) - formulas.count_nll(
        x, u, b, whole
    )
    assert abs(true.item()) > 1e-4
    assert cut_nats(vectors, cut) == pytest.approx(true.item(), abs=1e-6)
    scores = (x @ u.T + b).numpy()
    spread = abs(scores - scores.mean(axis=1, keepdims=True)).max(axis=1)
    assert abs(true.item()) <= (cut.background.errors * spread).sum() / whole.sum().item()
