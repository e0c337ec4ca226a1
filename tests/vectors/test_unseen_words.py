"""The embedding of words that were not trained: the ridge, rare words, deleted words."""

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

import exact2vec as e2v
from exact2vec.counts.features import Describer
from exact2vec.counts.rare_words import RareWords
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.counts.weighting import PlainWeighting
from exact2vec.counts.word_contexts import WordContexts
from exact2vec.vectors import unseen_words
from exact2vec.vectors.embedding import nearest_rotation
from exact2vec.vectors.unseen import Composer
from exact2vec.vectors.unseen_words import Teachers, least_ridge

GOLDEN = Path(__file__).parents[1] / "golden" / "format1"
STEMS = ["sun", "moon", "star", "dog", "cat", "cow", "rain", "snow", "wind"]
ENDS = ["light", "ward", "less", "house"]
HOW = {"vector_size": 6, "epochs": 6, "held_out": 0.0, "min_count": 20, "block_rows": 8}
DELETED = ["wolfward", "foxhouse", "mistlight", "hailless"]
RARE_STEMS = {"wolf": 1, "fox": 1, "mist": 2, "hail": 2}  # with their topics


def random_rows(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def sentences(without=(), seed=0):
    """A stem brings words of its topic, and an end a word of its own.

    Rare stems stand in words of ten tokens each, and in the deleted ones.
    """
    random = np.random.default_rng(seed)
    words = [(stem + end, place // 3, end) for place, stem in enumerate(STEMS) for end in ENDS] * 40
    for stem, topic in RARE_STEMS.items():
        for end in ENDS:
            words += [(stem + end, topic, end)] * (40 if stem + end in DELETED else 10)
    texts = []
    for place in random.permutation(len(words)):
        word, topic, end = words[place]
        before, behind = (f"topic{'abc'[topic]}{sign}" for sign in random.choice(list("pqr"), 2))
        texts.append([before, f"end{end}", word, behind])
    return [[word for word in text if word not in without] for text in texts]


@pytest.fixture(scope="module")
def part():
    return e2v.Exact2Vec(**HOW).fit(sentences(without=DELETED))


def test_the_ridge_is_that_of_least_squares(monkeypatch):
    monkeypatch.setattr(unseen_words, "TOLERANCE", 1e-6)
    random = np.random.default_rng(0)
    features = random.random((9, 4)) * (random.random((9, 4)) < 0.6)
    targets, weights, penalty = random_rows(9, 3), random.random(9), 0.3
    root = np.sqrt(weights)[:, None]
    stacked = np.vstack([root * features, np.sqrt(penalty) * np.eye(4)])
    expected = np.linalg.lstsq(stacked, np.vstack([root * targets, np.zeros((4, 3))]), rcond=None)
    found = least_ridge(csr_array(features.astype(np.float32)), targets, weights, penalty)
    np.testing.assert_allclose(found, expected[0], atol=1e-5)


def teachers(sample, first, rare):
    words = [f"w{number}" for number in range(12)]
    vocabulary = Vocabulary(words, np.arange(40, 28, -1))
    maps = np.ones((2, 2), np.float32), np.ones((2, 2), np.float32)
    composer = Composer(Describer(["<w1", "0>"], 3, 6), maps, (30.0, 40.0))
    names = [f"r{number}" for number in range(len(rare))]
    times = np.full(len(rare), 6)
    contexts = WordContexts(RareWords(names, csr_array(rare), times, 99), sample, csr_array(first))
    return Teachers.of_run(vocabulary, PlainWeighting(), composer, contexts)


def test_rare_words_teach_what_stands_near_them():
    random, vectors = np.random.default_rng(1), random_rows(12, 2)
    sample = np.arange(1, 12)
    first, rare = random.integers(1, 5, (11, 12)), random.integers(1, 5, (3, 12))
    taught = teachers(sample, first, rare)
    lessons = taught.lessons(vectors)
    means, steps = ((rows @ vectors) / rows.sum(axis=1, keepdims=True) for rows in (first, rare))
    slope = np.linalg.pinv(np.column_stack([means, np.ones(11)])) @ vectors[1:]
    expected = 1.4 * np.column_stack([steps, np.ones(3)]) @ slope
    np.testing.assert_allclose(lessons.targets, expected, atol=1e-5)
    assert lessons.words == ["r0", "r1", "r2"]
    weights = taught.weights(lessons)
    for number in range(12):
        assert weights[number] == pytest.approx((40 - number) / (70 - number))
    for number, pairs in enumerate(rare.sum(axis=1)):
        assert weights[12 + number] == pytest.approx(0.3 * pairs / (pairs + 30))


def test_a_sample_that_is_too_small_teaches_nothing():
    ones = np.ones((9, 12), np.int64)
    assert teachers(np.arange(9), ones, ones[:2]).lessons(random_rows(12, 2)).words == []


def test_rare_n_grams_weigh_more_in_a_row_of_length_1():
    words = ["abx", "aby", "cdx", "abz"]
    describer, features = Describer.weighted(words, min_n=2, max_n=2, known=None)
    assert describer.grams == ["<a", "ab", "x>"]
    row = features.toarray()[0]
    weights = np.array([np.log(5 / 3), np.log(5 / 3), np.log(5 / 2)])
    np.testing.assert_allclose(row, weights / np.linalg.norm(weights), rtol=1e-6)
    np.testing.assert_array_equal(describer.describe(words).toarray(), features.toarray())
    assert not describer.describe(["qq"]).toarray().any()


def turned_cosines(part, full, vectors):
    """Cosines of vectors of deleted words to the true ones, in the space of the full run."""
    common = [word for word in part.index_to_key if word in full.key_to_index]
    one, other = (np.stack([wv[word] for word in common]).astype(float) for wv in (part, full))
    turned = vectors @ nearest_rotation(one.T @ other)
    true = np.stack([full[word] for word in DELETED])
    lengths = np.linalg.norm(turned, axis=1) * np.linalg.norm(true, axis=1)
    return (turned * true).sum(axis=1) / lengths


def test_deleted_words_come_nearer_to_the_truth_than_composed_vectors(part):
    full = e2v.Exact2Vec(**HOW).fit(sentences()).wv
    wv = part.wv
    rare = {stem + end for stem in RARE_STEMS for end in ENDS} - set(DELETED)
    assert set(part.counts_.word_contexts.rare.words) == rare
    assert {wv.known_as(word) for word in DELETED} == {"composed"}
    learned = turned_cosines(wv, full, np.stack([wv[word] for word in DELETED]))
    composed = wv.composer.compose(DELETED)
    before = turned_cosines(wv, full, wv.embedding.rows(composed, composed))
    assert learned.mean() > before.mean() + 0.15
    assert learned.mean() > 0.75


def test_other_vectors_and_trained_words_stay_as_they_are(part):
    wv = part.wv
    inputs, outputs = wv.composer.compose(["wolfward"])
    np.testing.assert_array_equal(wv.vector("wolfward", "inputs"), inputs[0])
    np.testing.assert_array_equal(wv.vector("wolfward", "sum"), inputs[0] + outputs[0])
    assert not wv.embedding.constant.any()  # six numbers are too few to spare one
    plain = e2v.Exact2Vec(**HOW, max_n=0).fit(part.counts_).wv
    assert plain.spaces.gram_map is None


def test_the_constant_is_that_of_every_word(part, monkeypatch):
    monkeypatch.setattr("exact2vec.vectors.spaces.LEAST_DIM", 6)
    wv = e2v.Vectors.from_state(part.last_.state, part.counts_)
    length = np.linalg.norm(wv.embedding.constant)
    assert length > 0
    axis = wv.embedding.constant / length
    for word in ("sunless", "wolfward"):
        assert wv[word] @ axis == pytest.approx(length, rel=1e-4)


def test_a_folder_gives_the_same_bytes_again(part, tmp_path):
    part.save(tmp_path / "run")
    again = e2v.load(tmp_path / "run")
    again.save(tmp_path / "vectors")
    for name in ("contexts.json", "contexts.safetensors", "embedding.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "vectors" / name).read_bytes()
    for wv in (again, e2v.load(tmp_path / "vectors")):
        np.testing.assert_array_equal(wv["wolfward"], part.wv["wolfward"])


def test_threads_change_nothing(part, monkeypatch):
    found = []
    for threads in (1, 2):
        monkeypatch.setattr("exact2vec.parallel.available_threads", lambda threads=threads: threads)
        wv = e2v.Vectors.from_state(part.last_.state, part.counts_)
        found.append(wv["wolfward"].tobytes())
    assert found[0] == found[1]


def test_older_folders_answer_by_their_trained_words_alone():
    wv = e2v.load(GOLDEN)
    assert wv.word_contexts is None
    stormy = wv["stormy"]
    assert stormy.any()
    assert np.isfinite(stormy).all()
    np.testing.assert_array_equal(wv.spaces.gram_map.rows(["stormy"])[0], stormy)
    composed = wv.composer.compose(["stormy"])
    assert not np.allclose(stormy, wv.embedding.rows(composed, composed)[0])
