"""Bad inputs at the command line.

Each gives one clear line and its exit code, and leaves no run folder behind.
"""

import bz2
import contextlib
import gzip
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import zstandard
from click.testing import CliRunner

from exact2vec import display
from exact2vec.cli import main
from exact2vec.counts import text as text_reading
from exact2vec.counts.counting import count_text
from exact2vec.counts.counts import Counts
from exact2vec.counts.text import Text, _whole_tokens
from exact2vec.errors import InputError

GOOD = "\n".join(["the cat sat on the mat", "the dog sat on the log", "a cat and a dog ran"] * 8)


def call(*arguments, given=None):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=given)


def train(folder, *arguments, given=None):
    return call(
        "train",
        *arguments,
        "-o",
        folder / "run",
        "--vector-size",
        "3",
        "--epochs",
        "2",
        given=given,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    (folder / "good.txt").write_text(GOOD)
    result = train(folder, folder / "good.txt", "--min-count", "2")
    assert result.exit_code == 0, result.output
    return folder / "run"


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


OUT_OF_RANGE = [
    ("--vector-size", "0"),
    ("--vector-size", "-5"),
    ("--vector-size", "ten"),
    ("--window", "0"),
    ("--held-out", "1"),
    ("--sample", "nan"),
    ("--rate", "inf"),
    ("--tokens", "chars"),
    ("--regex", "("),
]


@pytest.mark.parametrize("flags", OUT_OF_RANGE, ids=" ".join)
def test_an_option_out_of_its_range_is_exit_2(tmp_path, flags):
    (tmp_path / "good.txt").write_text(GOOD)
    result = call("train", tmp_path / "good.txt", "-o", tmp_path / "run", *flags)
    assert (result.exit_code, flags[0].removeprefix("--") in result.stderr) == (2, True), (
        result.stderr
    )


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, ""])
def test_a_name_that_no_folder_can_have_is_exit_2(tmp_path, name):
    result = call("train", "python-docs", "-o", f"{tmp_path}/{name}" if name else "")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_an_existing_output_is_refused_and_what_is_not_a_run_never_replaced(tmp_path, run):
    assert call("train", "python-docs", "-o", run).exit_code == 2
    (tmp_path / "precious.txt").write_text("mine")
    result = call("train", "python-docs", "-o", tmp_path, "--force")
    assert (result.exit_code, "is not a run folder" in result.stderr) == (2, True)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_a_wild_rate_keeps_the_last_good_vectors(tmp_path):
    (tmp_path / "good.txt").write_text(GOOD)
    result = train(tmp_path, tmp_path / "good.txt", "--min-count", "2", "--rate", "1e6")
    assert (result.exit_code, "lower --rate" in result.stderr) == (6, True), result.stderr
    assert call("evaluate", tmp_path / "run").exit_code == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["step"] == 0


def test_no_epochs_writes_the_start_and_more_dimensions_than_words_work(tmp_path):
    (tmp_path / "good.txt").write_text(GOOD)
    for size in ("1", "40"):
        result = call(
            "train",
            tmp_path / "good.txt",
            "-o",
            tmp_path / size,
            "--epochs",
            "0",
            "--vector-size",
            size,
            "--min-count",
            "2",
        )
        assert result.exit_code == 0, result.output
        evaluated = call("evaluate", tmp_path / size)
        assert (
            evaluated.exit_code,
            "training NLL" in evaluated.stdout,
            "nan" in evaluated.stdout,
        ) == (0, True, False)


def test_unknown_words_are_named_with_their_neighbours_in_spelling(run):
    result = call("neighbors", run, "caat", "--trained-only")
    assert (
        result.exit_code,
        "'caat' is not among the 10 words; nearest: cat" in result.stderr,
    ) == (3, True), result.stderr
    assert call("neighbors", run, "cat - -").exit_code == 2
    assert len(call("neighbors", run, "cat", "-n", "99").stdout.splitlines()) == 10


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


