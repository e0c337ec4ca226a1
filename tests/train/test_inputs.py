"""Contexts whose vectors are made of rows that they share, and scores by direction."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from exact2vec.errors import InputError, UsageError
from exact2vec.loss.count_losses import WeightedCounts
from exact2vec.loss.engine.cells import Outputs, Workspace
from exact2vec.loss.formulas import entropy_floor
from exact2vec.parallel import Workers
from exact2vec.train.fit import Course, records
from exact2vec.train.inputs import PLAIN, SHORTEST, ComposedRows, OwnRows, Score
from exact2vec.train.optimizers import AdamOfInputs, NaturalGradient, Optimizers
from exact2vec.train.problem import composed_problem
from exact2vec.train.row_schedule import PARTS
from exact2vec.train.spectral_start import Start
from exact2vec.train.steps import Rates, context_blocks, initial_state, step

CONTEXTS, ROWS, WORDS, DIM = 13, 7, 21, 3
SCORES = {
    "as they are": PLAIN,
    "with a temperature": Score(temperature=0.7),
    "by direction": Score(by_direction=True, temperature=0.2),
}
QUICK = {("adam", "by direction"), ("natural", "as they are")}  # the others wait for the soak
every_score = pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)


@dataclass(frozen=True)
class Remembered:
    """An optimiser that moves nothing: its memory is the sum of the gradients, in float64."""

    def init(self, rows):
        return (torch.zeros_like(rows, dtype=torch.float64),)

    def step(self, rows, gradient, memory, step):
        memory[0].add_(gradient)

    def finish(self, outputs, memory, step):
        pass


@dataclass(frozen=True)
class RememberedOfInputs:
    """The same for inputs: the slope a pair, times the pairs behind the row."""

    def init(self, around):
        return (torch.zeros_like(around.inputs, dtype=torch.float64),)

    def prepare(self, memory, number, around):
        return memory

    def step(self, inputs, moved, memory, step):
        memory[0][moved.rows] += moved.slopes.double() * moved.pairs[:, None]


ADAM = AdamOfInputs(0.05)
REMEMBERED = Optimizers(Remembered(), RememberedOfInputs())


def made_composition(seed=0, contexts=CONTEXTS, rows=ROWS):
    """Signed shares of some rows; the last context is made of nothing."""
    random = np.random.default_rng(seed)
    shares = random.uniform(-0.5, 1.5, (contexts, rows)) * (random.random((contexts, rows)) < 0.4)
    shares[-1] = 0
    return csr_array(shares.astype(np.float32))


def made_model(seed=0, leave_out=True):
    """Counts of a mean that is not zero: a context without any, a word never counted."""
    random = np.random.default_rng(5)
    counted = random.poisson(random.uniform(0, 2, (CONTEXTS, WORDS)))
    counted[3], counted[:, 1] = 0, 0
    counted[:, 2] += 2
    out = csr_array((random.random(counted.shape) < 0.3) & (counted == 0)) if leave_out else None
    counts = WeightedCounts(csr_array(counted.astype(np.float32)))
    return ComposedRows(counts, made_composition(seed), out)


def made_start(rows=ROWS):
    made = torch.Generator().manual_seed(7)
    inputs, outputs, bias = (
        torch.randn(*size, generator=made) + 0.3 for size in ((rows, DIM), (WORDS, DIM), (WORDS,))
    )
    return Start(inputs, outputs, bias)


def formula(v, u, b, model, weights, score):
    """Σ_c ω_c Σ_w n_cw (log Σ_k exp z_ck − z_cw), k over the words that are not left out."""
    x = dense(model.composition) @ v
    if score.by_direction:
        x, u = direction(x), direction(u)
    z = b + x @ u.T / score.temperature
    left = z if model.excluded is None else z.masked_fill(dense(model.excluded) != 0, -torch.inf)
    nll = left.logsumexp(dim=1, keepdim=True) - z
    return (weights[:, None] * dense(model.counts.matrix) * nll).sum()


def dense(matrix):
    return torch.from_numpy(matrix.toarray()).double()


def direction(vectors):
    length = vectors.norm(dim=1, keepdim=True)
    return vectors / length.masked_fill(length < SHORTEST, torch.inf)


def by_autograd(start, model, weights, score):
    leaves = [one.double().requires_grad_() for one in (start.inputs, start.outputs, start.bias)]
    return torch.autograd.grad(formula(*leaves, model, weights, score), leaves)


def rounding(start, model, weights, score):
    """How far float32 may be from the gradients of v, u and b: half a unit for each operation.

    Each gradient is a sum; the sum of its terms' sizes is followed through the same formula. A term
    is one of ω (N p + n). p is off by as much as two scores are, which are sums of DIM products of
    sums over rows; then follow the sums over words, contexts and rows.
    """
    v, u, b = (one.double() for one in (start.inputs, start.outputs, start.bias))
    x = dense(model.composition) @ v
    lengths = [torch.ones(len(one), 1).double() for one in (x, u)]
    if score.by_direction:
        lengths = [one.norm(dim=1, keepdim=True).clamp_min(SHORTEST) for one in (x, u)]
    x, u = ((one / length).abs() for one, length in zip((x, u), lengths, strict=True))
    largest = float((b.abs() + x @ u.T / score.temperature).max())
    counted = dense(model.counts.matrix)
    z = (
        b
        + (dense(model.composition) @ v / lengths[0])
        @ (start.outputs.double() / lengths[1]).T
        / score.temperature
    )
    left = z if model.excluded is None else z.masked_fill(dense(model.excluded) != 0, -torch.inf)
    terms = weights[:, None] * (counted.sum(dim=1, keepdim=True) * left.softmax(dim=1) + counted)
    of_x, of_u = (one / score.temperature for one in (terms @ u, terms.T @ x))
    if score.by_direction:
        of_x, of_u = (
            (sizes + one * (sizes * one).sum(dim=1, keepdim=True)) / length
            for sizes, one, length in zip((of_x, of_u), (x, u), lengths, strict=True)
        )
    operations = 2 * largest * (DIM + ROWS + 4) + WORDS + CONTEXTS + ROWS + 2 * DIM
    sizes = dense(abs(model.composition)).T @ of_x, of_u, terms.sum(dim=0)
    return [operations * torch.finfo(torch.float32).eps / 2 * one for one in sizes]


def used_gradients(problem, start, epochs=1):
    """∂/∂v, ∂/∂u and ∂/∂b that the steps of each epoch used, a part of an epoch."""
    state = initial_state(problem, REMEMBERED, start)
    for position, block in context_blocks(
        Course(epochs=epochs, block_rows=5).visits(problem), problem
    ):
        state = step(state, block, problem, REMEMBERED, Rates(1.0, 1.0))
        if position.ends_epoch:
            (inputs,), (rows,) = state.input_memory, state.output_memory
            assert not rows[:, DIM + 1 :].any()
            yield [one / PARTS for one in (inputs.clone(), *parted(rows))]
            inputs.zero_(), rows.zero_()


def parted(rows):
    outputs = Outputs(rows, DIM)
    return outputs.vectors.clone(), outputs.bias.clone()


def assert_near(found, expected, bounds):
    for name, one, other, bound in zip("vub", found, expected, bounds, strict=True):
        worst = ((one - other).abs() / bound.clamp_min(1e-30)).max()
        assert worst <= 1, f"∂/∂{name} is {worst:.3g} times as far off as rounding makes it"
        assert other.abs().max() > 1000 * bound.max(), "the bound says nothing"


@every_score
@pytest.mark.parametrize("leave_out", [False, True], ids=["all words", "some left out"])
def test_a_step_uses_the_gradients_of_the_formula(score, leave_out):
    model, start = made_model(leave_out=leave_out), made_start()
    with Workers(2) as workers:
        workspace = Workspace.of(workers, CONTEXTS, WORDS)
        problem = composed_problem(model, workspace, score=score)
        (found,) = used_gradients(problem, start)
    asked = model, problem.row_weights, score
    assert_near(found, by_autograd(start, *asked), rounding(start, *asked))


@every_score
def test_each_pass_uses_its_own_composition(score):
    first, start = made_model(), made_start()
    models = [replace(first, composition=made_composition(seed)) for seed in (1, 2, 3)]
    with Workers(2) as workers:
        workspace = Workspace.of(workers, CONTEXTS, WORDS)
        problem = composed_problem(first, workspace, score=score, passes=models.__getitem__)
        every = list(used_gradients(problem, start, epochs=3))
    for model, found in zip(models, every, strict=True):
        asked = model, problem.row_weights, score
        assert_near(found, by_autograd(start, *asked), rounding(start, *asked))


def tasted(score):
    """Counts drawn from a composed model of this score, with words left out."""
    random, contexts, rows, words = np.random.default_rng(3), 40, 6, 9
    v, u = (torch.from_numpy(random.standard_normal((size, 2))) for size in (rows, words))
    composition = csr_array(made_composition(4, contexts + 1, rows)[:contexts])
    x = dense(composition) @ v
    if score.by_direction:
        x, u = direction(x), direction(u)
    out = random.random((contexts, words)) < 0.2
    out[:, 0] = False
    scores = (x @ u.T / score.temperature).masked_fill(torch.from_numpy(out), -torch.inf)
    totals = random.uniform(150, 600, (contexts, 1))
    counted = csr_array(random.poisson(totals * scores.softmax(dim=1).numpy()).astype(np.float32))
    return ComposedRows(WeightedCounts(counted), composition, csr_array(out))


def trained(model, threads=2, epochs=100, inputs=ADAM, course=None, **how):
    """The measured records of a training."""
    course = {"vector_size": 2, "exact_every": 0, **(course or {})}
    with Workers(threads) as workers:
        workspace = Workspace.of(workers, *model.counts.shape)
        problem = composed_problem(model, workspace, **{"row_power": 1.0, **how})
        how_far = Course(epochs=epochs, optimizers=Optimizers(inputs=inputs), **course)
        return [record for record in records(problem, how_far) if record.training is not None]


def lowered(state, model, score):
    """The NLL of a state, and of where L-BFGS goes on to from there; nats a pair."""
    leaves = [one.double().requires_grad_() for one in (state.inputs, state.outputs, state.bias)]
    weights = torch.ones(model.counts.shape[0]).double()
    optimizer = torch.optim.LBFGS(leaves, max_iter=300, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = formula(*leaves, model, weights, score) / model.counts.total
        value.backward()
        return value.detach()

    first = loss().item()
    optimizer.step(loss)
    return first, loss().item()


OPTIMA = [
    pytest.param(
        score,
        inputs,
        nats,
        id=f"{how}, {name}",
        marks=() if (how, name) in QUICK else pytest.mark.soak,
    )
    for how, inputs, nats in (("adam", ADAM, 1e-6), ("natural", NaturalGradient(), 0.01))
    for name, score in SCORES.items()
]


@pytest.mark.parametrize(("score", "inputs", "nats"), OPTIMA)
def test_training_ends_near_an_optimum(score, inputs, nats):
    """Natural gradient has one metric for all rows; words that are left out are not in it."""
    model = tasted(score)
    first, *_, last = trained(model, score=score, inputs=inputs)
    nll, least = lowered(last.state, model, score)
    assert last.losses.nll == pytest.approx(nll, rel=1e-6)
    assert last.losses.floor == pytest.approx(entropy_floor(dense(model.counts.matrix)).item())
    assert last.losses.floor < least <= nll < least + nats
    assert least < first.losses.nll - 0.4


@every_score
def test_results_do_not_depend_on_threads(score):
    first = replace(made_model(), composition=made_composition(1))
    models = [first, replace(first, composition=made_composition(2))]
    one, *others = (
        trained(first, threads, 2, score=score, passes=models.__getitem__, row_power=0.75)
        for threads in (1, 2, 3)
    )
    for other in others:
        assert [record.losses for record in one] == [record.losses for record in other]
        assert torch.equal(one[-1].state.inputs, other[-1].state.inputs)
        assert torch.equal(one[-1].state.output_rows, other[-1].state.output_rows)


@every_score
@pytest.mark.parametrize("inputs", [AdamOfInputs(), NaturalGradient()], ids=["adam", "natural"])
def test_own_rows_are_composed_by_the_identity(score, inputs):
    counts = made_model().counts
    identity = csr_array(np.eye(CONTEXTS, dtype=np.float32))
    own, composed = (
        trained(
            model, epochs=3, score=score, inputs=inputs, row_power=0.75, course={"exact_every": 1}
        )
        for model in (OwnRows(counts), ComposedRows(counts, identity))
    )
    for one, other in zip(own, composed, strict=True):
        assert one.losses.nll == pytest.approx(other.losses.nll, rel=1e-6)
        assert one.losses.objective == pytest.approx(other.losses.objective, rel=1e-6)
        torch.testing.assert_close(one.state.inputs, other.state.inputs)
        torch.testing.assert_close(one.state.output_rows, other.state.output_rows)
    assert own[-1].losses.nll < own[0].losses.nll


def test_vectors_of_no_length_have_no_direction_and_stay():
    counts = made_model().counts
    start = made_start(CONTEXTS)
    start.inputs[0] = 0
    with Workers(1) as workers:
        workspace = Workspace.of(workers, CONTEXTS, WORDS)
        for model in (OwnRows(counts), ComposedRows(counts, csr_array(np.eye(CONTEXTS)))):
            problem = composed_problem(model, workspace, score=SCORES["by direction"])
            (found,) = used_gradients(problem, start)
            assert not found[0][0].any()
            assert all(torch.isfinite(one).all() for one in found)


def test_what_does_not_fit_says_what_to_do():
    model = made_model()
    with pytest.raises(UsageError, match="5 rows, but 13 contexts are counted; give one row a"):
        replace(model, composition=model.composition[:5])
    with pytest.raises(UsageError, match="excluded: wanted 13 × 21, as the counts; got 12 × 21"):
        replace(model, excluded=model.excluded[:12])
    counted = model.counts.matrix.tocoo()
    one = csr_array(([True], ([counted.row[4]], [counted.col[4]])), shape=counted.shape)
    with pytest.raises(InputError, match=f"word {counted.col[4]} is left out of context"):
        replace(model, excluded=one)
    with pytest.raises(UsageError, match="temperature must be a number above 0; got 0"):
        Score(temperature=0)
