"""The report of baskets: the shares of the parts, and whether their probability means what it says.

What is drawn is looked at in a browser.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from page_reading import address, until
from scipy.sparse import csr_array

import exact2vec as e2v
from exact2vec.counts.baskets import Cut
from exact2vec.errors import InputError
from exact2vec.pages.diagnostics import CALIBRATION_EDGES
from exact2vec.pages.next_items import next_item_calibration, next_item_parts
from exact2vec.pages.report import refuse_overlay, report
from exact2vec.pages.run_view import stored_run

ITEMS, LIKED = 16, 1 / np.arange(3, 19)  # of each of two kinds


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("next") / "run"
    random = np.random.default_rng(0)
    rows = []
    for kind in random.choice(["a", "b"], 2000):
        drawn = random.choice(ITEMS, 5, replace=False, p=LIKED / LIKED.sum())
        rows.append([f"{kind}{item}" for item in drawn])
    baskets = e2v.count_baskets(rows, held_out=0.2, validation=0.1)
    e2v.Exact2Vec(vector_size=3, epochs=1).fit(baskets).save(folder)
    return folder


def test_runs_compare_where_the_same_rows_are_held_out(tmp_path):
    baskets = e2v.count_baskets([["a", "b"], ["b", "c", "a"], ["c", "a"]] * 40, held_out=0.3)
    cut = baskets.held_out
    fewer = Cut(cut.rows[:1], csr_array(cut.contexts[:1]), csr_array(cut.targets[:1]))
    others = {"one": baskets, "two": baskets, "other": replace(baskets, held_out=fewer)}
    for name, one in others.items():
        model = e2v.Exact2Vec(vector_size=2, epochs=1, model="mixture", validation=0)
        model.fit(one).save(tmp_path / name)
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        assert summary["held_out_digest"] == one.held_out_digest
    one, two, other = (stored_run(tmp_path / name) for name in others)
    refuse_overlay([one, two])
    with pytest.raises(InputError, match="their items, credit or held-out rows differ"):
        refuse_overlay([one, other])
    assert (one.counts.training != other.counts.training).nnz == 0


def test_the_parts_are_those_that_were_tried(run):
    parts = next_item_parts(stored_run(run).vectors)
    assert [part["name"] for part in parts] == ["popularity", "mixture", "composed"]
    assert sum(part["share"] for part in parts) == pytest.approx(1)
    assert all(1 < part["nll"] < np.log(2 * ITEMS) for part in parts)


def test_the_calibration_is_that_of_a_loop_over_every_item(run):
    view = stored_run(run)
    found = next_item_calibration(view.vectors, view.baskets)
    cut, names = view.baskets.held_out, view.vectors.columns
    step = -(-cut.contexts.shape[0] // 400)
    bins = {}
    for row in range(0, cut.contexts.shape[0], step):
        context = {names[item] for item in cut.contexts[[row]].indices}
        targets = [names[item] for item in cut.targets[[row]].indices]
        given = dict(view.vectors.recommend(sorted(context), topn=len(names)))
        for target in targets:
            for item in set(names) - context:
                p = given[item]
                place = int(np.digitize(np.log10(p), CALIBRATION_EDGES))
                sums = bins.setdefault(place, np.zeros(3))
                sums += p, item == target, 1
    sums = np.array([bins[place] for place in sorted(bins)]).T
    assert found.cells == sums[2].astype(int).tolist()
    np.testing.assert_allclose(found.predicted, sums[0] / sums[2])
    np.testing.assert_allclose(found.counted, sums[1] / sums[2])
    assert sum(found.pairs) == pytest.approx(1)


def test_a_probability_means_what_it_says(run):
    """Of cells with p the share that was asked for is p, within four standard errors."""
    view = stored_run(run)
    found = next_item_calibration(view.vectors, view.baskets, rows=10**6)
    assert len(found.cells) >= 2
    for p, share, cells in zip(found.predicted, found.counted, found.cells, strict=True):
        assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / cells) + 1 / cells


def test_nothing_held_out_gives_no_calibration_and_words_give_no_parts(run):
    view = stored_run(run)
    assert next_item_calibration(view.vectors, None) is None
    words = e2v.Exact2Vec(vector_size=2, epochs=0, held_out=0).fit([["a", "b"]] * 9)
    assert next_item_parts(words.wv) == []


def test_they_are_drawn(visit, run):
    page = visit(address(report(run, output=run.parent / "report.html", force=True)))
    until(page, "document.querySelectorAll('#shares .barlayer path').length >= 2")
    assert page.is_visible("#nextSection")
    shown = page.inner_text("#parts")
    assert "mixture" in shown
    assert "NLL alone" in shown
    until(page, "document.querySelectorAll('#calibration .legend .traces').length >= 3")
    assert "what comes next, held-out" in page.text_content("#calibration .legend")
