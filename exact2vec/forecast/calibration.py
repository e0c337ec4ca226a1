"""What the machine at hand takes for the pieces of a training, measured in about a second.

Each piece is the trainer's own code on a small problem of the shapes at hand: a step through the
engine of the loss and the optimisers, an exact sweep, a sparse product of the start, the means of
the prior. No number of a training depends on what is measured here.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from exact2vec.counts.features import Describer
from exact2vec.counts.ngram_sizes import FeatureSizes, ngram_sizes
from exact2vec.forecast.shapes import Shapes
from exact2vec.loss.count_losses import BLOCK_ROWS, WeightedCounts, row_losses
from exact2vec.loss.engine.cells import Outputs, Workspace
from exact2vec.loss.engine.tile_sweeps import GROUPS, tile_words
from exact2vec.loss.formulas import metric
from exact2vec.parallel import Workers
from exact2vec.train.inputs import OwnRows
from exact2vec.train.optimizers import TUNED, NaturalGradient, Surroundings
from exact2vec.train.problem import Problem
from exact2vec.train.row_schedule import Position, Visit
from exact2vec.train.shrinkage import PULL_STEPS, Prior, PriorSide
from exact2vec.train.spectral_start import OVERSAMPLING, Start, orthonormal, product
from exact2vec.train.steps import Rates, context_block, initial_state, step
from exact2vec.vectors.ridge import SLICE, FeatureRows, weighted_ridge

LEAST_SHARE = 0.3  # of the larger of two small problems that grows with its size
STEP_FLOPS = 8e9  # of a step of the larger of the two small problems
SMALLER = 6  # times
PRODUCT_FLOPS = 1e7  # half as many multiplications of the start
PRODUCT_ROWS = 512
PULLED_ROWS = 4096
RIDGE_ROWS, RIDGE_FEATURES = 2048, 16_384  # at most
RIDGE_STEPS, RIDGE_SETUP = 2, 1.5  # steps that are made, and those that the setting up is worth
BYTES = 1 << 23  # that are written


class Seconds(NamedTuple):
    """By the clock, and of all cores together."""

    wall: float
    cpu: float

    def __add__(self, other: object) -> "Seconds":
        assert isinstance(other, Seconds)
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)

    def times(self, factor: float) -> "Seconds":
        return Seconds(self.wall * factor, self.cpu * factor)


NOTHING = Seconds(0.0, 0.0)


class Line(NamedTuple):
    """Seconds that grow with a size: `fixed` + `each` · size."""

    fixed: Seconds
    each: Seconds

    def at(self, size: float) -> Seconds:
        return self.fixed + self.each.times(size)

    @classmethod
    def through(cls, small: tuple[float, Seconds], large: tuple[float, Seconds]) -> "Line":
        """The line through two points; without a fixed part where they are one, or too near."""
        (size, least), (other, most) = small, large
        pairs = [_line(size, a, other, b) for a, b in zip(least, most, strict=True)]
        return cls(Seconds(*(fixed for fixed, _ in pairs)), Seconds(*(each for _, each in pairs)))


class Pieces(NamedTuple):
    """What one of each piece takes on this machine, at the shapes it was measured for."""

    step: Line  # a block of contexts, by words
    metric: Line  # of the inputs, by words
    sweep: Line  # a block of contexts, by words
    product: Seconds  # a cell of the start, times a column
    orthonormal: Seconds  # a number of the start's basis, times a column
    pull: Seconds  # a number of the metric of a side, times a column
    pass_over_features: Seconds  # a cell or a feature of a ridge, times a column
    spelled: Seconds  # an n-gram
    written: Seconds  # a byte


def calibrated(shapes: Shapes) -> Pieces:
    """The Pieces of this machine at these shapes, as it is now: what else runs on it counts."""
    with Workers(shapes.threads) as workers:
        few, many = _sizes(shapes)
        small, large = (_Small(shapes, words, workers) for words in (few, many))
        return Pieces(
            Line.through((few, small.step()), (many, large.step())),
            Line.through((few, small.metric()), (many, large.metric())),
            Line.through((few, small.sweep()), (many, large.sweep())),
            _product(shapes, workers),
            _orthonormal(shapes, workers),
            _pull(shapes, workers) if shapes.prior else NOTHING,
            _ridge(shapes, workers) if shapes.inputs.cells + shapes.outputs.cells else NOTHING,
            _spelled() if shapes.inputs.spelled + shapes.outputs.spelled else NOTHING,
            _written(),
        )


def _line(size: float, least: float, other: float, most: float) -> tuple[float, float]:
    """(fixed, each), of which `each` is most of the larger: two points measured apart are noisy."""
    if other <= size:
        return 0.0, most / other
    each = (most - least) / (other - size)
    each = min(max(each, LEAST_SHARE * most / other), most / other)
    return most - each * other, each


def _sizes(shapes: Shapes) -> tuple[int, int]:
    """Words of the two small problems: whole tiles for each thread, and no more than there are."""
    whole = tile_words() * min(GROUPS, shapes.threads)
    most = STEP_FLOPS / (6 * BLOCK_ROWS * shapes.dim)
    many = max(SMALLER, round(most / whole)) * whole
    return min(many // SMALLER, shapes.words), min(many, shapes.words)


def _timed(piece: Callable[[], Any], times: int = 3, *, before: bool = True) -> Seconds:
    """What one call takes, the median of some; one more is made before, which does not count."""
    if before:
        piece()
    marks = [(time.perf_counter(), time.process_time())]
    for _ in range(times):
        piece()
        marks.append((time.perf_counter(), time.process_time()))
    return Seconds(*np.median(np.diff(np.array(marks), axis=0), axis=0).tolist())


class _Small:
    """A problem of one block of contexts, with as many cells a context and word as there are."""

    def __init__(self, shapes: Shapes, words: int, workers: Workers) -> None:
        rows = min(shapes.block_rows, shapes.contexts)
        self.shapes, self.rows, self.words, self.workers = shapes, rows, words, workers
        cells = shapes.contexts * shapes.words
        visited = random_cells(rows, words, shapes.cells_an_epoch / cells)
        measured = (shapes.cells + shapes.other_cells) / cells
        self.counted = WeightedCounts(visited)
        self.measured = WeightedCounts(random_cells(rows, words, measured))
        workspace = Workspace.of(workers, max(rows, BLOCK_ROWS), words)
        model, random = OwnRows(self.counted), torch.Generator().manual_seed(0)
        shares = torch.full((words,), 1 / words, dtype=torch.float64)
        weights = torch.ones(rows, dtype=torch.float64)
        prior = self._prior() if shapes.prior else None
        self.problem = Problem(workspace, {"training": model}, shares, weights, 0, prior)
        x, u = (0.1 * torch.randn(size, shapes.dim, generator=random) for size in (rows, words))
        start = Start(x, u, shares.log().float())
        self.state = initial_state(self.problem, TUNED, start)

    def _prior(self) -> Prior:
        """A pull towards 0, of rows without features."""

        def side(totals: torch.Tensor) -> PriorSide:
            features: Any = csr_array((len(totals), 0), dtype=np.float32)
            return PriorSide(100.0, Describer([]), FeatureRows(features), totals)

        return Prior(side(self.counted.totals), side(self.counted.column_totals))

    def step(self) -> Seconds:
        """A step of training, with its part of the shrinkage; the metric of the inputs apart."""
        visit = Visit(np.arange(self.rows), np.ones(self.rows, np.float32), Position(0, 1, 1))

        def one(number: int) -> None:
            state = replace(self.state, step=number)
            block = context_block(visit, self.problem)
            step(state, block, self.problem, TUNED, Rates(1e-6, 1e-6))

        one(1)  # none of the steps 2 to 16 takes the metric anew
        without = _timed(lambda: one(1), times=2, before=False)
        pulled = _timed(lambda: one(PULL_STEPS - 1), times=1, before=False)
        return without.times(1 - 1 / PULL_STEPS) + pulled.times(1 / PULL_STEPS)

    def metric(self) -> Seconds:
        """The metric of the inputs, which some steps take anew."""
        outputs = Outputs(self.state.output_rows, self.shapes.dim)
        around = Surroundings(self.state.inputs, outputs, self.problem.unigram, self.workers)
        return _timed(lambda: NaturalGradient().init(around), times=2)

    def sweep(self) -> Seconds:
        """The exact losses of a block, of all parts."""
        outputs = Outputs(self.state.output_rows, self.shapes.dim)
        workspace, rows = self.problem.workspace, np.arange(self.rows)
        sides = self.state.inputs, outputs, rows, [self.measured]
        return _timed(lambda: row_losses(*sides, workspace), times=2)


def random_cells(rows: int, columns: int, share: float) -> csr_array:
    """Counts of 1 in about this share of the cells, more of them in the first columns."""
    random = np.random.default_rng(0)
    number = max(1, round(min(share, 1.0) * rows * columns))
    places = random.integers(0, rows, number), _skewed(random, columns, number)
    cells = coo_array((np.ones(number, np.float32), places), shape=(rows, columns)).tocsr()
    cells.data[:] = 1
    return csr_array(cells)


def _skewed(random: np.random.Generator, size: int, number: int) -> NDArray[np.int64]:
    """Numbers below `size`, small ones more often, as those of frequent words."""
    return (size * random.random(number) ** 3).astype(np.int64)


def _product(shapes: Shapes, workers: Workers) -> Seconds:
    """A cell times a column, of a product of the start with vectors of all words."""
    columns = min(shapes.dim + OVERSAMPLING, shapes.contexts, shapes.words)
    number = min(shapes.cells, round(PRODUCT_FLOPS / columns))
    rows = min(PRODUCT_ROWS, shapes.contexts)
    cells = random_cells(rows, shapes.words, number / (rows * shapes.words))
    vectors = np.ones((shapes.words, columns), np.float32)
    taken = _timed(lambda: product(cells, vectors, workers))
    return taken.times(1 / (cells.nnz * columns))


def _orthonormal(shapes: Shapes, workers: Workers) -> Seconds:
    """A number of the start's basis, times a column; on one thread, as the start makes it."""
    columns = max(16, shapes.dim + OVERSAMPLING)
    rows = max(2 * columns, 2048)
    basis = np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)
    taken = _timed(lambda: workers.run(lambda: orthonormal(basis)), 2)
    return taken.times(1 / (rows * columns * columns))


