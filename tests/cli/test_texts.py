"""Texts at the command line: a bad one is one line and exit 3, an odd one is read as it is."""

import bz2
import gzip

import numpy as np
import pytest
import zstandard
from command_line import GOOD, call, train

from exact2vec.counts.counts import Counts

BAD_FILES = {
    "empty": (b"", "is empty (0 bytes)"),
    "byte order mark alone": (b"\xef\xbb\xbf", "no tokens"),
    "white space": (b" \n\t\r\n ", "no tokens"),
    "one token": (b"word", "1 token: no pairs"),
    "one word": (b"a a a a a a", "one word: nothing to predict"),
    "one rare word": (b"a a a a", "one word: nothing to predict"),
    "rare words": (
        b"a b c d a b a",
        "the most frequent one 3 times; --min-count 2 would keep some",
    ),
    "UTF-16": ("two words".encode("utf-16"), "looks like UTF-16; use --encoding utf-16"),
    "UTF-16 without a mark": (
        "two words".encode("utf-16-be"),
        "without a byte order mark; use --encoding utf-16-be",
    ),
    "xz": (b"\xfd7zXZ\0\0\4\xe6\xd6", "looks like xz, which is not read here"),
    "bzip2": (bz2.compress(GOOD.encode()), "looks like bzip2, which is not read here"),
    "zip": (b"PK\3\4\x14\0\0\0\x08\0", "looks like a zip archive"),
    "bad byte": (b"fine words\nb\xffd", "byte 0xff at offset 12"),
    "cut gzip": (gzip.compress(GOOD.encode() * 50)[:-20], "cut off or damaged"),
    "wrong CRC": (gzip.compress(GOOD.encode())[:-8] + b"\0" * 8, "cut off or damaged"),
    "cut zstd": (
        zstandard.compress(np.random.default_rng(0).bytes(9999).hex().encode())[:-20],
        "cut off or damaged",
    ),
    "no pairs": (b"\n".join([b"a", b"b"] * 20), "no pairs; windows do not cross documents"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_line_and_exit_3(tmp_path, name):
    data, expected = BAD_FILES[name]
    (tmp_path / "corpus.txt").write_bytes(data)
    result = train(tmp_path, tmp_path / "corpus.txt", "--held-out", "0", "--min-count", "5")
    said = [line for line in result.stderr.splitlines() if not line.startswith("compiling")]
    assert (result.exit_code, expected in said[0], len(said)) == (3, True, 1), result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]


def test_missing_file_and_folder_without_text(tmp_path):
    (tmp_path / "folder").mkdir()
    for name, expected in (
        ("nothing.txt", "there is no such file or folder"),
        ("folder", "a folder without text"),
    ):
        result = train(tmp_path, tmp_path / name)
        assert (result.exit_code, expected in result.stderr) == (3, True), result.stderr
        assert str(tmp_path / name) in result.stderr


def test_an_empty_file_among_others_of_a_folder_is_named_and_an_empty_name_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "empty.txt").touch()
    (tmp_path / "folder" / "good.txt").write_text(GOOD)
    result = train(tmp_path, tmp_path / "folder", "--min-count", "2")
    assert (result.exit_code, "1 file skipped: empty (0 bytes): empty.txt" in result.stderr) == (
        0,
        True,
    ), result.stderr
    assert (train(tmp_path, "").exit_code, call("loss", "1", "2", "--rate", ".1").exit_code) == (
        2,
        2,
    )


def test_stdin_and_line_ends_and_byte_order_marks_do_not_matter(tmp_path):
    pieces = {
        "lf": GOOD,
        "crlf": GOOD.replace("\n", "\r\n"),
        "cr": GOOD.replace("\n", "\r"),
        "end": GOOD + "\n",
        "bom": "\ufeff" + GOOD,
    }
    for name, text in pieces.items():
        result = call(
            "train",
            "-o",
            tmp_path / name,
            "--epochs",
            "0",
            "--min-count",
            "2",
            "--vector-size",
            "3",
            given=text.encode(),
        )
        assert result.exit_code == 0, result.output
    found = {
        name: (tmp_path / name / "counts.safetensors").read_bytes()
        + (tmp_path / name / "vocabulary.json").read_bytes()
        for name in pieces
    }
    assert len(set(found.values())) == 1


def test_words_that_look_like_something_else_stay_strings(tmp_path):
    odd = ["</s>", "<unk>", "nan", "null", "1e5", "true", "[bold]", "\x1b[31m", "=1+1"]
    (tmp_path / "odd.txt").write_text("\n".join([" ".join(odd)] * 9))
    assert train(tmp_path, tmp_path / "odd.txt", "--tokens", "space").exit_code == 0
    assert sorted(Counts.load(tmp_path / "run").words) == sorted(odd)
    shown = call("neighbors", tmp_path / "run", "nan", "-n", "20").stdout
    assert "\x1b" not in shown
    assert "\\x1b[31m" in shown


def test_replaced_bytes_are_counted(tmp_path):
    (tmp_path / "bad.txt").write_bytes(GOOD.encode() + b" \xff\xff")
    result = train(tmp_path, tmp_path / "bad.txt", "--errors", "replace", "--min-count", "2")
    assert "2 characters U+FFFD" in result.stderr
