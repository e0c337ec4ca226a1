"""How many cells walks fill, and what that takes: walked from some nodes before all others."""

from dataclasses import dataclass

import numpy as np

from exact2vec import machine
from exact2vec.counts.walk_loops import LANES
from exact2vec.counts.walks import Spare, Walks
from exact2vec.options import OPTIONS
from exact2vec.parallel import Workers

SAMPLED_GROUPS = 24  # of LANES nodes, evenly among those in order of degree; and as many closer
WHOLE_CELLS = int(str(OPTIONS["whole_cells"].default))
BYTES_A_CELL = 28  # n in float64 and float32, its column, and what the start makes of it
BYTES_AN_EDGE = 100
SECONDS_A_STEP = 8e-9  # along an edge, for the LANES nodes of a group
SECONDS_A_REACHED_CELL = 6e-9


@dataclass(frozen=True)
class WalkForecast:
    """What the walks of a graph reach, estimated: cells, those above chance, steps of a group.

    `cut` says whether cells below chance become a background.
    """

    reached: float
    above: float
    steps: float
    cut: bool
    nodes: int
    edges: int

    @property
    def cells(self) -> float:
        """Cells that are kept."""
        return self.above if self.cut else self.reached

    def bytes(self, threads: int) -> float:
        """The most memory that counting takes, and the start of training after it."""
        scratch = threads * self.nodes * LANES * 8 * 3
        return BYTES_A_CELL * self.cells + BYTES_AN_EDGE * self.edges + scratch

    def line(self, threads: int) -> str:
        """The forecast in words."""
        size, took = self.bytes(threads) / 1e9, max(1, round(self.seconds(threads)))
        return (
            f"walks: about {self.cells:,.0f} of {self.reached:,.0f} cells, {size:.1f} GB "
            f"and {took} s of counting"
        )

    def seconds(self, threads: int) -> float:
        """Of counting."""
        work = SECONDS_A_STEP * self.steps + SECONDS_A_REACHED_CELL * self.reached
        return work / threads


def walk_forecast(walks: Walks, workers: Workers, *, whole_cells: int) -> WalkForecast:
    """The forecast of these walks, from those of a few nodes."""
    size, spare = len(walks.totals), Spare()
    sampled = sampled_groups(walks.groups)
    parts = workers.map(
        lambda group: walks.rows(
            group * LANES, min(size, (group + 1) * LANES), cut=True, spare=spare
        ),
        sampled,
    )
    ranks = np.arange(walks.groups)

    def total(values: list[int]) -> float:
        """Of all groups, those between sampled ones like their neighbours."""
        return float(np.interp(ranks, sampled, values).sum())

    one_hop = len(walks.hop_weights) == 1
    reached = walks.reach.nnz if one_hop else total([part.reached for part in parts])
    above = min(reached, total([int(part.kept.sum()) for part in parts]))
    steps = total([part.work for part in parts])
    return WalkForecast(reached, above, steps, reached > whole_cells, size, walks.reach.nnz)


def sampled_groups(groups: int) -> list[int]:
    """Some groups, from the largest degrees on: evenly, and closer the larger the degrees are.

    >>> sampled_groups(100)[:9]
    [0, 1, 2, 3, 4, 5, 6, 8, 9]
    """
    even = np.linspace(0, groups - 1, min(groups, SAMPLED_GROUPS))
    first = np.geomspace(1, groups, min(groups, SAMPLED_GROUPS)) - 1
    found: list[int] = np.union1d(even.round(), first.round()).astype(int).tolist()
    return found


def refuse_what_does_not_fit(forecast: WalkForecast, threads: int, hops: int) -> None:
    """ResourceError where the counts will not fit into memory."""
    flags = ["a smaller --whole-cells"] if not forecast.cut else []
    flags += [f"fewer --hops (now {hops})"] if hops > 1 else []
    machine.refuse_what_cannot_fit(
        forecast.bytes(threads), machine.resident_bytes(), " or ".join(flags) or "fewer edges"
    )
