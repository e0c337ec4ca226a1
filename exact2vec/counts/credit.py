"""Credit counts n(i, w): how much of each item of a basket is explained by each other item of it.

Every target w of a basket has one unit of credit, shared among the basket's other items. Rounds of
EM share it by how well each of them predicts w. Source: IBM Model 1, Brown et al. 1993, section
4.1; here a basket is translated into itself, and no item into itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.errors import UsageError
from exact2vec.jit import compiled
from exact2vec.parallel import Workers

CHUNKS = 64  # of items or baskets; more than threads, so that none waits long for another
MOST_CREDITS = 128_000_000  # pairs of a basket's items, 8 bytes each where there are rounds
SHIFT = 4
STRETCH = 1 << SHIFT  # sums under one flag


@dataclass(frozen=True)
class CreditRule:
    """How credit is shared, and how p(w | i) is made of it.

        p(w | i) = (n_iw + κ p_0(w)) / (N_i + κ),      a_i = d_i^−source_power

    κ = `kappa` > 0. d_i are the baskets with i. A target of a basket of k items has (k − 1) to the
    power −`target_power` of credit: 0 weighs targets alike. `background` is a_0, the weight of p_0.
    """

    kappa: float = 5.0
    rounds: int = 0
    source_power: float = 0.0
    target_power: float = 0.0
    background: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.kappa < np.inf:
            raise UsageError(f"kappa must be a number above 0; got {self.kappa!r}")
        for name in ("rounds", "background"):
            if not 0 <= getattr(self, name) < np.inf:
                raise UsageError(f"{name} must be at least 0; got {getattr(self, name)!r}")

    def source_weights(self, baskets_with: NDArray[np.int64]) -> Float64[np.ndarray, " item"]:
        """a_i of items that stand in so many baskets."""
        return np.asarray(np.maximum(baskets_with, 1.0) ** -self.source_power)


def credit_counts(
    baskets: csr_array,
    popularity: Float64[np.ndarray, " item"],
    rule: CreditRule,
    *,
    workers: Workers,
    most: int = MOST_CREDITS,
    seed: int = 1,
) -> csr_array:
    """n(i, w) after the rounds of the `rule`: see `credit_rounds`."""
    rounds = credit_rounds(baskets, popularity, rule, workers=workers, most=most, seed=seed)
    for _ in range(rule.rounds):
        next(rounds)
    return next(rounds)


def credit_rounds(
    baskets: csr_array,
    popularity: Float64[np.ndarray, " item"],
    rule: CreditRule,
    *,
    workers: Workers,
    most: int = MOST_CREDITS,
    seed: int = 1,
) -> Iterator[csr_array]:
    """n(i, w) after 0, 1, 2, … rounds; items × items, float64, without a diagonal.

    `baskets` (basket × item) say what is in a basket; values do not count. At first the k − 1
    other items of a target share alike. A round makes n of the credits r, and then r of n:

        r_iw^B = a_i p^B(w | i) / (a_0 p_0(w) + Σ_j a_j p^B(w | j)),      i, j in B without w
        p^B(w | i) = (n_iw − r_iw^B + κ p_0(w)) / (N_i − Σ_w' r_iw'^B + κ)

    So a basket's own credit is left out while it is looked at; what goes to p_0 is discarded.
    p_0 is the `popularity`. Where the pairs are more than `most`, long baskets are cut into parts:
    see `cut_long`. Without rounds no credit is kept; with them 8 bytes a pair are. The counts
    have 12 bytes a cell. Results do not depend on the threads.
    """
    credits = Credits(cut_long(baskets, most, seed), rule, popularity)
    yield credits.counts(None, workers)
    shares = credits.equal_shares(workers)
    while True:
        credits.share(shares, workers)
        yield credits.counts(shares, workers)


def pairs_of(baskets: csr_array) -> int:
    """Σ k², the credits of baskets of k items."""
    sizes = np.diff(baskets.indptr).astype(np.int64)
    return int((sizes * sizes).sum())


def longest_uncut(sizes: NDArray[np.int64], most: int) -> int:
    """The largest L for which parts of at most L items have no more than `most` pairs, at least 2.

    >>> longest_uncut(np.array([2, 10]), 104), longest_uncut(np.array([2, 10]), 60)
    (10, 9)
    """
    low, high = 2, max(2, int(sizes.max(initial=2)))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _pairs_cut(sizes, middle) <= most else (low, middle - 1)
    return low


def _pairs_cut(sizes: NDArray[np.int64], longest: int) -> int:
    parts = np.maximum(1, -(-sizes // longest))
    least, larger = sizes // parts, sizes % parts
    return int((larger * (least + 1) ** 2 + (parts - larger) * least**2).sum())


def cut_long(baskets: csr_array, most: int, seed: int) -> csr_array:
    """The baskets, those longer than L cut into parts of about equal size, at most L.

    L is the largest that keeps Σ k² within `most`. Which items stand together is drawn from the
    `seed` and the basket's number. A pair stands in one part with probability (k' − 1) / (k − 1)
    for parts of k' items and shares by 1 / (k' − 1), so the first credit is kept in expectation.
    """
    sizes = np.diff(baskets.indptr).astype(np.int64)
    longest = longest_uncut(sizes, most)
    if not len(sizes) or sizes.max() <= longest:
        return baskets
    pieces: list[NDArray[np.int32]] = []
    for basket, items in enumerate(np.split(baskets.indices, baskets.indptr[1:-1])):
        if len(items) <= longest:
            pieces.append(items)
            continue
        order = np.random.default_rng([seed, basket]).permutation(len(items))
        parts = np.array_split(order, -(-len(items) // longest))
        pieces.extend(np.sort(items[part]) for part in parts)
    starts = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])])
    items = np.concatenate(pieces).astype(np.int32)
    return csr_array((np.ones(len(items)), items, starts), shape=(len(pieces), baskets.shape[1]))


class Credits:
    """The baskets as the loops take them: by basket, and by item with the place in each basket."""

    def __init__(
        self, baskets: csr_array, rule: CreditRule, popularity: Float64[np.ndarray, " item"]
    ) -> None:
        self.rule, self.popularity = rule, np.ascontiguousarray(popularity, np.float64)
        self.size = int(baskets.shape[1])
        self.items = baskets.indices.astype(np.int32, copy=False)
        self.starts = baskets.indptr.astype(np.int64)
        sizes = np.diff(self.starts)
        self.blocks = np.concatenate([[0], np.cumsum(sizes * sizes)])
        others = np.maximum(sizes - 1, 1).astype(np.float64)
        self.target_weights = np.where(sizes > 1, others**-rule.target_power, 0.0)
        self.equal = self.target_weights / others
        # `places` are numbers of the entries of an item, in the order of their baskets
        self.item_starts = np.concatenate(
            [[0], np.cumsum(np.bincount(self.items, minlength=self.size))]
        )
        self.places = np.argsort(self.items, kind="stable")
        self.basket_of = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        self.source_weights = rule.source_weights(np.diff(self.item_starts))
        cost = np.concatenate([[0], np.cumsum(sizes[self.basket_of[self.places]])])
        self.item_edges = _edges(cost[self.item_starts])
        self.basket_edges = _edges(self.blocks)

    def equal_shares(self, workers: Workers) -> NDArray[np.float64]:
        """r at the start: one k × k block a basket, source by source, one behind the other."""
        shares = np.empty(self.blocks[-1])
        _each(
            workers,
            self.basket_edges,
            lambda first, last: _fill_equal(
                first, last, self.starts, self.blocks, self.equal, shares
            ),
        )
        return shares

    def share(self, shares: NDArray[np.float64], workers: Workers) -> None:
        """One round, in place: a_i p(w | i) of each pair, then what share that is of its target."""
        numbers = self.source_weights, self.popularity, self.rule.kappa
        _each(
            workers,
            self.item_edges,
            lambda first, last: _predict(first, last, *self._of_items(), *numbers, shares),
        )
        of_baskets = self.starts, self.items, self.blocks, self.target_weights
        background = self.rule.background * self.popularity
        _each(
            workers,
            self.basket_edges,
            lambda first, last: _share_out(first, last, *of_baskets, background, shares),
        )

    def counts(self, shares: NDArray[np.float64] | None, workers: Workers) -> csr_array:
        """n(i, w) of these credits, or of equal shares; columns sorted."""
        lengths = np.zeros(self.size, np.int64)
        of_items = self._of_items()
        _each(
            workers,
            self.item_edges,
            lambda first, last: _count_cells(first, last, *of_items, lengths),
        )
        starts = np.concatenate([[0], np.cumsum(lengths)])
        words, values = np.empty(starts[-1], np.int32), np.empty(starts[-1])
        summed = np.empty(0) if shares is None else shares
        _each(
            workers,
            self.item_edges,
            lambda first, last: _sum_rows(
                first, last, *of_items, self.equal, summed, starts, words, values
            ),
        )
        narrow = starts.astype(np.int32) if starts[-1] < 2**31 else starts
        return csr_array((values, words, narrow), shape=(self.size, self.size))

    def _of_items(self) -> tuple[NDArray[np.int64] | NDArray[np.int32], ...]:
        entries = self.item_starts, self.places, self.basket_of
        return *entries, self.starts, self.items, self.blocks


def _each(workers: Workers, edges: NDArray[np.int64], loop: Callable[[int, int], object]) -> None:
    """`loop` over each chunk between the `edges`."""
    workers.map(lambda chunk: loop(edges[chunk], edges[chunk + 1]), range(len(edges) - 1))


def _edges(cost: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows cut into chunks of about as much cost; `cost` is cumulative, from 0."""
    inner = np.searchsorted(cost, np.linspace(0, cost[-1], CHUNKS + 1)[1:-1])
    return np.unique(np.concatenate([[0], inner, [len(cost) - 1]]))


