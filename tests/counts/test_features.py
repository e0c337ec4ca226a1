"""Character n-grams and other features: by hand, from files, and what is refused."""

import unicodedata
import zipfile

import by_hand
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from exact2vec.counts.feature_files import read_features, read_row_counts
from exact2vec.counts.features import (
    Describer,
    Features,
    RowCounts,
    ngrams,
)
from exact2vec.errors import InputError, UsageError

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def test_the_ngrams_of_where():
    expected = [
        "<wh",
        "whe",
        "her",
        "ere",
        "re>",
        "<whe",
        "wher",
        "here",
        "ere>",
        "<wher",
        "where",
        "here>",
        "<where",
        "where>",
    ]
    assert ngrams("where", 3, 6) == expected
    assert ngrams("where", 3, 0) == []


@given(WORDS, st.integers(1, 4), st.integers(0, 7))
def test_ngrams_are_those_of_plain_loops(word, least, most):
    assert sorted(ngrams(word, least, most)) == sorted(
        by_hand.ngrams(unicodedata.normalize("NFC", word), least, most)
    )


@given(st.lists(WORDS, min_size=1, max_size=12, unique=True))
def test_what_two_words_share_describes_them_with_length_one(words):
    describer = Describer.learn(words, min_n=3, max_n=6)[0]
    spelled = [set(by_hand.ngrams(unicodedata.normalize("NFC", word), 3, 6)) for word in words]
    shared = {
        gram for grams in spelled for gram in grams if sum(gram in others for others in spelled) > 1
    }
    assert set(describer.grams) == shared
    dense = describer.describe(words).toarray()
    for row, grams in zip(dense, spelled, strict=True):
        known = grams & shared
        assert {describer.grams[number] for number in np.flatnonzero(row)} == known
        np.testing.assert_allclose(row[row > 0], len(known) ** -0.5 if known else 0, rtol=1e-6)


def test_spellings_of_one_word_in_unicode_are_one():
    describer = Describer.learn(["caf\u00e9", "caf\u00e9s"])[0]
    assert describer.known_grams("cafe\u0301") == describer.known_grams("caf\u00e9") > 0
    assert "𝔘𝔫𝔦" in ngrams("𝔘𝔫𝔦", 3, 3)
    assert ngrams("x", 3, 6) == ["<x>"]


def test_no_ngram_is_longer_than_its_word():
    assert ngrams("where", 3, 2**63) == ngrams("where", 3, 7)
    assert ngrams("where", 2**62, 2**63) == []


def test_known_features_stand_beside_ngrams_as_they_are():
    known = Features(
        csr_array([[0, 2.5], [1, 0], [0, 0]]), ["tea", "teas", "nothing"], ["hot", "many"]
    )
    describer = Describer.learn(["tea", "teas", "nothing"], known=known)[0]
    dense = describer.describe(["teas", "tea", "nothing", "stranger"]).toarray()
    np.testing.assert_array_equal(dense[:, -2:], [[1, 0], [0, 2.5], [0, 0], [0, 0]])
    assert describer.size == len(describer.grams) + 2
    assert Describer.learn(["tea"], max_n=0)[0].describe(["tea", "x"]).shape == (2, 0)


def test_entries_that_stand_twice_are_summed_and_duplicate_columns_are_two():
    entries = (np.ones(3), (np.array([0, 0, 1]), np.array([0, 0, 1])))
    assert Features(csr_array(entries, shape=(2, 2)), ["a", "b"]).matrix.toarray().tolist() == [
        [2, 0],
        [0, 1],
    ]
    twins = Features(csr_array([[1, 1], [2, 2]]), ["a", "b"], ["one", "other"])
    assert Describer.learn(["b"], max_n=0, known=twins)[0].describe(["b"]).toarray().tolist() == [
        [2, 2]
    ]


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e300])
def test_values_that_are_no_features_are_refused(value):
    with pytest.raises(InputError, match=r"'b' has .* for 'y'"):
        Features(csr_array(np.array([[1, 0], [0, value]])), ["a", "b"], ["x", "y"])


