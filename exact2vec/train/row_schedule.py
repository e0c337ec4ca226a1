"""Which rows are visited when: frequent ones often, the others in rotation.

The others weigh the more.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PARTS = 3  # of an epoch
FREQUENT = 0.2  # share of the rows that every part visits
# Parts until each of the others has had its turn: FREQUENT + (1 − FREQUENT) / TURNS = 1 / PARTS
TURNS = 6
FEW_ROWS = 64  # below, every part visits all rows


class Block(NamedTuple):
    """Rows of one step with the weight of each.

    `epoch` are the epochs done when the step is. `ends_part` says whether the step ends a third of
    an epoch.
    """

    rows: NDArray[np.int64]
    weights: NDArray[np.float32]
    epoch: float
    ends_part: bool = False


def blocks(totals: NDArray[np.float64], epochs: int, block_rows: int, seed: int) -> Iterator[Block]:
    """The blocks of `epochs`, each of which costs as much as one visit to every row with pairs.

    A third of an epoch visits the fifth of the rows with the largest totals, and a sixth of the
    others, which weigh six times as much. So the expected gradient is that of all rows, and two
    epochs visit every row. Fewer than 64 rows are all visited in every third of an epoch.
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
