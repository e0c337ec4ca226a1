"""Bad options at the command line: each is one clear line and its exit code."""

import pytest
from command_line import GOOD, call

from exact2vec.counts.counting import count_text

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
    (["train", "{good}", "--vector-size", "99999999999"], 5, "GB of memory"),
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


def test_a_file_that_cannot_be_written_is_named_without_numbers_of_the_system(run):
    result = call("export", run, "/proc/v.vec")
    assert (
        result.exit_code,
        result.stderr.startswith("exact2vec: /proc/"),
        "Errno" in result.stderr,
    ) == (2, True, False), result.stderr