def test_names_must_fit():
    with pytest.raises(InputError, match="2 × 2, there are 1 row names"):
        Features(csr_array(np.eye(2)), ["a"])
    with pytest.raises(InputError, match="the row 'a' stands twice"):
        Features(csr_array(np.eye(2)), ["a", "a"])
    with pytest.raises(InputError, match=r"1 of the 2 trained rows are not among its 2: 'c'"):
        Describer.learn(["a", "c"], known=Features(csr_array(np.eye(2)), ["a", "b"]))
    with pytest.raises(UsageError, match="from 6 to 3"):
        Describer.learn(["a"], min_n=6, max_n=3)


@pytest.fixture
def same(tmp_path):
    """The same features in each format."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows, names, values = ["tea", "tea", 'a "b", c'], ["hot", "wet", "hot"], [1.0, 0.5, 0.0]
    (tmp_path / "f.csv").write_text(
        'row,feature,value\ntea,hot,1\ntea,wet,.5\n"a ""b"", c",hot,0\n'
    )
    parquet.write_table(
        pyarrow.table({"row": rows, "feature": names, "value": values}), tmp_path / "f.parquet"
    )
    matrix = csr_array([[1, 0.5], [0, 0]])
    np.savez(
        tmp_path / "f.npz",
        data=matrix.data,
        indices=matrix.indices,
        indptr=matrix.indptr,
        shape=matrix.shape,
        rows=["tea", 'a "b", c'],
        names=["hot", "wet"],
    )
    return tmp_path


def test_the_formats_say_the_same(same):
    for suffix in ("csv", "parquet", "npz"):
        found = read_features(same / f"f.{suffix}")
        assert (found.rows, found.names) == (["tea", 'a "b", c'], ["hot", "wet"])
        assert found.matrix.toarray().tolist() == [[1, 0.5], [0, 0]]


BAD_FILES = {
    "header.csv": (b"a,b,c\n", "line 1: wanted the header row,feature,value"),
    "short.csv": (
        b"row,feature,value\ntea,hot\n",
        "line 2: wanted row,feature,value, got 'tea,hot'",
    ),
    "negative.csv": (
        b"row,feature,value\ntea,hot,-1\n",
        "line 2: values must be finite, from 0 to 1e\\+15; 'tea' has -1",
    ),
    "nan.csv": (b"row,feature,value\ntea,hot,nan\n", "line 2: values must be finite"),
    "huge.csv": (b"row,feature,value\ntea,hot,1e25\n", "line 2: values must be finite, from 0"),
    "long.csv": (
        b"row,feature,value\ntea," + b"x" * 200_000 + b",1\n",
        "line 2: field larger than field limit",
    ),
    "empty.csv": (b"row,feature,value\n", "no entries"),
    "bytes.csv": (b"row,feature,value\n\xff,hot,1\n", "byte 0xff at offset 18 is not UTF-8"),
    "junk.npz": (b"not an archive", "wanted an npz"),
    "junk.parquet": (b"not parquet", "wanted parquet"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named_with_their_line(tmp_path, name):
    data, expected = BAD_FILES[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=expected) as caught:
        read_features(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_pickle_in_an_npz_is_not_opened(tmp_path):
    np.savez(
        tmp_path / "f.npz",
        data=np.array([object()], dtype=object),
        indices=[0],
        indptr=[0, 1],
        shape=(1, 1),
        rows=["a"],
        names=["x"],
    )
    with pytest.raises(InputError, match="wanted an npz"):
        read_features(tmp_path / "f.npz")
    with pytest.raises(UsageError, match="must end in one of"):
        read_features(tmp_path / "f.tsv")


GOOD = {
    "data": [1.0, 2.0],
    "indices": [0, 1],
    "indptr": [0, 1, 2],
    "shape": (2, 2),
    "rows": ["tea", "milk"],
    "names": ["hot", "wet"],
}
BAD_ARRAYS = {
    "indptr below 0": ({"indptr": [0, -5, 2]}, "wanted an npz"),
    "indptr beyond the cells": ({"indptr": [0, 10**6, 2]}, "wanted an npz"),
    "a column too many": ({"indices": [0, 2]}, "wanted an npz"),
    "values of text": ({"data": ["a", "b"]}, "wanted an npz|real numbers"),
    "complex values": ({"data": [1j, 2]}, "values must be real numbers"),
    "columns first": ({"format": b"csc"}, "the matrix is b'csc'"),
    "names that are numbers": ({"rows": [1, 2]}, "names are text; got the row 1|wanted an npz"),
    "a name too few": ({"names": ["hot"]}, "the matrix is 2 × 2"),
    "no names": ({"names": None}, "wanted an npz"),
    "sums beyond the largest": (
        {"data": [9e14, 9e14], "indices": [0, 0], "indptr": [0, 2, 2]},
        "from 0 to 1e\\+15",
    ),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_an_npz_that_is_not_what_it_should_be_is_refused(tmp_path, name):
    changed, expected = BAD_ARRAYS[name]
    np.savez(
        tmp_path / "f.npz",
        **{key: value for key, value in (GOOD | changed).items() if value is not None},
    )
    with pytest.raises(InputError, match=expected):
        read_features(tmp_path / "f.npz")
    np.savez_compressed(tmp_path / "f.npz", **GOOD)
    assert read_features(tmp_path / "f.npz").matrix.toarray().tolist() == [[1, 0], [0, 2]]


def test_damage_anywhere_in_an_npz_is_an_error_with_the_name_or_no_harm(tmp_path):
    np.savez_compressed(tmp_path / "f.npz", **GOOD)
    data = (tmp_path / "f.npz").read_bytes()
    for place in range(0, len(data), 7):
        (tmp_path / "f.npz").write_bytes(
            data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        )
        try:
            assert read_features(tmp_path / "f.npz").matrix.shape == (2, 2)
        except InputError as error:
            assert "f.npz" in str(error)


def test_an_array_that_says_it_is_larger_than_it_is_takes_no_memory(tmp_path):
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)}
    np.savez(tmp_path / "f.npz", **{name: GOOD[name] for name in GOOD if name != "data"})
    with zipfile.ZipFile(tmp_path / "f.npz", "a") as file, file.open("data.npy", "w") as array:
        np.lib.format.write_array_header_1_0(array, header)
        array.write(bytes(16))
    with pytest.raises(InputError, match=r"data\.npy is cut off: it should hold 8,796,093,022,208"):
        read_features(tmp_path / "f.npz")


def test_a_blank_line_is_no_entry_and_a_null_name_no_name(tmp_path):
    (tmp_path / "f.csv").write_text("row,feature,value\ntea,hot,1\n\n")
    assert read_features(tmp_path / "f.csv").rows == ["tea"]
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(
        pyarrow.table({"row": ["tea", None], "feature": ["hot", "wet"], "value": [1.0, 1.0]}),
        tmp_path / "f.parquet",
    )
    with pytest.raises(InputError, match="none of them null: a name is null"):
        read_features(tmp_path / "f.parquet")


def test_counts_of_rows_are_read_alike(tmp_path):
    (tmp_path / "c.csv").write_text("row,word,count\nnew,sun,2.5\n")
    found = read_row_counts(tmp_path / "c.csv")
    assert isinstance(found, RowCounts)
    assert (found.rows, found.names, found.matrix.toarray().tolist()) == (["new"], ["sun"], [[2.5]])


def test_a_matrix_without_names_is_refused_and_said_how_to_name_it():
    with pytest.raises(
        UsageError, match=r"features must be e2v.Features\(matrix, rows, names\).* got csr_array"
    ):
        Features.checked(csr_array(np.eye(4)))
    with pytest.raises(UsageError, match=r"counts must be e2v.RowCounts\(.* got Features"):
        RowCounts.checked(Features(csr_array(np.eye(2)), ["a", "b"]))
