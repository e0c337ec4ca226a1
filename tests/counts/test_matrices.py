"""Counts of any matrix: rectangular or square, of integers or real numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array, csr_array

from exact2vec.counts.counting import count_text
from exact2vec.counts.counts import Counts
from exact2vec.counts.weighting import WindowWeighting
from exact2vec.errors import InputError, UsageError
from exact2vec.loss.formulas import count_nll
from exact2vec.train.fit import fit

TABLE = np.array([[2, 0, 1, 0], [0, 3, 0, 0], [4, 0, 0, 5]])
PEOPLE, THINGS = ["ann", "bob", "cy"], ["tea", "milk", "salt", "rye"]


def test_a_rectangular_matrix_has_rows_and_columns():
    counts = Counts.from_matrix(csr_array(TABLE), rows=PEOPLE, columns=THINGS)
    assert (counts.rows, counts.columns, counts.square) == (PEOPLE, THINGS, False)
    assert counts.training.data.dtype == np.int64
    assert counts.vocabulary.counts.tolist() == [6, 3, 1, 5]
    assert counts.contexts.counts.tolist() == [3, 3, 9]
    np.testing.assert_array_equal(counts.weigh(counts.training).toarray(), TABLE)
    np.testing.assert_allclose(counts.unigram, np.array([6, 3, 1, 5]) / 15)
    assert "cells counted" in counts._repr_html_()


def test_names_of_its_own_are_never_square():
    counts = Counts.from_matrix(np.eye(3))
    assert not counts.square
    assert counts.rows[1:] == ["row 1", "row 2"]
    assert counts.columns[1:] == ["column 1", "column 2"]
    assert Counts.from_matrix(np.eye(3), rows=PEOPLE, columns=PEOPLE).square


def test_entries_that_stand_twice_are_summed_and_the_matrix_is_left_alone():
    twice = coo_array((np.array([100, 100], np.int8), ([0, 0], [1, 1])), shape=(1, 2))
    counts = Counts.from_matrix(twice)
    assert counts.training.toarray().tolist() == [[0, 200]]
    assert twice.data.tolist() == [100, 100]


def test_real_counts_stay_exact_and_come_back(tmp_path):
    counts = replace(
        Counts.from_matrix(TABLE / 3, rows=PEOPLE, columns=THINGS),
        held_out=csr_array(TABLE / 7),
    )
    counts.save(tmp_path / "counts")
    again = Counts.load(tmp_path / "counts")
    assert (again.rows, again.columns, again.weighting) == (PEOPLE, THINGS, counts.weighting)
    np.testing.assert_array_equal(again.training.toarray(), TABLE / 3)
    np.testing.assert_array_equal(again.contexts.counts, counts.contexts.counts)
    assert again.held_out_digest == counts.held_out_digest
    other = replace(counts, held_out=csr_array(TABLE / 8))
    assert other.held_out_digest != counts.held_out_digest


def test_matrices_with_the_same_names_merge():
    one, other = (
        Counts.from_matrix(table, rows=PEOPLE, columns=THINGS) for table in (TABLE, 2 * TABLE)
    )
    merged = one.merge(other)
    np.testing.assert_array_equal(merged.training.toarray(), 3 * TABLE)
    assert merged.contexts.counts.tolist() == [9, 9, 27]
    assert merged.vocabulary.counts.tolist() == [18, 9, 3, 15]
    with pytest.raises(UsageError, match="differ in rows"):
        one.merge(Counts.from_matrix(TABLE, rows=["x", "y", "z"], columns=THINGS))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, -1]], "values must be finite, from 0"),
        ([[1, np.nan]], "values must be finite, from 0"),
        ([[0, 0]], "nothing but zeros"),
        ([[1j, 0]], "values must be real numbers"),
        ([1, 2], "wanted a matrix; got 1 dimension"),
    ],
)
def test_what_is_no_matrix_of_counts_is_refused(matrix, message):
    with pytest.raises(InputError, match=message):
        Counts.from_matrix(np.array(matrix))
    with pytest.raises(InputError, match="there are 2 row names and 4 column names"):
        Counts.from_matrix(TABLE, rows=["a", "b"], columns=THINGS)


def test_a_square_matrix_is_trained_on_and_its_loss_is_the_formula():
    random = np.random.default_rng(3)
    half = np.triu(random.poisson(2.0, (9, 9)) * random.random((9, 9)))
    names = [f"n{number}" for number in range(9)]
    counts = Counts.from_matrix(half + half.T, rows=names, columns=names)
    *_, last = fit(counts, vector_size=3, epochs=2)
    state = last.state
    tensors = [value.double() for value in (state.inputs, state.outputs, state.bias)]
    expected = count_nll(*tensors, torch.from_numpy(half + half.T)).item()
    assert last.losses.nll == pytest.approx(expected, rel=1e-6)


def test_the_counts_of_a_text_are_those_of_its_matrix():
    text = count_text(["sun moon sky", "dog cat", "moon sky"] * 5, held_out=0)
    other = Counts.from_matrix(
        text.training, rows=text.words, columns=text.words, weighting=WindowWeighting(5, 0)
    )
    plain = count_text(["sun moon sky", "dog cat", "moon sky"] * 5, held_out=0, sample=0)
    assert (other.weigh(other.training) != plain.weigh(plain.training)).nnz == 0


def test_rows_and_columns_are_weighted_each_by_their_own_counts():
    counts = Counts.from_matrix(TABLE, weighting=WindowWeighting(2, 0.01))
    weighted = counts.weigh(counts.training).toarray().astype(np.float64)
    row_keep, keep = np.array(counts.row_keep)[:, None], np.array(counts.keep)
    assert len({*row_keep.ravel(), *keep}) > 4
    np.testing.assert_allclose(weighted, TABLE / 2 * row_keep * keep, rtol=1e-6)
    shares = weighted.sum(axis=0) / weighted.sum()
    np.testing.assert_allclose(counts.unigram, shares, rtol=1e-6)