@pytest.mark.parametrize("size", [1, 2, 3, 4096])
def test_characters_across_a_read_buffer(tmp_path, monkeypatch, size):
    text = "\ufeffäöü 漢字 o\u0301k don’t\r\nzwei 𝔘𝔫𝔦 naïve\r\n" * 3
    (tmp_path / "text.txt").write_bytes(text.encode())
    monkeypatch.setattr(text_reading, "READ_BYTES", size)
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
    monkeypatch.setattr(text_reading, "READ_BYTES", 1000)
    counts = count_text(Text(tmp_path / "long.txt"), held_out=0.3)
    assert counts.tokens == expected.tokens
    assert counts.tokens["read"] == 30_000
    assert (counts.training != expected.training).nnz == 0


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


def test_a_billion_of_one_pair_is_exact(tmp_path):
    counts = count_text([["a", "b"]] * 9, held_out=0)
    counts.training.data[:] = 10**9 + 1
    counts.save(tmp_path / "many")
    assert Counts.load(tmp_path / "many").training.sum() == 2 * (10**9 + 1)
    counts.training.data[:] = 2**40 + 1
    counts.save(tmp_path / "more")
    assert Counts.load(tmp_path / "more").training.max() == 2**40 + 1


@pytest.mark.parametrize("change", ["cut", "longer", "flip", "swap", "gone"])
def test_a_damaged_file_is_exit_4_and_named(tmp_path, run, change):
    import shutil

    for name in ("vectors.safetensors", "counts.safetensors", "vocabulary.json", "manifest.json"):
        copy = tmp_path / name
        shutil.copytree(run, copy)
        data = (copy / name).read_bytes()
        flipped = data[:50] + bytes([data[50] ^ 1]) + data[51:]
        changed = {
            "cut": data[:-1],
            "longer": data + b" 0",
            "flip": flipped,
            "swap": b"{}",
            "gone": None,
        }[change]
        (copy / name).unlink() if changed is None else (copy / name).write_bytes(changed)
        result = call("check", copy)
        assert name in result.stderr
        assert result.exit_code == (3 if (name, change) == ("manifest.json", "gone") else 4), (
            result.stderr
        )


def test_python_strings_for_lists_and_generators_that_raise():
    from exact2vec.estimator import Exact2Vec

    with pytest.raises(TypeError, match=r"got a string; did you mean \[text.split\(\)\]"):
        Exact2Vec().fit("some text")
    with pytest.raises(TypeError, match=r"sentence 1 is a string; did you mean \[text.split\(\)\]"):
        Exact2Vec().fit(["some text"])
    with pytest.raises(TypeError, match="sentence 2 holds 3 of type int"):
        Exact2Vec().fit([["a"], ["b", 3]])

    def failing():
        yield ["a", "b"]
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError, match="went away") as caught:
        Exact2Vec().fit(failing())
    assert "sentence 1" in caught.value.__notes__[0]


def test_a_long_line_comes_in_short_parts(monkeypatch):
    chunks = ["word " * 200] * 50
    parts = list(_whole_tokens(chunks, str.isspace))
    assert "".join(parts) == "".join(chunks)
    assert max(map(len, parts)) <= len(chunks[0])


def test_a_terminal_on_stdin_is_a_hint_and_no_hanging(tmp_path):
    import pty

    ours, theirs = pty.openpty()
    for inputs in ([], ["-"]):
        command = [sys.executable, "-m", "exact2vec", "train", *inputs, "-o", str(tmp_path / "run")]
        result = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=60)
        assert (result.returncode, "name a file" in result.stderr) == (2, True), result.stderr
    os.close(ours)
    os.close(theirs)


