"""What train says before the work and what it refuses; what check says of data."""

import re

import numpy as np
import pytest
from command_line import GOOD, call

import exact2vec as e2v
from exact2vec import machine
from exact2vec.cli import checking, forecasting

FLAGS = "--vector-size", "3", "--epochs", "1"


@pytest.fixture
def good(tmp_path):
    (tmp_path / "good.txt").write_text(GOOD)
    return tmp_path / "good.txt"


@pytest.fixture
def many(tmp_path):
    """30,000 words that stand twice."""
    lines = [" ".join(f"w{one:x}" for one in range(at, at + 10)) for at in range(0, 30_000, 10)]
    (tmp_path / "many.txt").write_text("\n".join(lines * 2))
    return tmp_path / "many.txt"


@pytest.fixture
def little_room(monkeypatch):
    """150 MB are left: less than a training of 30,000 words needs."""
    monkeypatch.setattr(machine, "room", lambda: machine.Room(150_000_000, "the container"))


def test_train_says_what_it_will_take_and_the_bytes_do_not_depend_on_it(good, tmp_path):
    loud = call("train", good, "-o", tmp_path / "loud", "--min-count", "2", *FLAGS)
    quiet = call("train", good, "-o", tmp_path / "quiet", "--min-count", "2", "-q", *FLAGS)
    assert (loud.exit_code, quiet.exit_code) == (0, 0), loud.output + quiet.output
    line = r"forecast: \d+\.\d\d GB at the peak, \d+ s to the end \((\w[\w-]* \d+ s(, )?){3}\)"
    assert re.search(f"^{line}$", loud.stderr, re.M), loud.stderr
    assert "forecast" not in quiet.stderr
    for name in ("vectors.safetensors", "history.jsonl", "summary.json"):
        assert (tmp_path / "loud" / name).read_bytes() == (tmp_path / "quiet" / name).read_bytes()


def test_what_cannot_fit_is_refused_before_pairs_are_counted(
    many, tmp_path, little_room, monkeypatch
):
    from exact2vec.counts import counting

    monkeypatch.setattr(counting, "count_windows", lambda *_, **__: pytest.fail("counted"))
    result = call("train", many, "-o", tmp_path / "run", "--min-count", "1", "-q")
    assert result.exit_code == 5, result.output
    assert re.fullmatch(
        r"exact2vec: this would take about .+ of memory, .+ still to come, and the container "
        r"leaves 150 MB: use --max-vocab \d+, a larger --min-count or a smaller --vector-size; "
        r"--anyway tries it all the same\n",
        result.stderr,
    ), result.stderr
    assert not (tmp_path / "run").exists()


def test_the_max_vocab_that_is_named_fits(many, tmp_path, little_room):
    flags = ["train", many, "-o", tmp_path / "run", "--min-count", "1", "--epochs", "0", "-q"]
    refused = call(*flags)
    words = re.search(r"--max-vocab (\d+)", refused.stderr)[1]
    assert 500 < int(words) < 30_000
    passed = call(*flags, "--max-vocab", words)
    assert passed.exit_code == 0, passed.output


def test_anyway_insists(good, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "room", lambda: machine.Room(1000, "the container"))
    flags = ["train", good, "-o", tmp_path / "run", "--min-count", "2", *FLAGS]
    assert call(*flags).exit_code == 5
    assert call(*flags, "--anyway").exit_code == 0


def test_stored_counts_are_refused_too_with_flags_of_theirs(tmp_path, monkeypatch):
    e2v.Counts.from_matrix(np.ones((30, 40))).save(tmp_path / "counts")
    monkeypatch.setattr(machine, "room", lambda: machine.Room(1000, "ulimit -v"))
    result = call("train", tmp_path / "counts", "-o", tmp_path / "run", *FLAGS)
    assert result.exit_code == 5
    assert "ulimit -v leaves 0 MB: use fewer rows and columns, or a smaller" in result.stderr


def test_large_text_gets_a_rough_forecast_before_it_is_read(good, tmp_path, monkeypatch):
    monkeypatch.setattr(forecasting, "LARGE", 100)
    result = call("train", good, "-o", tmp_path / "run", "--min-count", "2", *FLAGS)
    first = result.stderr.splitlines()[0]
    assert re.match(r"roughly, from the size of the files: 144 tokens, .+ after counting", first)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("std::bad_alloc"), "out of memory: use --max-vocab"),
        (RuntimeError("[enforce fail] can't allocate memory: 9 bytes"), "out of memory"),
        (RuntimeError("can't start new thread"), "no thread could be started"),
        (ImportError("x.so: failed to map segment from shared object"), "out of memory"),
        (OSError(12, "Cannot allocate memory"), "out of memory"),
    ],
)
def test_what_lacks_is_one_line_and_exit_5(good, tmp_path, monkeypatch, error, said):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(forecasting, "say_roughly", fails)
    result = call("train", good, "-o", tmp_path / "run", *FLAGS)
    assert (result.exit_code, result.stderr.count("\n")) == (5, 1), result.output
    assert result.stderr.startswith(f"exact2vec: {said}")


