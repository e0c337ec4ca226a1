"""What vectors take of a training state: copies of its tensors as arrays."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from exact2vec.vectors.unseen import Composer


@runtime_checkable
class Parameters(Protocol):
    """What a trained state offers: tensors of (rows, dim), (columns, dim), (columns)."""

    @property
    def inputs(self) -> Any: ...
    @property
    def outputs(self) -> Any: ...
    @property
    def bias(self) -> Any: ...
    @property
    def shrinkage(self) -> Any: ...


def parameter_arrays(
    state: Parameters,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Copies of inputs, outputs and biases, float32."""
    return _copy(state.inputs), _copy(state.outputs), _copy(state.bias)


def state_composer(state: Parameters, *, square: bool) -> Composer | None:
    """What composes rows of their features; None where nothing was shrunk.

    Where rows are not columns, a row has no output vector, and its map to one is zeros.
    """
    shrinkage = state.shrinkage
    if shrinkage is None:
        return None
    of_inputs = _copy(shrinkage.maps[0])
    of_outputs = _copy(shrinkage.maps[1]) if square else np.zeros_like(of_inputs)
    prior = shrinkage.prior
    return Composer(prior.describer, (of_inputs, of_outputs), prior.strengths)


def _copy(tensor: Any) -> NDArray[np.float32]:
    return np.array(tensor.numpy(), np.float32)
