"""Which contexts are visited when: frequent ones often, the others in turns.

The others weigh the more.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PARTS = 3  # of an epoch
FREQUENT = 0.2  # share of the contexts that every part visits
FEW_ROWS = 64  # below, every part visits all contexts


class Position(NamedTuple):
    """How far training is: whole parts of an epoch, and `blocks_done` of the `blocks` of the next.

    A part that has just ended counts as the next with all of its blocks done.
    """

    part: int = 0
    blocks_done: int = 0
    blocks: int = 1

    @property
    def epoch(self) -> float:
        """Epochs done."""
        return (self.part + self.blocks_done / self.blocks) / PARTS

    @property
    def ends_part(self) -> bool:
        """Whether a third of an epoch has just ended."""
        return self.blocks_done == self.blocks

    @property
    def ends_epoch(self) -> bool:
        return self.epoch == int(self.epoch)


BEGINNING = Position()


class Visit(NamedTuple):
    """Contexts of one step with the weight of each, and the position when the step is done."""

    contexts: NDArray[np.int64]
    weights: NDArray[np.float32]
    position: Position


def visits(
    totals: NDArray[np.float64],
    epochs: int,
    block_rows: int,
    seed: int,
    *,
    frequent: float = FREQUENT,
    start: Position = BEGINNING,
) -> Iterator[Visit]:
    """The visits of `epochs`, each of which costs as much as one visit to every context with pairs.

    A third of an epoch visits the fifth of the contexts with the largest totals (`frequent` is
    their share), and a sixth of the others, which weigh six times as much. So the expected gradient
    is that of all contexts, and two epochs visit every one. With `frequent` = 0 one epoch does.
    Fewer than 64 contexts are all visited in every third of an epoch. Visits begin behind `start`.
    """
    order = np.argsort(-totals, kind="stable")[: np.count_nonzero(totals)]
    often = round(frequent * len(order)) if len(order) >= FEW_ROWS else len(order)
    for part in range(start.part, epochs * PARTS):
        contexts, weights = _contexts_of_part(order, often, part, turns(frequent), seed)
        shuffled = np.random.default_rng([seed, 2, part]).permutation(len(contexts))
        pieces = np.array_split(shuffled, max(1, -(-len(contexts) // block_rows)))
        done = start.blocks_done if part == start.part else 0
        for number, piece in enumerate(pieces[done:], start=done + 1):
            yield Visit(contexts[piece], weights[piece], Position(part, number, len(pieces)))


def turns(frequent: float) -> int:
    """Parts until each of the other contexts has had its turn.

    frequent + (1 − frequent) / turns = 1 / PARTS: so an epoch costs one visit to every context.

    >>> turns(0.2), turns(0.0)
    (6, 3)
    """
    return round((1 - frequent) / (1 / PARTS - frequent))


def _contexts_of_part(
    order: NDArray[np.int64], often: int, part: int, turns: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The contexts that a part visits, and their weights."""
    frequent, others = order[:often], order[often:]
    round_of_turns = np.random.default_rng([seed, 1, part // turns]).permutation(others)
    turn = round_of_turns[part % turns :: turns]
    weights = np.repeat(np.array([1, turns], np.float32), [len(frequent), len(turn)])
    return np.concatenate([frequent, turn]), weights
