"""A Progress as arrays and numbers that files can hold, and back; what files say of a Record."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from exact2vec.errors import CorruptFileError
from exact2vec.loss.count_losses import Losses
from exact2vec.loss.engine.cells import LANES
from exact2vec.loss.formulas import Pull
from exact2vec.storage.encoding import is_count, is_number
from exact2vec.train.row_schedule import Position
from exact2vec.train.schedule import FINAL_RATE, PATIENCE, Schedule
from exact2vec.train.shrinkage import Prior, Shrinkage
from exact2vec.train.state import Record, State

PARTS = ("training", "held_out", "validation")


@dataclass(frozen=True)
class Checkpoint:
    """The arrays of a state (views of its tensors), and all the rest as JSON can say it."""

    arrays: dict[str, NDArray[Any]]
    numbers: dict[str, Any]

    @property
    def nbytes(self) -> int:
        """How large the arrays are, in bytes."""
        return sum(array.nbytes for array in self.arrays.values())


@dataclass(frozen=True)
class Sizes:
    """Of the state of a training: rows, columns, numbers a vector, and features of each side."""

    rows: int
    columns: int
    dim: int
    features: tuple[int, int] | None


def checkpoint_of(record: Record) -> Checkpoint:
    """The Checkpoint of a record; its arrays change with the next step."""
    state, schedule = record.state, record.schedule
    losses = {part: getattr(record, part) for part in PARTS}
    numbers = {
        "step": state.step,
        "position": list(record.position),
        "epoch": record.epoch,
        "schedule": {
            "ends": list(schedule.ends),
            "fixed": schedule.fixed,
            "lowest": _finite(schedule.lowest),
            "waited": schedule.waited,
            "falls_from": list(schedule.falls_from),
            "ceiling": _finite(schedule.ceiling),
        },
        "pending": state.shrinkage.pending if state.shrinkage else 0.0,
        "losses": {part: asdict(found) if found else None for part, found in losses.items()},
    }
    tensors = _tensors(state)
    return Checkpoint({name: tensor.numpy() for name, tensor in tensors.items()}, numbers)


def record_of(checkpoint: Checkpoint, sizes: Sizes, prior: Prior | None) -> Record:
    """The Record that a Checkpoint is of; CorruptFileError where it is not one of these sizes."""
    try:
        _refuse_other_arrays(checkpoint.arrays, sizes)
        numbers = checkpoint.numbers
        losses = {part: _losses(numbers["losses"][part]) for part in PARTS}
        position = Position(*map(_count, numbers["position"]))
        if position.epoch != numbers["epoch"]:
            raise ValueError(f"epoch {numbers['epoch']} is not at {position}")
        schedule = _schedule(numbers["schedule"])
        return Record(_state(checkpoint, prior), schedule, position, **losses)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise CorruptFileError(f"the checkpoint is not of this training: {error}") from error


def _tensors(state: State) -> dict[str, Tensor]:
    tensors = {"inputs": state.inputs, "output_rows": state.output_rows}
    for name in ("output_memory", "input_memory"):
        tensors |= {f"{name}.{number}": one for number, one in enumerate(getattr(state, name))}
    if state.shrinkage is not None:
        for side, of_side, pull in zip(
            ("input", "output"), state.shrinkage.maps, state.shrinkage.pulls, strict=True
        ):
            tensors |= {f"{side}_map": of_side, f"{side}_means": pull.means}
            tensors[f"{side}_metric"] = pull.metric
    return tensors


def _state(checkpoint: Checkpoint, prior: Prior | None) -> State:
    tensors = {name: torch.tensor(array) for name, array in checkpoint.arrays.items()}
    output_memory = tensors["output_memory.0"], tensors["output_memory.1"]
    input_memory = tensors["input_memory.0"], tensors["input_memory.1"]
    shrinkage = None
    if prior is not None:
        pulls = [
            Pull(strength, tensors[f"{side}_means"], tensors[f"{side}_metric"])
            for side, strength in zip(("input", "output"), prior.strengths, strict=True)
        ]
        maps = tensors["input_map"], tensors["output_map"]
        pending = _number(checkpoint.numbers["pending"])
        shrinkage = Shrinkage(prior, maps, (pulls[0], pulls[1]), pending)
    step = _count(checkpoint.numbers["step"])
    parameters = tensors["inputs"], tensors["output_rows"]
    return State(*parameters, output_memory, input_memory, shrinkage, step)


def _schedule(numbers: Mapping[str, Any]) -> Schedule:
    ends, waited = tuple(map(_count, numbers["ends"])), _count(numbers["waited"])
    first, share = numbers["falls_from"]
    if list(ends) != sorted({*ends} - {0}) or waited >= PATIENCE:
        raise ValueError(f"epochs that end at {ends[:5]} …, {waited} of them waited")
    if first not in (0, *ends) or not FINAL_RATE <= _number(share) <= 1:
        raise ValueError(f"a rate that falls from step {first}, share {share}")
    return Schedule(
        ends,
        _flag(numbers["fixed"]),
        _maybe_infinite(numbers["lowest"]),
        waited,
        (_count(first), float(share)),
        _maybe_infinite(numbers["ceiling"]),
    )


def _losses(numbers: Mapping[str, Any] | None) -> Losses | None:
    if numbers is None:
        return None
    optional = {"standard_error", "objective"}
    if set(numbers) != {field.name for field in fields(Losses)}:
        raise ValueError(f"losses of {sorted(numbers)}")
    for name, value in numbers.items():
        if not (value is None and name in optional):
            _number(value)
    return Losses(**numbers)


def _count(value: Any) -> int:
    if not is_count(value):
        raise ValueError(f"{value!r} is no count")
    return int(value)


def _number(value: Any) -> float:
    if not is_number(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _refuse_other_arrays(arrays: Mapping[str, NDArray[Any]], sizes: Sizes) -> None:
    """ValueError where an array is missing, too many, of another type or shape, or not finite."""
    wanted = _wanted_arrays(sizes)
    found = {name: (str(array.dtype), array.shape) for name, array in arrays.items()}
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise ValueError(f"{name}: wanted {wanted.get(name)}, got {found.get(name)}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} holds numbers that are not finite")


def _wanted_arrays(sizes: Sizes) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Types and shapes, of the optimisers that a training is tuned for."""
    rows, columns, dim = sizes.rows, sizes.columns, sizes.dim
    width = -(-(dim + 1) // LANES) * LANES
    shapes: dict[str, tuple[int, ...]] = {"inputs": (rows, dim), "input_memory.0": (dim, dim)}
    shapes |= dict.fromkeys(("output_rows", "output_memory.0", "output_memory.1"), (columns, width))
    if sizes.features is not None:
        sides = zip(("input", "output"), (rows, columns), sizes.features, strict=True)
        for side, size, features in sides:
            shapes |= {f"{side}_map": (features, dim), f"{side}_means": (size, dim)}
            shapes[f"{side}_metric"] = (dim, dim)
    wanted = {name: ("float32", shape) for name, shape in shapes.items()}
    return wanted | {"input_memory.1": ("float64", ())}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _maybe_infinite(number: float | None) -> float:
    return math.inf if number is None else _number(number)


def history_row(record: Record) -> dict[str, Any]:
    """What history.jsonl holds of a record: losses in nats per pair.

    `exact` is false for estimates.
    """
    training, held_out = record.losses, record.held_out
    return {
        "step": record.step,
        "epoch": record.epoch,
        "exact": training.standard_error is None,
        "nll": training.nll,
        "nll_standard_error": training.standard_error,
        "excess": training.excess,
        "objective": training.objective,
        "validation_nll": record.validation.nll if record.validation else None,
        "held_out_nll": held_out.nll if held_out else None,
        "held_out_nll_standard_error": held_out.standard_error if held_out else None,
        "held_out_excess": held_out.excess if held_out else None,
    }


def summary(record: Record, words: int, held_out_digest: str | None) -> dict[str, Any]:
    """The last losses with their baselines, in nats per pair."""
    held_out, validation = (
        asdict(losses) if losses else None for losses in (record.held_out, record.validation)
    )
    return {
        "step": record.step,
        "steps": record.steps,
        "epoch": record.epoch,
        "words": words,
        "ln_v": math.log(words),
        "training": asdict(record.losses),
        "validation": validation,
        "held_out": held_out,
        "held_out_digest": held_out_digest,
    }
