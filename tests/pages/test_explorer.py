"""The explorer shows the library's numbers; hostile and unseen words are text."""

import base64
import contextlib
import io
import math
import threading

import numpy as np
import pytest
from hostile import PLAIN, WORDS
from page_reading import SEARCH, address, number, until
from scipy.sparse import csr_array

import exact2vec as e2v
from exact2vec.errors import ResourceError
from exact2vec.pages import explorer as explore
from exact2vec.pages.run_view import stored_run
from exact2vec.pages.serve import loopback_server
from exact2vec.vectors.vectors import Vectors


def test_what_a_page_cannot_hold_is_refused_with_the_number(runs, monkeypatch):
    monkeypatch.setattr(explore, "LARGEST_BYTES", 100)
    with pytest.raises(ResourceError, match="MB of vectors are more than the"):
        explore.explorer(runs / "one")


def test_the_largest_cells_of_each_row_are_kept():
    counts = csr_array(np.array([[5, 0, 9, 1], [0, 0, 0, 0], [3, 3, 3, 8]]))
    kept = explore.largest_of_rows(counts, 2)
    assert counts.data[kept].tolist() == [5, 9, 3, 8]


def test_counts_that_are_no_integers_are_whole_on_the_page():
    real = explore.cells(csr_array(np.array([[0, 0.25], [2.5, 0]])))["counts"]
    assert real["kind"] == "Float64Array"
    assert np.frombuffer(base64.b64decode(real["base64"])).tolist() == [0.25, 2.5]
    assert explore.cells(csr_array(np.array([[0, 3]])))["counts"]["kind"] == "Int32Array"


def test_a_map_by_umap_says_that_its_distances_are_not_faithful(runs):
    pytest.importorskip("umap", reason="the extra umap is not installed")
    data = explore.run_data(stored_run(runs / "one"), "umap")
    assert "larger distances, sizes and gaps between groups mean nothing" in data["map"]["note"]


def test_words_of_a_run_are_computed_as_by_the_library(visit, site):
    vectors, counts = e2v.load(site / "hostile"), e2v.Counts.load(site / "hostile")
    page = visit(address(site / "words" / "index.html"))
    for word in ("sun", "<b>bold</b>", "__proto__"):
        page.locator("#word").fill(word)
        page.get_by_role("button", name="Show", exact=True).click()
        row = vectors.key_to_index[word]
        log_p = vectors.log_probabilities(word)
        k = counts.training[[row], :].toarray()[0]
        for near, percent, counted, nats, pairs in (
            line.locator("th, td").all_inner_texts()
            for line in page.locator("#wordTable tbody tr").all()
        ):
            place = (
                vectors.key_to_index[near]
                if near in vectors
                else next(vectors.key_to_index[one] for one in WORDS if one.split() == near.split())
            )
            assert number(percent) == pytest.approx(100 * math.exp(log_p[place]), abs=6e-4)
            assert number(nats) == pytest.approx(-log_p[place], abs=6e-5)
            assert number(counted) == pytest.approx(100 * k[place] / k.sum(), abs=6e-4)
            assert number(pairs) == pytest.approx(k[place] / counts.weighting.unit, abs=0.06)
        near = [number(cell) for cell in page.locator("#neighbourTable tbody td").all_inner_texts()]
        assert near == pytest.approx(
            [cosine for _, cosine in vectors.most_similar(word, topn=12)], abs=6e-5
        )
    line = page.locator("#neighbourTable button.number").first.get_attribute("data-line")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(line, {})
    assert float(printed.getvalue()) == pytest.approx(near[0], abs=6e-5)


def test_an_unseen_word_is_said_to_be_unseen(visit, site):
    page = visit(address(site / "words" / "index.html"))
    page.locator("#word").fill("mooon")
    page.keyboard.press("Enter")
    notice = page.locator("#wordNotice")
    assert '"mooon" is not among the 30 words; nearest spelling: moon' in notice.inner_text()
    notice.get_by_role("button", name="moon").click()
    assert page.locator("#wordName").inner_text() == "moon"


def scripts_and_images(page):
    return page.evaluate(
        "[document.scripts.length, document.images.length, "
        "document.querySelectorAll('b, i, a, iframe, object').length]"
    )


def test_hostile_words_are_text_in_the_explorer(visit, site):
    assert set(e2v.load(site / "hostile").index_to_key) == {*WORDS, *PLAIN}
    page = visit(address(site / "words" / "index.html"))
    before = scripts_and_images(page)
    for word in WORDS:
        page.evaluate(
            SEARCH,
            word,
        )
        assert page.evaluate("document.getElementById('wordName').textContent") == word
    assert scripts_and_images(page) == before
    assert before[1] == 0


class Composing(Vectors):
    """A run that gives a vector to a word it was not trained on, as runs with parts of words do."""

    def __init__(self, vectors):
        vars(self).update(vars(vectors))

    def __contains__(self, word):
        return word == "moonlet" or super().__contains__(word)

    def vector(self, word, which=None):
        return super().vector("moon" if word == "moonlet" else word, which)


def test_served_the_explorer_composes_unseen_words(visit, site):
    vectors = e2v.load(site / "hostile")
    server = loopback_server(
        explore.explorer(site / "hostile", served=True), Composing(vectors), 8765
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        site = f"http://127.0.0.1:{server.server_port}/"
        page = visit(site, allowed=site)
        page.locator("#word").fill("moonlet")
        page.keyboard.press("Enter")
        until(page, "document.getElementById('wordName').textContent === 'moonlet (composed)'")
        assert "composed from its parts, never trained" in page.locator("#wordNotice").inner_text()
        assert page.locator("#neighbourTable tbody th").first.inner_text() == "moon"
        assert page.locator("#wordTable tbody tr").count() == 12
    finally:
        server.shutdown()
        server.server_close()
