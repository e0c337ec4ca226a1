"""Scores in blocks of fixed size, as the compiled loops and the worker threads take them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from exact2vec.loss.engine.tile_size import tile_scores
from exact2vec.loss.targets import Targets
from exact2vec.parallel import workers

FEW_WORDS = 64  # up to here, rows lie side by side in vector lanes
FEW_SCORES = 4096  # up to here it does not matter

Array = NDArray[Any]
NONE = np.empty(0)
NO_CELLS = np.empty(0, dtype=np.int64)


def sizes(shape: Sequence[int]) -> tuple[int, int, int]:
    """(outer, words, inner) of scores of this shape, which may be (row, word)."""
    return shape[0], shape[1], shape[2] if len(shape) > 2 else 1


def in_blocks(function: Callable[[int, int], None], shape: Sequence[int]) -> None:
    """`function` for each block of rows, on worker threads where there are several blocks.

    A block is some whole outer parts of scores (outer, words, inner), or some of one part's inner
    positions. The blocks depend on no thread.
    """
    outer, words, inner = sizes(shape)
    if outer * words * inner <= tile_scores():
        function(0, outer * inner)
        return
    blocks = _blocks(outer, words, inner)
    workers(torch.get_num_threads()).map(lambda block: function(*block), blocks)


def _blocks(outer: int, words: int, inner: int) -> list[tuple[int, int]]:
    size = max(1, tile_scores() // words)
    if size >= inner:
        size = size // inner * inner
        return [(row, min(row + size, outer * inner)) for row in range(0, outer * inner, size)]
    parts = -(-inner // size)
    size = -(-inner // parts)
    return [
        (part * inner + at, part * inner + min(at + size, inner))
        for part in range(outer)
        for at in range(0, inner, size)
    ]


class Problem(NamedTuple):
    """Scores and what their rows count, as the compiled loops take them.

    Scores are (row, word) or (outer, words, inner); `dense` is the latter.
    """

    scores: Any  # a tensor; None in what a loss function keeps beside its saved tensors
    dense: Tensor | None
    cells: tuple[Array, Array, Array]  # starts, column, value
    spread: Array
    weight: Array
    keep: float
    direct: bool  # the loops can read scores and `dense` where they are

    @classmethod
    def of(cls, scores: Tensor, targets: Targets) -> "Problem":
        dense, spread, weight = targets.dense, targets.spread, targets.weight
        starts = NO_CELLS if targets.row is None else _starts(targets.row, scores)
        kind = kind_of(scores)
        return cls(
            scores,
            dense,
            (starts, array_of(targets.column), array_of(targets.value)),
            NONE if spread is None else array_of(spread.contiguous()),
            NONE if weight is None else array_of(weight.double().contiguous()),
            targets.keep,
            readable(scores, kind) and (dense is None or readable(dense, kind_of(dense, kind))),
        )

    def again(self, scores: Tensor, dense: Tensor | None) -> "Problem":
        """With the large tensors."""
        return Problem(scores, dense, *self[2:])

    def kept(self) -> "Problem":
        """Without the large tensors, which autograd saves."""
        return Problem(None, None, *self[2:])

    @classmethod
    def uncounted(cls, scores: Tensor, dense: Tensor | None = None) -> "Problem":
        """Scores alone, or with one number each in `dense`."""
        kind, none = kind_of(scores), (NO_CELLS, NO_CELLS, NONE)
        direct = readable(scores, kind) and (dense is None or readable(dense, kind_of(dense, kind)))
        return cls(scores, dense, none, NONE, NONE, 1.0, direct)

    def part(self, start: int, stop: int) -> "Problem":
        """A block of rows by itself; its scores and `dense` are copied in the loops' formats."""
        kind, dense = kind_of(self.scores), self.dense
        if dense is not None:
            dense = _block(dense, start, stop).to(kind_of(dense, kind)).contiguous()
        starts, column, value = self.cells
        if len(starts):
            cells = (starts[start : stop + 1], column, value)
        else:
            cells = (starts, column[start:stop], value[start:stop])
        scores = _block(self.scores, start, stop).to(kind).contiguous()
        spread = self.spread[start:stop]
        return Problem(scores, dense, cells, spread, self.weight, self.keep, True)

    def run(
        self, loop: "Loop", start: int, stop: int, rows: Sequence[Array], out: Tensor | None = None
    ) -> None:
        """`loop` over a block: `rows` have one number a row or one for all, `out` is as scores."""
        if not self.direct:
            self._run_copied(loop, start, stop, rows, out)
            return
        z = loop.laid(array_of(self.scores))
        counted: tuple[Any, ...] = ()
        if loop.counts:
            dense = z[:, :0] if self.dense is None else loop.laid(array_of(self.dense))
            counted = (*self.cells, dense, self.spread, self.weight, self.keep)
        outs = () if out is None else (loop.laid(array_of(out)),)
        loop.function(z, start, stop, *counted, *rows, *outs)

    def _run_copied(
        self, loop: "Loop", start: int, stop: int, rows: Sequence[Array], out: Tensor | None
    ) -> None:
        cut = [each if len(each) == 1 else each[start:stop] for each in rows]
        part = self.part(start, stop)
        if out is None:
            part.run(loop, 0, stop - start, cut)
            return
        into = _block(out, start, stop)
        found = torch.empty(into.shape, dtype=kind_of(into), device="cpu")
        part.run(loop, 0, stop - start, cut, found)
        into.copy_(found)


