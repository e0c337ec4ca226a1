"""The forecast of a training: bytes at its peak, and seconds to its end."""

import time
from dataclasses import dataclass

from exact2vec import machine
from exact2vec.forecast import memory, work
from exact2vec.forecast.calibration import Seconds, calibrated
from exact2vec.forecast.shapes import Shapes


@dataclass(frozen=True)
class Forecast:
    """What is still to come, stage by stage.

    `held` bytes are in memory already, and have been `held_before` at most. `alive` are the bytes
    beyond them that each stage needs. `seconds` are what each stage takes; to find out took
    `calibration_seconds`.
    """

    shapes: Shapes
    held: int
    held_before: int
    alive: dict[str, float]
    seconds: list[work.Stage]
    calibration_seconds: float

    @property
    def more(self) -> float:
        """Bytes beyond those that are held."""
        return max(self.alive.values())

    @property
    def peak(self) -> float:
        """The most bytes that the process will have held."""
        return max(self.held_before, self.held + self.more)

    @property
    def total(self) -> Seconds:
        """By the clock, and of all cores together."""
        return sum((stage.seconds for stage in self.seconds), Seconds(0.0, 0.0))


def forecast(shapes: Shapes) -> Forecast:
    """The Forecast of a training of these shapes by this process, in about a second.

    What the process holds is measured, so it should hold the counts. The time is that of this
    machine as it is: what else runs on it counts.
    """
    before, began = machine.peak_bytes(), time.perf_counter()
    seconds = work.stages(shapes, calibrated(shapes))
    took, held = time.perf_counter() - began, machine.resident_bytes()
    return Forecast(shapes, held, before, memory.stages(shapes), seconds, took)
