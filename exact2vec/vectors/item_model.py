"""What comes next: an exact probability, interpolated of parts; each among the items outside."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.vectors.item_parts import ItemPart, Mixture, Probabilities, each_row, outside

BLOCK_BYTES = 1 << 26  # of the probabilities of one block of contexts
EM_ROUNDS = 5000
SETTLED = 1e-9  # of a share, where the rounds end


@dataclass(frozen=True)
class ItemModel:
    """p(w | I) = Σ_m λ_m q_m(w | I), q_m a part's probability among the items outside I.

    `shares` are the λ_m, ≥ 0, of sum 1. Items of the context have probability 0, and the others
    sum to 1, so nothing needs calibrating. `chosen` says what was tried.
    """

    parts: tuple[ItemPart, ...]
    shares: tuple[float, ...]
    chosen: dict[str, Any] = field(default_factory=dict)

    def probabilities(self, contexts: csr_array, *, exclude_seen: bool = True) -> Probabilities:
        """One row a context, over all items; without `exclude_seen` those of the context too."""
        found = np.zeros(contexts.shape)
        for part, share in zip(self.parts, self.shares, strict=True):
            if share:
                p = part.probabilities(contexts)

                def add(first: int, last: int, p: Probabilities = p, share: float = share) -> None:
                    rows = slice(first, last)
                    q = outside(p[rows], contexts[rows]) if exclude_seen else p[rows]
                    found[rows] += share * q

                each_row(len(found), add)
        return found

    def share_of_mixture(self, context: NDArray[np.int64], item: int) -> float:
        """The share of p(item | context) that the mixture gives, 0 where p is 0."""
        mixture = self.mixture
        if mixture is None:
            return 0.0
        starts = np.array([0, len(context)])
        shape = 1, len(mixture.popularity)
        row = csr_array((np.ones(len(context)), np.sort(context), starts), shape=shape)
        seen = item not in context
        whole = float(self.probabilities(row, exclude_seen=seen)[0, item])
        share = sum(s for s, part in zip(self.shares, self.parts, strict=True) if part is mixture)
        alone = ItemModel((mixture,), (1.0,)).probabilities(row, exclude_seen=seen)[0, item]
        return float(share * alone / whole) if whole else 0.0

    def reasons(self, context: NDArray[np.int64], item: int) -> Float64[np.ndarray, " source"]:
        """What each item of the context gives of p(item | context), a share; 0 of no mixture."""
        mixture = self.mixture
        if mixture is None:
            return np.zeros(len(context))
        return self.share_of_mixture(context, item) * mixture.reasons(context, item)

    @property
    def mixture(self) -> Mixture | None:
        """The part that can say because of which items."""
        return next((part for part in self.parts if isinstance(part, Mixture)), None)


def blocks(contexts: csr_array, largest: int = BLOCK_BYTES) -> Iterator[slice]:
    """Rows whose probabilities fit into so many bytes."""
    size = max(1, largest // (8 * max(1, contexts.shape[1])))
    for start in range(0, contexts.shape[0], size):
        yield slice(start, min(start + size, contexts.shape[0]))


def target_probabilities(
    part: ItemPart, contexts: csr_array, targets: csr_array
) -> Float64[np.ndarray, " target"]:
    """q(w | I) of each target w, row by row, among the items outside its context I."""
    found = []
    for rows in blocks(contexts):
        some, wanted = contexts[rows], targets[rows]
        probabilities = outside(part.probabilities(some), some)
        of_target = np.repeat(np.arange(wanted.shape[0]), np.diff(wanted.indptr))
        found.append(probabilities[of_target, wanted.indices])
    return np.concatenate(found) if found else np.empty(0)


def mean_nll(probabilities: NDArray[np.float64]) -> float:
    """Mean −log p, nats a target."""
    with np.errstate(divide="ignore"):
        return float(-np.log(probabilities).mean())


def interpolation_shares(
    probabilities: Sequence[Float64[np.ndarray, " target"]],
) -> tuple[float, ...]:
    """The λ of largest likelihood: Σ_t log Σ_m λ_m q_m(t) over the targets t, by EM.

        λ_m ← mean over t of λ_m q_m(t) / Σ_l λ_l q_l(t)

    The likelihood is concave in λ, so the rounds cannot end elsewhere. Source: Jelinek and Mercer
    1980, deleted interpolation.
    """
    each = np.stack(probabilities)
    shares = np.full(len(each), 1 / len(each))
    for _ in range(EM_ROUNDS):
        mixed = shares[:, None] * each
        total = mixed.sum(axis=0)
        moved = (mixed / np.where(total > 0, total, 1)).mean(axis=1)
        moved /= moved.sum()
        settled = np.abs(moved - shares).max() < SETTLED
        shares = moved
        if settled:
            break
    return tuple(shares.tolist())
