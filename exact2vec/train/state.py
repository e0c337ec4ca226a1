"""What training changes (State), how far it is (Progress), and what is yielded (Record)."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from exact2vec.errors import UsageError
from exact2vec.loss.count_losses import Losses
from exact2vec.loss.engine.cells import Outputs
from exact2vec.train.optimizers import Memory
from exact2vec.train.row_schedule import Position
from exact2vec.train.schedule import Schedule
from exact2vec.train.shrinkage import Shrinkage


@dataclass(frozen=True)
class State:
    """All parameters, and what the optimisers remember.

    A step updates in place: `inputs` (the rows that it visits), `output_rows` and the tensors of
    `output_memory`, and those of `input_memory` where the optimiser of the inputs does. The others
    are replaced in a new State. So whoever keeps a State across steps keeps a `copy`.

    `output_rows` hold each u_w and its bias, as `Outputs` lays them out.
    """

    inputs: Float[Tensor, "context dim"]
    output_rows: Float[Tensor, "word width"]
    output_memory: Memory
    input_memory: Memory
    shrinkage: Shrinkage | None = None
    step: int = 0

    @property
    def sides(self) -> tuple[Float[Tensor, "context dim"], Outputs]:
        """Inputs and outputs, as the engine of the loss takes them."""
        return self.inputs, Outputs(self.output_rows, self.inputs.shape[1])

    @property
    def outputs(self) -> Float[Tensor, "word dim"]:
        return self.sides[1].vectors

    @property
    def bias(self) -> Float[Tensor, " word"]:
        return self.sides[1].bias

    def copy(self) -> "State":
        return replace(
            self,
            inputs=self.inputs.clone(),
            output_rows=self.output_rows.clone(),
            output_memory=tuple(tensor.clone() for tensor in self.output_memory),
            input_memory=tuple(tensor.clone() for tensor in self.input_memory),
            shrinkage=None if self.shrinkage is None else self.shrinkage.clone(),
        )


class Progress(NamedTuple):
    """All that training goes on from, beside its counts and arguments."""

    state: State
    schedule: Schedule
    position: Position


@dataclass(frozen=True)
class Record:
    """One step, with the losses where they were measured.

    `training` is None between epochs, where no loss is measured; the others also where nothing is
    held out.
    """

    state: State
    schedule: Schedule
    position: Position
    training: Losses | None = None
    held_out: Losses | None = None
    validation: Losses | None = None

    @property
    def step(self) -> int:
        """Steps done."""
        return self.state.step

    @property
    def steps(self) -> int:
        """How many there will be, at most: with epochs "auto" it falls when the end is chosen."""
        return self.schedule.steps

    @property
    def epoch(self) -> float:
        """Epochs done."""
        return self.position.epoch

    @property
    def progress(self) -> Progress:
        """What `fit` goes on from. Its tensors change with the next step: copy or write them."""
        return Progress(self.state, self.schedule, self.position)

    @property
    def losses(self) -> Losses:
        """The training losses of a record that was measured."""
        if self.training is None:
            raise UsageError(
                f"step {self.step} was not measured; look at records whose training is not None"
            )
        return self.training
