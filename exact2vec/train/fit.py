"""Training: a generator of records over blocks of contexts."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from exact2vec.counts.counts import Counts
from exact2vec.errors import DivergedError, UsageError
from exact2vec.loss.count_losses import BLOCK_ROWS, Losses
from exact2vec.loss.engine.cells import Workspace
from exact2vec.options import checked, documented
from exact2vec.parallel import Workers
from exact2vec.train.going_on import refuse_other_progress
from exact2vec.train.inputs import OwnRows
from exact2vec.train.optimizers import TUNED, Optimizers, output_rate
from exact2vec.train.problem import (
    FeaturesOfSides,
    Problem,
    Strengths,
    prior_of,
    problem_of,
)
from exact2vec.train.row_schedule import BEGINNING, FREQUENT, Position, Visit, visits
from exact2vec.train.schedule import Schedule
from exact2vec.train.spectral_start import Start, spectral_start
from exact2vec.train.state import Progress, Record
from exact2vec.train.steps import Rates, context_blocks, initial_state, refitted, step

CHEAP_SWEEP = 5e10  # flops of an exact loss, about a second of a core
WORSE_THAN_START = 1.0  # nats above the NLL of the start and of the unigram that mean divergence


@documented(
    counts="what is trained on, square or rectangular: see count_text and Counts.from_matrix",
    features="what is known of the rows beside their counts; default None",
    optimizers="those of outputs and inputs; default TUNED: Adam and natural gradient",
    progress="of a record of an earlier training of the same counts: it goes on from there",
)
def fit(
    counts: Counts,
    *,
    vector_size: int = 100,
    epochs: int | str = 2,
    max_epochs: int = 20,
    rate: float = 0.05,
    row_power: float = 0.75,
    prior: Strengths | None = (150.0, 500.0),
    features: FeaturesOfSides | None = None,
    min_n: int = 3,
    max_n: int | None = None,
    block_rows: int = 256,
    exact_every: int | None = None,
    seed: int = 1,
    threads: int | None = None,
    optimizers: Optimizers = TUNED,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Train on `counts`, yielding a Record before the first step and after every step.

    What is minimised is Σ_c ω_c N_c NLL_c / N with ω_c ∝ N_c^(row_power − 1), and what shrinks the
    rows; recorded as `objective` beside the plain NLL. Rows are shrunk towards what their features
    say: the character n-grams of a word, and `features`. `prior=None` shrinks nothing, and composes
    no vectors of other words. Losses are measured after every epoch: exact at the start, at the end
    and every `exact_every` epochs, otherwise estimated from a tenth of the rows, with a standard
    error. By default every one is exact where a sweep of 2·R·W·D flops is cheap, for R contexts, W
    words and vectors of D numbers, and the first and the last one elsewhere.

    >>> from exact2vec import count_text
    >>> counts = count_text(["sun moon", "dog cat"] * 20, held_out=0)
    >>> records = fit(counts, vector_size=2, epochs=2)
    >>> records = [record for record in records if record.training is not None]
    >>> [record.epoch for record in records]
    [0.0, 1.0, 2.0]
    >>> records[-1].losses.objective < records[0].losses.objective
    True

    With epochs "auto", training ends early where the NLL of the validation part has not fallen for
    two epochs: one more epoch then takes the rate to its final value.

    Raises DivergedError where a loss is not finite, or more than 1 nat above the larger of the
    start's and the unigram's. Results do not depend on `threads`.
    """
    checked(
        vector_size=vector_size,
        epochs=epochs,
        max_epochs=max_epochs,
        rate=rate,
        row_power=row_power,
        block_rows=block_rows,
        exact_every=exact_every,
        seed=seed,
        threads=threads,
    )
    if epochs == "auto" and counts.validation is None:
        raise _no_validation(counts)
    strengths: Any = checked(prior=prior, min_n=min_n, max_n=max_n)["prior"]
    course = Course(
        vector_size,
        max_epochs if epochs == "auto" else int(epochs),
        epochs == "auto",
        rate,
        block_rows,
        exact_every,
        optimizers,
    )
    with Workers(threads) as workers:
        contexts, words = counts.training.shape
        workspace = Workspace.of(workers, min(max(block_rows, BLOCK_ROWS), contexts), words)
        problem = problem_of(counts, workspace, row_power, seed)
        priors = prior_of(counts, problem.training, strengths, features, min_n, max_n)
        yield from records(replace(problem, prior=priors), course, progress)


