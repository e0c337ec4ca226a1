"""Rare words are contexts only."""

import itertools

import by_hand
import numpy as np
import pytest
import unseen_words
from hypothesis import given
from hypothesis import strategies as st
from topics import DERIVED
from unseen_words import sentences

import exact2vec as e2v
from exact2vec.counts.corpus import Corpus
from exact2vec.counts.text_part import TextPart


@pytest.fixture(scope="module")
def model():
    return unseen_words.model()


def part_of_text(tokens, segments):
    """Tokens ≥ 0 are kept words, those below are not: token −1 − k has the number 5 + k."""
    distinct = [*range(5), -1, -2, -3]
    ids = np.array([distinct.index(token) for token in tokens], np.int32)
    lengths = np.array([len(list(group)) for _, group in itertools.groupby(segments)])
    documents, parts = np.arange(len(lengths)), np.zeros(len(lengths), np.uint8)
    corpus = Corpus(ids, list(map(str, distinct)), lengths, documents, parts)
    return TextPart.of(corpus, np.array([*range(5), -1, -1, -1], np.int32))


ROW_OF = np.array([-1, -1, -1, -1, 1, -1, 0, 2], np.int32)  # of 4, of −2 and of −3


@given(st.lists(st.integers(-3, 4), min_size=1, max_size=30), st.integers(1, 4))
def test_windows_of_contexts_are_their_formula(tokens, window):
    """−2 and −3 are contexts, −1 is dropped; the word 4 is a context too."""
    found = part_of_text(tokens, [0] * len(tokens)).windows_of_rows(
        ROW_OF, shape=(3, 5), window=window
    )
    expected = [({-2: 0, 4: 1, -3: 2}.get(token, -1), max(token, -1)) for token in tokens]
    assert found.toarray().tolist() == by_hand.windows_of_contexts(expected, (3, 5), window)
    twice = part_of_text(tokens * 2, [0] * len(tokens) + [1] * len(tokens))
    assert (twice.windows_of_rows(ROW_OF, shape=(3, 5), window=window) != 2 * found).nnz == 0


def test_windows_are_the_same_in_chunks(monkeypatch):
    tokens = np.random.default_rng(0).integers(-3, 5, 500).tolist()
    part = part_of_text(tokens, np.repeat(np.arange(10), 50).tolist())
    whole = part.windows_of_rows(ROW_OF, shape=(3, 5), window=3)
    monkeypatch.setattr("exact2vec.counts.text_part.CHUNK", 7)
    found = part.windows_of_rows(ROW_OF, shape=(3, 5), window=3)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))


def test_the_first_tokens_of_a_row_alone_are_looked_at():
    tokens = [0, -2, 1, -2, 2, 4, -2, 3]
    part = part_of_text(tokens, [0] * len(tokens))
    found = part.windows_of_rows(ROW_OF, shape=(3, 5), window=1, most=2)
    assert found.toarray().tolist() == [[1, 2, 1, 0, 0], [0, 0, 1, 1, 0], [0] * 5]


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
