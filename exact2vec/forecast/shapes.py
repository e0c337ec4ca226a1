"""The sizes that the cost of a training depends on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.counts import Counts
from exact2vec.counts.features import Features
from exact2vec.counts.ngram_sizes import NONE, FeatureSizes, ngram_sizes
from exact2vec.loss.count_losses import BLOCK_ROWS
from exact2vec.loss.engine.cells import LANES
from exact2vec.options import available_threads
from exact2vec.train.fit import Course
from exact2vec.train.problem import DEFAULT_MAX_N, FeaturesOfSides, features_of_sides
from exact2vec.train.row_schedule import FREQUENT, PARTS

CROWDED = 15.0  # times as many cells as others has the block of the most frequent contexts
VISITED = 2.5  # cells that an epoch visits, for each cell, where counts are skewed as words are


@dataclass(frozen=True)
class Shapes:
    """Sizes of one training, whatever kind of counts it is of.

    `contexts` (R), `words` (W) and `dim` (D) are those of the vectors. `cells` are those of the
    training part, `other_cells` those of the `other_parts` that are measured beside it. An epoch
    visits `visited` cells, and `block_cells` stand in the block of contexts that has the most, of
    all parts. `inputs` and `outputs` are the features of the two sides; the same
    where the counts are `square`. A `prior` shrinks, `pages` are written where `report` is true,
    and `stored_cells` are saved beside the parts (those of rare words).

    >>> Shapes(contexts=1000, words=1000, cells=50_000, dim=100).width
    104
    """

    contexts: int
    words: int
    cells: int
    dim: int
    epochs: int = 2
    other_cells: int = 0
    other_parts: int = 0
    visited: float | None = None
    block_cells: int | None = None
    inputs: FeatureSizes = NONE
    outputs: FeatureSizes = NONE
    square: bool = True
    prior: bool = True
    exact_every: int | None = None
    chosen: bool = False
    block_rows: int = 256
    threads: int = 1
    stored_cells: int = 0
    report: bool = False

    @property
    def width(self) -> int:
        """Numbers in a row of the outputs: vector, bias and padding."""
        return -(-(self.dim + 1) // LANES) * LANES

    @property
    def cells_an_epoch(self) -> float:
        return VISITED * self.cells if self.visited is None else self.visited

    @property
    def most_cells(self) -> int:
        if self.block_cells is not None:
            return self.block_cells
        mean = (self.cells + self.other_cells) * BLOCK_ROWS / max(1, self.contexts)
        return round(min(BLOCK_ROWS * self.words, CROWDED * mean))

    @property
    def steps(self) -> int:
        """Blocks that are stepped, in all epochs."""
        blocks = -(-max(1, self.contexts // PARTS) // self.block_rows)
        return self.epochs * PARTS * blocks

    @property
    def sweeps(self) -> int:
        """Exact losses: at the start, at the end, and as often between as is asked for."""
        every = Course(self.dim, exact_every=self.exact_every).exact_epochs(
            self.contexts, self.words
        )
        if self.chosen:
            return self.epochs + 1
        ends = {epoch for epoch in range(1, self.epochs + 1) if every and epoch % every == 0}
        return 1 + len(ends | {self.epochs} - {0})

    @property
    def estimates(self) -> int:
        """Losses estimated from a part of the contexts."""
        return self.epochs + 1 - self.sweeps

    @property
    def feature_sides(self) -> list[tuple[int, FeatureSizes]]:
        """Rows and features of each side."""
        return [(self.contexts, self.inputs), (self.words, self.outputs)]


def shapes_of(
    counts: Counts,
    *,
    features: FeaturesOfSides | None = None,
    min_n: int = 3,
    max_n: int | None = None,
    epochs: int | str = 2,
    max_epochs: int = 20,
    vector_size: int = 100,
    prior: object = (150.0, 500.0),
    block_rows: int = 256,
    exact_every: int | None = None,
    threads: int | None = None,
    report: bool = False,
    **others: Any,
) -> Shapes:
    """The Shapes of a training of `counts`; the arguments are those of `fit`.

    With epochs "auto" they are the most that there may be.
    """
    measured = [part for part in (counts.held_out, counts.validation) if part is not None]
    longest = _longest(counts, max_n) if prior else 0
    known = features_of_sides(counts, features) if prior else (None, None)
    inputs = feature_sizes(counts.rows, min_n, longest, known[0])
    outputs = inputs if counts.square else feature_sizes(counts.columns, min_n, longest, known[1])
    return Shapes(
        len(counts.rows),
        len(counts.columns),
        counts.training.nnz,
        vector_size,
        max_epochs if epochs == "auto" else int(epochs),
        other_cells=sum(part.nnz for part in measured),
        other_parts=len(measured),
        visited=visited_cells(counts.training),
        block_cells=block_cells([counts.training, *measured]),
        inputs=inputs,
        outputs=outputs,
        square=counts.square,
        prior=bool(prior),
        exact_every=exact_every,
        chosen=epochs == "auto",
        block_rows=block_rows,
        threads=threads or available_threads(),
        stored_cells=_stored_cells(counts),
        report=report,
    )


def feature_sizes(
    names: Sequence[str], min_n: int, max_n: int, known: Features | None
) -> FeatureSizes:
    """Those of n-grams and of known features together."""
    grams = ngram_sizes(names, min_n, max_n) if max_n else NONE
    if known is None:
        return grams
    return FeatureSizes(
        grams.features + len(known.names),
        grams.cells + known.matrix.nnz,
        grams.spelled,
        grams.distinct,
    )


def visited_cells(training: csr_array) -> float:
    """Cells of the contexts that an epoch visits: those of frequent ones several times.

    The frequent ones are taken to be those with the most cells, which they are nearly.
    """
    cells: NDArray[np.int64] = np.sort(np.diff(training.indptr))[::-1]
    often = round(FREQUENT * np.count_nonzero(cells))
    return float(PARTS * cells[:often].sum() + PARTS * cells[often:].sum() / 6)


def block_cells(parts: Sequence[csr_array]) -> int:
    """The cells of all parts in the block of contexts that has the most."""
    ends = sum((part.indptr.astype(np.int64) for part in parts), np.int64(0))
    starts = np.asarray(ends)[::BLOCK_ROWS]
    return int(np.diff(np.append(starts, np.asarray(ends)[-1])).max())


def _longest(counts: Counts, max_n: int | None) -> int:
    if max_n is not None:
        return max_n
    return DEFAULT_MAX_N if counts.settings.get("subwords") else 0


def _stored_cells(counts: Counts) -> int:
    near = counts.word_contexts
    cells = 0 if near is None else near.rare.counts.nnz + near.first.nnz
    return cells + (0 if counts.rare is None else counts.rare.counts.nnz)
