"""What stands near rare words, and near the first tokens of kept ones."""

import by_hand
import numpy as np
import pytest

import exact2vec as e2v
from exact2vec.counts import word_contexts
from exact2vec.counts.counting import count_tokens
from exact2vec.counts.word_contexts import WordContexts
from exact2vec.errors import CorruptFileError
from exact2vec.storage import run_folder

OPTIONS = {"min_count": 8, "held_out": 0.0, "window": 2}
KEPT = ["sun", "moon", "star", "sky"]


def documents(seed=0, size=40):
    """Documents of 5 tokens: four words are frequent, `dusk` and `dawn` are rare."""
    random = np.random.default_rng(seed)
    texts = [[str(word) for word in random.choice(KEPT, 5)] for _ in range(size)]
    for number, word in enumerate(["dusk", "dawn", "dusk", "noon"] * 3):
        texts[number].insert(number % 4, word)
    return texts


def row_by_hand(texts, words, of, most):
    """The counts of the first `most` tokens of a word, document by document."""
    total, seen = np.zeros(len(words), np.int64), 0
    for text in texts:
        tokens = []
        for token in text:
            seen += token == of
            here = token == of and seen <= most
            tokens.append((0 if here else -1, words.index(token) if token in words else -1))
        total += np.array(by_hand.windows_of_contexts(tokens, (1, len(words)), 2)[0])
    return total.tolist()


def test_contexts_are_counted_as_the_text_has_them():
    texts = documents()
    counts = e2v.count_text(texts, **OPTIONS)
    contexts = counts.word_contexts
    assert sorted(counts.words) == sorted(KEPT)
    assert contexts.rare.words == ["dusk"]  # the others stand three times
    assert contexts.rare.times.tolist() == [6]
    assert contexts.rare.kept_tokens == 200
    assert contexts.sample.tolist() == [0, 1, 2, 3]
    assert contexts.rare.counts.toarray()[0].tolist() == row_by_hand(
        texts, counts.words, "dusk", 20
    )
    for number, word in enumerate(counts.words):
        expected = row_by_hand(texts, counts.words, word, 20)
        assert contexts.first.toarray()[number].tolist() == expected
        assert expected != row_by_hand(texts, counts.words, word, 99)


def test_a_sample_is_spread_over_the_vocabulary(monkeypatch):
    monkeypatch.setattr(word_contexts, "SAMPLE", 3)
    counts = e2v.count_text(documents(), **OPTIONS)
    assert counts.word_contexts.sample.tolist() == [0, 1, 3]
    whole = row_by_hand(documents(), counts.words, counts.words[3], 20)
    assert counts.word_contexts.first.toarray()[2].tolist() == whole


def test_they_are_weighted_as_other_rows_are():
    counts = e2v.count_text(documents(), sample=0.01, **OPTIONS)
    rare, sample = counts.word_contexts.weigh(counts.weighting, counts.vocabulary)
    keep = counts.weighting.keep(np.array([6]), 200)[0]
    expected = counts.word_contexts.rare.counts.toarray()[0] / 2 * keep * counts.keep
    np.testing.assert_allclose(rare.toarray()[0], expected, rtol=1e-6)
    expected = counts.word_contexts.first.toarray() / 2 * counts.keep * counts.keep[:, None]
    np.testing.assert_allclose(sample.toarray(), expected, rtol=1e-6)


def test_there_are_none_where_nothing_rare_or_spelled_is_counted():
    assert e2v.count_text(documents(), min_count=5, held_out=0.0).word_contexts is None
    one = [text for text in documents() if "dusk" not in text]
    assert e2v.count_text(one, **OPTIONS).word_contexts is None


def test_they_merge_and_come_back_as_they_were_saved(tmp_path):
    texts = documents() * 2
    parts = texts[:40], texts[40:]
    tokens = [count_tokens(part, held_out=0) for part in parts]
    vocabulary = tokens[0].merge(tokens[1]).vocabulary(20)
    one, other = (e2v.count_text(part, vocabulary=vocabulary, **OPTIONS) for part in parts)
    merged = one.merge(other)
    whole, twice = one.word_contexts, merged.word_contexts
    assert (twice.rare.words, twice.rare.times.tolist()) == (["dusk"], [12])
    assert (twice.first != 2 * whole.first).nnz == 0
    assert (twice.rare.counts != 2 * whole.rare.counts).nnz == 0
    merged.save(tmp_path / "counts")
    again = e2v.Counts.load(tmp_path / "counts").word_contexts
    assert (again.rare.words, again.rare.kept_tokens) == (["dusk"], 400)
    assert again.sample.tolist() == twice.sample.tolist()
    assert again.rare.times.tolist() == [12]
    for name, found in (("first", again.first), ("rare", again.rare.counts)):
        expected = twice.first if name == "first" else twice.rare.counts
        np.testing.assert_array_equal(found.toarray(), expected.toarray())


def test_a_sample_beyond_the_vocabulary_is_refused(tmp_path):
    counts = e2v.count_text(documents(), **OPTIONS)
    counts.save(tmp_path / "counts")
    run = run_folder.open_run(tmp_path / "counts")
    with pytest.raises(CorruptFileError, match="numbers of words beyond the 3"):
        WordContexts.read(run, 3)
