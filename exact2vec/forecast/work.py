"""How long a training takes: how often it does what a calibration measured once.

Sizes are those of docs/scale.md: R contexts, W words, D numbers a vector, and their cells.
"""

from typing import NamedTuple

from exact2vec.forecast.calibration import NOTHING, Pieces, Seconds, ridge_size
from exact2vec.forecast.shapes import Shapes
from exact2vec.loss.count_losses import BLOCK_ROWS
from exact2vec.train.optimizers import METRIC_STEPS
from exact2vec.train.problem import ESTIMATE_SHARE
from exact2vec.train.row_schedule import PARTS
from exact2vec.train.spectral_start import OVERSAMPLING, PRODUCTS
from exact2vec.vectors.ridge import SLICE

FIRST_STEPS, MORE_STEPS = 8.0, 3.5  # of the conjugate gradients: the first means, and later ones
PMI = 150.0  # multiplications that the logarithm of a cell is worth
STARTED_BYTES = 30.0  # that a number of a vector is worth before training: drawn, scaled, copied
EMBEDDING = 3.5  # products of the embedding, as long as a basis takes
EMBEDDED_BYTES = 220.0  # that its numbers are read and written, each
SKEW = 1.12  # frequent contexts have more cells, and blocks of them take longer
DESCRIBED = 1.6  # an n-gram of real words, in those of made ones
REPORT = Seconds(3.0, 3.0)  # of a page


class Stage(NamedTuple):
    """A part of a training, and what it takes."""

    name: str
    seconds: Seconds


def stages(shapes: Shapes, pieces: Pieces) -> list[Stage]:
    """What each part of a training takes, from the counts to the run folder."""
    made = [
        Stage("n-grams", _ngrams(shapes, pieces)),
        Stage("start", _start(shapes, pieces)),
        Stage("steps", _steps(shapes, pieces)),
        Stage("means", _means(shapes, pieces)),
        Stage("losses", _losses(shapes, pieces)),
        Stage("embedding", _embedding(shapes, pieces)),
        Stage("writing", pieces.written.times(bytes_written(shapes))),
    ]
    return [*made, Stage("report", REPORT)] if shapes.report else made


def bytes_written(shapes: Shapes) -> float:
    """Those of the arrays of a run folder: cells, vectors and maps."""
    cells = 8 * (shapes.cells + shapes.other_cells + shapes.stored_cells)
    vectors = 4 * (shapes.contexts + shapes.words) * (shapes.dim + 1)
    maps = 4 * (shapes.inputs.features + shapes.outputs.features) * shapes.dim
    return float(cells + vectors + maps * shapes.prior)


def _ngrams(shapes: Shapes, pieces: Pieces) -> Seconds:
    """Spelled when the prior is made, and again for the embedding."""
    spelled = 2 * shapes.inputs.spelled if shapes.square else _both(shapes)
    return pieces.spelled.times(DESCRIBED * spelled)


def _both(shapes: Shapes) -> int:
    return shapes.inputs.spelled + shapes.outputs.spelled


def _start(shapes: Shapes, pieces: Pieces) -> Seconds:
    """Products of the cells with D + 12 columns, and an orthonormal basis before each but one.

    Where rows are not columns, every other basis is of the rows; the last is in float64, and so is
    what makes the singular vectors of it.
    """
    columns = min(shapes.dim + OVERSAMPLING, shapes.contexts, shapes.words)
    if shapes.square:
        rows = PRODUCTS * shapes.contexts
    else:
        rows = (PRODUCTS // 2 + 1) * shapes.contexts + 4 * shapes.words
    products = pieces.product.times(shapes.cells * (PRODUCTS * columns + PMI))
    drawn = STARTED_BYTES * (shapes.contexts + shapes.words) * shapes.dim
    factors = pieces.orthonormal.times(rows * columns * columns)
    return products + factors + pieces.written.times(drawn)


def _steps(shapes: Shapes, pieces: Pieces) -> Seconds:
    metric = pieces.metric.at(shapes.words).times(1 / METRIC_STEPS)
    visited = shapes.epochs * shapes.contexts / min(shapes.block_rows, shapes.contexts)
    return (pieces.step.at(shapes.words) + metric).times(SKEW * max(visited, _fewest(shapes)))


def _fewest(shapes: Shapes) -> float:
    """Steps of few contexts, which every part visits."""
    return float(shapes.epochs * PARTS) if shapes.contexts < 64 else 0.0


def _losses(shapes: Shapes, pieces: Pieces) -> Seconds:
    """Exact sweeps over all contexts, and estimates of each part from some."""
    parts = 1 + shapes.other_parts
    sweeps = shapes.sweeps + shapes.estimates * parts * ESTIMATE_SHARE
    return pieces.sweep.at(shapes.words).times(SKEW * sweeps * shapes.contexts / BLOCK_ROWS)


def _embedding(shapes: Shapes, pieces: Pieces) -> Seconds:
    """Products of the vectors with matrices of D × D, in float64, and decompositions of those."""
    if not shapes.square:
        return NOTHING
    numbers = shapes.words * shapes.dim
    products = pieces.orthonormal.times(EMBEDDING * (numbers + 20 * shapes.dim**2) * shapes.dim)
    return products + pieces.written.times(EMBEDDED_BYTES * numbers)


def _means(shapes: Shapes, pieces: Pieces) -> Seconds:
    """Three times an epoch a ridge from the features of each side, at least once; and metrics.

    The metrics are those of both sides, as often and once more. What the shrinkage adds to the
    objective costs as much, wherever the losses are exact.
    """
    if not shapes.prior:
        return NOTHING
    refits = max(1, PARTS * shapes.epochs)
    numbers = (shapes.contexts + shapes.words) * shapes.dim
    metrics = pieces.pull.times(numbers * shapes.dim * (refits + 1 + shapes.sweeps))
    if shapes.threads > 1:  # a side each
        larger = max(shapes.contexts, shapes.words) / (shapes.contexts + shapes.words)
        metrics = Seconds(metrics.wall * larger, metrics.cpu)
    steps = FIRST_STEPS + MORE_STEPS * (refits - 1)
    slices = -(-shapes.dim // SLICE)
    size = sum(
        ridge_size(rows, features) for rows, features in shapes.feature_sides if features.cells
    )
    return metrics + pieces.pass_over_features.times(steps * size * SLICE * slices)
