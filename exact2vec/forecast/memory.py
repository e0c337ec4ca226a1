"""How much memory a training takes: what is alive in each of its stages, array by array.

Bytes are beyond what the process holds when the counts are there, and the loops are loaded.
"""

from exact2vec.counts.ngram_sizes import FeatureSizes
from exact2vec.forecast.shapes import Shapes
from exact2vec.loss.count_losses import BLOCK_ROWS
from exact2vec.train.spectral_start import OVERSAMPLING
from exact2vec.vectors.ridge import SLICE

FLOAT, DOUBLE, NUMBER = 4, 8, 4  # bytes of float32, float64, int32
CELL = FLOAT + NUMBER  # bytes of a cell of a sparse matrix of weights or features
COUNTED = DOUBLE + NUMBER  # of one of counts
GRAM = 150  # of an n-gram that is known: its text, its number, and their place in a table
SPELLED = 8  # of each n-gram of each word, while a describer is learned
NAME = 100  # of a name, in the tables that find it
SMALL = 25e6  # what caches, threads and results of small pieces add up to
COPIED = 1 << 26  # bytes of a state from which on a checkpoint is a copy
BLOCKS = 4096  # rows of the embedding that are in float64 at once


def stages(shapes: Shapes) -> dict[str, float]:
    """The bytes that are alive in each stage of a training, beyond those of the counts."""
    kept = _weights(shapes) + _features(shapes) + _scores(shapes) + SMALL
    trained = kept + _state(shapes) + _maps_and_means(shapes)
    later = trained + _old_maps_and_means(shapes) + _saved(shapes)
    first = trained + _vectors(shapes)
    copied = _checkpoint(shapes)
    return {
        "writing counts": float(CELL * (shapes.cells + shapes.other_cells + shapes.stored_cells)),
        "n-grams": _weights(shapes) + _learned(shapes),
        "start": kept + _start(shapes),
        "first losses": first + _cell_losses(shapes),
        "first checkpoint": first + _saved(shapes) + copied,
        "means": later + _ridge(shapes),
        "losses": later + _cell_losses(shapes),
        "last vectors": later + _saved(shapes),
        "checkpoint": later + copied * (shapes.epochs > 1),
        "writing": trained - _scores(shapes) + _saved(shapes) + _embedded(shapes),
    }


def peak(shapes: Shapes) -> float:
    """The most bytes that are alive at once, beyond those of the counts."""
    return max(stages(shapes).values())


def counting_bytes(tokens: int, cells: int, words: int) -> float:
    """What counting text takes beyond its tokens: their copies, and each cell twice for a moment.

    `tokens` are those of the training part.
    """
    copies = 18.0 * tokens
    return copies + (CELL + COUNTED) * cells + NAME * words


def counts_bytes(cells: int, words: int) -> float:
    """What counts hold: cells, and the names of words."""
    return float(COUNTED * cells + NAME * words)


def _weights(shapes: Shapes) -> float:
    """n(c, w) beside k(c, w), whose places they share."""
    return FLOAT * (shapes.cells + shapes.other_cells) + DOUBLE * 6.0 * shapes.words


def _sides(shapes: Shapes) -> list[tuple[int, FeatureSizes]]:
    """Each side that has features of its own: one where rows and columns are the same."""
    return shapes.feature_sides[: 1 if shapes.square else 2]


def _features(shapes: Shapes) -> float:
    """The features of rows, by row and by feature, and the n-grams that they are of."""
    return sum(2.0 * CELL * of.cells + GRAM * of.features for _, of in _sides(shapes))


def _learned(shapes: Shapes) -> float:
    """What it takes to find which n-grams are shared."""
    return sum(GRAM * of.distinct + (SPELLED + 2 * CELL) * of.spelled for _, of in _sides(shapes))


def _scores(shapes: Shapes) -> float:
    """A block of contexts × words."""
    rows = min(max(shapes.block_rows, BLOCK_ROWS), shapes.contexts)
    return float(FLOAT * rows * shapes.words)


def _cell_losses(shapes: Shapes) -> float:
    """The cells of the block that has the most, with their scores, and where tiles cut them."""
    return float((CELL + FLOAT + NUMBER) * shapes.most_cells)


def _vectors(shapes: Shapes) -> float:
    """Inputs and outputs, once."""
    return float(FLOAT * (shapes.contexts + shapes.words) * shapes.dim)


def _start(shapes: Shapes) -> float:
    """The weighted PMI, then its factors, and inputs and outputs in float64 with two copies."""
    columns = shapes.dim + OVERSAMPLING
    rows, longer = shapes.contexts + shapes.words, max(shapes.contexts, shapes.words)
    pmi = CELL * shapes.cells * (1 if shapes.square else 2)
    basis = FLOAT * longer * columns * 5.0
    sides = (FLOAT + DOUBLE) * rows * shapes.dim + 2.0 * DOUBLE * longer * shapes.dim
    return pmi + max(FLOAT * shapes.cells, basis, sides)


def _state(shapes: Shapes) -> float:
    """Inputs; outputs with two moments."""
    return float(FLOAT * (shapes.contexts * shapes.dim + 3 * shapes.words * shapes.width))


def _maps(shapes: Shapes) -> float:
    features = shapes.inputs.features + shapes.outputs.features
    return float(FLOAT * features * shapes.dim)


def _maps_and_means(shapes: Shapes) -> float:
    """Of the prior: maps from features to means, and the means of all rows."""
    return _maps(shapes) + _vectors(shapes) if shapes.prior else 0.0


def _old_maps_and_means(shapes: Shapes) -> float:
    """Those of the last record, and of the state before a refit."""
    return min(2, shapes.epochs + 1) * _maps_and_means(shapes)


def _saved(shapes: Shapes) -> float:
    """Copies of the vectors and the maps, as they were last measured."""
    return _vectors(shapes) + _maps(shapes) * shapes.prior


def _ridge(shapes: Shapes) -> float:
    """What the conjugate gradients hold of each slice of columns that is solved at once."""
    if not shapes.prior:
        return 0.0
    slices = min(shapes.threads, -(-shapes.dim // SLICE))
    found = [
        FLOAT * SLICE * slices * (2.0 * rows + 4 * of.features) + 3 * CELL * of.cells
        for rows, of in shapes.feature_sides
    ]
    return max(found)


def _checkpoint(shapes: Shapes) -> float:
    """The copy of a large state that is written beside training."""
    copied = _state(shapes) + _maps_and_means(shapes)
    return copied if copied >= COPIED else 0.0


def _embedded(shapes: Shapes) -> float:
    """The embedding while it is made, of what the features of all words compose."""
    if not (shapes.square and shapes.prior):
        return 0.0
    spelled = sum(SPELLED * of.spelled + 2 * CELL * of.cells for _, of in _sides(shapes))
    return spelled + 3.0 * _vectors(shapes) + DOUBLE * BLOCKS * shapes.dim * 6.0
