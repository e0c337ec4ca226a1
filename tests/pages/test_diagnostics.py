"""The numbers that the pages show, by hand."""

import base64
import math
import sys

import numpy as np
import pytest
from graphs_made import dense_counts, edge_list, weights_of
from scipy.sparse import csr_array
from scipy.stats import norm

import exact2vec as e2v
from exact2vec.cli import messages
from exact2vec.errors import UsageError
from exact2vec.pages import diagnostics as measures
from exact2vec.pages import explorer
from exact2vec.pages.report import evaluation_rows
from exact2vec.pages.run_view import stored_run


def test_word_losses_are_the_dense_sums(runs, monkeypatch):
    whole = measures.stretches
    monkeypatch.setattr(measures, "stretches", lambda counts: whole(counts, 100))
    run = stored_run(runs / "one")
    for losses, part, name in (
        (run.training_losses, run.counts.training, "training"),
        (run.held_out_losses, run.counts.held_out, "held_out"),
    ):
        n = run.counts.weigh(part).toarray().astype(float)
        nll = np.array(
            [
                -run.vectors.log_probabilities(word, weighted=True)
                for word in run.vectors.index_to_key
            ]
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            q = n / n.sum(axis=1, keepdims=True)
            np.testing.assert_allclose(
                losses.row_nll, (n * nll).sum(axis=1) / n.sum(axis=1), rtol=1e-5
            )
            np.testing.assert_allclose(
                losses.column_nll, (n * nll).sum(axis=0) / n.sum(axis=0), rtol=1e-5
            )
            np.testing.assert_allclose(
                losses.row_floor,
                [-sum(x * math.log(x) for x in row if x > 0) or np.nan for row in q],
                rtol=1e-5,
            )
        for values, pairs in (
            (losses.row_nll, losses.row_pairs),
            (losses.column_nll, losses.column_pairs),
        ):
            assert np.nansum(values * pairs) / pairs.sum() == pytest.approx(
                run.summary[name]["nll"], rel=1e-5
            )
        assert np.nansum(
            losses.row_floor * losses.row_pairs
        ) / losses.row_pairs.sum() == pytest.approx(run.summary[name]["floor"], rel=1e-5)
        for values, pairs in (
            (losses.row_unigram, losses.row_pairs),
            (losses.column_unigram, losses.column_pairs),
        ):
            assert np.nansum(values * pairs) / pairs.sum() == pytest.approx(
                run.summary[name]["unigram"], rel=1e-5
            )


@pytest.fixture(scope="module")
def cut_run(tmp_path_factory):
    """A run whose cells below chance are a background."""
    counts = e2v.count_edges(edge_list(weights_of(60)), hops=4, whole_cells=0)
    model = e2v.Exact2Vec(vector_size=6, prior=(5.0, 5.0), epochs=2, threads=1)
    folder = tmp_path_factory.mktemp("cut") / "run"
    model.fit(counts).save(folder)
    return stored_run(folder)


def dense_pairs(run):
    """n(c, w) with the background where no cell is, and −log p(w | c)."""
    background, cells = run.counts.background, run.counts.training.toarray()
    n = np.where(cells > 0, cells, background.amounts[:, None] * background.shares)
    words = run.vectors.index_to_key
    return n, -np.array([run.vectors.log_probabilities(word, weighted=True) for word in words])


def test_word_losses_of_a_cut_run_have_its_background(cut_run):
    losses, summary = cut_run.training_losses, cut_run.summary["training"]
    n, nll = dense_pairs(cut_run)
    rows, columns = n.sum(axis=1), n.sum(axis=0)
    floor = (n * np.log(rows[:, None] / n)).sum(axis=1)
    for found, wanted in (
        (losses.row_pairs, rows),
        (losses.row_nll, (n * nll).sum(axis=1) / rows),
        (losses.row_unigram, n @ -np.log(cut_run.vectors.unigram) / rows),
        (losses.row_floor, floor / rows),
        (losses.column_pairs, columns),
        (losses.column_nll, (n * nll).sum(axis=0) / columns),
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    for name in ("nll", "unigram", "floor"):
        mean = (getattr(losses, f"row_{name}") * losses.row_pairs).sum() / losses.row_pairs.sum()
        assert mean == pytest.approx(summary[name], rel=1e-5), name


def test_the_report_says_what_the_cut_changes(cut_run):
    n, nll = dense_pairs(cut_run)
    order = [int(name[1:]) for name in cut_run.counts.rows]
    whole = dense_counts(weights_of(60), 4)[order][:, order]
    rows = {what: value for what, value, *_ in evaluation_rows(cut_run, [], [])}
    difference = ((whole - n) * nll).sum() / whole.sum()
    assert abs(difference) > 1e-4
    found = rows["training NLL over all cells"] - rows["training NLL"]
    assert found == pytest.approx(difference, abs=2e-6)


def test_calibration_of_a_cut_run_has_its_background(cut_run):
    counts = cut_run.counts
    weighted = counts.weigh(counts.training)
    found = measures.calibration(cut_run.vectors, weighted, counts.background)
    assert sum(found.pairs) == pytest.approx(1, rel=1e-6)
    assert min(found.counted) > 0


def test_pages_of_a_cut_run_count_all_pairs(cut_run):
    n, _ = dense_pairs(cut_run)
    found = explorer.cells(cut_run.counts.training, cut_run.counts.background)
    totals = np.frombuffer(base64.b64decode(found["row_total"]["base64"]), np.float64)
    np.testing.assert_allclose(totals, n.sum(axis=1), rtol=1e-12)
    assert f"{messages.short(round(n.sum()))} counts in" in messages.opening(cut_run.counts)[0]


def test_stretches_hold_every_cell_once():
    counts = csr_array(np.array([[5, 0, 9, 1], [0, 0, 0, 0], [3, 3, 3, 8], [0, 1, 0, 0]]))
    for cells in (1, 3, 5, 8, 100):
        found = list(measures.stretches(counts, cells))
        np.testing.assert_array_equal(sum(one.toarray() for one in found), counts.toarray())
        assert sum(one.nnz for one in found) == counts.nnz
        assert len(found) == {1: 3, 3: 3, 5: 2, 8: 1, 100: 1}[cells]


def test_bands_are_means_over_pairs():
    counts = np.array([3000, 2999, 100, 99, 30, 29, 10, 3, 2, 1])
    bands, place = measures.frequency_bands(counts)
    assert [(band.least, band.most, band.words) for band in bands] == [
        (1, 2, 2),
        (3, 3, 1),
        (10, 29, 2),
        (30, 99, 2),
        (100, 100, 1),
        (2999, 2999, 1),
        (3000, 3000, 1),
    ]
    nll, pairs = (
        np.array([1.0, 2, 3, 4, 5, np.nan, 7, 8, 9, 10]),
        np.array([9.0, 8, 7, 6, 2, 0, 4, 0, 2, 6]),
    )
    assert measures.band_means(nll, pairs, place, len(bands)) == [
        (9 * 2 + 10 * 6) / 8,
        None,
        7,
        (4 * 6 + 5 * 2) / 8,
        3,
        2,
        1,
    ]


def test_calibration_is_on_the_line_where_the_counts_are_the_probabilities(runs):
    run = stored_run(runs / "one")
    p = np.exp(
        [run.vectors.log_probabilities(word, weighted=True) for word in run.vectors.index_to_key]
    )
    found = measures.calibration(run.vectors, csr_array(p.astype(np.float32)), rows=50)
    np.testing.assert_allclose(found.predicted, found.counted, rtol=1e-4)
    assert sum(found.pairs) == pytest.approx(1, abs=1e-5)
    assert sum(found.cells) == 50 * len(run.vectors)
    reversed_counts = measures.calibration(
        run.vectors, csr_array(p[:, ::-1].astype(np.float32)), rows=50
    )
    assert max(abs(np.log(reversed_counts.predicted) - np.log(reversed_counts.counted))) > 0.1


def test_the_plane_is_that_of_the_svd():
    vectors = (
        np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32)
        * np.arange(1, 8, dtype=np.float32)
        + 3
    )
    plane = measures.principal_plane(vectors)
    left, values, _ = np.linalg.svd(
        vectors.astype(float) - vectors.astype(float).mean(axis=0), full_matrices=False
    )
    np.testing.assert_allclose(
        abs(plane.points), abs(left[:, :2] * values[:2]), rtol=1e-6, atol=1e-6
    )
    assert plane.faithful == pytest.approx((values[:2] ** 2).sum() / (values**2).sum())
    assert measures.principal_plane(vectors[:, :1]).points.shape == (40, 2)


def test_intervals_cover_what_they_should():
    low, high = measures.wilson_interval(0.3, 50)
    z = norm.ppf(0.975)
    for end in (low, high):
        assert abs(0.3 - end) == pytest.approx(z * math.sqrt(end * (1 - end) / 50), rel=1e-5)
    low, high = measures.rank_interval(0.5, 60)
    assert math.atanh(0.5) - math.atanh(low) == pytest.approx(
        z * math.sqrt((1 + 0.25 / 2) / 57), rel=1e-5
    )
    assert measures.rank_interval(0.5, 3) is None


def test_nearest_are_most_similar(runs):
    wv = e2v.load(runs / "one")
    found, cosines = measures.nearest(wv, range(5), 4)
    for row in range(5):
        expected = wv.most_similar(wv.index_to_key[row], topn=4)
        assert [wv.index_to_key[place] for place in found[row]] == [word for word, _ in expected]
        assert cosines[row].tolist() == pytest.approx([cosine for _, cosine in expected], abs=1e-6)


def test_without_umap_the_error_says_what_to_do(runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UsageError, match=r"pip install 'exact2vec\[umap\]'"):
        measures.umap_plane(e2v.load(runs / "one").vectors)