class Loop(NamedTuple):
    """A compiled loop; whether it runs along words (scores are (row, word)), and takes targets."""

    function: Callable[..., None]
    along: bool
    counts: bool

    @classmethod
    def named(cls, name: str, shape: Sequence[int]) -> "Loop":
        """The loop for scores of this shape."""
        outer, words, inner = sizes(shape)
        return _loop(name, inner == 1 and (words > FEW_WORDS or outer * words <= FEW_SCORES))

    def laid(self, array: Array) -> Array:
        """Scores as the loop takes them."""
        if self.along:
            return array if array.ndim == 2 else array[:, :, 0]
        return array if array.ndim == 3 else array[:, :, None]


@functools.cache
def _loop(name: str, along: bool) -> Loop:
    """Loaded, or compiled, not before it is needed."""
    if along:
        from exact2vec.loss.engine import row_kernels

        return Loop(getattr(row_kernels, f"rows_{name}"), True, name != "log_softmax")
    from exact2vec.loss.engine import column_kernels

    return Loop(getattr(column_kernels, f"columns_{name}"), False, name != "log_softmax")


def array_of(tensor: Tensor) -> Array:
    """The memory of a tensor."""
    array: Array = tensor.detach().numpy()
    return array


def kind_of(tensor: Tensor, beside: torch.dtype = torch.float32) -> torch.dtype:
    """The format that the loops take for these numbers: 16 bits in float32, counts in float64."""
    wide = tensor.dtype == torch.float64 or beside == torch.float64
    return torch.float64 if wide or not tensor.is_floating_point() else torch.float32


def readable(tensor: Tensor, kind: torch.dtype) -> bool:
    """Whether the loops can read a tensor where it is."""
    return tensor.dtype == kind and tensor.is_contiguous()


def _block(tensor: Tensor, start: int, stop: int) -> Tensor:
    """Rows of scores: whole outer parts, or some of the positions of one."""
    if tensor.dim() == 2:
        return tensor[start:stop]
    inner = tensor.shape[2]
    first, at = divmod(start, inner)
    last, rest = divmod(stop, inner)
    if at == 0 and rest == 0:
        return tensor[first:last]
    return tensor[first : first + 1, :, at : at + stop - start]


def _starts(row: Tensor, scores: Tensor) -> Array:
    """Where the cells of each row begin, and where they end."""
    outer, _words, inner = sizes(scores.shape)
    rows = np.arange(outer * inner + 1)
    return np.searchsorted(array_of(row), rows).astype(np.int64, copy=False)