def seen_on_a_terminal(command, **environment):
    """What a terminal of 80 columns is sent."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")
    }
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        timeout=60,
        env={**inherited, **environment},
    )
    os.close(theirs)
    assert result.returncode == 0
    shown = b""
    with contextlib.suppress(OSError):  # the end, on Linux
        while part := os.read(ours, 1 << 16):
            shown += part
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_a_bar_on_a_terminal_and_no_control_codes_elsewhere(tmp_path):
    (tmp_path / "good.txt").write_text(GOOD)
    command = [
        sys.executable,
        "-m",
        "exact2vec",
        "train",
        str(tmp_path / "good.txt"),
        "-o",
        str(tmp_path / "run"),
        "--min-count=2",
        "--force",
    ]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=60).stderr
    assert "\x1b" not in lines
    assert [text.split("  ")[0] for text in lines.splitlines() if text.startswith("epoch")] == [
        "epoch 0",
        "epoch 1/4",
        "epoch 2/4",
        "epoch 3/4",
        "epoch 4/4",
    ]
    assert seen_on_a_terminal(command, TERM="dumb") == lines
    shown = seen_on_a_terminal(command, TERM="xterm")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "━" in plain
    assert re.search(r"ETA (-|\d+):", plain)
    for text in lines.splitlines():
        assert plain.count(f"{text}\n") == 1, text


@pytest.mark.parametrize(
    ("environment", "moves"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_the_cursor_is_moved_only_where_it_may(monkeypatch, environment, moves):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(display.sys.stderr, "isatty", lambda: True)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert display._cursor_moves() is moves


def test_one_word_can_be_fitted():
    from scipy.sparse import csr_array

    from exact2vec.counts.vocabulary import Vocabulary
    from exact2vec.counts.weighting import WindowWeighting
    from exact2vec.train.fit import fit

    only, weighting = Vocabulary(["only"], np.array([9])), WindowWeighting(5, 0.0)
    counts = Counts(only, csr_array(np.array([[7]])), None, weighting, {})
    *_, last = fit(counts, vector_size=2, epochs=2)
    assert (last.losses.nll, last.losses.floor, last.losses.excess) == (0, 0, 0)


def test_words_that_cancel_out_and_more_words_than_there_are(run):
    result = call("neighbors", run, "cat - cat")
    assert (result.exit_code, "cancel out" in result.stderr) == (2, True), result.stderr
    assert "there are 9 besides" in call("neighbors", run, "cat", "-n", "99").stderr


def test_an_output_that_cannot_be_written_is_refused_before_any_work(tmp_path, run):
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file" / "run", "/proc/nothing/run"):
        result = call("train", "python-docs", "-o", output)
        assert (
            result.exit_code,
            "cannot be written" in result.stderr,
            result.stderr.count("\n"),
        ) == (2, True, 1), result.stderr
    assert call("export", run, tmp_path / "nothing" / "v.vec").exit_code == 2


def test_a_window_wider_than_the_text_is_all_of_it(tmp_path):
    counts = count_text([["a", "b", "c"]], window=10_000, min_count=1, held_out=0)
    assert counts.training.toarray().tolist() == [
        [0, 10000, 9999],
        [10000, 0, 10000],
        [9999, 10000, 0],
    ]


def test_a_paragraph_does_not_depend_on_the_read_buffer(tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text("foo bar \nbaz qux\n \nnext one\n")
    for size in range(1, 30):
        monkeypatch.setattr(text_reading, "READ_BYTES", size)
        pieces = list(Text(tmp_path / "text.txt", document="paragraph"))
        documents = "".join(
            " ".join([*piece.tokens, "/" if piece.ends_document else ""]) for piece in pieces
        )
        assert [document.split() for document in documents.split("/")][:2] == [
            ["foo", "bar", "baz", "qux"],
            ["next", "one"],
        ], size


def test_a_line_without_white_space_comes_in_short_parts(tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text("ab,cd,漢字。" * 4000)
    monkeypatch.setattr(text_reading, "READ_BYTES", 1000)
    pieces = list(Text(tmp_path / "text.txt"))
    assert [token for piece in pieces for token in piece.tokens] == ["ab", "cd", "漢字"] * 4000
    assert max(len(piece.tokens) for piece in pieces) < 500


def test_force_does_not_delete_what_is_not_of_the_run(tmp_path):
    (tmp_path / "good.txt").write_text(GOOD)
    assert train(tmp_path, tmp_path / "good.txt").exit_code == 0
    (tmp_path / "run" / "notes.txt").write_text("mine")
    result = train(tmp_path, tmp_path / "good.txt", "--force")
    assert (result.exit_code, "notes.txt" in result.stderr) == (2, True)
    (tmp_path / "run" / "notes.txt").unlink()
    assert train(tmp_path, tmp_path / "good.txt", "--force").exit_code == 0


def test_a_pipe_closed_in_the_middle(tmp_path):
    words = " ".join(f"w{number}" for number in range(20_000))
    (tmp_path / "many.txt").write_text(words)
    assert (
        call(
            "train",
            tmp_path / "many.txt",
            "-o",
            tmp_path / "run",
            "--min-count=1",
            "--held-out=0",
            "--epochs=0",
            "--vector-size=1",
        ).exit_code
        == 0
    )
    asked = f"{sys.executable} -m exact2vec neighbors {tmp_path}/run w1 -n 19000"
    command = f"{asked} | head -1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (result.returncode, "Traceback" in result.stderr) == (0, False)


OTHER_FAULTS = [
    (["train", "{good}", "--encoding", "utf-16"], 3, "is not utf-16"),
    (["train", "{good}", "--sample", "1e-300"], 2, "use a larger one"),
    (["train", "{good}/below"], 3, "cannot be read"),
    (["train", "x" * 300], 3, "cannot be read"),
    (["train", "{good}", "--max-vocab", "1"], 2, "at least 2"),
    (["train", "{good}", "--max-epochs", "3"], 2, "the limit of --epochs auto"),
    (["train", "{good}", "--held-out", ".5", "--validation", ".5"], 2, "their sum is below 1"),
    (
        ["train", "{good}", "--document", "file", "--epochs", "auto"],
        2,
        "no pairs of the 1 documents fell into it",
    ),
    (["train", "{good}", "--vector-size", "99999999999"], 5, "out of memory"),
    (["evaluate", "{counts}"], 3, "holds counts, no vectors"),
    (["evaluate", "{run}", "--similarity", "{nan}"], 3, "line 1"),
    (["evaluate", "{run}", "--similarity", "{equal}"], 3, "all 3 scores are equal"),
    (["export", "{run}", "{folder}.vec"], 2, "exists"),
    (["loss", "1", "2", "--target", "0", "--steps", "3", "--rate", "nan"], 2, "finite"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    OTHER_FAULTS,
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_other_faults_are_one_line(tmp_path, run, arguments, code, expected):
    (tmp_path / "good.txt").write_text(GOOD)
    (tmp_path / "nan.tsv").write_text("cat\tdog\tnan\n")
    (tmp_path / "equal.tsv").write_text("cat\tdog\t1\ncat\tsat\t1\nsat\tdog\t1\n")
    (tmp_path / "a.vec").mkdir()
    count_text([["a", "b"]] * 9, held_out=0).save(tmp_path / "counts")
    names = {
        "good": tmp_path / "good.txt",
        "run": run,
        "counts": tmp_path / "counts",
        "nan": tmp_path / "nan.tsv",
        "equal": tmp_path / "equal.tsv",
        "folder": tmp_path / "a",
    }
    filled = [argument.format(**names) for argument in arguments]
    result = call(*filled, *(["-o", tmp_path / "out"] if arguments[0] == "train" else []))
    assert (
        result.exit_code,
        expected in result.stderr,
        result.stderr.splitlines()[-1].startswith("exact2vec: "),
    ) == (code, True, True), result.output
    assert not (tmp_path / "out").exists()


def test_help_shows_the_choices_and_errors_name_the_flag_and_its_range():
    shown = call("train", "--help").stdout
    for choices in ("[words|space]", "[line|paragraph|file]", "[strict|replace|ignore]"):
        assert choices in shown
    assert (
        call("train", "x", "-o", "y", "--rate", "inf").stderr
        == "exact2vec: --rate must be a finite number of at least 0; got 'inf'\n"
    )
    commands = call("--help").stdout.partition("Commands:")[2]
    assert commands.split()[0] == "train"


def test_what_neighbors_would_ignore_is_said(run):
    assert "--weighted needs --given" in call("neighbors", run, "cat", "--weighted").stderr
    assert call("neighbors", run, "cat", "--given", "--which", "inputs").exit_code == 2
    assert "'cat' was asked more than once" in call("neighbors", run, "cat", "cat").stderr
    assert "there are 10" in call("neighbors", run, "cat", "--given", "-n", "99").stderr


def test_a_file_that_cannot_be_written_is_named_without_numbers_of_the_system(run):
    result = call("export", run, "/proc/v.vec")
    assert (
        result.exit_code,
        result.stderr.startswith("exact2vec: /proc/"),
        "Errno" in result.stderr,
    ) == (5, True, False), result.stderr


def test_evaluate_takes_another_document_than_the_run(run, tmp_path):
    (tmp_path / "new.txt").write_text("the cat\nsat on\n\na dog\nran\n")
    found = [
        json.loads(call("evaluate", run, tmp_path / "new.txt", "--json", *flags).stdout)["new_text"]
        for flags in ([], ["--document", "paragraph"])
    ]
    assert [text["pairs"] for text in found] == [6, 18]


def test_a_run_whose_name_has_a_space_is_quoted(tmp_path):
    (tmp_path / "good.txt").write_text(GOOD)
    result = call(
        "train",
        tmp_path / "good.txt",
        "-o",
        tmp_path / "my run",
        "--epochs",
        "0",
        "--vector-size",
        "2",
    )
    assert f"evaluate '{tmp_path / 'my run'}'" in result.stderr


def test_python_objects_say_what_they_are_and_what_is_missing():
    from exact2vec.estimator import Exact2Vec

    model = Exact2Vec(vector_size=2, held_out=0, min_count=2)
    assert repr(model) == "Exact2Vec(min_count=2, held_out=0, vector_size=2)"
    with pytest.raises(AttributeError, match=r"no wv yet: call fit\(sentences\) first"):
        model.score([["a", "b"]])
    assert not hasattr(model, "nonsense")
    vectors = model.fit([["a", "b", "c"]] * 9).wv
    assert repr(vectors) == "Vectors(3 words, 2 numbers each)"
    np.testing.assert_array_equal(vectors[["a", "c"]], np.stack([vectors["a"], vectors["c"]]))
    with pytest.raises(TypeError, match="words are strings; got 0 of type int"):
        vectors[0]


def test_one_class_loses_nothing_and_not_minus_nothing():
    printed = call("loss", "1").stdout
    assert ("0.0000" in printed, "-0.0000" in printed) == (True, False)


def test_utf_32_is_named(tmp_path):
    (tmp_path / "text.txt").write_bytes("some words".encode("utf-32"))
    with pytest.raises(InputError, match="use --encoding utf-32"):
        list(Text(tmp_path / "text.txt"))
    assert [
        token for piece in Text(tmp_path / "text.txt", encoding="utf-32") for token in piece.tokens
    ] == ["some", "words"]


def test_where_no_folder_for_compiled_loops_can_be_written_they_are_compiled_for_the_run(tmp_path):
    code = """
import numba.core.caching as caching
caching.CacheImpl._locator_classes = []
from exact2vec import count_text
print(count_text(["sun moon"] * 9, held_out=0))
"""
    printed = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=tmp_path)
    assert printed.startswith("Counts(2 words")
