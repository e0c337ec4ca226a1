"""Update rules and schedules: pure functions."""

from jaxtyping import Float
from torch import Tensor

from exact2vec.loss.formulas import Pull


def adam_update(
    gradient: Float[Tensor, "*shape"], mean: Float[Tensor, "*shape"], square: Float[Tensor, "*shape"], step: int, *,
    beta1: float = 0.9, beta2: float = 0.95, epsilon: float = 1e-8,
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:  # fmt: skip
    """(direction, mean, square) after `step` ≥ 1 gradients: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², direction = m̂ / (√v̂ + ε).

    The direction has no unit, so a rate has the unit of the parameter. Source: Kingma and Ba 2015, algorithm 1.
    """
    mean = beta1 * mean + (1 - beta1) * gradient
    square = beta2 * square + (1 - beta2) * gradient.square()
    scale = (square / (1 - beta2**step)).sqrt() + epsilon
    return mean / (1 - beta1**step) / scale, mean, square


def rms_update(
    gradient: Float[Tensor, "row dim"], square: Float[Tensor, " row"], *, decay: float = 0.5, epsilon: float = 1e-12
) -> tuple[Float[Tensor, "row dim"], Float[Tensor, " row"]]:
    """(direction, square): each row's gradient over its running root mean square; a `square` of 0 is a first visit.

    s ← mean(g²) at the first visit, then decay·s + (1 − decay)·mean(g²); direction = g / (√s + ε), without unit.
    """
    now = gradient.square().mean(dim=1)
    square = now.where(square == 0, decay * square + (1 - decay) * now)
    return gradient / (square.sqrt() + epsilon)[:, None], square


def linear_rate(step: int, steps: int, *, first: float = 0.01) -> float:
    """The rate of step 0 … steps − 1: from `first` falling linearly towards a hundredth of it."""
    return first * (1 - 0.99 * step / steps)


def shrunk_gradient(
    gradient: Float[Tensor, "row dim"], vectors: Float[Tensor, "row dim"], totals: Float[Tensor, " row"], pull: Pull
) -> Float[Tensor, "row dim"]:
    """The gradient per pair and pseudo-pair, (1 − a)·g + a·(v − m)F with a = κ / (N + κ): of NLL + κ/2N (v − m)ᵀF(v − m), times N / (N + κ).

    g is the `gradient` of a row's mean NLL over its N `totals`, F and the means are those of `pull` at these rows. Zero where the row's objective is least.
    """
    share = (pull.strength / (totals + pull.strength)).to(vectors.dtype)[:, None]
    return (1 - share) * gradient + share * ((vectors - pull.means) @ pull.metric)


def pull_gradient(vectors: Float[Tensor, "row dim"], pull: Pull, share: float) -> Float[Tensor, "row dim"]:
    """share · κ (v − m)F: the gradient of `share` of κ/2 (v − m)ᵀ F (v − m), as much as the share of all pairs that the blocks behind it held."""
    return (vectors - pull.means) @ (share * pull.strength * pull.metric)
