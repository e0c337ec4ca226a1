"""Losses and gradients of one block of counted rows in torch operations; see `tiled`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from exact2vec.loss import formulas
from exact2vec.loss.engine import strips
from exact2vec.loss.engine.autograd import slices
from exact2vec.loss.engine.background import beside_background, with_background
from exact2vec.loss.engine.cells import Cells, Outputs, RowLosses
from exact2vec.loss.engine.strips import Part, Sums
from exact2vec.loss.targets import sum_type

TILE_WORDS = 4096  # whose gradients are handed on together


def losses(
    inputs: Tensor,
    outputs: Outputs,
    cells: Sequence[Cells],
    excluded: Cells | None = None,
    **how: Any,
) -> list[RowLosses]:
    """The `RowLosses` of each set of cells; words `excluded` from a row are not in its softmax."""
    scores = _scores(inputs, outputs, excluded)
    counted = [_Counted.of(each, inputs) for each in cells]
    found: list[list[RowLosses]] = [[] for _ in cells]
    log_sums = []
    for rows in _strips(scores):
        z = scores[rows, :, None]
        sums, e = strips.normalise(z, sum_type(z))
        e.scatter_(1, sums.place, 1.0)
        for each, parts in zip(counted, found, strict=True):
            parts.append(each.losses(z, e, sums, rows))
        log_sums.append((sums.largest + sums.others.log1p()).flatten())
    joined = [
        RowLosses(torch.cat([part.nll for part in parts]), torch.cat([one.excess for one in parts]))
        for parts in found
    ]
    return [
        with_background(one, torch.cat(log_sums), inputs, outputs, each) if each.background else one
        for one, each in zip(joined, cells, strict=True)
    ]


def gradients(
    inputs: Tensor,
    outputs: Outputs,
    cells: Cells,
    weights: Tensor,
    on_tile: Callable[[slice, Tensor], None] | None,
    excluded: Cells | None = None,
    **how: Any,
) -> Tensor:
    """∂/∂inputs of Σ_c ω_c [N_c lse_c − Σ_w n_cw z_cw]; `on_tile` gets ∂/∂outputs.rows.

    It gets them some words at a time, when nothing else needs the outputs any more.
    """
    beside = None
    if cells.background is not None:
        beside, on_tile = beside_background(inputs, outputs, cells, weights, on_tile)
    scores = _scores(inputs, outputs, excluded)
    counted = _Counted.of(cells, inputs)
    each = weights.to(inputs.device, counted.totals.dtype)
    for rows in _strips(scores):
        z = scores[rows, :, None]
        sums, e = strips.normalise(z, sum_type(z))
        total, c = (one[rows, None, None] for one in (counted.totals, each))
        strips.score_gradients(e, sums, counted.part(rows), c, total=total, out=z)
    d_inputs = torch.mm(scores, outputs.vectors)
    if on_tile is not None:
        padded = outputs.padded(inputs)
        for words in slices(len(outputs.rows), TILE_WORDS):
            on_tile(words, torch.mm(scores[:, words].T, padded))
    return d_inputs if beside is None else d_inputs + beside


@dataclass(frozen=True)
class _Counted:
    """`Cells` on the device of the scores; `starts` stay on the host."""

    starts: list[int]
    row: Tensor
    word: Tensor
    count: Tensor
    totals: Tensor

    @classmethod
    def of(cls, cells: Cells, like: Tensor) -> "_Counted":
        wide = sum_type(like)
        row = np.repeat(np.arange(len(cells.starts) - 1), np.diff(cells.starts))
        counts = torch.from_numpy(np.ascontiguousarray(cells.counts))
        return cls(
            cells.starts.tolist(),
            torch.from_numpy(row).to(like.device),
            torch.from_numpy(cells.words.astype(np.int64)).to(like.device),
            counts.to(wide).to(like.device),
            cells.totals.to(wide).to(like.device),
        )

    def part(self, rows: slice) -> Part:
        """What is counted in some rows."""
        cells = slice(self.starts[rows.start], self.starts[rows.stop])
        row = self.row[cells] - rows.start
        return Part(self.count[cells], self.word[cells], row, None, 1.0, None, None)

    def losses(self, scores: Tensor, e: Tensor, sums: Sums, rows: slice) -> RowLosses:
        """Those of some rows: Σ n · −log p, and N (Σ (q log(q/p) − q + p) + Σ p not counted)."""
        part, total = self.part(rows), self.totals[rows]
        assert part.row is not None
        assert part.value is not None
        nll = strips.losses(scores, sums, part, total.dtype).flatten()
        below = strips.value_gradients(scores, sums, part, torch.ones_like(total))
        share = part.value / total[part.row]
        terms = formulas.excess_terms(share.log() + below, share)
        rest = e.index_put((part.row, part.column, torch.zeros_like(part.row)), e.new_zeros(()))
        excess = (strips.row_sums(rest, total.dtype) / (1 + sums.others)).flatten()
        return RowLosses(nll, total * excess.index_add(0, part.row, terms))


def _strips(scores: Tensor) -> list[slice]:
    return slices(len(scores), max(1, strips.size_for(scores) // max(1, scores.shape[1])))


def _scores(inputs: Tensor, outputs: Outputs, excluded: Cells | None) -> Tensor:
    scores = torch.addmm(outputs.bias, inputs, outputs.vectors.T)
    if excluded is not None:
        out = _Counted.of(excluded, inputs)
        scores.index_put_((out.row, out.word), scores.new_full((), -torch.inf))
    return scores
