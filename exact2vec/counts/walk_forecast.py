"""How many cells walks fill, and what that takes: walked from some nodes before all others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exact2vec import machine
from exact2vec.counts.walk_loops import LANES
from exact2vec.counts.walks import Spare, WalkedRows, Walks
from exact2vec.options import OPTIONS
from exact2vec.parallel import Workers

SAMPLED_GROUPS = 24  # of LANES nodes, evenly among those in order of degree; and as many closer
WHOLE_CELLS, MOST_CELLS = (
    int(str(OPTIONS[name].default)) for name in ("whole_cells", "most_cells")
)
BARS = 2 ** (np.arange(65) / 4)  # times chance: 1 to 65,536, above which cells may be kept
BYTES_A_CELL = 28  # n in float64 and float32, its column, and what the start makes of it
BYTES_AN_EDGE = 100
SECONDS_A_STEP = 8e-9  # along an edge, for the LANES nodes of a group
SECONDS_A_REACHED_CELL = 6e-9


@dataclass(frozen=True)
class WalkForecast:
    """What the walks of a graph reach, estimated: cells, those that are kept, steps of a group.

    Cells up to `least` times chance become a background; none where it is 0.
    """

    reached: float
    cells: float
    steps: float
    least: float
    nodes: int
    edges: int

    def bytes(self, threads: int) -> float:
        """The most memory that counting takes, and the start of training after it."""
        scratch = threads * self.nodes * LANES * 8 * 3
        return BYTES_A_CELL * self.cells + BYTES_AN_EDGE * self.edges + scratch

    def line(self, threads: int) -> str:
        """The forecast in words."""
        size, took = self.bytes(threads) / 1e9, max(1, round(self.seconds(threads)))
        above = f", those above {self.least:.3g} times chance" if self.least > 1 else ""
        return (
            f"walks: about {self.cells:,.0f} of {self.reached:,.0f} cells{above}: {size:.1f} GB "
            f"and {took} s of counting"
        )

    def seconds(self, threads: int) -> float:
        """Of counting."""
        work = SECONDS_A_STEP * self.steps + SECONDS_A_REACHED_CELL * self.reached
        return work / threads


def walk_forecast(
    walks: Walks, workers: Workers, *, whole_cells: int, most_cells: int = MOST_CELLS
) -> WalkForecast:
    """The forecast of these walks, from those of a few nodes; what is cut depends on no machine."""
    size, spare = len(walks.totals), Spare()
    sampled = sampled_groups(walks.groups)
    ranks = np.arange(walks.groups)

    def walked(group: int) -> tuple[int, int, NDArray[np.int64]]:
        first = group * LANES
        rows = walks.rows(first, min(size, first + LANES), least=1, spare=spare)
        return rows.reached, rows.work, cells_above_bars(rows, walks, first)

    found = workers.map(walked, sampled)

    def total(values: Sequence[float] | NDArray[np.int64]) -> float:
        """Of all groups, those between sampled ones like their neighbours."""
        return float(np.interp(ranks, sampled, values).sum())

    one_hop = len(walks.hop_weights) == 1
    reached = walks.reach.nnz if one_hop else total([part[0] for part in found])
    cells, least = reached, 0.0
    if reached > whole_cells:
        above = np.array([total(counts) for counts in np.array([part[2] for part in found]).T])
        bar = min(int((above > most_cells).sum()), len(BARS) - 1)
        cells, least = min(reached, above[bar]), float(BARS[bar])
    steps = total([part[1] for part in found])
    return WalkForecast(reached, cells, steps, least, size, walks.reach.nnz)


def cells_above_bars(rows: WalkedRows, walks: Walks, first: int) -> NDArray[np.int64]:
    """How many cells of some rows, from `first` on, are above each of BARS times chance."""
    totals = np.repeat(walks.totals[first : first + len(rows.kept)], rows.kept)
    times = np.sort(rows.values / (totals * walks.shares[rows.columns]))
    return len(times) - np.searchsorted(times, BARS, side="right")


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
    smaller = "a smaller --most-cells" if forecast.least else "a smaller --whole-cells"
    flags = [smaller] if forecast.least < BARS[-1] else []
    flags += [f"fewer --hops (now {hops})"] if hops > 1 else []
    machine.refuse_what_cannot_fit(
        forecast.bytes(threads), machine.resident_bytes(), " or ".join(flags) or "fewer edges"
    )
