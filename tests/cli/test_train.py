"""The command `train`: no epochs, a rate that is too high, silence."""

import json

from command_line import GOOD, call, train


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


def test_a_wild_rate_keeps_the_last_good_vectors(tmp_path):
    (tmp_path / "good.txt").write_text(GOOD)
    result = train(tmp_path, tmp_path / "good.txt", "--min-count", "2", "--rate", "1e6")
    assert (result.exit_code, "lower --rate" in result.stderr) == (6, True), result.stderr
    assert call("evaluate", tmp_path / "run").exit_code == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["step"] == 0


def test_quiet_says_nothing(tmp_path):
    (tmp_path / "text.txt").write_text("a b a b\n" * 9)
    result = call("train", tmp_path / "text.txt", "-o", tmp_path / "run", "-q", "--held-out", "0")
    assert (result.exit_code, result.output) == (0, "")