@dataclass(frozen=True)
class Course:
    """How a problem is gone through; as the arguments of `fit`.

    `epochs` are the most; with `chosen` the validation part decides when training ends.
    """

    vector_size: int = 100
    epochs: int = 4
    chosen: bool = False
    rate: float = 0.05
    block_rows: int = 256
    exact_every: int | None = None
    optimizers: Optimizers = TUNED

    def exact_epochs(self, contexts: int, words: int) -> int:
        """The epochs from one exact loss to the next, 0 where there is none before the end."""
        if self.exact_every is not None:
            return self.exact_every
        return int(2 * contexts * words * self.vector_size < CHEAP_SWEEP)

    def visits(self, problem: Problem, start: Position = BEGINNING) -> Iterator[Visit]:
        """The contexts of each step: frequent ones often, where each has its own row."""
        frequent = FREQUENT if isinstance(problem.model, OwnRows) else 0.0
        totals = problem.training.totals.numpy()
        return visits(
            totals, self.epochs, self.block_rows, problem.seed, frequent=frequent, start=start
        )

    def rates(self, share: float) -> Rates:
        """Of a step whose rates are this share of the first."""
        return Rates(output_rate(self.rate, self.vector_size) * share, share)


def records(
    problem: Problem,
    course: Course,
    progress: Progress | None = None,
    *,
    start: Start | None = None,
) -> Iterator[Record]:
    """The records of a training, or what is left of one that has got as far as `progress`.

    The tensors of `progress` stay as they are. It begins at `start`, the spectral one by default.
    Raises CorruptFileError where this training never gets to `progress`.
    """
    if progress is not None:
        refuse_other_progress(progress, course.visits(problem), chosen=course.chosen)
        progress = progress._replace(state=progress.state.copy())
    else:
        record = first_record(problem, course, start)
        yield record
        progress = record.progress
    yield from _records_behind(progress, problem, course)


def first_record(problem: Problem, course: Course, start: Start | None = None) -> Record:
    """The start, measured, with the schedule of its training."""
    if start is None:
        workers, counted = problem.workspace.pool, problem.model.row_counts()
        start = spectral_start(
            counted,
            course.vector_size,
            seed=problem.seed,
            workers=workers,
            totals=problem.model.margins(),
        )
    state = initial_state(problem, course.optimizers, start)
    state = refitted(state, problem) if course.epochs == 0 else state
    ends = tuple(
        number
        for number, visit in enumerate(course.visits(problem), start=1)
        if visit.position.ends_epoch
    )
    losses = problem.losses(state, exact=True)
    _refuse_endless(losses, 0, course)
    schedule = Schedule(
        ends,
        fixed=not course.chosen,
        lowest=losses["validation"].nll if "validation" in losses else math.inf,
        ceiling=max(losses["training"].nll, losses["training"].unigram) + WORSE_THAN_START,
    )
    return Record(state, schedule, BEGINNING, **losses)


def _records_behind(progress: Progress, problem: Problem, course: Course) -> Iterator[Record]:
    state, schedule, start = progress
    for position, block in context_blocks(course.visits(problem, start), problem):
        if state.step == schedule.steps:
            return
        rates = course.rates(schedule.rate_share(state.step))
        state = step(state, block, problem, course.optimizers, rates)
        state = refitted(state, problem) if position.ends_part else state
        record = Record(state, schedule, position)
        if position.ends_epoch:
            record = _measured(record, problem, course)
            schedule = record.schedule
        yield record


def _measured(record: Record, problem: Problem, course: Course) -> Record:
    """The record at the end of an epoch: with its losses, and what they say of the end."""
    exact = record.schedule.is_exact(record.step, course.exact_epochs(*problem.training.shape))
    losses = problem.losses(record.state, exact=exact)
    if not losses["training"].nll <= record.schedule.ceiling:
        raise DivergedError(
            f"step {record.step}: the NLL is {losses['training'].nll:.4g}, more than "
            f"{WORSE_THAN_START:g} nat above the start's and the unigram's "
            f"({record.schedule.ceiling - WORSE_THAN_START:.4f}); "
            f"lower --rate (now {course.rate:g})"
        )
    _refuse_endless(losses, record.step, course)
    validation = losses["validation"].nll if "validation" in losses else math.inf
    schedule = record.schedule.with_validation(record.step, validation)
    return Record(record.state, schedule, record.position, **losses)


def _refuse_endless(losses: dict[str, Losses], step: int, course: Course) -> None:
    """DivergedError where a loss, or what shrinkage adds to it, is no finite number."""
    for part, of in losses.items():
        for name, value in (("NLL", of.nll), ("excess", of.excess), ("objective", of.objective)):
            if value is not None and not math.isfinite(value):
                raise DivergedError(
                    f"step {step}: the {name} of the {part} part is {value:g}; lower --rate (now "
                    f"{course.rate:g}) or the strengths of the prior"
                )


def _no_validation(counts: Counts) -> UsageError:
    """What to do where epochs are "auto" and nothing was kept for validation."""
    if "documents" not in counts.tokens:
        return UsageError(
            "epochs 'auto' needs a validation part, and counts of a matrix have none: give a "
            "number of epochs, or put some of the counts aside yourself, by "
            "dataclasses.replace(counts, training=…, validation=…)"
        )
    share = counts.settings.get("validation", 0.0)
    return UsageError(
        "epochs 'auto' needs a validation part, and these counts have none: no pairs of the "
        f"{counts.tokens['documents']:,} documents fell into it with validation={share:g}; "
        "count with a larger share or smaller documents, or give a number of epochs"
    )
