"""The loss shown: explain() scores, descend() some steps of gradient descent; a row or a batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from exact2vec.display import html_table
from exact2vec.errors import UsageError
from exact2vec.loss.formulas import log_softmax


@dataclass(frozen=True)
class Explanation:
    """One row a class: score, probability, −log p in nats; with a target the gradient p − y."""

    scores: list[float]
    probabilities: list[float]
    nll: list[float]
    target: int | None
    gradient: list[float] | None

    @property
    def loss(self) -> float | None:
        """−log p of the target, nats."""
        return None if self.target is None else self.nll[self.target]

    def table(self) -> list[list[str]]:
        """A header, and a row a class."""
        header = ["class", "score", "p", "-log p"] + (["gradient p - y"] if self.gradient else [])
        columns = [self.scores, self.probabilities, self.nll] + (
            [self.gradient] if self.gradient else []
        )
        rows = [
            [
                str(number),
                *(short_number(value, 4) for value in row),
            ]
            for number, row in enumerate(zip(*columns, strict=True))
        ]
        return [header, *rows]

    def summary(self) -> list[str]:
        """One line with the loss of the target, where there is one."""
        return (
            [f"loss of target {self.target}: {self.loss:.6g} nats"]
            if self.target is not None
            else []
        )

    def __str__(self) -> str:
        return "\n".join(aligned(self.table()) + self.summary())

    def _repr_html_(self) -> str:
        return _html(self.table(), self.summary())


@dataclass(frozen=True)
class BatchExplanation:
    """The Explanation of each row.

    `gradient` of a row is that of its own loss, N times its part in the gradient of the mean.
    """

    rows: list[Explanation]

    @property
    def loss(self) -> float | None:
        """The mean of −log p of the targets, nats."""
        losses = [row.loss for row in self.rows if row.loss is not None]
        return math.fsum(losses) / len(losses) if losses else None

    def table(self) -> list[list[str]]:
        """A header, and a row a class of each row."""
        return [
            ["row", *self.rows[0].table()[0]],
            *(
                [str(number), *line]
                for number, row in enumerate(self.rows)
                for line in row.table()[1:]
            ),
        ]

    def summary(self) -> list[str]:
        """The loss of each row, and their mean."""
        each = [
            f"row {number}: {line}"
            for number, row in enumerate(self.rows)
            for line in row.summary()
        ]
        return each + ([f"mean loss: {self.loss:.6g} nats"] if self.loss is not None else [])

    def __str__(self) -> str:
        return "\n".join(aligned(self.table()) + self.summary())

    def _repr_html_(self) -> str:
        return _html(self.table(), self.summary())


@dataclass(frozen=True)
class Descent:
    """Steps of gradient descent on (the mean of) −log p of the target.

    A loss before each step (nats), and the scores before each and after the last.
    """

    losses: list[float]
    weights: list[Any]

    def table(self) -> list[list[str]]:
        """A header, and a row a step."""
        flat = [np.ravel(weights).tolist() for weights in self.weights]
        losses = [short_number(loss, 6) for loss in self.losses] + [""]
        rows = [
            [str(step), loss, *(short_number(weight, 6) for weight in weights)]
            for step, (loss, weights) in enumerate(zip(losses, flat, strict=True))
        ]
        shape = np.shape(self.weights[0])
        return [
            ["step", "loss", *("w" + ",".join(map(str, place)) for place in np.ndindex(shape))],
            *rows,
        ]

    def __str__(self) -> str:
        return "\n".join(aligned(self.table()))

    def _repr_html_(self) -> str:
        return _html(self.table(), [])


@overload
def explain(scores: Sequence[float], target: int | None = None) -> Explanation: ...
@overload
def explain(
    scores: Sequence[Sequence[float]] | Tensor, target: Any = None
) -> Explanation | BatchExplanation: ...
def explain(scores: Any, target: Any = None) -> Any:
    """What −log softmax makes of a row of scores, or of each row of a batch, in float64.

    >>> print(explain([-1, 2.3, 0.1], target=0))
    class    score       p  -log p  gradient p - y
        0  -1.0000  0.0321  3.4377         -0.9679
        1   2.3000  0.8713  0.1377          0.8713
        2   0.1000  0.0965  2.3377          0.0965
    loss of target 0: 3.43775 nats
    >>> print(explain([[-1, 0.2], [0, 1]], [0, 1]).summary()[-1])
    mean loss: 0.888272 nats
    """
    values, targets = _checked(scores, target)
    if values.dim() == 2:
        return BatchExplanation(
            [
                explain(row.tolist(), None if targets is None else int(targets[number]))
                for number, row in enumerate(values)
            ]
        )
    log_p = log_softmax(values)
    gradient = None if targets is None else _gradient(log_p[None], targets[None])[0].tolist()
    return Explanation(
        values.tolist(),
        log_p.exp().tolist(),
        (0.0 - log_p).tolist(),
        None if targets is None else int(targets),
        gradient,
    )


def descend(scores: Any, target: Any, *, steps: int = 10, rate: float = 0.5) -> Descent:
    """w ← w − rate · (p − y), `steps` times from w = `scores`: every loss and weight, in float64.

    `scores` are a row or a batch, of which p − y is divided by the number of rows.

    The steps have the bits of torch.optim.SGD without momentum.

    >>> descent = descend([-1, 0.2], 0, steps=10, rate=0.5)
    >>> [round(loss, 6) for loss in (descent.losses[0], descent.losses[-1])]
    [1.463282, 0.131842]
    >>> [round(weight, 6) for weight in descent.weights[-1]]
    [0.641514, -1.441514]
    """
    weights, targets = _checked(scores, target)
    if targets is None:
        raise UsageError("descend needs a target: the class whose loss falls")
    if steps < 1:
        raise UsageError(f"steps must be at least 1; got {steps}")
    if not math.isfinite(rate):
        raise UsageError(f"rate must be a finite number; got {rate}")
    losses, path = [], [weights.tolist()]
    places = targets.reshape(-1, 1)
    for _ in range(steps):
        log_p = log_softmax(weights).reshape(len(places), -1)
        losses.append(0.0 - float(log_p.gather(1, places).mean()))
        gradient = (_gradient(log_p, places[:, 0]) / len(places)).reshape(weights.shape)
        weights = weights.add(gradient, alpha=-rate)
        path.append(weights.tolist())
    return Descent(losses, path)


def short_number(value: float, decimals: int) -> str:
    """With so many decimals; what they would make a 0, or twelve digits long, as a power of ten.

    >>> [short_number(value, 4) for value in (0.0, 1.25, 2e-9, -1e308)]
    ['0.0000', '1.2500', '2e-09', '-1e+308']
    """
    plain = value == 0 or 10.0**-decimals / 2 <= abs(value) < 1e12
    return f"{value:.{decimals}f}" if plain else f"{value:.6g}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of right-aligned columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _html(table: list[list[str]], lines: list[str]) -> str:
    return html_table(table[0], table[1:]) + "".join(f"<p>{escape(line)}</p>" for line in lines)


def _gradient(log_p: Tensor, target: Tensor) -> Tensor:
    """p − y of each row; for the target −Σ of the other p, which keeps its digits as p → 1."""
    gradient = log_p.exp().scatter(1, target[:, None], 0.0)
    return gradient.scatter(1, target[:, None], -gradient.sum(dim=1, keepdim=True))


def _checked(scores: Any, target: Any) -> tuple[Tensor, Tensor | None]:
    """Scores (class) or (row × class) in float64, and the target or targets."""
    try:
        values = (
            scores.detach().double()
            if isinstance(scores, Tensor)
            else torch.tensor(scores, dtype=torch.float64)
        )
        targets = None if target is None else torch.as_tensor(target).long()
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"scores must be numbers, in one row or rows of equal length: {error}"
        ) from None
    if not values.numel() or not 1 <= values.dim() <= 2:
        raise UsageError("the loss needs at least one score, in one row or in rows of classes")
    if values.isnan().any() or values.amax(dim=-1).isinf().any():
        raise UsageError(
            f"scores must be numbers below infinity, one of them finite; got {values.tolist()}"
        )
    if targets is not None:
        if targets.shape != values.shape[:-1]:
            raise UsageError(
                f"give one target for each row of scores: {list(values.shape[:-1])}; "
                f"got {list(targets.shape)}"
            )
        for place in targets.reshape(-1).tolist():
            if not 0 <= place < values.shape[-1]:
                raise UsageError(
                    f"target = {place}, but there are {values.shape[-1]} classes "
                    f"(0..{values.shape[-1] - 1})"
                )
    return values, targets
