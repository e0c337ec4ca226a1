"""Training the composed part: what a basket is made of is drawn anew each pass.

Some items of a row are kept and make its vector; the others are its targets. The kept ones are
left out of the log-sum-exp, as they will be when the next item is asked for.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.errors import InputError
from exact2vec.loss.count_losses import BLOCK_ROWS, WeightedCounts
from exact2vec.loss.engine.cells import Workspace
from exact2vec.parallel import Workers
from exact2vec.train.fit import Course, records
from exact2vec.train.inputs import ComposedRows, Score
from exact2vec.train.optimizers import Adam, AdamOfInputs, Optimizers
from exact2vec.train.problem import Problem, composed_problem
from exact2vec.train.spectral_start import Start, singular_vectors
from exact2vec.train.state import Record
from exact2vec.vectors.composed_items import Composed, composition, weights_of_items
from exact2vec.vectors.ranking import Questions

MEASURED = 1 << 20  # the number of the pass whose rows are measured; no training gets so far


@dataclass(frozen=True)
class ComposedSettings:
    """How the composed part is trained.

    `keep` is the share of a row's items that make its vector. `power` is that of d_i in the weight
    of an item. `rate` is the first rate of vectors and biases, which falls to a tenth.
    """

    vector_size: int = 64
    epochs: int = 8
    by_direction: bool = True
    temperature: float = 0.1
    keep: float = 0.5
    power: float = 0.5
    rate: float = 0.01
    block_rows: int = 256
    seed: int = 1

    @property
    def score(self) -> Score:
        return Score(self.by_direction, self.temperature)


def train_composed(
    baskets: csr_array,
    popularity: NDArray[np.float64],
    settings: ComposedSettings,
    *,
    workers: Workers,
    questions: Questions | None = None,
) -> Iterator[tuple[Record, Composed]]:
    """The records of each pass, with the part as it is then (its arrays change with the next).

    `questions` are measured as the validation part.
    """
    times = np.bincount(baskets.indices, minlength=baskets.shape[1])
    weights = weights_of_items(times, settings.power)
    problem = _problem(baskets, weights, settings, workers, questions)
    adam = Optimizers(Adam(), AdamOfInputs(settings.rate))
    course = Course(
        settings.vector_size,
        settings.epochs,
        rate=settings.rate,
        block_rows=settings.block_rows,
        optimizers=adam,
    )
    start = _start(baskets, popularity, settings, workers)
    for record in records(problem, course, start=start):
        if record.training is not None:
            state = record.state
            arrays = state.inputs.numpy(), state.outputs.numpy(), state.bias.numpy()
            yield (
                record,
                Composed(*arrays, weights, settings.by_direction, settings.temperature),
            )


def thinned(
    baskets: csr_array, keep: float, weights: NDArray[np.float64], seed: int, number: int
) -> ComposedRows:
    """The contexts of pass `number`: each item of a row is kept with probability `keep`.

    At least one is kept and one is asked for; a row of one item asks for none. The draws come from
    the seed and the number of the pass, row by row. The targets of a row share a weight of 1.
    """
    sizes = np.diff(baskets.indptr)
    draws = np.random.default_rng([seed, 3, number]).random(len(baskets.indices))
    kept = draws < keep
    rows = np.flatnonzero(sizes > 1)
    first, last = baskets.indptr[:-1][rows], baskets.indptr[1:][rows]
    for extreme, stays in ((np.minimum, True), (np.maximum, False)):
        edges = np.stack([first, last], axis=1).ravel()
        best = extreme.reduceat(np.append(draws, 0.5), edges)[::2]
        at = np.repeat(best, sizes[rows]) == draws[np.repeat(sizes > 1, sizes)]
        kept[np.flatnonzero(np.repeat(sizes > 1, sizes))[at]] = stays
    kept |= np.repeat(sizes == 1, sizes)
    return composed_rows(_part(baskets, kept), _part(baskets, ~kept), weights)


def composed_rows(
    contexts: csr_array, targets: csr_array, weights: NDArray[np.float64]
) -> ComposedRows:
    """Contexts and their targets as the input model takes them; contexts are left out."""
    sizes = np.diff(targets.indptr)
    shares = np.repeat(1 / np.maximum(sizes, 1), sizes).astype(np.float32)
    counted = csr_array((shares, targets.indices, targets.indptr), shape=targets.shape)
    made = composition(contexts, weights).astype(np.float32)
    out = csr_array(
        (np.ones(len(contexts.indices), np.float32), contexts.indices, contexts.indptr),
        shape=contexts.shape,
    )
    return ComposedRows(WeightedCounts(counted), made, out)


def _part(baskets: csr_array, chosen: NDArray[np.bool_]) -> csr_array:
    """The chosen entries of each row."""
    ends = np.concatenate([[0], np.cumsum(chosen)])
    items = baskets.indices[chosen]
    return csr_array((np.ones(len(items)), items, ends[baskets.indptr]), shape=baskets.shape)


def _problem(
    baskets: csr_array,
    weights: NDArray[np.float64],
    settings: ComposedSettings,
    workers: Workers,
    questions: Questions | None,
) -> Problem:
    sizes = np.diff(baskets.indptr)
    baskets = baskets[np.flatnonzero((sizes > 1) & (sizes < baskets.shape[1]))]
    if baskets.shape[0] == 0:
        raise InputError(
            "baskets: none has two items and leaves one out, so nothing predicts anything; "
            "give rows of more items, or use --model mixture"
        )

    def passes(number: int) -> ComposedRows:
        return thinned(baskets, settings.keep, weights, settings.seed, number)

    validation = None
    if questions is not None:
        validation = composed_rows(questions.contexts, questions.targets, weights)
    workspace = Workspace.of(workers, max(settings.block_rows, BLOCK_ROWS), int(baskets.shape[1]))
    return composed_problem(
        passes(MEASURED),
        workspace,
        row_power=1.0,
        seed=settings.seed,
        score=settings.score,
        passes=_last_kept(passes),
        validation=validation,
    )


def _last_kept(passes: Callable[[int], ComposedRows]) -> Callable[[int], ComposedRows]:
    """The passes, the last two kept: every block asks for its own, on a worker thread."""
    known: dict[int, ComposedRows] = {}
    one_at_a_time = threading.Lock()

    def one(number: int) -> ComposedRows:
        with one_at_a_time:
            if number not in known:
                known[number] = passes(number)
                for old in [key for key in known if key < number - 1]:
                    del known[old]
            return known[number]

    return one


def _start(
    baskets: csr_array,
    popularity: NDArray[np.float64],
    settings: ComposedSettings,
    workers: Workers,
) -> Start:
    """Singular vectors of D_row^-½ R D_item^-½, of length 1 a row; the bias is log p_0."""
    of_rows = np.maximum(np.diff(baskets.indptr), 1.0) ** -0.5
    of_items = np.maximum(np.bincount(baskets.indices, minlength=baskets.shape[1]), 1.0) ** -0.5
    values = np.repeat(of_rows, np.diff(baskets.indptr)) * of_items[baskets.indices]
    scaled = csr_array(
        (values.astype(np.float32), baskets.indices, baskets.indptr), shape=baskets.shape
    )
    random = np.random.default_rng([settings.seed, 4])
    factors = singular_vectors(scaled, settings.vector_size, random, workers)
    vectors = 0.01 * random.standard_normal((baskets.shape[1], settings.vector_size))
    found = factors.right * np.sqrt(factors.sizes)
    vectors[:, : found.shape[1]] += found / of_items.mean()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    one = torch.from_numpy(vectors.astype(np.float32))
    return Start(one, one.clone(), torch.from_numpy(np.log(popularity).astype(np.float32)))
