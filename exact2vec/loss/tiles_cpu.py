"""HOW, on a CPU: the kernels of `tiles.TiledNLL` as compiled loops over float32 tiles that stay in the cache."""

import numpy as np
import torch
from torch import Tensor

from exact2vec.compiled import compiled, inlined, vectorized
from exact2vec.loss.formulas import excess_terms
from exact2vec.loss.tiles import BlockCounts, RowLosses, TiledNLL


class CompiledNLL(TiledNLL):
    """TiledNLL with exp and row sums in one loop, and the counted cells found by their places in the compressed rows."""

    def _exponentials(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        largest, sums = scores.amax(dim=1), torch.empty(len(scores), dtype=torch.float64)
        _exponentials(scores.numpy(), largest.numpy(), sums.numpy())
        return largest, sums

    def _terms(
        self, scores: Tensor, columns: slice, blocks: list[BlockCounts], found: list[Tensor]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        for block, scores_found in zip(blocks, found, strict=True):
            _gather(scores.numpy(), columns.start, block.starts, block.words, scores_found.numpy())
        largest, sums = self._exponentials(scores)
        uncounted = [torch.empty_like(sums) for _ in blocks]
        for block, without in zip(blocks, uncounted, strict=True):
            _sum_without(
                scores.numpy(),
                sums.numpy(),
                columns.start,
                block.starts,
                block.words,
                without.numpy(),
            )
        return largest, sums, uncounted

    def _subtract(
        self, exponentials: Tensor, columns: slice, block: BlockCounts, factor: Tensor
    ) -> None:
        _subtract(
            exponentials.numpy(),
            columns.start,
            block.starts,
            block.words,
            block.counts,
            factor.numpy(),
        )

    def _row_losses(
        self, block: BlockCounts, scores: Tensor, lse: Tensor, uncounted: Tensor
    ) -> RowLosses:
        share, cell_nll = (
            torch.empty(len(scores), dtype=torch.float64),
            torch.empty(len(scores), dtype=torch.float64),
        )
        _cell_terms(
            block.starts,
            block.counts,
            scores.numpy(),
            lse.numpy(),
            block.totals.numpy(),
            share.numpy(),
            cell_nll.numpy(),
        )
        terms = excess_terms(share.log() + cell_nll, share)
        nll, excess = torch.empty_like(lse), torch.empty_like(lse)
        _row_sums(
            block.starts,
            share.mul_(cell_nll).numpy(),
            terms.numpy(),
            block.totals.numpy(),
            uncounted.numpy(),
            nll.numpy(),
            excess.numpy(),
        )
        return RowLosses(nll, excess)


@inlined
def _exp(x):  # type: ignore[no-untyped-def]
    """exp(x) for x ≤ 0, relative error below 1.2e-7; below −87 as at −87. Source: the polynomial of expf in Moshier's Cephes library."""
    x = max(x, np.float32(-87.0))
    power = np.floor(x * np.float32(1.44269504088896341) + np.float32(0.5))
    rest = x - power * np.float32(0.693359375) + power * np.float32(2.12194440e-4)
    series = np.float32(1.9875691500e-4)
    series = series * rest + np.float32(1.3981999507e-3)
    series = series * rest + np.float32(8.3334519073e-3)
    series = series * rest + np.float32(4.1665795894e-2)
    series = series * rest + np.float32(1.6666665459e-1)
    series = series * rest + np.float32(5.0000001201e-1)
    series = series * (rest * rest) + (rest + np.float32(1.0))
    return series * np.int32((np.int32(power) + np.int32(127)) << np.int32(23)).view(np.float32)


@vectorized
def _row_sum(values):  # type: ignore[no-untyped-def]
    total = 0.0
    for place in range(len(values)):  # an iterator over the array would not be vectorized
        total += np.float64(values[place])
    return total


@vectorized
def _exponentials(scores, largest, sums):  # type: ignore[no-untyped-def]
    """exp and the sum in loops of their own, each over a row that stays in the nearest cache: half the time of one loop that widens to float64 on the way."""
    for row in range(scores.shape[0]):
        shift = largest[row]
        for word in range(scores.shape[1]):
            scores[row, word] = _exp(scores[row, word] - shift)
        sums[row] = _row_sum(scores[row])


@compiled
def _first(words, low, high, column):  # type: ignore[no-untyped-def]
    """The place of the first of words[low:high] that is at least `column`."""
    while low < high:
        middle = (low + high) // 2
        if words[middle] < column:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _gather(scores, first, starts, words, found):  # type: ignore[no-untyped-def]
    for row in range(scores.shape[0]):
        end = starts[row + 1]
        cell = _first(words, starts[row], end, first)
        while cell < end and words[cell] < first + scores.shape[1]:
            found[cell] = scores[row, words[cell] - first]
            cell += 1


@compiled
def _sum_without(scores, sums, first, starts, words, uncounted):  # type: ignore[no-untyped-def]
    """The sums of what was not counted: the whole sum less what was, where that takes away less than half; a sum of its own otherwise."""
    for row in range(scores.shape[0]):
        end, counted = starts[row + 1], 0.0
        begin = cell = _first(words, starts[row], end, first)
        while cell < end and words[cell] < first + scores.shape[1]:
            counted += scores[row, words[cell] - first]
            cell += 1
        if counted < 0.5 * sums[row]:
            uncounted[row] = sums[row] - counted
            continue
        kept = np.empty(cell - begin, scores.dtype)
        for place in range(cell - begin):
            kept[place] = scores[row, words[begin + place] - first]
            scores[row, words[begin + place] - first] = 0
        uncounted[row] = _row_sum(scores[row])
        for place in range(cell - begin):
            scores[row, words[begin + place] - first] = kept[place]


@compiled
def _subtract(exponentials, first, starts, words, counts, factor):  # type: ignore[no-untyped-def]
    for row in range(exponentials.shape[0]):
        end = starts[row + 1]
        cell = _first(words, starts[row], end, first)
        while cell < end and words[cell] < first + exponentials.shape[1]:
            exponentials[row, words[cell] - first] -= np.float32(factor[row] * counts[cell])
            cell += 1


@compiled
def _cell_terms(starts, counts, scores, lse, totals, share, cell_nll):  # type: ignore[no-untyped-def]
    for row in range(len(lse)):
        for cell in range(starts[row], starts[row + 1]):
            share[cell] = counts[cell] / totals[row]
            cell_nll[cell] = lse[row] - scores[cell]


@vectorized
def _row_sums(starts, nll_terms, kl_terms, totals, uncounted, nll, excess):  # type: ignore[no-untyped-def]
    for row in range(len(totals)):
        of_nll, of_excess = 0.0, 0.0
        for cell in range(starts[row], starts[row + 1]):
            of_nll += nll_terms[cell]
            of_excess += kl_terms[cell]
        nll[row] = totals[row] * of_nll
        excess[row] = totals[row] * (of_excess + uncounted[row])
