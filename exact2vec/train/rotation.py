"""Which rows are visited when: the frequent ones often, the rare ones in rotation, with their weight."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PARTS = 3  # of an epoch
FREQUENT = 0.2  # share of the rows that every part visits
TURNS = 6  # parts until each of the others has had its turn: FREQUENT + (1 − FREQUENT) / TURNS = 1 / PARTS
FEW_ROWS = 64  # below, every part visits all rows


class Block(NamedTuple):
    """Rows of one step, the weight of each, the epochs done when the step is, and whether that ends a third of an epoch."""

    rows: NDArray[np.int64]
    weights: NDArray[np.float32]
    epoch: float
    ends_part: bool = False


def blocks(totals: NDArray[np.float64], epochs: int, block_rows: int, seed: int) -> Iterator[Block]:
    """The blocks of `epochs`, each of which costs as much as one visit to every row with pairs.

    A third of an epoch visits the fifth of the rows with the largest totals, and a sixth of the others, which weigh six times: the expected gradient
    is that of all rows. Two epochs visit every row. (Fewer than 64 rows are all visited in every third of an epoch.)
    """
    order = np.argsort(-totals, kind="stable")[: np.count_nonzero(totals)]
    frequent, others = np.split(
        order, [round(FREQUENT * len(order)) if len(order) >= FEW_ROWS else len(order)]
    )
    for part in range(epochs * PARTS):
        round_of_turns = np.random.default_rng([seed, 1, part // TURNS]).permutation(others)
        turn = round_of_turns[part % TURNS :: TURNS]
        rows = np.concatenate([frequent, turn])
        weights = np.repeat(np.array([1, TURNS], np.float32), [len(frequent), len(turn)])
        shuffled = np.random.default_rng([seed, 2, part]).permutation(len(rows))
        pieces = np.array_split(shuffled, max(1, -(-len(rows) // block_rows)))
        for number, piece in enumerate(pieces, start=1):
            yield Block(
                rows[piece],
                weights[piece],
                (part + number / len(pieces)) / PARTS,
                number == len(pieces),
            )
