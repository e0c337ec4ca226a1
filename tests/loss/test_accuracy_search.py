"""Adversarial searches: no scores make a loss or a gradient wrong by more than the stated units in
the last place, wherever the true value is a normal number. benchmarks/accuracy.py searches."""

import contextlib
import itertools
import warnings

import accuracy
import mpmath
import pytest
import torch
from accuracy import COUNTS, DTYPES, KINDS, LINEAR_KINDS, Problem
from hypothesis import given, settings, target
from hypothesis import strategies as st

import exact2vec as e2v

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta"),
    # scores of a search may be any numbers, those of probabilities among them
    pytest.mark.filterwarnings("ignore:every row is:exact2vec.errors.LossWarning"),
    pytest.mark.usefixtures("one_thread"),  # two took five times the processor time
]

LIMITS = {torch.float32: 3.0, torch.bfloat16: 0.51, torch.float16: 0.51}
TILED_LIMITS = {torch.float32: 5.0, torch.bfloat16: 0.51, torch.float16: 0.51}
LOSSES = [*((kind, False) for kind in KINDS), *((kind, True) for kind in LINEAR_KINDS)]
NAMES = [f"{'linear' if linear else 'dense'} {kind}" for kind, linear in LOSSES]

each_loss = pytest.mark.parametrize(("kind", "linear"), LOSSES, ids=NAMES)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
each_engine = pytest.mark.parametrize("engine", ["chosen", "tiled"])


def served_by(engine):
    """The engine that is chosen for a CPU, or another one by force."""
    if engine == "chosen":
        return contextlib.nullcontext()
    from exact2vec.loss.engine import forced, tiled

    return forced(tiled)


def limit(engine, dtype):
    return (LIMITS if engine == "chosen" else TILED_LIMITS)[dtype]


def hold(worst, most):
    """Loss and gradient are within the limit; the message says where they are not."""
    for what, found in zip(("loss", "gradient"), worst, strict=True):
        assert found.ulps <= most, f"{what}: {found.ulps:.4g} units at {found.where}"


# The truth --------------------------------------------------------------------------------------


def exact_row(scores, weights):
    """Loss and gradient of a row by mpmath with 60 digits."""
    with mpmath.workdps(60):
        z, t = ([mpmath.mpf(one) for one in row.tolist()] for row in (scores, weights))
        total = mpmath.fsum(mpmath.exp(one) for one in z)
        loss = mpmath.fsum(n * (mpmath.log(total) - one) for n, one in zip(t, z, strict=True))
        expected = [mpmath.fsum(t) * mpmath.exp(one) / total for one in z]
        return loss, [p - n for p, n in zip(expected, t, strict=True)]


@pytest.mark.parametrize("kind", ["index", "smoothing", "probabilities", "dense counts"])
@pytest.mark.parametrize("words", [3, 60])
def test_the_truth_is_true(kind, words):
    torch.manual_seed(0)
    for problem in accuracy.directed(kind, torch.float32, words, 6):
        true, weights = accuracy.truth(problem), accuracy.asked(problem)
        row = int(torch.randint(len(weights), ()))
        loss, gradient = exact_row(problem.scores[row].double(), weights[row])
        assert abs(loss - mpmath.mpf(true.loss[row].item())) <= 1e-12 * abs(loss)
        for found, exact, size in zip(true.gradient[row], gradient, true.size[row], strict=True):
            error = abs(exact * problem.upstream - mpmath.mpf(found.item()))
            assert error <= 1e-12 * size.item()


def test_an_error_is_counted_in_units_of_the_last_place():
    one = torch.tensor([1.0, 1.0, 2.0, 1e-38])
    true = one.double() + torch.tensor([0, 2.0**-23, 2.0**-22, 1.0]).double()
    assert accuracy.ulps(one, true).tolist()[:3] == [0, 1, 1]
    assert accuracy.ulps(one, one.double() * 0 + 1e-39).tolist() == [0] * 4


# Known corners, and where torch loses them --------------------------------------------------------


def sparse_row(words, values, rest):
    """A row of `rest` but for the values {class: score}."""
    row = torch.full((1, words), rest)
    for word, value in values.items():
        row[0, word] = value
    return row


CORNERS = {
    "998 terms at gap 87.7": Problem(
        "index", sparse_row(1000, {0: 0.0, 1: -75.0}, -87.7), torch.tensor([0])
    ),
    "gap 88, 65,536 times": Problem(
        "index", torch.tensor([[0.0, -88.0]]), torch.tensor([0]), upstream=65536.0
    ),
    "a far tile, probabilities": Problem(
        "probabilities", sparse_row(1025, {0: 110.0}, 0.0), sparse_row(1025, {1024: 1.0}, 0.0)
    ),
    "a far tile, smoothing": Problem(
        "smoothing",
        torch.cat([torch.randn(1, 1024), torch.full((1, 1024), -1e4)], 1),
        torch.ones(1).long(),
    ),
    "a subnormal target with a class weight": Problem(
        "probabilities",
        torch.tensor([[-86.0, 0.0]]),
        torch.tensor([[2.0**-149, 1.0]]),
        torch.tensor([1.5, 0.5]),
    ),
    **{
        f"10¹⁵ at gap 90, {kind}": Problem(
            kind, torch.tensor([[0.0, -90.0]]), torch.tensor([[1e15, 0.0]])
        )
        for kind in COUNTS
    },
    **{
        f"a far tile, {kind}": Problem(
            kind, sparse_row(1025, {0: 110.0}, 0.0), sparse_row(1025, {1024: 1.0}, 0.0)
        )
        for kind in COUNTS
    },
}


