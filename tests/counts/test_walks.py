"""Walks against powers of dense matrices; the cut, and the background that stands for it."""

import numpy as np
import pytest
from graphs_made import dense_counts, weights_of
from scipy.sparse import coo_array, csr_array, random_array

from exact2vec import machine
from exact2vec.counts import walks as walks_module
from exact2vec.counts.walk_forecast import refuse_what_does_not_fit, walk_forecast
from exact2vec.counts.walk_loops import LANES
from exact2vec.counts.walks import Spare, Walks, summed_hops, walk_counts
from exact2vec.errors import ResourceError
from exact2vec.parallel import Workers

HOPS = [1, 2, 5, 10]


def counted(weights, hops, *, least=0.0, threads=1):
    with Workers(threads) as workers:
        return walk_counts(Walks.of(weights, hops), least=least, workers=workers)


@pytest.mark.parametrize("hops", HOPS)
def test_counts_are_those_of_dense_powers(hops):
    weights = weights_of()
    found = counted(weights, hops)
    assert found.background is None
    wanted = dense_counts(weights, hops)
    np.testing.assert_allclose(found.cells.toarray(), wanted, rtol=0, atol=1e-13 * wanted.max())
    degrees = np.asarray(weights.sum(axis=1)).ravel()
    np.testing.assert_allclose(found.cells.sum(axis=1), degrees, rtol=1e-13)
    np.testing.assert_allclose(Walks.of(weights, hops).column_totals, degrees, rtol=1e-12)
    assert found.cells.has_canonical_format


@pytest.mark.parametrize("least", [1, 1.7])
@pytest.mark.parametrize("hops", HOPS)
def test_cells_above_chance_are_kept_and_totals_stay(hops, least):
    weights = weights_of()
    found, wanted = counted(weights, hops, least=least), dense_counts(weights, hops)
    chance = np.outer(wanted.sum(axis=1), wanted.sum(axis=0)) / wanted.sum()
    kept = wanted > least * chance * (1 + 1e-9)
    assert np.array_equal(found.cells.toarray() > 0, kept)
    background = found.background
    spread = background.amounts[:, None] * background.shares
    stands = np.where(kept, found.cells.toarray(), spread)
    np.testing.assert_allclose(stands.sum(axis=1), wanted.sum(axis=1), rtol=1e-12)
    errors = np.where(kept, 0, abs(wanted - spread)).sum(axis=1)
    np.testing.assert_allclose(background.errors, errors, rtol=0, atol=1e-12 * errors.max())
    assert (found.cells.toarray()[kept] > spread[kept]).all()


def test_symmetric_walks_are_cut_symmetrically():
    ring = csr_array(np.roll(np.eye(30), 1, axis=1) + np.roll(np.eye(30), -1, axis=1))
    cells = counted(ring, 4, least=1).cells
    assert np.array_equal(cells.toarray() > 0, (cells.toarray() > 0).T)


def test_no_byte_depends_on_threads_or_on_other_rows():
    weights = weights_of(300)
    one, three = (counted(weights, 3, least=1, threads=threads) for threads in (1, 3))
    for name in ("indptr", "indices", "data"):
        assert getattr(one.cells, name).tobytes() == getattr(three.cells, name).tobytes()
    assert one.background.amounts.tobytes() == three.background.amounts.tobytes()
    walks = Walks.of(weights, 3)
    some = walks.rows(LANES, 2 * LANES, least=1, spare=Spare())
    start, end = one.cells.indptr[[LANES, 2 * LANES]]
    assert some.values.tobytes() == one.cells.data[start:end].tobytes()


def test_walks_that_end_early_are_scaled_to_the_weight_of_their_edges():
    steps = csr_array(np.array([[0, 1.0, 2.0], [0, 0, 1.0], [0, 0, 0]]))
    found = counted(steps, 4).cells.toarray()
    np.testing.assert_allclose(found.sum(axis=1), [3, 1, 0], rtol=1e-14)
    assert found[0, 2] > 2  # two ways lead there


def test_the_forecast_is_near_what_comes():
    random = random_array((900, 900), density=0.01, random_state=np.random.default_rng(5))
    weights = csr_array(random + random.T)
    walks = Walks.of(weights, 2)
    with Workers(1) as workers:
        forecast = walk_forecast(walks, workers, whole_cells=10)
        whole = walk_counts(walks, least=0, workers=workers).cells.nnz
        above = walk_counts(walks, least=1, workers=workers).cells.nnz
    assert forecast.least == 1
    assert forecast.reached == pytest.approx(whole, rel=0.15)
    assert forecast.cells == pytest.approx(above, rel=0.15)


