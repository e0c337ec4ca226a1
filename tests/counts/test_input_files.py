"""Files of folders: each is read once, what is left out is named, changes are noticed."""

import gzip
import hashlib
import io
import json
import os
from types import SimpleNamespace

import pytest
from command_line import GOOD, call

from exact2vec.counts import input_files
from exact2vec.counts.table_files import Form, TableFiles
from exact2vec.counts.text import Text
from exact2vec.errors import InputError
from exact2vec.storage.files import recorded_files, text_lines


def tokens(text):
    return [token for piece in text for token in piece.tokens]


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)


def test_what_is_left_out_of_a_folder_is_named(tmp_path):
    folder = tmp_path / "folder"
    write(folder, a_txt="one", empty_txt="", photo_png="no")
    write(folder / ".git", b_txt="hidden")
    write(folder / "below", c_txt="two")
    (folder / ".hidden.txt").write_text("hidden")
    write(tmp_path / "elsewhere", d_txt="three")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "link.txt").symlink_to(tmp_path / "elsewhere" / "d.txt")
    (folder / "broken.txt").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe.txt")
    text = Text(folder)
    assert tokens(text) == ["one", "two", "three"]
    assert sorted(text.left_out) == [
        f"{folder}: 1 file skipped, of other endings: photo.png",
        f"{folder}: 1 file skipped: empty (0 bytes): empty.txt",
        f"{folder}: 1 file skipped: links to folders: link",
        f"{folder}: 1 file skipped: no permission to read, or broken: broken.txt",
        f"{folder}: 1 file skipped: no regular files: pipe.txt",
        f"{folder}: 2 files skipped: hidden: .git, .hidden.txt",
    ]
    linked = f"{folder}: 1 file read through links: link.txt → {tmp_path / 'elsewhere' / 'd.txt'}"
    assert text.advice == [linked]
    assert tokens(text) == ["one", "two", "three"]
    assert len(text.left_out) == 6


def test_what_cannot_be_read_is_named(tmp_path, monkeypatch):
    write(tmp_path / "folder", a_txt="one", b_txt="two")
    write(tmp_path / "folder" / "closed", c_txt="three")
    readable = os.access
    monkeypatch.setattr(
        os, "access", lambda path, how: path.name != "b.txt" and readable(path, how)
    )
    listed = input_files.Path.iterdir

    def iterdir(path):
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(input_files.Path, "iterdir", iterdir)
    text = Text(tmp_path / "folder")
    assert tokens(text) == ["one"]
    why = "skipped: no permission to read, or broken"
    assert text.left_out == [f"{tmp_path / 'folder'}: 2 files {why}: b.txt, closed"]


def test_a_folder_with_nothing_to_read_says_what_is_there(tmp_path):
    write(tmp_path / "folder", photo_png="no")
    with pytest.raises(
        InputError, match=r"a folder without text .*; 1 file skipped, of other endings"
    ):
        list(Text(tmp_path / "folder"))
    write(tmp_path / "folder", a_txt="")
    with pytest.raises(InputError, match="every file of text in it is empty"):
        list(Text(tmp_path / "folder"))


def test_deep_folders_are_read(tmp_path):
    deep = tmp_path.joinpath(*["d"] * 900)
    write(tmp_path, a_txt="top")
    os.makedirs(deep)
    (deep / "b.txt").write_text("bottom")
    assert tokens(Text(tmp_path)) == ["top", "bottom"]


def test_the_same_file_is_read_once(tmp_path):
    write(tmp_path, a_txt="one", c_txt="one")
    (tmp_path / "b.txt").symlink_to("a.txt")
    os.link(tmp_path / "a.txt", tmp_path / "d.txt")
    text = Text(tmp_path / "a.txt", tmp_path, tmp_path / "a.txt")
    assert tokens(text) == ["one", "one"]
    again = f"is the same file as {tmp_path / 'a.txt'}: read once"
    assert text.left_out == [f"{tmp_path / name}.txt {again}" for name in "abda"]
    assert text.doubts == [
        f"{tmp_path / 'c.txt'} has the content of {tmp_path / 'a.txt'}; both are counted"
    ]


@pytest.mark.parametrize("change", ["grows", "shrinks", "is written to"])
def test_a_file_that_changes_while_it_is_read_is_named(tmp_path, change):
    path = tmp_path / "text.txt"
    path.write_text("some words\n" * 300_000)
    text, size = Text(path), path.stat().st_size
    for number, _ in enumerate(text.stretches()):
        if number == 0:
            with open(path, "r+") as file:
                if change == "grows":
                    file.seek(0, 2)
                    file.write("more\n")
                elif change == "shrinks":
                    file.truncate(2_000_000)
                else:
                    file.write("same")
                    os.utime(path, ns=(1, 1))
    (doubt,) = text.doubts
    assert doubt.startswith(f"{path} changed while it was read: ")
    assert ("was written to" in doubt) == (change == "is written to")
    assert (f"{size:,} bytes when it was opened" in doubt) == (change != "is written to")


