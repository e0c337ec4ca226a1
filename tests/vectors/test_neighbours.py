"""Nearest rows: in order, ties by number, in blocks, fast among many."""

import time

import numpy as np
import pytest

import exact2vec as e2v
from exact2vec.errors import UsageError
from exact2vec.vectors import neighbours
from exact2vec.vectors.neighbours import Neighbours, checked_topn, largest_places

RANDOM = np.random.default_rng(0)


def test_the_largest_are_those_of_a_stable_sort():
    for _ in range(200):
        values = RANDOM.integers(0, 6, RANDOM.integers(1, 30)).astype(float)
        topn = int(RANDOM.integers(1, len(values) + 1))
        expected = np.argsort(-values, kind="stable")[:topn]
        np.testing.assert_array_equal(largest_places(values, topn), expected)


def test_neighbours_in_blocks_are_those_of_one_block(monkeypatch):
    rows = RANDOM.standard_normal((50, 4)).astype(np.float32)
    whole = Neighbours(rows).nearest(rows, 7, np.arange(50))
    monkeypatch.setattr(neighbours, "BLOCK_NUMBERS", 130)
    blocks = Neighbours(rows).nearest(rows, 7, np.arange(50))
    np.testing.assert_array_equal(whole[0], blocks[0])
    np.testing.assert_allclose(whole[1], blocks[1], atol=1e-6)
    assert not (whole[0] == np.arange(50)[:, None]).any()


def test_cosines_lie_between_minus_one_and_one():
    rows = (RANDOM.standard_normal((300, 1)) * np.ones(7)).astype(np.float32)
    found = Neighbours(rows).cosines(rows)
    assert np.abs(found).max() == 1.0


def test_a_second_query_among_a_million_rows_takes_less_than_a_second():
    found = Neighbours(RANDOM.standard_normal((1_000_000, 16), dtype=np.float32))
    found.nearest(found.rows[:1], 10, [[0]])
    began = time.process_time()
    found.nearest(found.rows[1:2], 10, [[1]])
    assert time.process_time() - began < 1


@pytest.fixture(scope="module")
def wv():
    sentences = [["sun", "moon", "star"], ["dog", "cat", "cow"]] * 20
    return e2v.Exact2Vec(vector_size=3, epochs=2, held_out=0).fit(sentences).wv


def test_vectors_are_queries(wv):
    assert dict(wv.most_similar(wv["sun"]))["sun"] == pytest.approx(1, abs=1e-6)
    by_vector = wv.most_similar([wv["sun"]], [wv["dog"]], topn=None)
    assert len(by_vector) == len(wv)
    by_word = dict(wv.most_similar(["sun"], ["dog"], topn=None))
    assert set(by_word) == set(wv) - {"sun", "dog"}
    for word, cosine in by_vector:
        assert cosine == pytest.approx(by_word.get(word, cosine), abs=1e-6)


@pytest.mark.parametrize("topn", [0, -1, 2.0, True, "3"])
def test_a_number_of_neighbours_is_a_whole_one(wv, topn):
    with pytest.raises(UsageError, match="topn must be an integer of at least 1"):
        checked_topn(topn)
    if type(topn) is int:
        with pytest.raises(UsageError, match="topn must be"):
            wv.most_similar("sun", topn=topn)


@pytest.mark.parametrize("query", [np.ones(2), np.full(3, np.nan), ("dog", -0.5), 5])
def test_a_query_is_a_word_or_a_vector_of_its_size(wv, query):
    with pytest.raises((UsageError, TypeError)):
        wv.most_similar([query])


def test_names_of_gensim_are_answered_with_the_name_here(wv):
    assert [word for word in wv] == wv.index_to_key
    with pytest.raises(AttributeError, match="no 'vocab'; here: key_to_index"):
        wv.vocab  # noqa: B018
    with pytest.raises(AttributeError, match="Vectors has no 'nothing'"):
        wv.nothing  # noqa: B018
