"""Files of word2vec hold the vectors bit for bit."""

import gzip
import re

import numpy as np
import pytest
from checking import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import exact2vec as e2v
from exact2vec.counts.counts import unigram
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.counts.weighting import WindowWeighting
from exact2vec.errors import InputError, UsageError
from exact2vec.vectors.formats import export, read_word2vec


def vectors_of(words, size, seed=0):
    random = np.random.default_rng(seed)
    arrays = [random.standard_normal((len(words), size)) for _ in range(2)]
    arrays = [(array * 10.0 ** random.integers(-30, 30)).astype(np.float32) for array in arrays]
    bias = np.zeros(len(words), np.float32)
    return e2v.Vectors(
        Vocabulary(words, np.arange(len(words), 0, -1)),
        *arrays,
        bias,
        unigram(np.ones(len(words))),
        WindowWeighting(),
        {},
    )


@settings(max_examples=examples(30))
@given(
    st.lists(
        st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters=" \n"),
            min_size=1,
            max_size=5,
        ),
        min_size=2,
        max_size=8,
        unique=True,
    ),
    st.integers(1, 5),
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_gensim_reads_what_we_export_bit_for_bit(tmp_path_factory, words, size):
    gensim = pytest.importorskip("gensim.models", reason="gensim is not installed")
    folder, vectors = tmp_path_factory.mktemp("export"), vectors_of(words, size)
    for name in ("v.vec", "v.bin"):
        export(vectors, folder / name)
        read = gensim.KeyedVectors.load_word2vec_format(folder / name, binary=name.endswith("bin"))
        assert read.index_to_key == words
        np.testing.assert_array_equal(read.vectors, vectors.vectors)


def test_words_that_word2vec_files_cannot_hold_are_refused(tmp_path):
    for word in ("two words", "line\nend", ""):
        with pytest.raises(InputError, match="cannot be written"):
            export(vectors_of(["fine", word], 3), tmp_path / "v.vec")
    with pytest.raises(UsageError, match="must end in"):
        export(vectors_of(["a", "b"], 3), tmp_path / "v.zip")
    assert list(tmp_path.iterdir()) == []


NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=" \n"), min_size=1, max_size=5
).filter(str.strip)


@settings(max_examples=examples(30))
@given(st.lists(NAMES, min_size=2, max_size=6, unique=True), st.integers(1, 4))
def test_what_was_exported_is_read_bit_for_bit(tmp_path_factory, words, size):
    vectors = vectors_of(words, size)
    path = tmp_path_factory.mktemp("formats") / "words.vec"
    export(vectors, path, which="inputs")
    names, rows = read_word2vec(path)
    assert names == words
    np.testing.assert_array_equal(rows, vectors.inputs)


@pytest.mark.parametrize(
    "text",
    [
        "2 2\ntea 1 2\nmilk 3 4\n",
        "tea 1 2\nmilk 3 4",
        "\ufeff2 2 \r\ntea 1 2 \r\nmilk 3 4\r\n\r\n",
    ],
)
def test_headers_and_line_ends_may_be_missing(tmp_path, text):
    path = tmp_path / "a.vec"
    path.write_bytes(gzip.compress(text.encode()))
    names, rows = read_word2vec(path)
    assert (names, rows.tolist()) == (["tea", "milk"], [[1, 2], [3, 4]])


def test_numbers_are_names_too_and_names_hold_spaces(tmp_path):
    path = tmp_path / "a.vec"
    for text, wanted in (
        ("7 5\n8 6\n", (["7", "8"], [[5], [6]])),
        ("1 1\n8 6\n", (["8"], [[6]])),
        ("1 2\nwhole milk 1 2\n", (["whole milk"], [[1, 2]])),
        ("None 1 2\nnan 3 4\n", (["None", "nan"], [[1, 2], [3, 4]])),
    ):
        path.write_text(text)
        names, rows = read_word2vec(path)
        assert (names, rows.tolist()) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no vectors"),
        ("3 2\ntea 1 2\nmilk 3 4\n", "line 1: the header says 3 names, and 2 follow"),
        ("1 2\ntea 1 2\nmilk 3 4\n", "line 1: the header says 1 names, and 2 follow"),
        ("2 2\ntea 1 2\nmilk 3\n", "line 3: wanted a name and 2 numbers, got 1: 'milk 3'"),
        ("tea 1 2\n\nmilk 3\n", "line 3: wanted a name and 2 numbers"),
        ("2 2\ntea 1 2\ntea 3 4\n", "line 3: 'tea' stands in line 2 already"),
        ("tea 1 x\n", "line 1: could not convert string to float: 'x'"),
        ("tea 1 nan\n", "line 1: numbers must be finite"),
        ("2 2\ntea 1 2\n 3 4\n", "line 3: the name is empty"),
        ("tea\n", "line 1: wanted a name and 0 numbers"),
    ],
)
def test_files_of_other_tools_that_are_wrong_are_refused_with_the_line(tmp_path, text, message):
    path = tmp_path / "a.vec"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(message)):
        read_word2vec(path)


def test_a_long_token_makes_no_long_message(tmp_path):
    path = tmp_path / "long.vec"
    path.write_text(f"tea 1 {'9' * 5000}x\n")
    with pytest.raises(
        InputError, match="line 1: could not convert string to float: '999"
    ) as found:
        read_word2vec(path)
    assert len(str(found.value)) < 200 + len(str(path))
