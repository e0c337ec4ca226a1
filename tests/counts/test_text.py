"""Text from files: encodings, compression, and pieces that no read buffer changes."""

import gzip

import pytest
import zstandard
from command_line import GOOD

from exact2vec.counts.counting import count_text
from exact2vec.counts.text import Text, _whole_tokens
from exact2vec.errors import InputError
from exact2vec.storage import files


@pytest.mark.parametrize("size", [1, 2, 3, 4096])
def test_characters_across_a_read_buffer(tmp_path, monkeypatch, size):
    text = "\ufeffäöü 漢字 o\u0301k don’t\r\nzwei 𝔘𝔫𝔦 naïve\r\n" * 3
    (tmp_path / "text.txt").write_bytes(text.encode())
    monkeypatch.setattr(files, "READ_BYTES", size)
    words = [token for piece in Text(tmp_path / "text.txt") for token in piece.tokens]
    assert words == ["äöü", "漢字", "ók", "don't", "zwei", "𝔘𝔫𝔦", "naïve"] * 3
    data = text.encode() + b"\xe2"
    (tmp_path / "text.txt").write_bytes(data)
    with pytest.raises(InputError, match=f"offset {len(data) - 1:,}"):
        list(Text(tmp_path / "text.txt"))


def test_a_long_line_is_counted_whole_and_alike_however_it_is_read(tmp_path, monkeypatch):
    words = [f"w{number % 97}" for number in range(30_000)]
    (tmp_path / "long.txt").write_text(" ".join(words))
    expected = count_text([words], held_out=0.3)
    monkeypatch.setattr(files, "READ_BYTES", 1000)
    counts = count_text(Text(tmp_path / "long.txt"), held_out=0.3)
    assert counts.tokens == expected.tokens
    assert counts.tokens["read"] == 30_000
    assert (counts.training != expected.training).nnz == 0


def test_a_long_line_comes_in_short_parts(monkeypatch):
    chunks = ["word " * 200] * 50
    parts = list(_whole_tokens(chunks, str.isspace))
    assert "".join(parts) == "".join(chunks)
    assert max(map(len, parts)) <= len(chunks[0])


def test_a_line_without_white_space_comes_in_short_parts(tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text("ab,cd,漢字。" * 4000)
    monkeypatch.setattr(files, "READ_BYTES", 1000)
    pieces = list(Text(tmp_path / "text.txt"))
    assert [token for piece in pieces for token in piece.tokens] == ["ab", "cd", "漢字"] * 4000
    assert max(len(piece.tokens) for piece in pieces) < 500


def test_a_paragraph_does_not_depend_on_the_read_buffer(tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text("foo bar \nbaz qux\n \nnext one\n")
    for size in range(1, 30):
        monkeypatch.setattr(files, "READ_BYTES", size)
        pieces = list(Text(tmp_path / "text.txt", document="paragraph"))
        documents = "".join(
            " ".join([*piece.tokens, "/" if piece.ends_document else ""]) for piece in pieces
        )
        assert [document.split() for document in documents.split("/")][:2] == [
            ["foo", "bar", "baz", "qux"],
            ["next", "one"],
        ], size


def test_compressed_files_are_told_by_their_bytes(tmp_path):
    packed = gzip.compress(GOOD.encode()) + gzip.compress(b"\n" + GOOD.encode())
    (tmp_path / "gz.txt").write_bytes(packed)
    (tmp_path / "zst.txt").write_bytes(
        zstandard.compress(GOOD.encode()) + zstandard.compress(b"\n" + GOOD.encode())
    )
    (tmp_path / "plain.txt").write_text(GOOD + "\n" + GOOD)
    plain, *others = (
        [piece for piece in Text(tmp_path / name) if piece.tokens]
        for name in ("plain.txt", "gz.txt", "zst.txt")
    )
    assert others == [plain, plain]


def test_utf_32_is_named(tmp_path):
    (tmp_path / "text.txt").write_bytes("some words".encode("utf-32"))
    with pytest.raises(InputError, match="use --encoding utf-32"):
        list(Text(tmp_path / "text.txt"))
    assert [
        token for piece in Text(tmp_path / "text.txt", encoding="utf-32") for token in piece.tokens
    ] == ["some", "words"]