@compiled
def _fill_equal(first, last, starts, blocks, equal, shares):
    for basket in range(first, last):
        size = starts[basket + 1] - starts[basket]
        for source in range(size):
            row = blocks[basket] + source * size
            for target in range(size):
                shares[row + target] = 0.0 if source == target else equal[basket]


@compiled
def _predict(
    first,
    last,
    item_starts,
    places,
    basket_of,
    starts,
    items,
    blocks,
    source_weights,
    popularity,
    kappa,
    shares,
):
    """Replace r_iw of some items i by a_i p(w | i), the basket's own credit left out."""
    sums = np.zeros(len(popularity))
    for item in range(first, last):
        total = 0.0
        for entry in range(item_starts[item], item_starts[item + 1]):
            basket = basket_of[places[entry]]
            size = starts[basket + 1] - starts[basket]
            row = blocks[basket] + (places[entry] - starts[basket]) * size
            for target in range(size):
                sums[items[starts[basket] + target]] += shares[row + target]
                total += shares[row + target]
        for entry in range(item_starts[item], item_starts[item + 1]):
            basket = basket_of[places[entry]]
            size = starts[basket + 1] - starts[basket]
            at = places[entry] - starts[basket]
            row = blocks[basket] + at * size
            own = 0.0
            for target in range(size):
                own += shares[row + target]
            scale = source_weights[item] / (max(total - own, 0.0) + kappa)
            for target in range(size):
                word = items[starts[basket] + target]
                others = max(sums[word] - shares[row + target], 0.0)
                shares[row + target] = scale * (others + kappa * popularity[word])
            shares[row + at] = 0.0
        for entry in range(item_starts[item], item_starts[item + 1]):
            basket = basket_of[places[entry]]
            for place in range(starts[basket], starts[basket + 1]):
                sums[items[place]] = 0.0


