"""The compiled engine on one block of rows: exact losses and gradients of counted cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from exact2vec.loss.engine import tile_kernels as kernels
from exact2vec.loss.engine import tile_sweeps as sweeps
from exact2vec.loss.engine.background import beside_background, with_background
from exact2vec.loss.engine.cells import Cells, Outputs, RowLosses, Workspace
from exact2vec.loss.engine.matrix_products import columns_by_columns
from exact2vec.loss.engine.tile_sweeps import NONE, Block, Products
from exact2vec.parallel import workers

PART_ROWS = 128  # rows whose cells one thread sums up


def losses(
    inputs: Tensor,
    outputs: Outputs,
    cells: Sequence[Cells],
    excluded: Cells | None = None,
    workspace: Workspace | None = None,
) -> list[RowLosses]:
    """The `RowLosses` of each set of cells, from one sweep over the scores of these rows.

    Words `excluded` from a row are not in its softmax.
    """
    workspace = workspace or _workspace(inputs, outputs)
    swept = _sweep(inputs, outputs, cells, excluded, workspace)
    some_rows = [
        slice(start, min(start + PART_ROWS, len(inputs)))
        for start in range(0, len(inputs), PART_ROWS)
    ]
    jobs = [(which, rows) for which in range(len(cells)) for rows in some_rows]
    parts = workspace.pool.map(lambda job: _row_losses(cells[job[0]], swept, job[0], job[1]), jobs)
    found = []
    for which in range(len(cells)):
        these = [part for part, job in zip(parts, jobs, strict=True) if job[0] == which]
        nll, excess = ([getattr(part, name) for part in these] for name in ("nll", "excess"))
        found.append(RowLosses(torch.cat(nll), torch.cat(excess)))
    log_sums = torch.from_numpy(swept.largest + np.log1p(swept.others))
    return [
        with_background(one, log_sums, inputs, outputs, each) if each.background else one
        for one, each in zip(found, cells, strict=True)
    ]


def cell_nll(
    inputs: Tensor,
    outputs: Outputs,
    cells: Cells,
    workspace: Workspace | None = None,
) -> sweeps.Array:
    """−log p(w | c) of each cell, nats, float64."""
    workspace = workspace or _workspace(inputs, outputs)
    swept = _sweep(inputs, outputs, [cells], None, workspace)
    found = np.empty(len(cells.words))
    kernels.cell_nll(cells.starts, swept.at_cells[0], swept.largest, swept.others, found)
    return found


@dataclass(frozen=True)
class _Sweep:
    """m and K of rows; for each set of cells their scores, and Σ p of the words that are not."""

    largest: sweeps.Array
    others: sweeps.Array
    at_cells: list[sweeps.Array]
    uncounted: list[sweeps.Array]


def _sweep(
    inputs: Tensor,
    outputs: Outputs,
    cells: Sequence[Cells],
    excluded: Cells | None,
    workspace: Workspace,
) -> _Sweep:
    products, x = _sides(inputs, outputs)
    rows, count, kind = len(x), len(products.tiles), sweeps.KINDS[products.kind]
    at_cells = [np.empty(len(each.words), kind) for each in cells]
    sums = [np.empty((count, rows)) for _ in cells]
    maxima: sweeps.Array = np.empty((count, rows), kind)
    others: sweeps.Array = np.empty((count, rows))
    shift: sweeps.Array = np.empty((count, rows))
    bounds = [sweeps.bounds_of(each.starts, each.words, products.tiles) for each in cells]
    gone = excluded or _no_cells(rows)
    out = sweeps.bounds_of(gone.starts, gone.words, products.tiles)

    def forward(tile: int) -> None:
        words = products.tiles[tile]
        part = sweeps.part_of(workspace.scores, words, rows)
        scores = products.scores(x, words, part).numpy()
        if excluded is not None:
            kernels.exclude(scores, words.start, out[tile], out[tile + 1], gone.words)
        for each, cut, found in zip(cells, bounds, at_cells, strict=True):
            here = (cut[tile], cut[tile + 1], each.words)
            kernels.scores_at_cells(scores, words.start, *here, found)
        kernels.tile_terms(
            scores,
            np.empty(0, kind),
            words.start,
            out[tile],
            out[tile],
            gone.words,
            np.empty((1, 0), np.float32),
            1.0,
            NONE,
            NONE,
            np.empty(0, kind),
            maxima[tile],
            others[tile],
            NONE,
            NONE,
        )
        for each, cut, sums_of in zip(cells, bounds, sums, strict=True):
            here = (cut[tile], cut[tile + 1], each.words)
            kernels.uncounted_sums(scores, others[tile], words.start, *here, sums_of[tile])

    workspace.pool.map(forward, range(count))
    largest: sweeps.Array = np.empty(rows)
    joined: sweeps.Array = np.empty(rows)
    kernels.join_tiles(maxima, others, largest, joined, shift)
    uncounted = [np.sum(found * shift, axis=0) / (1 + joined) for found in sums]
    return _Sweep(largest, joined, at_cells, uncounted)


def _row_losses(cells: Cells, swept: _Sweep, which: int, rows: slice) -> RowLosses:
    """The losses of some of the rows."""
    totals = cells.totals[rows].numpy()
    found = np.empty(len(totals)), np.empty(len(totals))
    kernels.row_losses(
        cells.starts[rows.start : rows.stop + 1],
        cells.counts,
        swept.at_cells[which],
        totals,
        swept.largest[rows],
        swept.others[rows],
        swept.uncounted[which][rows],
        *found,
    )
    return RowLosses(torch.from_numpy(found[0]), torch.from_numpy(found[1]))


def gradients(
    inputs: Tensor,
    outputs: Outputs,
    cells: Cells,
    weights: Tensor,
    on_tile: Callable[[slice, Tensor], None] | None,
    excluded: Cells | None = None,
    workspace: Workspace | None = None,
) -> Tensor:
    """∂/∂inputs of Σ_c ω_c [N_c lse_c − Σ_w n_cw z_cw], ω the `weights`.

    `on_tile(words, gradient)` gets ∂/∂outputs.rows of each tile of words, on a worker thread, when
    nothing else needs their outputs any more: it may step them while they are in the cache.
    """
    workspace = workspace or _workspace(inputs, outputs)
    each, beside = workspace.pool.map, None
    if cells.background is not None:
        sides = inputs, outputs, cells, weights
        beside, on_tile = workspace.pool.run(lambda: beside_background(*sides, on_tile))
    products, x = _sides(inputs, outputs)
    block = Block(x, cells.starts, cells.words, cells.counts, NONE)
    swept = sweeps.swept(block, products, workspace.scores, each, excluded, losses_wanted=False)

    def take(words: slice, g: Tensor, scale: Tensor) -> None:
        assert on_tile is not None
        on_tile(words, columns_by_columns(g, x * scale[:, None]))

    taker = None if on_tile is None else take
    totals, upstream = cells.totals.numpy(), weights.numpy()
    d_rows = sweeps.pulled_back(block, swept, products, upstream, totals, True, taker, each)
    d_inputs = d_rows[:, : outputs.dim]
    return d_inputs if beside is None else d_inputs + beside


def _sides(inputs: Tensor, outputs: Outputs) -> tuple[Products, Tensor]:
    """The outputs in tiles, and the inputs with the constant that carries the bias."""
    kind = outputs.rows.dtype
    products = Products(outputs.rows, None, sweeps.tiles_of(len(outputs.rows)), kind)
    return products, outputs.padded(inputs.to(kind))


def _workspace(inputs: Tensor, outputs: Outputs) -> Workspace:
    pool = workers(torch.get_num_threads())
    return Workspace.of(pool, len(inputs), len(outputs.rows), outputs.rows.dtype)


def _no_cells(rows: int) -> Cells:
    none = np.zeros(rows + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
    return Cells(*none, torch.zeros(rows, dtype=torch.float64))