def _pull(shapes: Shapes, workers: Workers) -> Seconds:
    """A number of the vectors whose metric is taken, times a column."""
    vectors = torch.ones(PULLED_ROWS, shapes.dim)
    totals = torch.ones(PULLED_ROWS, dtype=torch.float64)
    taken = _timed(lambda: workers.run(lambda: metric(vectors, totals)), 2)
    return taken.times(1 / (vectors.numel() * shapes.dim))


def ridge_size(rows: int, features: FeatureSizes) -> int:
    """Numbers that a step of the conjugate gradients reads or writes, for each column."""
    return 2 * features.cells + 6 * features.features + 2 * rows


def _ridge(shapes: Shapes, workers: Workers) -> Seconds:
    """A number of a step of the ridge, times a column."""
    rows, sizes = max(shapes.feature_sides, key=lambda side: side[1].cells)
    some = min(rows, RIDGE_ROWS)
    columns = max(1, min(sizes.features, RIDGE_FEATURES))
    features = random_cells(some, columns, sizes.cells / rows / columns)
    targets = torch.ones(some, min(shapes.dim, SLICE * shapes.threads))
    weights = torch.ones(some, dtype=torch.float64)
    before = torch.zeros(columns, targets.shape[1])
    described = FeatureRows(features)

    def solve() -> None:
        weighted_ridge(
            described, targets, weights, 0.1, before, workers, tolerance=0.0, most_steps=RIDGE_STEPS
        )

    size = ridge_size(some, FeatureSizes(columns, features.nnz))
    slices = -(-targets.shape[1] // SLICE)
    return _timed(solve, 2).times(1 / ((RIDGE_STEPS + RIDGE_SETUP) * size * SLICE * slices))


def _spelled() -> Seconds:
    """An n-gram of a describer that is learned."""
    words = [f"{number:06d}" for number in range(0, 10**6, 10**6 // 400)]
    spelled = ngram_sizes(words, 3, 6).spelled
    return _timed(lambda: Describer.learn(words), 2).times(1 / spelled)


def _written() -> Seconds:
    """A byte that is copied, hashed and written to the system's folder of such files."""
    data = np.ones(BYTES, np.uint8)
    with tempfile.TemporaryFile() as file:

        def write() -> None:
            file.seek(0)
            file.write(data.tobytes())
            hashlib.sha256(data.data)

        return _timed(write).times(1 / BYTES)