def test_dropped_and_replaced_bytes_and_inner_marks_are_counted(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbfred \xff\xfe boat\n\xef\xbb\xbfbl\xffue \xef\xbf\xbd sail")
    text = Text(path, errors="ignore", tokens="space")
    assert tokens(text) == ["red", "boat", "blue", "\ufffd", "sail"]
    assert text.left_out == [f"{path}: 3 bytes that are not utf-8 were dropped"]
    assert text.advice[0].startswith(f"{path}: 1 byte order marks within the text are no text")
    text = Text(path, errors="replace")
    list(text)
    assert text.left_out == []
    assert text.notes[0] == f"{path}: 3 characters U+FFFD stand for bytes that are not utf-8"


def test_files_have_their_size_and_digest(tmp_path):
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"two " * 999_999))
    text = Text(tmp_path)
    assert len(tokens(text)) == 1_000_000
    assert text.files == [
        {
            "name": str(path),
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in (tmp_path / "a.txt", tmp_path / "b.gz")
    ]


TABLE = "user,item\n" + "".join(f"{one},{two}\n" for one in "abc" for two in "xyz")
INPUTS = {
    "text": (".txt", GOOD, []),
    "edges": (".tsv", "a\tb\nb\tc\nc\ta\n", []),
    "table": (".csv", TABLE, ["--group-by", "user", "--item", "item"]),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_train_says_at_the_end_what_was_left_out_even_when_it_is_quiet(tmp_path, kind):
    ending, data, flags = INPUTS[kind]
    folder = tmp_path / "inputs"
    write(folder, **{f"a_{ending[1:]}": data, f"empty_{ending[1:]}": ""})
    flags = ["--kind", kind, "--vector-size", 2, "--epochs", 0, *flags]
    flags += [] if kind == "edges" else ["--min-count", 2]
    result = call("train", folder, "-o", tmp_path / "run", *flags)
    line = f"{folder}: 1 file skipped: empty (0 bytes): empty{ending}"
    said = result.stderr.splitlines()
    assert [one for one in said if line in one] == [line, f"left out: {line}"]
    assert said.index(f"left out: {line}") > said.index(next(one for one in said if "try:" in one))
    result = call("train", folder, "-o", tmp_path / "quiet", *flags, "--quiet")
    assert result.stderr.splitlines() == [line]


def test_provenance_lists_every_file_that_was_read(tmp_path):
    write(tmp_path / "texts", a_txt=GOOD, b_txt=GOOD + "\nend")
    features = tmp_path / "features.csv"
    rows = "".join(f"{word},known,1\n" for word in sorted({*GOOD.split()}))
    features.write_text("row,feature,value\n" + rows)
    flags = ["--vector-size", 2, "--epochs", 0, "--min-count", 2, "--features", features]
    result = call("train", tmp_path / "texts", "-", "-o", tmp_path / "run", *flags, given=GOOD)
    assert result.exit_code == 0, result.stderr
    provenance = json.loads((tmp_path / "run" / "provenance.json").read_text())
    files = [features, tmp_path / "texts" / "a.txt", tmp_path / "texts" / "b.txt"]
    contents = {str(path): path.read_bytes() for path in files} | {"stdin": GOOD.encode()}
    assert provenance["files"] == [
        {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in contents.items()
    ]


def test_provenance_lists_a_table_that_comes_by_stdin():
    table = "user,item\nann,tea\nann,milk\n"
    standard_input = SimpleNamespace(buffer=io.BytesIO(table.encode()), isatty=lambda: False)
    with recorded_files() as files, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", standard_input)
        assert (
            sum(len(batch.columns[0]) for batch in TableFiles("-", Form()).batches(["user"])) == 2
        )
    digest = hashlib.sha256(table.encode()).hexdigest()
    assert files == [{"name": "stdin", "bytes": len(table), "sha256": digest}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_small_files_of_words_are_read_by_their_mark(tmp_path, encoding):
    path = tmp_path / "words.txt"
    path.write_bytes("café\r\nboat\r\n".encode(encoding) + "\ufeffriver".encode(encoding)[-99:])
    assert text_lines(path) == ["café", "boat", "river"]


def test_a_byte_that_is_not_text_is_named_with_its_line(tmp_path):
    (tmp_path / "words.txt").write_bytes(b"boat\ncaf\xe9\n")
    with pytest.raises(InputError, match=r"words.txt, line 2: byte 0xe9 at offset 8 is not UTF-8"):
        text_lines(tmp_path / "words.txt")
