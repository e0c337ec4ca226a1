"""Whether what files say of a training can be where one of this kind was."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from exact2vec.errors import CorruptFileError
from exact2vec.storage.encoding import is_number
from exact2vec.train.checkpoint import history_row
from exact2vec.train.row_schedule import BEGINNING, Visit
from exact2vec.train.state import Progress, Record

LOSSES = ("validation_nll", "held_out_nll", "held_out_nll_standard_error", "held_out_excess")
MAY_BE_MISSING = ("nll_standard_error", "objective", *LOSSES)


class Earlier(NamedTuple):
    """Where a `fit` was: its progress, its last measured record, and what it noted until then."""

    progress: Progress
    measured: Record
    history: list[dict[str, Any]]
    times: list[dict[str, Any]]


def earlier_of(
    last: Record, good: Record, history: list[dict[str, Any]], times: list[dict[str, Any]]
) -> Earlier:
    """Where a training was, of its checkpoints and what it noted.

    CorruptFileError where they do not belong together.
    """
    steps = [0, *(end for end in last.schedule.ends if end <= last.step)]
    if good.training is None:
        raise CorruptFileError("the losses of its good checkpoint are missing")
    if [row["step"] for row in history] != steps or not all(map(_is_of_history, history)):
        raise CorruptFileError("its history is not that of its steps")
    if [row["step"] for row in times] != steps or not all(map(_is_of_times, times)):
        raise CorruptFileError("its times are not those of its steps")
    if history_row(good) not in history:
        raise CorruptFileError("its good checkpoint has other losses than its history")
    return Earlier(last.progress, good, history, times)


def refuse_other_progress(progress: Progress, visits: Iterator[Visit], *, chosen: bool) -> None:
    """CorruptFileError where a training with these visits is never so far.

    `chosen` says that the validation part decides when it ends.
    """
    state, schedule, position = progress
    ends, place, goes_on = [], BEGINNING if state.step == 0 else None, False
    for number, visit in enumerate(visits, start=1):
        if goes_on := number > schedule.steps:
            break
        place = visit.position if number == state.step else place
        ends += [number] if visit.position.ends_epoch else []
    if place != position:
        raise CorruptFileError(f"the checkpoint of step {state.step} is not of this training")
    ends_early = chosen and schedule.fixed and bool(ends)
    if (
        tuple(ends) != schedule.ends
        or (goes_on and not ends_early)
        or not (chosen or schedule.fixed)
    ):
        raise CorruptFileError("the epochs of the checkpoint are not those of this training")


def _is_of_history(row: dict[str, Any]) -> bool:
    return (
        set(row) == {"step", "epoch", "exact", "nll", "excess", *MAY_BE_MISSING}
        and isinstance(row["exact"], bool)
        and all(map(is_number, (row["epoch"], row["nll"], row["excess"])))
        and all(row[name] is None or is_number(row[name]) for name in MAY_BE_MISSING)
    )


def _is_of_times(row: dict[str, Any]) -> bool:
    return set(row) == {"step", "seconds"} and is_number(row["seconds"]) and row["seconds"] >= 0
