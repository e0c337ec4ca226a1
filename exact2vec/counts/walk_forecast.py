"""How many cells walks fill, and what that takes: walked from some nodes before all others."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exact2vec.counts.walk_loops import LANES
from exact2vec.counts.walks import Walks
from exact2vec.errors import ResourceError
from exact2vec.options import OPTIONS
from exact2vec.parallel import Workers

SAMPLED_GROUPS = 24  # of LANES nodes, evenly among those in order of degree
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
    size, groups = len(walks.totals), walks.groups
    even = np.linspace(0, groups - 1, min(groups, SAMPLED_GROUPS)).round()
    sampled: list[int] = np.unique(even).astype(int).tolist()
    parts = workers.map(
        lambda group: walks.rows(group * LANES, min(size, (group + 1) * LANES), cut=True), sampled
    )
    ranks = np.arange(groups)

    def total(values: list[int]) -> float:
        """Of all groups, those between sampled ones like their neighbours."""
        return float(np.interp(ranks, sampled, values).sum())

    reached = total([part.reached for part in parts])
    above = total([int(part.kept.sum()) for part in parts])
    steps = total([part.work for part in parts])
    return WalkForecast(reached, above, steps, reached > whole_cells, size, walks.reach.nnz)


def refuse_what_does_not_fit(forecast: WalkForecast, threads: int, hops: int) -> None:
    """ResourceError where the counts will not fit into memory."""
    room, wanted = _available(), forecast.bytes(threads)
    if room is None or wanted < 0.9 * room:
        return
    cure = f"fewer --hops (now {hops})" if hops > 1 else "a machine with more memory"
    raise ResourceError(
        f"the walks of {forecast.nodes:,} nodes and {forecast.edges // 2:,} edges need about "
        f"{wanted / 1e9:.1f} GB, {forecast.cells:,.0f} cells; {room / 1e9:.1f} GB are free: "
        f"use {cure}"
    )


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None
