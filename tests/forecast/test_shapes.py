"""Sizes of a training: those that are counted are those that the training meets."""

import numpy as np
import pytest

import exact2vec as e2v
from exact2vec.counts.features import Describer, ngrams
from exact2vec.counts.ngram_sizes import ngram_sizes
from exact2vec.forecast.shapes import Shapes, block_cells, shapes_of, visited_cells
from exact2vec.train.row_schedule import visits

WORDS = ["sun", "sung", "unsung", "été", "e\u0301té", "a", "aa", "aaaa", "日本", "sun-sun"]


@pytest.mark.parametrize(("min_n", "max_n"), [(3, 6), (1, 2), (2, 2), (5, 9), (3, 2**63)])
def test_ngram_sizes_are_those_of_a_describer(min_n, max_n):
    describer, features = Describer.learn(WORDS, min_n=min_n, max_n=max_n)
    spelled = [ngrams(word, min_n, max_n) for word in WORDS]
    assert ngram_sizes(WORDS, min_n, max_n) == (
        describer.size,
        features.nnz,
        sum(map(len, spelled)),
        len(set().union(*spelled)),
    )


def made_counts(rows, columns):
    """Counts with more cells in the first rows, as of frequent words, and one in each at least."""
    random = np.random.default_rng(3)
    share = 1 / np.sqrt(np.arange(1, rows + 1))[:, None]
    return e2v.Counts.from_matrix(
        (random.random((rows, columns)) < share).astype(int) + np.eye(rows, columns, dtype=int)
    )


def test_visited_cells_are_those_of_an_epoch():
    counts = made_counts(300, 200)
    cells = np.diff(counts.training.indptr)
    totals = cells.astype(float)  # so that the frequent contexts are those with the most cells
    visited = sum(cells[visit.contexts].sum() for visit in visits(totals, 2, 50, seed=1))
    assert visited_cells(counts.training) == pytest.approx(visited / 2, rel=0.02)


def test_the_block_with_the_most_cells_is_of_all_parts():
    training = made_counts(600, 30).training
    other = training[::-1].tocsr()
    both = np.diff(training.indptr) + np.diff(other.indptr)
    wanted = max(both[start : start + 256].sum() for start in range(0, 600, 256))
    assert block_cells([training, other]) == wanted


@pytest.mark.parametrize(
    ("epochs", "exact_every"), [(0, None), (3, None), (3, 0), (5, 2), (4, 2), (1, 3)]
)
def test_sweeps_and_estimates_are_those_that_fit_makes(epochs, exact_every):
    counts = made_counts(40, 30)
    options = dict(vector_size=3, epochs=epochs, exact_every=exact_every)
    shapes = shapes_of(counts, **options)
    measured = [record.training for record in e2v.fit(counts, **options) if record.training]
    exact = sum(losses.standard_error is None for losses in measured)
    assert (shapes.sweeps, shapes.estimates) == (exact, len(measured) - exact)


def test_shapes_of_text_are_those_of_its_training():
    nouns = ["sun", "sung", "moon", "moons", "dog", "dogs", "cat", "cats"]
    texts = [[*nouns[number % 5 :], str(number)] for number in range(60)]
    counts = e2v.count_text(texts, held_out=0.2, validation=0.1)
    shapes = shapes_of(counts, vector_size=9, threads=3, max_n=4)
    *_, last = e2v.fit(counts, vector_size=9, epochs=1, max_n=4)
    assert last.state.inputs.shape == (shapes.contexts, shapes.dim)
    assert last.state.output_rows.shape == (shapes.words, shapes.width)
    assert len(last.state.shrinkage.maps[0]) == shapes.inputs.features
    assert shapes.other_cells == counts.held_out.nnz + counts.validation.nnz
    assert (shapes.other_parts, shapes.threads, shapes.square) == (2, 3, True)


def test_epochs_that_are_chosen_are_the_most_that_there_may_be():
    counts = e2v.count_text([["sun", "moon"], ["dog", "cat"]] * 30, validation=0.3)
    shapes = shapes_of(counts, epochs="auto", max_epochs=7)
    assert (shapes.epochs, shapes.sweeps, shapes.estimates) == (7, 8, 0)


def test_shapes_alone_are_enough():
    """Whoever has other kinds of counts plugs in with numbers."""
    from exact2vec.forecast import memory

    small = Shapes(contexts=2000, words=1000, cells=30_000, dim=20, square=False)
    large = Shapes(contexts=200_000, words=1000, cells=3_000_000, dim=20, square=False)
    assert memory.peak(large) > 20 * (memory.peak(small) - memory.SMALL)
