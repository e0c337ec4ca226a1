"""Rare words are contexts only."""

import by_hand
import numpy as np
import pytest
import unseen_words
from hypothesis import given
from hypothesis import strategies as st
from topics import DERIVED
from unseen_words import sentences

import exact2vec as e2v
from exact2vec.counts.rare_words import first_tokens, windows_of_rows


@pytest.fixture(scope="module")
def model():
    return unseen_words.model()


@given(st.lists(st.integers(-3, 4), min_size=1, max_size=30), st.integers(1, 4))
def test_windows_of_contexts_are_their_formula(tokens, window):
    """Tokens ≥ 0 are kept words, −2 and −3 contexts, −1 dropped; the word 4 is a context too."""
    rows, words = (
        np.array([{-2: 0, -3: 1, 4: 1}.get(token, -1) for token in tokens]),
        np.array([token if token >= 0 else -1 for token in tokens]),
    )
    found = windows_of_rows(
        rows, words, np.zeros(len(tokens), np.int32), shape=(2, 5), window=window
    )
    assert found.toarray().tolist() == by_hand.windows_of_contexts(
        list(zip(rows, words, strict=True)), (2, 5), window
    )
    two = [np.concatenate([part, part]) for part in (rows, words)]
    segments = np.repeat([1, 2], len(tokens)).astype(np.int32)
    assert (windows_of_rows(*two, segments, shape=(2, 5), window=window) != 2 * found).nnz == 0


def test_windows_are_the_same_in_chunks(monkeypatch):
    random = np.random.default_rng(0)
    tokens, segments = random.integers(-4, 6, 500), np.repeat(np.arange(10, dtype=np.int32), 50)
    rows, words = -tokens - 1, np.maximum(tokens, -1)
    whole = windows_of_rows(rows, words, segments, shape=(4, 6), window=3)
    monkeypatch.setattr("exact2vec.counts.rare_words.CHUNK", 7)
    found = windows_of_rows(rows, words, segments, shape=(4, 6), window=3)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))


def test_the_first_tokens_of_a_row_alone_are_looked_at():
    rows = np.array([0, -1, 1, 0, 0, 1, 2])
    assert np.flatnonzero(first_tokens(rows, 3, 2)).tolist() == [0, 2, 3, 5, 6]


def test_rare_words_are_contexts_only_and_change_nothing_else(model):
    counts, plain = model.counts_, e2v.count_text(sentences(), min_count=5, held_out=0.05)
    assert (counts.training != plain.training).nnz == 0
    assert counts.rare.words == ["eclipse"]
    held = 4 - counts.tokens["context_only"]
    assert (
        counts.tokens["dropped_training"] + counts.tokens["context_only"]
        == plain.tokens["dropped_training"]
    )
    rare = counts.weigh_rare()
    row = dict(zip(rare.names, rare.matrix.toarray()[0], strict=True))
    ratio = 1e-3 / (4 - held) * counts.vocabulary.counts.sum()
    keep = dict(zip(counts.words, counts.keep, strict=True)) | {
        "eclipse": min(1, ratio**0.5 + ratio)
    }
    weight = (4 - held) * keep["eclipse"] / 5
    for word, near in (("sunny", 5), ("sunlight", 5), ("moonless", 4), ("rainy", 0)):
        assert row[word] == pytest.approx(weight * near * keep[word], rel=1e-5)
    assert model.wv.known_as("eclipse") == "folded in"
    assert model.wv.most_similar("eclipse", topn=1, which="inputs")[0][0] in DERIVED[0].split()
