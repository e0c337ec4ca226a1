"""A block of rows of scores x·uᵀ + b, tile by tile of words, in one buffer on CPU threads.

Forward: scores → their exponentials, and what the rows need of them. Backward: exponentials →
gradients in place, and the two products with them. Sums are cut by tiles, never by threads.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from exact2vec.loss.engine import tile_kernels as kernels
from exact2vec.loss.engine.cells import Cells
from exact2vec.loss.engine.matrix_products import rows_by_columns, rows_by_rows
from exact2vec.loss.engine.tile_size import tile_scores

Array = NDArray[Any]
Each = Callable[[Callable[[Any], Any], Any], list[Any]]  # map, on one thread or several
Take = Callable[[slice, Tensor, Tensor], None]  # gets words, G / scale, scale

BLOCK_ROWS = 256
FAR_SUM = 2.0**-101  # of each word: a smaller K may have lost terms below the normal numbers
GROUPS = 8  # of tiles, each summed by itself in a fixed order
KINDS = {torch.float32: np.float32, torch.float64: np.float64}
NONE = np.empty(0)


def tile_words() -> int:
    """Words of a tile of BLOCK_ROWS rows."""
    return tile_scores() // BLOCK_ROWS // 64 * 64


def tiles_of(words: int) -> list[slice]:
    """The words of each tile."""
    step = tile_words()
    return [slice(start, min(start + step, words)) for start in range(0, words, step)]


@dataclass(frozen=True)
class Block:
    """One block of rows: inputs, and targets as arrays; the `words` of a row's cells are sorted.

    `beside` is what dense targets and spread add at the cells; empty where they add nothing.
    """

    inputs: Tensor
    starts: Array
    words: Array
    value: Array
    beside: Array
    dense: Tensor | None = None
    keep: float = 1.0
    spread: Array = field(default_factory=lambda: NONE)
    weight: Array = field(default_factory=lambda: NONE)

    @property
    def has_dense(self) -> bool:
        return self.dense is not None or len(self.spread) > 0

    def dense_tile(self, words: slice) -> Array:
        """Dense targets of some words; one row without numbers where there are none."""
        if self.dense is None:
            return np.empty((1, 0), np.float32)
        tile = self.dense[:, words]
        if tile.dtype in (torch.float32, torch.float64):
            return as_array(tile)
        return as_array(tile.float() if tile.is_floating_point() else tile.double())

    def weight_tile(self, words: slice) -> Array:
        return self.weight[words]


@dataclass(frozen=True)
class Products:
    """The other side of the scores: output vectors, biases where they lie apart, and the tiles."""

    outputs: Tensor
    bias: Tensor | None
    tiles: list[slice]
    kind: torch.dtype

    def vectors(self, words: slice) -> Tensor:
        return self.outputs[words].to(self.kind)

    def biases(self, words: slice) -> Array:
        if self.bias is None:
            return np.empty(0, KINDS[self.kind])
        return as_array(self.bias[words].to(self.kind).contiguous())

    def scores(self, inputs: Tensor, words: slice, out: Tensor) -> Tensor:
        return rows_by_rows(inputs, self.vectors(words), out)


@dataclass(frozen=True)
class Swept:
    """A block after its forward sweep: `tiles` hold exponentials; shift is exp(m_t − m).

    The cells of row r in tile t are bounds[t, r]:bounds[t + 1, r].
    """

    tiles: list[Tensor]
    bounds: Array
    at_cells: Array
    shift: Array
    largest: Array
    others: Array
    nll: Array
    totals: Array


def swept(
    block: Block,
    products: Products,
    buffer: Tensor,
    each: Each,
    excluded: Cells | None = None,
    losses_wanted: bool = True,
) -> Swept:
    """Fills the buffer with the exponentials of the block's scores; the losses of its rows.

    Where no losses are wanted, those and `totals` are nan.
    """
    rows, count, kind = len(block.inputs), len(products.tiles), KINDS[products.kind]
    tiles = [part_of(buffer, words, rows) for words in products.tiles]
    at_cells: Array = np.empty(len(block.words) if losses_wanted else 0, kind)
    maxima = np.empty((count, rows), kind)
    others, shift = np.empty((count, rows)), np.empty((count, rows))
    below, size = (np.empty((count if block.has_dense else 0, rows)) for _ in range(2))
    bounds = np.empty((count + 1, rows), np.int64)
    cut = functools.partial(cut_cells, block.starts, block.words, products.tiles, bounds)
    out = None if excluded is None else bounds_of(excluded.starts, excluded.words, products.tiles)

    def forward(tile: int) -> None:
        words = products.tiles[tile]
        scores = products.scores(block.inputs, words, tiles[tile])
        if excluded is not None and out is not None:
            here = (out[tile], out[tile + 1], excluded.words)
            kernels.exclude(scores.numpy(), words.start, *here)
        sums = (below[tile], size[tile]) if block.has_dense else (NONE, NONE)
        kernels.tile_terms(
            scores.numpy(),
            products.biases(words),
            words.start,
            bounds[tile],
            bounds[tile + 1],
            block.words,
            block.dense_tile(words),
            block.keep,
            block.spread,
            block.weight_tile(words),
            at_cells,
            maxima[tile],
            others[tile],
            *sums,
        )

    if losses_wanted:
        cut()
    jobs = [functools.partial(forward, tile) for tile in range(count)]
    each(lambda job: job(), jobs if losses_wanted else [cut, *jobs])
    row = [np.full(rows, np.nan) for _ in range(4)]
    kernels.join_tiles(maxima, others, row[0], row[1], shift)
    _look_again(block, products, row[0], row[1])
    if losses_wanted:
        kernels.row_terms(
            block.starts, block.value, at_cells, row[0], row[1], maxima, below, size, row[2], row[3]
        )
    return Swept(tiles, bounds, at_cells, shift, *row)


def _look_again(block: Block, products: Products, largest: Array, others: Array) -> None:
    """K in float64 of rows where it is so small that float32 exponentials may have lost terms."""
    least = len(products.outputs) * FAR_SUM
    for row in np.flatnonzero((others < least) & np.isfinite(largest)):
        scores = torch.mm(block.inputs[row : row + 1], products.vectors(slice(None)).T)
        if products.bias is not None:
            scores += products.bias.to(products.kind)
        gaps = scores.double().numpy()[0]
        top = gaps.argmax()
        terms = np.exp(gaps - gaps[top])
        terms[top] = 0
        others[row] = terms.sum()


def pulled_back(
    block: Block,
    done: Swept,
    products: Products,
    upstream: Array,
    totals: Array,
    inputs_wanted: bool,
    take: Take | None,
    each: Each,
) -> Tensor:
    """∂/∂inputs of Σ upstream · the row losses; `take` gets each tile's G / scale, and the scale.

    Uses up the exponentials. (6), (10): G = c (T p − t), ∂/∂x = G u, ∂/∂u = Gᵀ x.
    """
    rows = len(block.inputs)

    def group_gradients(group: range) -> Tensor:
        d_inputs = block.inputs.new_zeros(rows, block.inputs.shape[1] if inputs_wanted else 0)
        scale = torch.empty(rows, dtype=products.kind)
        for tile in group:
            words, g = products.tiles[tile], done.tiles[tile]
            kernels.tile_gradients(
                g.numpy(),
                words.start,
                done.bounds[tile],
                done.bounds[tile + 1],
                block.words,
                block.value,
                block.beside,
                block.dense_tile(words),
                block.keep,
                block.spread,
                block.weight_tile(words),
                done.shift[tile],
                done.others,
                totals,
                upstream,
                scale.numpy(),
            )
            if inputs_wanted:
                d_inputs.addcmul_(rows_by_columns(g, products.vectors(words)), scale[:, None])
            if take is not None:
                take(words, g, scale)
        return d_inputs

    count = len(products.tiles)
    groups = [range(start, count, GROUPS) for start in range(min(GROUPS, count))]
    first, *others = each(group_gradients, groups)
    d_inputs: Tensor = functools.reduce(torch.add, others, first)
    return d_inputs


def target_gradients(
    block: Block, done: Swept, products: Products, upstream: Array, d_dense: Tensor, each: Each
) -> None:
    """∂/∂dense of Σ upstream · losses: c · weight · keep · −log p, from scores made again."""

    def fill(tile: int) -> None:
        words = products.tiles[tile]
        scores = products.scores(block.inputs, words, done.tiles[tile])
        out = torch.empty(scores.shape, dtype=products.kind)
        kernels.tile_dense_nll(
            scores.numpy(),
            products.biases(words),
            done.largest,
            done.others,
            upstream,
            block.keep,
            block.weight_tile(words),
            out.numpy(),
        )
        d_dense[:, words] = out

    each(fill, range(len(products.tiles)))


def bounds_of(starts: Array, words: Array, tiles: list[slice]) -> Array:
    """Where the cells of each tile and row begin; behind the last tile, where they end."""
    bounds = np.empty((len(tiles) + 1, len(starts) - 1), np.int64)
    cut_cells(starts, words, tiles, bounds)
    return bounds


def cut_cells(starts: Array, words: Array, tiles: list[slice], bounds: Array) -> None:
    """Fills what `bounds_of` returns."""
    edges = np.array([tile.start for tile in tiles] + [tiles[-1].stop])
    kernels.cut(starts, words, edges, bounds)


def part_of(buffer: Tensor, words: slice, rows: int) -> Tensor:
    """A tile's own stretch of the buffer."""
    return buffer[words.start * rows : words.stop * rows].view(rows, words.stop - words.start)


def as_array(tensor: Tensor) -> Array:
    found: Array = tensor.detach().numpy()
    return found