# Where float32 cannot hold e^−gap or a target, and what multiplies it is large: docs/torch.md.
BEYOND = {
    ("a subnormal target with a class weight", "tiled"): 44,
    ("998 terms at gap 87.7", "tiled"): 11,
    ("10¹⁵ at gap 90, dense counts", "tiled"): 2**24,
    ("10¹⁵ at gap 90, CSR counts", "tiled"): 2**24,
    ("gap 88, 65,536 times", "linear"): 2**24,
    ("10¹⁵ at gap 90, dense counts", "linear"): 2**24,
    ("10¹⁵ at gap 90, CSR counts", "linear"): 2**24,
}


def most_wrong(corner, linear, engine):
    beyond = [BEYOND.get((corner, engine), 0), BEYOND.get((corner, "linear"), 0) * linear]
    return max(limit(engine, torch.float32), *beyond)


@each_engine
@pytest.mark.parametrize("linear", [False, True], ids=["dense", "linear"])
@pytest.mark.parametrize("corner", CORNERS)
def test_known_corners(corner, linear, engine):
    with served_by(engine):
        for wrong in accuracy.errors(e2v, CORNERS[corner], linear):
            assert float(wrong.amax()) <= most_wrong(corner, linear, engine)


def test_the_corners_are_corners():
    problem = CORNERS["gap 88, 65,536 times"]
    assert float(accuracy.errors(torch.nn.functional, problem)[1].amax()) > 1e6


# The search -------------------------------------------------------------------------------------


@pytest.mark.soak
@each_loss
@each_dtype
def test_no_scores_are_found_where_a_loss_is_wrong(kind, linear, dtype):
    hold(accuracy.search(e2v, kind, dtype, linear, within=linear), LIMITS[dtype])


@pytest.mark.soak
@each_loss
def test_no_scores_are_found_where_the_tiled_engine_is_wrong(kind, linear):
    with served_by("tiled"):
        found = accuracy.search(e2v, kind, torch.float32, linear, seed=1, within=True)
        hold(found, TILED_LIMITS[torch.float32])


@pytest.mark.soak
@pytest.mark.parametrize("kind", LINEAR_KINDS)
@each_dtype
def test_means_and_sums_over_a_million_rows(kind, dtype):
    hold(accuracy.search_means(e2v, kind, dtype), LIMITS[dtype])


def scores_of(words):
    """Scores of a row: one at 0, the others far below it, near it, or anywhere."""
    near = st.integers(0, 8).map(lambda n: -n * 2.0**-24)
    far = st.floats(-104, -80, width=32)
    others = st.one_of(far, near, st.floats(-60, 60, width=32))
    rest = st.lists(others, min_size=words - 1, max_size=words - 1)
    return rest.flatmap(lambda row: st.permutations([0.0, *row]))


@st.composite
def problems(draw):
    kind, dtype = draw(st.sampled_from(KINDS)), draw(st.sampled_from(DTYPES))
    words = draw(st.integers(2, 5))
    scores = torch.tensor([draw(scores_of(words))]).to(dtype)
    upstream = draw(st.sampled_from(accuracy.UPSTREAM[dtype]))
    wanted = draw(st.lists(st.integers(0, 9), min_size=words, max_size=words).filter(any))
    if kind in ("index", "smoothing", "nll of log_softmax"):
        return Problem(kind, scores, torch.tensor([wanted.index(max(wanted))]), None, upstream)
    counts = torch.tensor([wanted]).float()
    if kind in COUNTS:
        return Problem(kind, scores, counts * 10.0 ** draw(st.integers(0, 14)), None, upstream)
    return Problem(kind, scores, (counts / counts.sum()).to(dtype), None, upstream)


def search_with_hypothesis(engine, examples):
    @settings(max_examples=examples)
    @given(problems(), st.booleans())
    def check(problem, linear):
        dtype = problem.scores.dtype
        linear = linear and problem.kind in LINEAR_KINDS
        if linear or engine == "tiled":
            problem = accuracy.held(problem)
        wrong = accuracy.errors(e2v, problem, linear)
        worst = max(float(one.amax()) for one in wrong)
        target(min(worst, 1e9), label=str(dtype))
        assert worst <= limit(engine, dtype)

    with served_by(engine), warnings.catch_warnings():
        check()


@each_engine
def test_a_few_rows_of_hostile_scores(engine):
    search_with_hypothesis(engine, 100)


@pytest.mark.soak
@each_engine
def test_many_rows_of_hostile_scores(engine):
    search_with_hypothesis(engine, 4000)


@pytest.mark.parametrize(("kind", "reduction"), [*itertools.product(LINEAR_KINDS, ("sum", "mean"))])
def test_means_over_1467_rows(kind, reduction):
    torch.manual_seed(1467)
    for words in (2, 3):
        scores = torch.randn(1467, words) * 5
        target = accuracy.target_for(kind, scores)
        problem = Problem(kind, scores, target, None, 1.0, reduction)
        for wrong in accuracy.errors(e2v, problem):
            assert float(wrong.amax()) <= LIMITS[torch.float32]
