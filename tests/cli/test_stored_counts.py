"""Training on a folder of counts."""

import numpy as np
import pytest
from command_line import call

import exact2vec as e2v

TEXTS = [["sun", "moon", "star"], ["dog", "cat", "cow"]] * 15


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "counts"
    e2v.count_text(TEXTS, held_out=0, min_count=1).save(folder)
    return folder


def test_a_folder_of_counts_is_trained_on(counts, tmp_path):
    flags = "--vector-size", "2", "--epochs", "1", "--subwords", "no"
    result = call("train", counts, "-o", tmp_path / "run", *flags)
    assert result.exit_code == 0, result.output
    again = call("train", tmp_path / "run", "-o", tmp_path / "again", *flags)
    assert again.exit_code == 0, again.output
    stored = e2v.Counts.load(counts)
    *_, last = e2v.fit(stored, vector_size=2, epochs=1, max_n=0)
    for name in ("run", "again"):
        vectors = e2v.load(tmp_path / name)
        np.testing.assert_array_equal(vectors.inputs, last.state.inputs.numpy())


def test_flags_of_counting_and_other_inputs_contradict_it(counts, tmp_path):
    for more, message in (
        (["--window", "3"], "leave out --window"),
        ([counts], "trained on alone; got 2 inputs"),
    ):
        result = call("train", counts, *more, "-o", tmp_path / "run")
        assert (result.exit_code, message in result.stderr) == (2, True), result.output
    assert not (tmp_path / "run").exists()


def test_what_was_read_of_a_matrix_are_rows_and_columns():
    from exact2vec.cli.messages import opening

    wide = e2v.Counts.from_matrix(np.ones((3, 400)))
    assert opening(wide) == ["3 rows, 400 columns, 1.2 k counts in 1,200 cells, 0 cells held out"]
