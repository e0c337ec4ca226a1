"""The loss shown: explain() one row of scores, descend() a few steps of gradient descent."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from exact2vec.errors import UsageError
from exact2vec.loss.formulas import log_softmax


@dataclass(frozen=True)
class Explanation:
    """One row a class: score, probability, −log p in nats, and with a target the gradient p − y of its loss."""

    scores: list[float]
    probabilities: list[float]
    nll: list[float]
    target: int | None
    gradient: list[float] | None

    @property
    def loss(self) -> float | None:
        """−log p of the target, nats."""
        return None if self.target is None else self.nll[self.target]

    def __str__(self) -> str:
        header = ["class", "score", "p", "-log p"] + (["gradient p - y"] if self.gradient else [])
        columns = [self.scores, self.probabilities, self.nll] + ([self.gradient] if self.gradient else [])
        rows = [[str(number), *(f"{value:.6g}" if 0 < abs(value) < 5e-5 else f"{value:.4f}" for value in row)]
                for number, row in enumerate(zip(*columns, strict=True))]  # fmt: skip
        lines = aligned([header, *rows])
        return "\n".join(lines + ([f"loss of target {self.target}: {self.loss:.6g} nats"] if self.target is not None else []))


@dataclass(frozen=True)
class Descent:
    """Steps of gradient descent on −log p of the target: a loss before each step (nats), and the scores before each and after the last."""

    losses: list[float]
    weights: list[list[float]]

    def __str__(self) -> str:
        header = ["step", "loss", *(f"w{number}" for number in range(len(self.weights[0])))]
        losses = [f"{loss:.6f}" for loss in self.losses] + [""]
        rows = [[str(step), loss, *(f"{weight:.6f}" for weight in weights)] for step, (loss, weights) in enumerate(zip(losses, self.weights, strict=True))]
        return "\n".join(aligned([header, *rows]))


def explain(scores: Sequence[float], target: int | None = None) -> Explanation:
    """What −log softmax makes of one row of scores, in float64.

    >>> print(explain([-1, 2.3, 0.1], target=0))
    class    score       p  -log p  gradient p - y
        0  -1.0000  0.0321  3.4377         -0.9679
        1   2.3000  0.8713  0.1377          0.8713
        2   0.1000  0.0965  2.3377          0.0965
    loss of target 0: 3.43775 nats
    """
    values = _checked(scores, target)
    log_p = log_softmax(values)
    gradient = None if target is None else _gradient(log_p, target).tolist()
    return Explanation(values.tolist(), log_p.exp().tolist(), (0.0 - log_p).tolist(), target, gradient)


def descend(scores: Sequence[float], target: int, *, steps: int = 10, rate: float = 0.5) -> Descent:
    """w ← w − rate · (p − y), `steps` times from w = `scores`: every loss and every weight, in float64.

    >>> descent = descend([-1, 0.2], 0, steps=10, rate=0.5)
    >>> [round(loss, 6) for loss in (descent.losses[0], descent.losses[-1])]
    [1.463282, 0.131842]
    >>> [round(weight, 6) for weight in descent.weights[-1]]
    [0.641514, -1.441514]
    """
    weights = _checked(scores, target)
    if steps < 1:
        raise UsageError(f"steps must be at least 1; got {steps}")
    if not math.isfinite(rate):
        raise UsageError(f"rate must be a finite number; got {rate}")
    losses, path = [], [weights.tolist()]
    for _ in range(steps):
        log_p = log_softmax(weights)
        losses.append(0.0 - float(log_p[target]))
        weights = weights - rate * _gradient(log_p, target)
        path.append(weights.tolist())
    return Descent(losses, path)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of right-aligned columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _gradient(log_p: torch.Tensor, target: int) -> torch.Tensor:
    """p − y; for the target −Σ of the other p, which keeps its digits as p → 1."""
    gradient = log_p.exp()
    gradient[target] = 0.0
    gradient[target] = -gradient.sum()
    return gradient


def _checked(scores: Sequence[float], target: int | None) -> torch.Tensor:
    if len(scores) < 1:
        raise UsageError("the loss needs at least one score")
    values = torch.tensor(scores, dtype=torch.float64)
    if values.isnan().any() or values.max().isinf():
        raise UsageError(f"scores must be numbers below infinity, one of them finite; got {list(scores)}")
    if target is not None and not 0 <= target < len(scores):
        raise UsageError(f"target = {target}, but there are {len(scores)} classes (0..{len(scores) - 1})")
    return values
