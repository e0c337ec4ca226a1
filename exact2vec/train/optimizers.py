"""Update rules: pure functions, and the compiled twin of the one that meets every output."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from exact2vec.jit import vectorized
from exact2vec.loss.formulas import DAMPING, Pull

BETA1, BETA2, EPSILON = 0.9, 0.95, 1e-8
LONGEST_STEP = 0.5  # of the mean length of the inputs
FULL_RATE_SIZE = 100  # numbers a vector, up to which the rate is taken as given


def adam_update(
    gradient: Float[Tensor, "*shape"],
    mean: Float[Tensor, "*shape"],
    square: Float[Tensor, "*shape"],
    step: int,
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """(direction, mean, square) after `step` ≥ 1 gradients: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², direction = m̂ / (√v̂ + ε).

    The direction has no unit, so a rate has the unit of the parameter. Source: Kingma and Ba 2015, algorithm 1, with β = .9, .95.
    """
    mean = BETA1 * mean + (1 - BETA1) * gradient
    square = BETA2 * square + (1 - BETA2) * gradient.square()
    scale = (square / (1 - BETA2**step)).sqrt() + EPSILON
    return mean / (1 - BETA1**step) / scale, mean, square


@vectorized
def adam_in_place(value, mean, square, gradient, scale, step, rate):  # type: ignore[no-untyped-def]
    """value ← value − rate · the direction of `adam_update` for scale · gradient, in one loop over float32 arrays; mean and square follow."""
    beta1, beta2 = np.float32(BETA1), np.float32(BETA2)
    unbiased1, unbiased2 = np.float32(rate / (1 - BETA1**step)), np.float32(1 / (1 - BETA2**step))
    factor, epsilon, one = np.float32(scale), np.float32(EPSILON), np.float32(1)
    for row in range(value.shape[0]):
        for place in range(value.shape[1]):
            slope = factor * gradient[row, place]
            first = beta1 * mean[row, place] + (one - beta1) * slope
            second = beta2 * square[row, place] + (one - beta2) * slope * slope
            mean[row, place] = first
            square[row, place] = second
            value[row, place] -= unbiased1 * first / (np.sqrt(second * unbiased2) + epsilon)


def output_rate(rate: float, vector_size: int) -> float:
    """`rate`, times √(100 / vector_size) beyond 100 numbers: Adam moves each by about the rate, so all of them move a score by rate · √vector_size."""
    return rate * min(1.0, math.sqrt(FULL_RATE_SIZE / vector_size))


def inverse_metric(second_moment: Float[Tensor, "dim dim"]) -> Float[Tensor, "dim dim"]:
    """F⁻¹ for F = Σ_w p_w u_w u_wᵀ + δ·I, with δ a tenth of the mean eigenvalue of the sum, which is given; float64.

    F is the Fisher information of a context's vector where p(w | c) = p_w: one metric for all contexts.
    Source: Amari 1998, natural gradient.
    """
    values, basis = torch.linalg.eigh(second_moment)
    values = values.clamp_min(0)
    inverse: Tensor = (basis / (values + DAMPING * values.mean().clamp_min(1e-12))) @ basis.T
    return inverse


def input_step(
    gradient: Float[Tensor, "row dim"],
    inverse: Float[Tensor, "dim dim"],
    rate: float,
    mean_length: float,
) -> Float[Tensor, "row dim"]:
    """What is subtracted from the inputs: rate · F⁻¹ g for the mean gradient g of each row, no longer than half the mean length of the inputs."""
    direction = rate * (gradient @ inverse)
    length = direction.norm(dim=1, keepdim=True)
    clipped: Tensor = direction * (LONGEST_STEP * mean_length / length.clamp_min(1e-12)).clamp_max(
        1.0
    )
    return clipped


def row_weights(totals: Float[Tensor, " context"], power: float) -> Float[Tensor, " context"]:
    """ω_c = N_c^(α − 1) · N / Σ N_c^α, with mean 1 over the pairs; 0 for a row without pairs. α = `power`; 1 gives ω = 1."""
    weights = torch.where(totals > 0, totals.clamp_min(1e-300) ** (power - 1), 0.0)
    scale = float(totals.numpy().sum() / (weights * totals).numpy().sum())
    return weights * scale


def shrunk_gradient(
    gradient: Float[Tensor, "row dim"],
    vectors: Float[Tensor, "row dim"],
    totals: Float[Tensor, " row"],
    pull: Pull,
) -> Float[Tensor, "row dim"]:
    """The gradient per pair and pseudo-pair, (1 − a)·g + a·(v − m)F with a = κ / (N + κ): of NLL + κ/2N (v − m)ᵀF(v − m), times N / (N + κ).

    g is the `gradient` of a row's mean NLL over its N `totals`, F and the means are those of `pull` at these rows. Zero where the row's objective is least.
    """
    share = (pull.strength / (totals + pull.strength)).to(vectors.dtype)[:, None]
    return (1 - share) * gradient + share * ((vectors - pull.means) @ pull.metric)


def pull_gradient(
    vectors: Float[Tensor, "row dim"], pull: Pull, share: float
) -> Float[Tensor, "row dim"]:
    """share · κ (v − m)F: the gradient of `share` of κ/2 (v − m)ᵀ F (v − m), as much as the share of all pairs that the blocks behind it held."""
    return (vectors - pull.means) @ (share * pull.strength * pull.metric)