@compiled
def _share_out(first, last, starts, items, blocks, target_weights, background, shares):
    """Divide a_i p(w | i) by its sum over the basket and a_0 p_0(w)."""
    for basket in range(first, last):
        size = starts[basket + 1] - starts[basket]
        for target in range(size):
            total = background[items[starts[basket] + target]]
            for source in range(size):
                total += shares[blocks[basket] + source * size + target]
            scale = target_weights[basket] / total if total > 0.0 else 0.0
            for source in range(size):
                shares[blocks[basket] + source * size + target] *= scale


@compiled
def _count_cells(first, last, item_starts, places, basket_of, starts, items, blocks, lengths):
    """How many other items each of some items shares a basket with."""
    seen = np.full(len(lengths), -1, np.int32)
    for item in range(first, last):
        seen[item] = item
        for entry in range(item_starts[item], item_starts[item + 1]):
            basket = basket_of[places[entry]]
            for place in range(starts[basket], starts[basket + 1]):
                if seen[items[place]] != item:
                    seen[items[place]] = item
                    lengths[item] += 1


@compiled
def _sum_rows(
    first,
    last,
    item_starts,
    places,
    basket_of,
    starts,
    items,
    blocks,
    equal,
    shares,
    cell_starts,
    words,
    values,
):
    """Write n of some items into their cells; `shares` may be empty, for equal ones."""
    size_of_all = len(cell_starts) - 1
    sums = np.zeros(size_of_all + STRETCH)
    flags = np.zeros(size_of_all // STRETCH + 1, np.uint8)
    seen = np.zeros(size_of_all + STRETCH, np.uint8)
    for item in range(first, last):
        for entry in range(item_starts[item], item_starts[item + 1]):
            basket = basket_of[places[entry]]
            size = starts[basket + 1] - starts[basket]
            row = blocks[basket] + (places[entry] - starts[basket]) * size
            for target in range(size):
                word = items[starts[basket] + target]
                sums[word] += equal[basket] if len(shares) == 0 else shares[row + target]
                seen[word] = 1
                flags[word >> SHIFT] = 1
        seen[item], sums[item] = 0, 0.0
        cell = cell_starts[item]
        for stretch in range(len(flags)):
            if flags[stretch]:
                flags[stretch] = 0
                for word in range(stretch * STRETCH, (stretch + 1) * STRETCH):
                    if seen[word]:
                        words[cell], values[cell] = word, sums[word]
                        seen[word], sums[word] = 0, 0.0
                        cell += 1
