"""Python objects where sentences are wanted: each mistake is named with the call that was meant."""

import collections
import io
import sqlite3
from pathlib import Path

import numpy as np
import pytest

import exact2vec as e2v
from exact2vec.errors import InputError, InputWarning

SENTENCES = [["boat", "sail"]] * 5 + [["bread", "oven"]] * 5
Row = collections.namedtuple("Row", ["text", "label"])


class Frame:
    """What a data frame has: columns, a shape, names of columns to iterate over."""

    columns, shape = ["text", "label"], (2, 2)

    def __iter__(self):
        return iter(self.columns)

    def keys(self):
        return self.columns

    def __getitem__(self, name):
        return [name]


class Series:
    """A row of a data frame, or a column of it: labels and values."""

    iloc = None

    def __init__(self, values, index):
        self.values, self.index = values, index

    def __iter__(self):
        return iter(self.values)

    def keys(self):
        return self.index


def database_row():
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    return connection.execute("select 'a b' as text, 1 as label").fetchone()


WRONG_SENTENCES = {
    "dict": ({"text": "a b", "label": 1}, r"a dict with the keys 'text', 'label'.*row\['text'\]"),
    "row of a database": (database_row(), r"a Row with the keys 'text', 'label'.*row\['text'\]"),
    "set": ({"a", "b"}, "a set, whose words have no order"),
    "frozenset": (frozenset("ab"), "a frozenset, whose words have no order"),
    "bytes": (b"a b", r"bytes, not text: decode it first, such as line.decode\(\).split\(\)"),
    "path": (Path("a.txt"), r"a path .*: Text\(path\) reads files"),
    "open file": (io.StringIO("a b"), r"an open file .*: Text\(path\) reads files"),
    "named tuple": (Row("a b", 1), "a row with the fields 'text', 'label'"),
    "row of a frame": (Series(["a b", 1], ["text", "label"]), "a row of a table with the columns"),
    "frame": (Frame(), "a Frame with the keys 'text', 'label'"),
    "nan": (float("nan"), r"nan \(float\), not a list of tokens: drop such rows, df.dropna\(\)"),
    "None": (None, r"None \(NoneType\), not a list of tokens: drop such rows"),
    "number": (5, r"5 \(int\), not a list of tokens"),
    "text": ("a b", r"a string; did you mean \[text.split\(\)\]"),
    "numbers": ([1, 2], "holds 1 of type int; tokens are strings"),
}


@pytest.mark.parametrize("kind", WRONG_SENTENCES)
def test_what_is_no_sentence_is_named_with_its_number_once(kind):
    sentence, expected = WRONG_SENTENCES[kind]
    with pytest.raises(TypeError, match=f"^sentence 6 (is )?{expected}") as caught:
        e2v.Exact2Vec(min_count=1).fit([*SENTENCES[:5], sentence, *SENTENCES[5:]])
    assert not hasattr(caught.value, "__notes__")


WRONG_TEXTS = {
    "str": ("a b", "got a string; did you mean"),
    "bytes": (b"a b", r"got bytes; did you mean \[text.decode\(\).split\(\)\]"),
    "path": (Path("a.txt"), r"got a path; did you mean Text\('a.txt'\)"),
    "dict": ({"a": ["b"]}, "got a dict with the keys 'a'; give its values"),
    "set": ({("a", "b")}, "got a set, whose order changes from run to run"),
    "frame": (Frame(), r"got a Frame with the columns 'text', 'label'; .* table\['text'\]"),
    "number": (5, r"got 5 \(int\); give sentences"),
}


@pytest.mark.parametrize("kind", WRONG_TEXTS)
def test_what_holds_no_sentences_is_named(kind):
    texts, expected = WRONG_TEXTS[kind]
    with pytest.raises(TypeError, match=f"^{expected}"):
        e2v.Exact2Vec(min_count=1).fit(texts)
    if kind not in ("path", "number"):
        with pytest.raises(TypeError, match=f"^{expected}"):
            e2v.count_text(texts)


def test_other_iterables_of_tokens_are_sentences():
    column = Series(["boat", "sail"], range(2))
    kinds = [("boat", "sail"), np.array(["boat", "sail"]), iter(["boat", "sail"]), column]
    counts = e2v.count_text([*kinds, *SENTENCES], min_count=1, held_out=0)
    assert counts.vocabulary.counts[counts.words.index("boat")] == 9
    counts = e2v.count_text(io.StringIO("Boat, sail!\nboat\n"), min_count=1, held_out=0)
    assert counts.words == ["boat", "sail"]


def test_the_error_of_a_generator_says_behind_which_sentence_once():
    def database():
        yield ["a", "b"]
        raise ConnectionError("lost the database")

    for call in (e2v.Exact2Vec(min_count=1).fit, e2v.count_text):
        with pytest.raises(ConnectionError) as caught:
            call(database())
        assert caught.value.__notes__ == ["raised by the sentences after sentence 1"]


def test_a_generator_is_read_once_and_an_empty_list_is_said_to_be_empty():
    generator = (sentence for sentence in SENTENCES)
    model = e2v.Exact2Vec(vector_size=2, min_count=1, epochs=0, held_out=0).fit(generator)
    for call in (model.score, e2v.Exact2Vec().fit, e2v.count_text, e2v.count_tokens):
        with pytest.raises(InputError, match="no sentences came: a generator can be read once"):
            call(generator)
        with pytest.raises(InputError, match="no sentences came: the list is empty"):
            call([])


def test_empty_tokens_are_dropped_and_counted():
    sentences = [line.split(" ") for line in ["the  cat sat   on", "a dog  lay \u3000", "a cat"]]
    with pytest.warns(InputWarning, match="5 empty tokens in 2 sentences .* split()") as told:
        counts = e2v.count_text(sentences, min_count=1, held_out=0)
    assert len(told) == 1
    assert "" not in counts.words


def test_a_byte_order_mark_is_part_of_no_token():
    counts = e2v.count_text([["\ufeffred", "boat"], ["red", "bo\ufeffat"]], min_count=1, held_out=0)
    assert counts.words == ["boat", "red"]
    counts = e2v.count_text(["\ufeffred boat", "red bo\ufeffat"], min_count=1, held_out=0)
    assert counts.words == ["boat", "red"]