def test_check_looks_over_text_and_trains_nothing(tmp_path):
    lines = ["Tea tea milk café cafe\u0301 paypal", "pаypal tea Tea milk rye"] * 6
    (tmp_path / "a.txt").write_text("\n".join(lines))
    before = sorted(tmp_path.iterdir())
    result = call("check", tmp_path / "a.txt", "--tokens", "space", "--min-count", "7", *FLAGS)
    assert result.exit_code == 0, result.output
    assert "forecast: " in result.stderr
    rows = dict(re.findall(r"^(\d+)(?: \(chosen\))? +(\d+) ", result.stdout, re.M))
    assert (rows["5"], rows["7"], rows["20"]) == ("8", "3", "0")
    assert re.search(r"^7 \(chosen\) +3 +45\.45 %$", result.stdout, re.M), result.stdout
    assert "differ in case alone: 'Tea', 'tea'" in result.stdout.replace('"', "'")
    assert sorted(tmp_path.iterdir()) == before


def test_check_names_words_of_other_letters(tmp_path):
    (tmp_path / "a.txt").write_text("paypal pаypal café cafe\u0301 milk\n" * 9)
    shown = call("check", tmp_path / "a.txt", "--tokens", "space", *FLAGS).stdout
    assert "differ in normal form alone: 'cafe\u0301', 'café'" in shown
    assert "differ in letters alone: 'paypal', 'pаypal'" in shown


def test_check_says_what_train_would_refuse(many, little_room):
    result = call("check", many, "--min-count", "1")
    assert result.exit_code == 0, result.output
    assert "train would refuse this: this would take about" in result.stderr
    assert re.search(r"^1 \(chosen\) +29,\d\d\d +0\.00 %$", result.stdout, re.M)


def test_check_says_so_too_where_counting_fits_and_training_does_not(good, monkeypatch):
    monkeypatch.setattr(machine, "room", lambda: machine.Room(1000, "the container"))
    monkeypatch.setattr(forecasting, "refuse_words", lambda request: lambda tokens, words: None)
    result = call("check", good, "--min-count", "2", *FLAGS)
    assert result.exit_code == 0, result.output
    assert "forecast: " in result.stderr
    assert "train would refuse this: this would take about" in result.stderr


def test_check_of_large_text_counts_a_sample_and_says_so(many, monkeypatch):
    monkeypatch.setattr(checking, "SAMPLED", 50_000)
    result = call("check", many, "--min-count", "1", *FLAGS)
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("a sample: the first 0 million characters of about 0 million")
    assert re.search(r"^1 \(chosen\) +[5-9],\d\d\d ", result.stdout, re.M), result.stdout


def test_check_of_counts_and_of_a_run(run, tmp_path):
    e2v.Counts.from_matrix(np.ones((30, 40))).save(tmp_path / "counts")
    verified = call("check", run, tmp_path / "counts")
    assert verified.stderr.count("every file is as it was written") == 2
    assert "bytes  vectors.safetensors" in verified.stdout
    foreseen = call("check", tmp_path / "counts", *FLAGS)
    assert foreseen.exit_code == 0, foreseen.output
    assert "forecast: " in foreseen.stderr


def test_pairs_of_baskets_that_cannot_be_held_are_refused_before_they_are_counted(
    tmp_path, monkeypatch
):
    from exact2vec.train import item_training

    monkeypatch.setattr(item_training, "credit_counts", lambda *_, **__: pytest.fail("counted"))
    monkeypatch.setattr(machine, "room", lambda: machine.Room(1_000_000, "the container"))
    (tmp_path / "baskets.txt").write_text("a b c\nb c d\n" * 40)
    result = call("train", tmp_path / "baskets.txt", "--kind", "baskets", "-o", tmp_path / "run")
    assert result.exit_code == 5, result.output
    assert "the container leaves 1 MB: use a larger --min-count, or --max-vocab; " in result.stderr
    looked = call("check", tmp_path / "baskets.txt", "--kind", "baskets")
    assert looked.exit_code == 0, looked.output
    assert "GB while pairs are counted" in looked.stderr
    assert "train would refuse this: this would take about" in looked.stderr


def test_the_cells_of_pairs_are_foreseen_from_some_items():
    from scipy.sparse import csr_array

    from exact2vec.forecast.pairs import SAMPLED, expected_cells

    random = np.random.default_rng(0)
    popularity = 1 / np.arange(2, 2502)
    drawn = random.random((3000, 2500)) < 6 * popularity / popularity.sum()
    baskets = csr_array(drawn.astype(float))
    baskets = baskets[:, np.argsort(-baskets.sum(0))]
    together = (baskets.T @ baskets).tocsr()
    true = together.nnz - np.count_nonzero(together.diagonal())
    assert baskets.shape[1] > 4 * SAMPLED
    assert abs(expected_cells(baskets) / true - 1) < 0.1
