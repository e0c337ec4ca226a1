"""The embedding: aligned, leaning, flattened; what changes no probability changes no neighbour."""

import itertools

import numpy as np
import pytest
from safetensors.numpy import load_file

from exact2vec.storage import run_folder, schema
from exact2vec.storage.encoding import write_arrays
from exact2vec.vectors.embedding import Embedding, nearest_rotation, negative_power

RANDOM = np.random.default_rng(0)
SIZE, DIM = 40, 5


def sides(size=SIZE, dim=DIM):
    return tuple(RANDOM.standard_normal((size, dim)).astype(np.float32) for _ in range(2))


def rotation_matrix(dim=DIM):
    return np.linalg.qr(RANDOM.standard_normal((dim, dim)))[0]


def cosines(rows):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit @ unit.T


def by_definition(x, u, composed, leaning, exponent):
    """The equations of the module, by the singular value decomposition of whole matrices."""
    x, u = (
        side.astype(float) + leaning * more for side, more in zip((x, u), composed, strict=True)
    )
    x, u = (side - side.mean(axis=0) for side in (x, u))
    left, _, right = np.linalg.svd(u.T @ x)
    x, u = (side / np.sqrt((side**2).sum(axis=1).mean()) for side in (x, u))
    m = x + u @ left @ right
    m -= m.mean(axis=0)
    _, spread, axes = np.linalg.svd(m / np.sqrt(len(m)), full_matrices=False)
    return m @ axes.T @ np.diag(spread**-exponent) @ axes


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("leaning", [0.0, 0.7])
def test_it_is_what_the_equations_say(leaning, exponent):
    (x, u), composed = sides(), sides()
    embedding = Embedding.of_words((x, u), composed, leaning=leaning, exponent=exponent)
    expected = by_definition(x, u, composed, leaning, exponent)
    np.testing.assert_allclose(embedding.rows((x, u), composed), expected, atol=2e-5)


def test_the_rotation_is_the_nearest_one():
    matrix = RANDOM.standard_normal((4, 4))
    best = nearest_rotation(matrix)
    np.testing.assert_allclose(best @ best.T, np.eye(4), atol=1e-12)
    for _ in range(50):
        assert (rotation_matrix(4) * matrix).sum() <= (best * matrix).sum()


def test_outputs_that_are_turned_inputs_are_turned_back():
    x, _ = sides()
    turned = (x @ rotation_matrix()).astype(np.float32)
    found = Embedding.of_words((x, turned), None, exponent=0.0).rows((x, turned), None)
    twice = 2 * (x - x.mean(axis=0)) / np.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=1).mean())
    np.testing.assert_allclose(found, twice, atol=1e-5)


def test_what_changes_no_probability_changes_no_cosine():
    """A vector added to every output, and one matrix on the inputs whose inverse is on the outputs
    where it is a rotation."""
    x, u = sides()
    plain = Embedding.of_words((x, u), None).rows((x, u), None)
    moved = x, u + np.float32([3, -1, 0.5, 2, 0])
    turn = rotation_matrix()
    turned = (x @ turn).astype(np.float32), (u @ turn).astype(np.float32)
    for changed in (moved, turned):
        found = Embedding.of_words(changed, None).rows(changed, None)
        np.testing.assert_allclose(cosines(found), cosines(plain), atol=1e-5)


def test_an_axis_without_variance_stays_empty():
    covariance = np.diag([4.0, 1.0, 0.0])
    np.testing.assert_allclose(negative_power(covariance, 0.25), np.diag([0.5**0.5, 1, 0]))
    assert not negative_power(np.zeros((2, 2)), 0.25).any()
    x, u = sides()
    x[:, 3:], u[:, 3:] = 0, 0
    found = Embedding.of_words((x, u), None).rows((x, u), None)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, 3:], 0, atol=1e-6)


def test_a_constant_takes_the_place_of_the_least_axis():
    (x, u), composed = sides(), sides()
    plain = Embedding.of_words((x, u), composed).rows((x, u), composed).astype(float)
    embedding = Embedding.of_words((x, u), composed, level=0.3)
    found = embedding.rows((x, u), composed)
    values, axes = np.linalg.eigh(plain.T @ plain)
    assert values[0] < 0.95 * values[1]  # which axis it is can be told
    axis = axes[:, 0]
    constant = 0.3 * np.linalg.norm(plain, axis=1).mean()
    rest = plain - np.outer(plain @ axis, axis)
    np.testing.assert_allclose(found @ rest.T, rest @ rest.T, atol=1e-4)
    np.testing.assert_allclose(np.abs(found @ axis), constant, rtol=1e-4)
    inner = rest @ rest.T + constant**2
    lengths = np.sqrt(np.diag(inner))
    np.testing.assert_allclose(cosines(found), inner / np.outer(lengths, lengths), atol=1e-4)
    x[7], u[7] = 0, 0
    assert not embedding.rows((x, u), None)[7].any()


def test_a_folder_without_a_constant_has_none(tmp_path):
    x, u = sides()
    embedding = Embedding.of_words((x, u), None)
    with run_folder.create(tmp_path / "run", kind="vectors", force=False) as part:
        embedding.write(part)
        arrays = load_file(part / schema.Embedding.file)
        del arrays["constant"]
        write_arrays(part / schema.Embedding.file, arrays)
    again = Embedding.read(run_folder.open_run(tmp_path / "run"), DIM)
    np.testing.assert_array_equal(again.constant, np.zeros(DIM))
    np.testing.assert_array_equal(again.rows((x, u), None), embedding.rows((x, u), None))


def test_words_of_which_nothing_is_known_stay_zero():
    x, u = sides()
    x[7], u[7] = 0, 0
    found = Embedding.of_words((x, u), None).rows((x, u), None)
    assert not found[7].any()
    assert found[np.arange(SIZE) != 7].any(axis=1).all()


def test_rows_are_mapped_one_by_one_and_in_blocks_alike():
    x, u = sides(9000, 3)
    embedding = Embedding.of_words((x, u), None)
    found = embedding.rows((x, u), None)
    for row in (0, 4095, 4096, 8999):
        one = embedding.rows((x[row : row + 1], u[row : row + 1]), None)
        np.testing.assert_allclose(one[0], found[row], rtol=1e-5, atol=1e-6)


def test_inputs_alone_are_taken_for_both_sides():
    x, _ = sides()
    u = (x @ rotation_matrix()).astype(np.float32)
    embedding = Embedding.of_words((x, u), None)
    np.testing.assert_allclose(embedding.rows_of_inputs(x), embedding.rows((x, u), None), atol=1e-5)


def test_a_run_folder_keeps_it(tmp_path):
    x, u = sides()
    embedding = Embedding.of_words((x, u), None)
    with run_folder.create(tmp_path / "run", kind="vectors", force=False) as part:
        embedding.write(part)
    again = Embedding.read(run_folder.open_run(tmp_path / "run"), DIM)
    np.testing.assert_array_equal(again.rows((x, u), None), embedding.rows((x, u), None))


def test_both_sides_of_the_same_words_count_alike():
    """Inputs and outputs may change places: symmetric counts do not say which is which."""
    x, u = sides()
    one, other = (
        Embedding.of_words(pair, None).rows(pair, None) for pair in itertools.permutations((x, u))
    )
    np.testing.assert_allclose(cosines(one), cosines(other), atol=1e-5)
