"""The numbers of report and explorer, by hand; which runs are overlaid; what a notebook shows."""

import inspect
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hostile import WORDS, model, sentences
from scipy.sparse import csr_array
from scipy.stats import norm

import exact2vec as e2v
from exact2vec.cli import main
from exact2vec.display import History, _bar_html, notebook_bar
from exact2vec.errors import InputError, ResourceError, UsageError
from exact2vec.pages import diagnostics as measures
from exact2vec.pages import explorer as explore
from exact2vec.pages import report as reports
from exact2vec.pages.html import page
from exact2vec.pages.run_view import stored_run

SMALL = ["--vector-size=4", "--min-count=1", "--epochs=1", "--tokens=space"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    model().save(folder / "one")
    model(epochs=3, seed=2).save(folder / "two")
    model(window=2).save(folder / "other")
    return folder


def data_of(path):
    return json.loads(
        re.search(
            r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL
        )[1]
    )


def test_word_losses_are_the_dense_sums(folder, monkeypatch):
    whole = measures.stretches
    monkeypatch.setattr(measures, "stretches", lambda counts: whole(counts, 100))
    run = stored_run(folder / "one")
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


def test_calibration_is_on_the_line_where_the_counts_are_the_probabilities(folder):
    run = stored_run(folder / "one")
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


def test_nearest_are_most_similar(folder):
    wv = e2v.load(folder / "one")
    found, cosines = measures.nearest(wv, range(5), 4)
    for row in range(5):
        expected = wv.most_similar(wv.index_to_key[row], topn=4)
        assert [wv.index_to_key[place] for place in found[row]] == [word for word, _ in expected]
        assert cosines[row].tolist() == pytest.approx([cosine for _, cosine in expected], abs=1e-6)


def test_the_report_command_writes_one_page_beside_the_run(folder, tmp_path):
    similarity, analogies = tmp_path / "pairs.tsv", tmp_path / "questions.txt"
    similarity.write_text("sun\tmoon\t9\nsun\tdog\t1\ndog\tcat\t8\ncow\thorse\t7\nsky\tnosuch\t3\n")
    analogies.write_text("sun moon dog cat\nsun star cow horse\n")
    arguments = [
        "report",
        str(folder / "one"),
        "--similarity",
        str(similarity),
        "--analogies",
        str(analogies),
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    path = folder / "one.html"
    assert f"{path}: " in result.stderr.replace("\n", "")
    assert path.stat().st_size < 7e6
    data = data_of(path)
    rows = {row[0]: row[1:] for row in data["runs"][0]["evaluation"]}
    summary = json.loads((folder / "one" / "summary.json").read_text())
    assert rows["held-out NLL"][0] == summary["held_out"]["nll"]
    found = e2v.evaluate(folder / "one", similarity=[similarity], analogies=[analogies])
    assert rows["Spearman's ρ, pairs.tsv"][0] == found.similarity[str(similarity)].rho
    assert rows["Spearman's ρ, pairs.tsv"][2] == "4 pairs, 20.00 % out of vocabulary"
    low, high = map(float, rows["analogies, questions.txt"][1].split(" .. "))
    assert low <= rows["analogies, questions.txt"][0] <= high
    read = dict(data["read"])
    dropped = sum(value for name, value in data["read"] if name.startswith("dropped"))
    assert (
        read["tokens read"]
        == read["tokens kept for training"] + read["tokens held out"] + dropped
        == 2100
    )
    again = CliRunner().invoke(main, arguments)
    assert (again.exit_code, "use --force" in again.stderr) == (2, True)


def test_best_and_worst_are_by_gain_over_the_unigram(folder, monkeypatch):
    monkeypatch.setattr(reports, "LEAST_PAIRS", 5.0)
    run = stored_run(folder / "one")
    best, worst = (
        reports.word_predictions(run, best=True),
        reports.word_predictions(run, best=False),
    )
    gains = [row[4] for row in best]
    assert gains == sorted(gains, reverse=True)
    assert worst[0][4] <= gains[-1]
    assert all(row[4] == pytest.approx(row[3] - row[2]) for row in best)


def test_runs_that_do_not_compare_are_not_overlaid(folder):
    reports.refuse_overlay([stored_run(folder / "one"), stored_run(folder / "two")])
    with pytest.raises(InputError, match="do not compare"):
        reports.report(folder / "one", folder / "other", output=folder / "x.html")
    assert not (folder / "x.html").exists()
    nothing_held = [model(held_out=0, window=window) for window in (5, 5, 2)]
    for number, one in enumerate(nothing_held):
        one.save(folder / f"nothing{number}")
    first, second, third = (stored_run(folder / f"nothing{number}") for number in range(3))
    assert first.comparable == second.comparable != third.comparable
    assert reports.run_data(first, "pca")["bands"].keys() == {"training"}
    assert reports.evaluation_rows(first, [], [])[1] == ["held-out NLL", None, "", "nothing"]


def test_train_writes_a_report_of_the_run_and_says_so(tmp_path):
    (tmp_path / "text.txt").write_text(
        "\n".join(
            " ".join(word for word in words if len(word.split()) == 1) for words in sentences()
        )
    )
    result = CliRunner().invoke(
        main, ["train", str(tmp_path / "text.txt"), "-o", str(tmp_path / "run"), *SMALL]
    )
    assert result.exit_code == 0, result.output
    assert f"open {tmp_path / 'run' / 'report.html'} in a browser" in result.stderr
    (tmp_path / "elsewhere.html").write_bytes((tmp_path / "run" / "report.html").read_bytes())
    inside = data_of(tmp_path / "run" / "report.html")
    reports.report(tmp_path / "run", output=tmp_path / "again.html")
    again = data_of(tmp_path / "again.html")
    assert inside == again
    assert CliRunner().invoke(main, ["check", str(tmp_path / "run")]).exit_code == 0
    result = CliRunner().invoke(
        main, ["train", str(tmp_path / "text.txt"), "-o", str(tmp_path / "run"), *SMALL, "--force"]
    )
    assert result.exit_code == 0, result.output


def test_a_folder_without_counts_is_refused(folder, tmp_path):
    e2v.load(folder / "one").save(tmp_path / "vectors")
    with pytest.raises(InputError, match="not a trained run with its counts"):
        reports.report(tmp_path / "vectors")


def test_what_a_page_cannot_hold_is_refused_with_the_number(folder, monkeypatch):
    monkeypatch.setattr(explore, "LARGEST_BYTES", 100)
    with pytest.raises(ResourceError, match="MB of vectors are more than the"):
        explore.explorer(folder / "one")


def test_the_largest_cells_of_each_row_are_kept():
    counts = csr_array(np.array([[5, 0, 9, 1], [0, 0, 0, 0], [3, 3, 3, 8]]))
    kept = explore.largest_of_rows(counts, 2)
    assert counts.data[kept].tolist() == [5, 9, 3, 8]


def test_a_map_by_umap_says_that_its_distances_are_not_faithful(folder):
    pytest.importorskip("umap", reason="the extra umap is not installed")
    data = explore.run_data(stored_run(folder / "one"), "umap")
    assert "larger distances, sizes and gaps between groups mean nothing" in data["map"]["note"]


def test_without_umap_the_error_says_what_to_do(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UsageError, match=r"pip install 'exact2vec\[umap\]'"):
        measures.umap_plane(e2v.load(folder / "one").vectors)


def test_a_script_that_could_end_its_element_is_a_mistake(tmp_path):
    (tmp_path / "bad.js").write_text("'</script>'")
    with pytest.raises(ValueError, match="cannot stand in an HTML script element"):
        page("report.html", styles=[], scripts=[tmp_path / "bad.js"], data={})


def test_notebooks_show_tables_in_which_words_are_text(folder):
    trained = model()
    for shown in (
        trained.counts_._repr_html_(),
        trained.wv._repr_html_(),
        trained.history_._repr_html_(),
    ):
        assert re.findall(r"<(?!/?(?:table|caption|thead|tbody|tr|th|td)\b)[^>]*>", shown) == []
    assert "&lt;script&gt;" in trained.wv._repr_html_()
    assert any(
        word.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        in trained.counts_._repr_html_()
        for word in WORDS
    )
    assert "<td>2,100</td>" in trained.counts_._repr_html_()
    assert f"<td>{trained.history_[-1]['held_out_nll']:.4f}</td>" in trained.history_._repr_html_()
    assert isinstance(trained.history_, list)
    estimate = History(
        [
            {
                "epoch": 1.0,
                "exact": False,
                "nll": 2.0,
                "nll_standard_error": 0.25,
                "held_out_nll": None,
                "objective": 3.0,
            }
        ]
    )
    assert "<td>≈ 2.000 ± 0.250</td>" in estimate._repr_html_()
    assert "<th>objective</th>" in estimate._repr_html_()


def test_fit_shows_a_bar_in_a_notebook_and_none_elsewhere():
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance(); "
        "s.kernel = object(); "
        "import exact2vec as e; "
        "model = e.Exact2Vec(vector_size=2, epochs=2, held_out=0); "
        "model.fit([['sun', 'moon'], ['dog', 'cat']] * 20)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(e2v.__file__).parents[1])}
    shown = subprocess.run(
        [sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=True
    )
    assert "HTML" in shown.stdout
    plain = subprocess.run(
        [sys.executable, "-c", code.replace("s.kernel = object(); ", "")],
        env=environment,
        text=True,
        capture_output=True,
        check=True,
    )
    assert plain.stdout == ""
    records = list(notebook_bar(e2v.fit(model(epochs=0).counts_, vector_size=2, epochs=1)))
    assert records[-1].step == records[-1].steps
    assert _bar_html(records[-1]).startswith(
        f'<progress value="{records[-1].steps}" max="{records[-1].steps}">'
    )


def test_every_token_is_accounted_for_with_a_validation_part_and_words_that_are_contexts_only(
    tmp_path,
):
    texts = [f"sun moon dog cat w{number % 70} v{number}" for number in range(400)]
    counts = e2v.count_text(texts, min_count=9, held_out=0.2, validation=0.3, rare=5)
    e2v.Exact2Vec(vector_size=2, epochs=1, rare=5).fit(counts).save(tmp_path / "run")
    rows = dict(reports.read_rows(stored_run(tmp_path / "run")))
    parts = (
        "tokens kept for training",
        "tokens held out",
        "tokens kept for validation",
        "tokens that are contexts only (--rare)",
    )
    assert all(rows[part] > 0 for part in parts)
    assert (
        sum(rows[part] for part in parts)
        + sum(rows[name] for name in rows if name.startswith("dropped"))
        == rows["tokens read"]
        == 2400
    )
    cells = re.findall(r"<td>([^<]+)</td><td>([\d,]+)</td>", counts._repr_html_())
    shown = {name: int(number.replace(",", "")) for name, number in cells}
    assert shown["tokens read"] == sum(
        shown[name]
        for name in ("for training", "held out", "for validation", "context only", "dropped")
    )


def test_a_report_of_nothing_and_a_kind_of_vectors_that_does_not_exist_are_refused():
    with pytest.raises(UsageError, match="at least one run"):
        e2v.report()
    vectors = (
        e2v.Exact2Vec(vector_size=2, epochs=1, min_count=1)
        .fit([["sun", "moon"], ["dog", "cat"]] * 20)
        .wv
    )
    with pytest.raises(
        UsageError, match="which must be one of sum, inputs, outputs, composed; got 'bogus'"
    ):
        inspect.unwrap(e2v.Vectors.vector)(vectors, "sun", "bogus")
