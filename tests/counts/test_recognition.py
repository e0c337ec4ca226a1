"""What is no text is named before its encoding is guessed; what is more than text is said."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import tarfile
import textwrap
import zipfile

import numpy as np
import pytest
import zstandard

from exact2vec.counts.markup import markup_of
from exact2vec.counts.text import Text
from exact2vec.errors import InputError

LINES = [f"the boat sails on river {number} to the café" for number in range(60)]
TEXT = "\n".join(LINES).encode()


def tar(form, **info):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        member = tarfile.TarInfo("letters/year1901/letter1.txt")
        member.size = len(TEXT)
        archive.addfile(member, io.BytesIO(TEXT))
    return file.getvalue()


def old_tar():
    """A header as before POSIX: no magic, the sum anew."""
    data = bytearray(tar(tarfile.USTAR_FORMAT))
    data[257:512] = bytes(255)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "application/vnd.oasis.opendocument.text")
    return file.getvalue()


def of_numpy(save, *values):
    file = io.BytesIO()
    save(file, *values)
    return file.getvalue()


def database(tmp_path):
    connection = sqlite3.connect(tmp_path / "database")
    connection.execute("create table words (word text)")
    connection.commit()
    connection.close()
    return (tmp_path / "database").read_bytes()


OTHERS = {
    "tar": (tar(tarfile.PAX_FORMAT), "a tar archive"),
    "gnu tar": (tar(tarfile.GNU_FORMAT), "a tar archive"),
    "old tar": (old_tar(), "a tar archive"),
    "tar.gz": (gzip.compress(tar(tarfile.PAX_FORMAT)), "a tar archive"),
    "tar.zst": (zstandard.compress(tar(tarfile.PAX_FORMAT)), "a tar archive"),
    "zip": (zipped("letters.txt"), "a zip archive"),
    "empty zip": (zipped(), "a zip archive"),
    "docx": (zipped("[Content_Types].xml", "word/document.xml"), "a Word file"),
    "xlsx": (zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel file"),
    "odt": (zipped("mimetype", "content.xml"), "an OpenDocument file"),
    "doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "an old office file"),
    "rtf": (rb"{\rtf1\ansi some words}", "RTF"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04abcdefgh", "a 7z archive"),
    "rar": (b"Rar!\x1a\x07\x01\x00", "a rar archive"),
    "xz": (lzma.compress(TEXT), "xz"),
    "bzip2": (bz2.compress(TEXT), "bzip2"),
    "empty bzip2": (bz2.compress(b""), "bzip2"),
    "gz in gz": (gzip.compress(gzip.compress(TEXT)), "gzip within another compression"),
    "zst in gz": (gzip.compress(zstandard.compress(TEXT)), "zstd within another compression"),
    "parquet": (b"PAR1\x15\x04\x15\xfa", "parquet"),
    "npy": (of_numpy(np.save, np.arange(9)), "an array of numpy"),
    "npz": (of_numpy(np.savez, np.arange(9)), "arrays of numpy"),
    "npz, packed": (of_numpy(np.savez_compressed, np.arange(9)), "arrays of numpy"),
    **{f"pickle {form}": (pickle.dumps({"a": 1}, form), "a pickle") for form in (2, 3, 4, 5)},
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(99), "a picture"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(99), "a picture"),
    "gif": (b"GIF89a" + bytes(99), "a picture"),
    "gif without a colour": (b"GIF87a\x10\x00\x10\x00", "a picture"),
    "webp": (b"RIFF\x24\x01\x00\x00WEBPVP8 ", "a picture"),
    "wav": (b"RIFF\x24\x01\x00\x00WAVEfmt \x10", "sound"),
    "flac": (b"fLaC\x00\x00\x00\x22\x10", "sound"),
    "mp4": (b"\x00\x00\x00\x18ftypmp42", "a film"),
    "gguf": (b"GGUF\x03\x00\x00\x00" + bytes(9), "GGUF"),
    "gguf, high bytes first": (b"GGUF\x00\x00\x00\x03" + bytes(9), "GGUF"),
    "feather": (b"FEA1\0\0\0\0" + bytes(9), "feather"),
    "djvu": (b"AT&TFORM\x00\x01\x02\x03DJVU", "DjVu"),
    "postscript": (b"%!PS-Adobe-3.0\n", "PostScript"),
    "program": (b"\x7fELF" + bytes(99), "a program"),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("settings", [{}, {"errors": "replace"}, {"encoding": "latin-1"}], ids=str)
def test_what_is_no_text_is_named(kind, settings, tmp_path):
    data, expected = OTHERS[kind]
    (tmp_path / "letters.txt").write_bytes(data)
    with pytest.raises(InputError, match=f"letters.txt looks like {expected}.*, which is not read"):
        list(Text(tmp_path / "letters.txt", **settings))


@pytest.mark.parametrize(
    "sentence",
    [
        "word " * 51 + " mustard",
        "PAR1 activation begins with a protease",
        "GGUF is the file format of a model",
        "FEA1 is how the older form of feather begins",
        "GIF89a is how a picture begins",
        "GIF87a",
        "%PDF-1.4 is how a document begins",
        "%PDF- is how a document begins",
        "%!PS is how it begins",
        "{\\rtf is how it begins",
        "fLaC is how sound begins",
        "the ftyp of a film stands behind its size",
        "AT&TFORM is how DjVu begins",
        "BZh91 1AY&SY",
        "say 1AY&SY is pi",
        "what is WEBPVP8",
        "what is WAVEfmt ",
    ],
)
def test_text_that_begins_like_something_else_is_text(sentence, tmp_path):
    """The names of files in words; `mustard` has the mark of tar where tar has it."""
    (tmp_path / "letters.txt").write_text(f"{sentence} and so on\n" + "\n".join(LINES))
    tokens = [token for piece in Text(tmp_path / "letters.txt") for token in piece.tokens]
    assert (tokens.count("river"), tokens.count("on")) == (len(LINES), len(LINES) + 1)


def test_a_database_is_named(tmp_path):
    (tmp_path / "text.txt").write_bytes(database(tmp_path))
    with pytest.raises(InputError, match="looks like a database of SQLite"):
        list(Text(tmp_path / "text.txt"))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    "text", ["some words of English\n" * 9, "слова по русски\n" * 9, "两个词 a\n" * 9]
)
def test_wide_characters_without_a_mark_are_named_and_read_as_advised(tmp_path, encoding, text):
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode(encoding))
    for settings in ({}, {"errors": "replace"}, {"encoding": "latin-1"}):
        with pytest.raises(
            InputError, match=f"without a byte order mark; use --encoding {encoding}"
        ):
            list(Text(path, **settings))
    read = Text(path, encoding=encoding)
    assert [piece.tokens for piece in read if piece.tokens] == [
        text.lower().split("\n")[0].split()
    ] * 9


def test_control_codes_are_no_text(tmp_path):
    (tmp_path / "text.txt").write_bytes(bytes(range(1, 128)) * 9)
    with pytest.raises(InputError, match=r"holds \d+ control codes in its first 1,143 bytes"):
        list(Text(tmp_path / "text.txt"))
    (tmp_path / "text.txt").write_bytes(
        b"\x1b[31mred\x1b[0m and a page\x0cand a\x00 stray code\n" * 9
    )
    assert len(list(Text(tmp_path / "text.txt"))) > 9


MARKED_UP = {
    "JSON lines": "".join(
        json.dumps({"id": 1, "lang": "fr", "text": line}) + "\n" for line in LINES
    ),
    "JSON": json.dumps([{"text": line} for line in LINES], indent=1),
    "XML": "<TEI><text>\n" + "".join(f'<p n="1"><hi>{line}</hi> &amp;</p>\n' for line in LINES),
    "HTML": "<!DOCTYPE html>\n<html><body>\n" + "".join(f"<p>{line}\n" for line in LINES),
    "doc lines": "".join(f'<doc id="1" title="T">\n{line}\n</doc>\n' for line in LINES),
    "wiki": "".join(f"[[boat|Boats]] {line} {{{{cite}}}}\n" for line in LINES),
    "LaTeX": "\\documentclass{book}\n" + "".join(f"\\section{{{line}}}\n" for line in LINES),
    "CSV": "id,lang,text\n"
    + "".join(f'{number},fr,"{line}, yes"\n' for number, line in enumerate(LINES)),
    "TSV": "text\tlabel\n" + "".join(f"{line}\t1\n" for line in LINES),
}
TEXTS = {
    "prose": "\n".join(f"{line}, and {line[:number]}; so." for number, line in enumerate(LINES)),
    "less and more": "if a < b and b > c then\n" * 60,
    "addresses": "Anna <anna@example.org> wrote to us\n" * 60,
    "unknown words": "the <unk> sailed on the <unk> river\n" * 60,
    "brackets": "[1] a note, {so to say}\n" * 60,
    "a number": "12\n" * 60,
    "empty": "",
}


@pytest.mark.parametrize("kind", MARKED_UP)
def test_markup_is_said_and_read(kind, tmp_path):
    (tmp_path / "text.txt").write_text(MARKED_UP[kind])
    text = Text(tmp_path / "text.txt")
    assert list(text)
    (doubt,) = text.doubts
    looks = {"HTML": "XML or HTML", "doc lines": "XML or HTML"}.get(kind, kind)
    assert doubt.startswith(f"{tmp_path / 'text.txt'} looks like {looks}")
    assert "are counted as words; take the text out first" in doubt


@pytest.mark.parametrize("kind", TEXTS)
def test_text_is_not_taken_for_markup(kind):
    assert markup_of(TEXTS[kind]) is None


def impressions(tmp_path, text, **settings):
    (tmp_path / "text.txt").write_text(text)
    read = Text(tmp_path / "text.txt", **settings)
    list(read)
    return read.notes


def test_words_without_spaces_are_said(tmp_path):
    for script, line in (
        ("Han", "今天天气很好我们去公园散步吧"),
        ("Thai", "วันนี้อากาศดีมากเราไปเดินเล่นที่สวน"),
    ):
        (note,) = impressions(tmp_path, f"{line}\n" * 9)
        assert note.startswith("100 % of the letters are of scripts written without spaces")
        assert f"({script})" in note
        assert note.endswith("cut the words first (jieba, MeCab, PyThaiNLP), then --tokens space")
    assert impressions(tmp_path, "今天 天气 很 好 我们 去 公园 散步 吧\n" * 9) == []
    assert impressions(tmp_path, "วันนี้ อากาศ ดี มาก เรา ไป เดินเล่น ที่ สวน\n" * 9) == []
    assert impressions(tmp_path, "오늘은 날씨가 아주 좋습니다\n" * 9) == []
    assert impressions(tmp_path, "今天天气很好我们去公园散步吧\n" * 9, regex=".") == []


def test_joined_phrases_are_said_with_their_share(tmp_path):
    notes = impressions(tmp_path, "we went to new_york and ate ice_cream\n" * 9)
    (note,) = notes
    assert note.startswith("29 % of the stretches between white space hold '_' and were split")
    assert note.endswith("--tokens space keeps them")
    assert impressions(tmp_path, "we went to new_york\n" * 9, tokens="space") == []
    assert (
        impressions(tmp_path, "a well-known and _emphasised_ line of words that goes on\n" * 9)
        == []
    )


def test_lines_are_hard_wrapped_only_where_the_next_word_had_no_room(tmp_path):
    sentences = ["The boat sails.", "A cook bakes bread and sells it on the market.", "Fish!"]
    assert impressions(tmp_path, "\n".join(sentences * 60)) == []
    assert impressions(tmp_path, "\n\n".join(sentences * 60)) == []
    assert impressions(tmp_path, "\n".join(["we went to new york"] * 200)) != []
    wrapped = textwrap.fill("Some words of a long text that goes on and on. " * 200, 60)
    assert "hard-wrapped" in impressions(tmp_path, wrapped)[0]
