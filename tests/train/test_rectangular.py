"""Training on counts whose rows and columns are not the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from exact2vec.counts.counts import Counts
from exact2vec.counts.features import Features
from exact2vec.errors import InputError, UsageError
from exact2vec.estimator import Exact2Vec
from exact2vec.loss.formulas import Pull, count_nll, entropy_floor, objective
from exact2vec.parallel import Workers
from exact2vec.train import spectral_start as start
from exact2vec.train.fit import fit
from exact2vec.train.problem import row_weights
from exact2vec.vectors.evaluate import losses
from exact2vec.vectors.vectors import load


def table(contexts, words, pairs=40.0, rank=2, seed=0):
    """Counts that a model of this rank expects: integers, more in some rows than in others."""
    random = np.random.default_rng(seed)
    scores = random.standard_normal((contexts, rank)) @ random.standard_normal((rank, words))
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    totals = pairs * words * random.uniform(0.2, 3, (contexts, 1))
    return random.poisson(totals * shares)


def last(matrix, **how):
    how = {"vector_size": 3, "epochs": 3, "prior": None, **how}
    *_, record = fit(matrix if isinstance(matrix, Counts) else Counts.from_matrix(matrix), **how)
    return record


def in_float64(state):
    return [value.double() for value in (state.inputs, state.outputs, state.bias)]


def least_nll(dense, dim, seed=1):
    """The NLL that L-BFGS ends with, from random vectors."""
    generator = torch.Generator().manual_seed(seed)
    leaves = [
        torch.randn(*size, generator=generator, dtype=torch.float64).mul_(0.3).requires_grad_()
        for size in ((dense.shape[0], dim), (dense.shape[1], dim), (dense.shape[1],))
    ]
    optimizer = torch.optim.LBFGS(leaves, max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = count_nll(*leaves, dense)
        value.backward()
        return value

    optimizer.step(loss)
    return count_nll(*leaves, dense).item()


@pytest.mark.parametrize("shape", [(30, 7), (9, 41)], ids=["more rows", "more columns"])
def test_training_comes_near_the_optimum_and_its_loss_is_the_formula(shape):
    matrix = table(*shape)
    record = last(matrix, epochs=60, row_power=1.0, exact_every=0)
    dense = torch.from_numpy(matrix).double()
    nll = count_nll(*in_float64(record.state), dense).item()
    assert record.losses.nll == pytest.approx(nll, rel=1e-6)
    floor = entropy_floor(dense).item()
    assert record.losses.floor == pytest.approx(floor, rel=1e-9)
    least = least_nll(dense, 3)
    assert floor < least
    assert nll - least < 1e-3  # of the 0.3 below the unigram


def test_the_start_is_the_weighted_positive_pmi_from_both_sides():
    counts = csr_array(table(11, 6, pairs=3.0).astype(np.float32))
    dense = counts.toarray().astype(float)
    with Workers(2) as workers:
        found = start.spectral_start(counts, 6, seed=1, workers=workers)
    totals = np.outer(dense.sum(axis=1), dense.sum(axis=0)) / dense.sum()
    with np.errstate(divide="ignore"):
        pmi = np.maximum(0, np.log(dense / totals))
    products = (found.inputs @ found.outputs.T).numpy()
    np.testing.assert_allclose(products, start.STRETCH * pmi, rtol=0, atol=1e-4)
    torch.testing.assert_close(
        found.bias.exp(), torch.from_numpy(dense.sum(axis=0)).float() / dense.sum()
    )


def test_a_start_of_small_rank_keeps_the_largest_singular_values():
    counts = csr_array(table(40, 25, pairs=2.0, rank=6).astype(np.float32))
    with Workers(1) as workers:
        sums = (np.asarray(counts.sum(axis=axis), np.float64).ravel() for axis in (1, 0))
        rows, columns = map(start.Margin.of, sums)
        matrix = start.weighted_pmi(counts, rows, columns, workers)
        found = start.singular_vectors(matrix, 4, np.random.default_rng(1), workers)
    sizes = np.linalg.svd(matrix.toarray().astype(float), compute_uv=False)
    error = np.linalg.norm(matrix - (found.left * found.sizes) @ found.right.T)
    # the sketch holds 12 columns more than are kept: what it misses is a small part of the rest
    assert error < 1.01 * np.linalg.norm(sizes[4:])
    np.testing.assert_allclose(found.sizes, sizes[:4], rtol=1e-2)


@pytest.mark.parametrize("size", [(1, 5), (5, 1), (1, 1), (40, 300)])
def test_results_do_not_depend_on_threads(size):
    matrix = table(*size, rank=1)
    one, two = (last(matrix, threads=threads, vector_size=2) for threads in (1, 2))
    assert torch.equal(one.state.inputs, two.state.inputs)
    assert torch.equal(one.state.output_rows, two.state.output_rows)
    assert one.losses == two.losses


def test_a_symmetric_matrix_with_other_names_is_trained_as_with_the_same_names():
    half = np.triu(table(12, 12))
    names = [f"n{number}" for number in range(12)]
    square = last(Counts.from_matrix(half + half.T, rows=names, columns=names))
    other = last(half + half.T)
    assert torch.equal(square.state.inputs, other.state.inputs)
    assert torch.equal(square.state.outputs, other.state.outputs)


def test_a_square_matrix_that_is_not_symmetric_starts_from_both_sides():
    """The ring a → b → c → a has the row totals of its transpose."""
    ring = np.roll(np.eye(9), 1, axis=1) * 30 + 1
    names = [f"n{number}" for number in range(9)]
    assert not start.is_symmetric(csr_array(ring.astype(np.float32)))
    first = next(fit(Counts.from_matrix(ring, names, names), vector_size=9, prior=None))
    scores = (first.state.inputs @ first.state.outputs.T).numpy()
    assert (scores.argmax(axis=1) == ring.argmax(axis=1)).all()


def test_rows_without_counts_and_vectors_longer_than_the_smaller_side():
    matrix = table(9, 5)
    matrix[4] = 0
    matrix[:, 2] = 0
    record = last(matrix, vector_size=50, epochs=4)
    assert not record.state.inputs[:, 5:].any()
    assert not record.state.outputs[:, 5:].any()
    assert torch.isfinite(record.state.inputs).all()
    dense = torch.from_numpy(matrix).double()
    expected = count_nll(*in_float64(record.state), dense).item()
    assert record.losses.nll == pytest.approx(expected, rel=1e-6)
    shrunk = last(matrix, prior=(30, 30), epochs=4)
    assert not shrunk.state.inputs[4].any()  # without features, the mean of every row is 0


def test_one_column_is_always_right():
    record = last(table(5, 1), prior=(15, 50))
    assert record.losses.nll == 0


def test_features_of_rows_and_of_columns_make_the_means():
    matrix = table(24, 8)
    counts = Counts.from_matrix(matrix)
    random = np.random.default_rng(0)
    sides = tuple(
        Features(csr_array(random.integers(0, 2, (len(names), size))), names, list("abcdef")[:size])
        for names, size in ((counts.rows, 3), (counts.columns, 2))
    )
    record = last(counts, prior=(15, 50), features=sides, epochs=6)
    shrinkage = record.state.shrinkage
    assert [len(map_) for map_ in shrinkage.maps] == [3, 2]
    for pull, map_, side in zip(shrinkage.pulls, shrinkage.maps, sides, strict=True):
        means = side.matrix.toarray() @ map_.numpy()
        np.testing.assert_allclose(pull.means.numpy(), means, rtol=1e-4, atol=1e-6)
    dense = torch.from_numpy(matrix).double()
    pulls = tuple(
        Pull(pull.strength, pull.means.double(), pull.metric.double()) for pull in shrinkage.pulls
    )
    assert [pull.strength for pull in pulls] == [15, 50]
    expected = objective(
        *in_float64(record.state), dense, row_weights(dense.sum(dim=1), 0.75), pulls
    )
    assert record.losses.objective == pytest.approx(expected.item(), rel=1e-6)

    only_rows = last(counts, prior=(15, 50), features=(sides[0], None))
    assert only_rows.state.shrinkage.pulls[0].means.any()
    assert not only_rows.state.shrinkage.pulls[1].means.any()


def test_what_does_not_fit_says_what_to_do():
    counts = Counts.from_matrix(table(6, 4))
    features = Features(csr_array(np.eye(6)), counts.rows, list("abcdef"))
    with pytest.raises(UsageError, match=r"give two e2v\.Features"):
        next(fit(counts, features=features))
    with pytest.raises(InputError, match="4 of the 4 trained rows"):
        next(fit(counts, features=(features, features)))
    square = Counts.from_matrix(np.ones((6, 6)), counts.rows, counts.rows)
    with pytest.raises(UsageError, match=r"give one e2v\.Features"):
        next(fit(square, features=(features, features)))
    with pytest.raises(UsageError, match="give a number of epochs, or put some"):
        next(fit(counts, epochs="auto"))


def test_epochs_are_chosen_by_counts_that_were_put_aside():
    matrix = table(20, 9, pairs=2.0, rank=6)
    aside = np.random.default_rng(1).binomial(matrix, 0.3)
    counts = replace(Counts.from_matrix(matrix - aside), validation=csr_array(aside))
    record = last(counts, epochs="auto", max_epochs=40, vector_size=8)
    assert 2 < record.epoch < 40
    assert record.validation is not None


def test_the_estimator_from_a_scipy_matrix_to_a_folder_and_back(tmp_path):
    matrix = csr_array(table(20, 7))
    model = Exact2Vec(vector_size=3, epochs=30, prior=(2.0, 2.0), row_power=1.0).fit(matrix)
    floor = entropy_floor(torch.from_numpy(matrix.toarray()).double()).item()
    nll = model.history_[-1]["nll"]
    assert floor < nll < floor + 0.02
    assert model.score(matrix) == pytest.approx(-nll, rel=1e-9)
    assert (model.wv.rows[0], model.wv.columns[-1]) == ("row 0", "column 6")

    # of rows that were trained on, the fold-in finds the likelihoods again: both are near optima
    folded = model.wv.log_softmax(model.transform(matrix))
    refitted = -(matrix.toarray() * folded).sum() / matrix.sum()
    assert abs(refitted - nll) < 0.01

    model.save(tmp_path / "run")
    again = load(tmp_path / "run")
    for name in ("inputs", "outputs", "bias"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model.wv, name))
    assert (again.rows, again.columns) == (model.wv.rows, model.wv.columns)
    training, held_out = losses(again, Counts.load(tmp_path / "run"))
    assert training.nll == pytest.approx(nll, rel=1e-12)
    assert training.floor == pytest.approx(floor, rel=1e-9)
    assert held_out is None
