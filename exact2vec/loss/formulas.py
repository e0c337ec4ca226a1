"""WHAT: the losses as their formulas say. The fast paths are tested against these."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

DAMPING = 0.1  # of the mean eigenvalue of F_U, added to its diagonal


def log_softmax(scores: Float[Tensor, "*batch word"]) -> Float[Tensor, "*batch word"]:
    """Equation (2): log p_w = (z_w − m) − log1p(Σ_{i ≠ argmax} exp(z_i − m)), with m = max z.

    Keeping the largest term out of the sum keeps log p accurate as p → 1, where log(1 + small)
    rounds to 0.
    """
    largest, place = scores.max(dim=-1, keepdim=True)
    shifted = scores - largest
    others = shifted.exp().scatter(-1, place, 0.0).sum(dim=-1, keepdim=True)
    return shifted - others.log1p()


def target_nll(
    scores: Float[Tensor, "row word"], targets: Float[Tensor, "row word"]
) -> Float[Tensor, " row"]:
    """Equation (1): Σ_w t_w · −log p_w of each row, in nats.

    The t ≥ 0 are one-hot rows, probabilities or counts.

    A class with t_w = 0 adds 0, even where its score is −∞.
    """
    nll = -log_softmax(scores)
    return (targets * nll.masked_fill((targets == 0) & nll.isinf(), 0.0)).sum(dim=-1)


def count_nll(
    inputs: Float[Tensor, "context dim"],
    outputs: Float[Tensor, "word dim"],
    bias: Float[Tensor, " word"],
    counts: Float[Tensor, "context word"],
) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the counted pairs, in nats per pair.

        L = Σ_cw n_cw (log Σ_k exp(b_k + u_k·x_c) − b_w − u_w·x_c) / Σ_cw n_cw

    x are the rows of `inputs`, u of `outputs`. Never below the conditional entropy of the counts.
    """
    scores = inputs @ outputs.T + bias
    nll = scores.logsumexp(dim=1, keepdim=True) - scores
    return (counts * nll).sum() / counts.sum()


@dataclass(frozen=True)
class Pull:
    """What draws rows v towards their `means` m: κ/2 (v − m)ᵀ F (v − m), nats.

    κ is the `strength` in pairs, F the `metric`.
    """

    strength: float
    means: Float[Tensor, "row dim"]
    metric: Float[Tensor, "dim dim"]


def penalty(
    vectors: Float[Tensor, "row dim"], pull: Pull, row_weights: Float[Tensor, " row"]
) -> Float[Tensor, ""]:
    """κ/2 Σ_i ω_i (v_i − m_i)ᵀ F (v_i − m_i), nats: ω are the `row_weights`."""
    offsets = vectors - pull.means
    return pull.strength / 2 * (row_weights[:, None] * (offsets @ pull.metric) * offsets).sum()


def metric(
    vectors: Float[Tensor, "row dim"], totals: Float[Tensor, " row"], *, damping: float = 0.0
) -> Float[Tensor, "dim dim"]:
    """F = Σ_i p_i v_i v_iᵀ + damping · (mean eigenvalue) · I, p the shares of `totals`.

    It is summed in float64 and returned in the type of `vectors`.
    """
    rows = vectors.double()
    product = rows.T @ (rows * (totals / totals.sum())[:, None])
    return (
        product
        + damping * product.trace() / len(product) * torch.eye(len(product), dtype=product.dtype)
    ).to(vectors.dtype)


def objective(
    inputs: Float[Tensor, "context dim"],
    outputs: Float[Tensor, "word dim"],
    bias: Float[Tensor, " word"],
    counts: Float[Tensor, "context word"],
    row_weights: Float[Tensor, " context"],
    pulls: tuple[Pull, Pull],
) -> Float[Tensor, ""]:
    """What training minimises, in nats per pair.

    It is the NLL of rows weighted by ω, and what shrinks inputs and outputs (`pulls`):

    1/N · { Σ_c ω_c [N_c · NLL_c + κ_x/2 (x_c − m_c)ᵀ F_U (x_c − m_c)]
            + κ_u/2 Σ_w (u_w − m_w)ᵀ F_X (u_w − m_w) }
    """
    scores = inputs @ outputs.T + bias
    row_nll = (counts * (scores.logsumexp(dim=1, keepdim=True) - scores)).sum(dim=1)
    shrinking = penalty(inputs, pulls[0], row_weights) + penalty(
        outputs, pulls[1], torch.ones_like(bias)
    )
    return ((row_weights * row_nll).sum() + shrinking) / counts.sum()


def entropy_floor(counts: Float[Tensor, "context word"]) -> Float[Tensor, ""]:
    """Σ_c N_c H(n(c, ·) / N_c) / N, nats per pair: no model of p(w | c) has a smaller count_nll."""
    share = counts / counts.sum(dim=1, keepdim=True).clamp_min(torch.finfo(counts.dtype).tiny)
    return -torch.xlogy(counts, share).sum() / counts.sum()


def excess_terms(
    log_ratio: Float[Tensor, "..."], share: Float[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """q log(q/p) − q + p = q (δ + expm1(−δ)) ≥ 0.

    δ = log(q/p) is the `log_ratio`, q the `share` of the counts.

    Summed over the words of a row it is KL(q‖p). Below |δ| = 1e-3 the series δ²/2 − δ³/6 + δ⁴/24
    stands for the difference, which would cancel.
    """
    series = log_ratio.square() * (0.5 - log_ratio / 6 + log_ratio.square() / 24)
    return share * torch.where(log_ratio.abs() < 1e-3, series, log_ratio + torch.expm1(-log_ratio))
