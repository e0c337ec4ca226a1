"""Queries are spelled as the run's text was, and what is unknown is cheap until it is read."""

import pickle
import time

import pytest

import exact2vec as e2v
from exact2vec.errors import InputError, UnknownWordError
from exact2vec.vectors.evaluate import word_similarity

TEXT = ["The lists don't change on Monday", "json is Python's list of strings"] * 6


@pytest.fixture(scope="module")
def lowered():
    counts = e2v.count_text(TEXT, min_count=1, held_out=0)
    return e2v.Exact2Vec(vector_size=2, epochs=1).fit(counts).wv


@pytest.fixture(scope="module")
def cased():
    tokens = [text.split() for text in TEXT]
    return e2v.Exact2Vec(vector_size=2, epochs=1, min_count=1, held_out=0).fit(tokens).wv


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("Monday", "monday"),
        ("JSON", "json"),
        ("don’t", "don't"),
        ("#list", "list"),
        ("list.", "list"),
    ],
)
def test_a_query_is_cut_as_the_text_was(lowered, query, word):
    assert query in lowered
    assert lowered.is_trained(query)
    assert lowered.known_as(query) == "trained"
    assert (lowered[query] == lowered[word]).all()
    assert lowered.most_similar(query, topn=3) == lowered.most_similar(word, topn=3)
    assert lowered.predict_output_word(query) == lowered.predict_output_word(word)


def test_words_that_keep_their_case_are_asked_for_as_they_are(cased):
    assert "Monday" in cased.key_to_index
    assert cased.spelled("Monday") == "Monday"
    assert not cased.is_trained("monday")


def test_tokens_in_lower_case_are_found_by_any_case():
    tokens = [["sun", "moon"], ["dog", "cat"]] * 9
    wv = e2v.Exact2Vec(vector_size=2, epochs=1, min_count=1, held_out=0).fit(tokens).wv
    assert wv.spelled("Moon") == "moon"


def test_two_words_are_said_to_be_two(lowered):
    with pytest.raises(UnknownWordError, match="'list string' is 2 words: 'list', 'string'"):
        lowered["list string"]


def test_nearest_spellings_are_looked_for_when_the_message_is_read(monkeypatch, lowered):
    asked = []
    monkeypatch.setattr(
        lowered.spaces, "nearest_spellings", lambda word: asked.append(word) or ["x"]
    )
    with pytest.raises(UnknownWordError) as caught:
        lowered["Жук"]
    assert not asked
    assert "nearest: x" in str(caught.value)
    assert asked == ["жук"]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_unknown_word_among_many_costs_little():
    words = [f"w{number}" for number in range(20_000)]
    counts = e2v.count_text(
        [words[at : at + 5] for at in range(0, 20_000, 5)], min_count=1, held_out=0
    )
    *_, last = e2v.fit(counts, vector_size=2, epochs=0, exact_every=0, prior=None)
    wv = e2v.Vectors.from_state(last.state, counts)
    began = time.process_time()
    for number in range(20):
        with pytest.raises(KeyError):
            wv[f"ZZZ{number}"]
    assert (time.process_time() - began) / 20 < 0.002


def test_files_of_evaluation_are_spelled_as_the_run_is(lowered, cased, tmp_path):
    pairs = "Monday\tchange\t3\nlist\tJSON\t2\nstrings\tis\t1\nlist of\tis\t1\n"
    plain, marked = tmp_path / "plain.tsv", tmp_path / "marked.tsv"
    plain.write_text(pairs)
    marked.write_bytes(b"\xef\xbb\xbf# a comment\r\n" + pairs.replace("\n", "\r\n").encode())
    found = [word_similarity(lowered, path) for path in (plain, marked)]
    assert found[0] == found[1]
    assert (found[0].n, found[0].out_of_vocabulary) == (3, 0.25)
    plain.write_text(pairs.replace("JSON", "json"))
    assert word_similarity(cased, plain).n == 3
    plain.write_bytes(b"caf\xe9\tlist\t3\n")
    with pytest.raises(InputError, match="byte 0xe9 at offset 3 is not UTF-8"):
        word_similarity(lowered, plain)