def test_the_bar_rises_until_no_more_cells_are_kept_than_wanted():
    random = random_array((900, 900), density=0.01, random_state=np.random.default_rng(5))
    walks = Walks.of(csr_array(random + random.T), 2)
    with Workers(1) as workers:
        above = walk_counts(walks, least=1, workers=workers).cells.nnz
        for wanted in (above // 2, above // 4):
            forecast = walk_forecast(walks, workers, whole_cells=10, most_cells=wanted)
            kept = walk_counts(walks, least=forecast.least, workers=workers).cells.nnz
            lower = walk_counts(walks, least=forecast.least / 2**0.25, workers=workers).cells.nnz
            assert forecast.cells == pytest.approx(kept, rel=0.15)
            assert kept < 1.15 * wanted  # the forecast's error
            assert lower > 0.85 * wanted  # no bar is higher than is needed
        assert "times chance: " in forecast.line(1)
        highest = walk_forecast(walks, workers, whole_cells=10, most_cells=1)
    assert highest.cells <= 1


def star(leaves):
    """A node with edges to all others, which have no other edge."""
    ends = np.arange(1, leaves + 1), np.zeros(leaves, np.int64)
    upper = coo_array((np.ones(leaves), ends), shape=(leaves + 1,) * 2)
    return csr_array(upper + upper.T)


def test_the_forecast_of_a_star_is_not_that_of_its_middle():
    with Workers(1) as workers:
        forecast = walk_forecast(Walks.of(star(20_000), 1), workers, whole_cells=10)
    assert forecast.reached == 40_000
    assert forecast.cells <= 40_000


def test_the_forecast_of_a_few_hubs_is_near_what_comes():
    random, nodes = np.random.default_rng(6), 4000
    ends = random.integers(0, nodes, 6000), (nodes * random.random(6000) ** 6).astype(int)
    some = coo_array((np.ones(6000), ends), shape=(nodes, nodes)).tocsr()
    some.setdiag(0)
    walks = Walks.of(csr_array(some + some.T), 2)
    with Workers(1) as workers:
        forecast = walk_forecast(walks, workers, whole_cells=10)
        whole = walk_counts(walks, least=0, workers=workers).cells.nnz
    assert forecast.reached == pytest.approx(whole, rel=0.3)


def test_what_does_not_fit_is_refused_with_the_flags(monkeypatch):
    monkeypatch.setattr(machine, "room", lambda: machine.Room(1000, "the container"))
    for hops, whole_cells, flags in (
        (5, 10, r"a smaller --most-cells or fewer --hops \(now 5\);"),
        (5, 10_000, r"a smaller --whole-cells or fewer --hops \(now 5\);"),
        (1, 10, "a smaller --most-cells;"),
    ):
        with Workers(1) as workers:
            walks = Walks.of(weights_of(), hops)
            forecast = walk_forecast(walks, workers, whole_cells=whole_cells)
        with pytest.raises(ResourceError, match=f"the container leaves 0 MB: use {flags}"):
            refuse_what_does_not_fit(forecast, 1, hops)


def test_a_walk_that_reaches_few_nodes_is_that_of_sparse_powers():
    ring = coo_array((np.ones(3000), (np.arange(3000), (np.arange(3000) + 1) % 3000))).tocsr()
    weights = csr_array(ring + ring.T)
    found = counted(weights, 3).cells
    walks = Walks.of(weights, 3)
    unit = np.eye(3000)[:, [0, 5, 2000]]
    wanted = summed_hops(csr_array(walks.reach), walks.hop_weights, unit) * walks.scales[:, None]
    np.testing.assert_allclose(found[:, [0, 5, 2000]].toarray(), wanted, rtol=1e-12, atol=1e-15)
    assert found.has_canonical_format


def test_scratch_is_made_once_a_thread(monkeypatch):
    made, new = [], walks_module.new_scratch
    monkeypatch.setattr(walks_module, "new_scratch", lambda size: made.append(size) or new(size))
    counted(star(5000), 1, threads=2)
    assert made in ([5001], [5001, 5001])
