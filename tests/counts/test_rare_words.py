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
from exact2vec.counts.rare_words import windows_of_rows


@pytest.fixture(scope="module")
def model():
    return unseen_words.model()


@given(st.lists(st.integers(-3, 4), min_size=1, max_size=30), st.integers(1, 4))
def test_windows_of_contexts_are_their_formula(tokens, window):
    """Tokens ≥ 0 are kept words, −2 and −3 contexts, −1 dropped."""
    rows, words = (
        np.array([-token - 2 if token < -1 else -1 for token in tokens]),
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
