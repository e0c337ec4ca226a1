"""The embedding: what words are compared by, made of both vectors of a word and its features.

The model predicts with inputs x and outputs u. For symmetric counts the outputs are about the
inputs with some axes turned round, so x + u cancels what it should add. So the outputs are turned
into the inputs' frame first, each side leans on what the features say, and the sum is flattened:

    m = n(x + a·C_x) + n(u + a·C_u)·R
    embedding = (m − mean) Q Λ^(−p/2) Qᵀ,       Q Λ Qᵀ the covariance of m

Where words have n-grams, the axis of the least variance gives way to a constant, `LEVEL` times the
mean length. So short vectors, those of which little is known, count as near the mean.

R is the orthogonal matrix nearest to UᵀX. C_x = f·G_x and C_u = f·G_u are composed of the features
f. n(·) takes the mean off a side and divides by the root mean square length: a vector added to
every output changes no probability, so it changes no neighbour either.

Sources: Schönemann 1966 (R); Bullinaria and Levy 2012, and Mu and Viswanath 2018 (what a power of
the eigenvalues does to similarity).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exact2vec.storage import schema
from exact2vec.storage.run_folder import Run
from exact2vec.storage.stored_file import is_stored

LEANING = 1.0  # a
EXPONENT = 0.25  # p
BLOCK = 4096  # rows of a product in float64
LEVEL = 0.3  # of the mean length, on the axis of the least variance
LEAST_DIM = 50  # numbers of a vector, of which one can be spared
LEAST_VARIANCE = 1e-10  # of the largest, below which an axis holds nothing

Sides = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Embedding:
    """The map from the two vectors of a word to the one that it is compared by.

    `means` and `scales` are those of the sides, `rotation` is R, `mean` that of m, and `flattening`
    Q Λ^(−p/2) Qᵀ. They are made of trained words, and map every other word alike. The `constant` is
    added to all; `flattening` leads nowhere on its axis.

    >>> x = np.array([[1, 0], [0, 2], [-1, 0], [0, -2]], np.float32)
    >>> turned = x * np.float32([1, -1])
    >>> embedding = Embedding.of_words((x, turned), None)
    >>> embedding.rows((x, turned), None).round(2)
    array([[ 1.3 ,  0.  ],
           [ 0.  ,  2.19],
           [-1.3 ,  0.  ],
           [ 0.  , -2.19]], dtype=float32)
    """

    leaning: float
    means: tuple[NDArray[np.float64], NDArray[np.float64]]
    scales: tuple[float, float]
    rotation: NDArray[np.float64]
    mean: NDArray[np.float64]
    flattening: NDArray[np.float64]
    constant: NDArray[np.float64]

    @classmethod
    def of_words(
        cls,
        sides: Sides,
        composed: Sides | None,
        *,
        leaning: float = LEANING,
        exponent: float = EXPONENT,
        level: float = 0.0,
    ) -> "Embedding":
        """The embedding of trained words, given inputs and outputs, and what composes them.

        `level` is the length of the constant, in mean lengths of their vectors.
        """
        x, u = leant(sides, composed, leaning)
        means = x.mean(axis=0, dtype=np.float64), u.mean(axis=0, dtype=np.float64)
        scales = _scale(x, means[0]), _scale(u, means[1])
        rotation = nearest_rotation(_covariance((u, x), means[::-1]))
        plain, none = np.eye(len(rotation)), np.zeros(len(rotation))
        aligned = cls(leaning, means, scales, rotation, none, plain, none)
        m = aligned.rows(sides, composed)
        mean = m.mean(axis=0, dtype=np.float64)
        covariance = _covariance((m, m), (mean, mean))
        flat = replace(aligned, mean=mean, flattening=negative_power(covariance, exponent / 2))
        return flat if not level else flat._with_constant(m, least_axis(covariance), level)

    def rows(self, sides: Sides, composed: Sides | None) -> NDArray[np.float32]:
        """The embedding of words with these inputs and outputs; zeros where all of it is zero."""
        x, u = leant(sides, composed, self.leaning)
        blocks = [
            self._flattened(self._of_inputs(some) + self._of_outputs(others))
            for some, others in zip(_blocks(x), _blocks(u), strict=True)
        ]
        found = np.concatenate([np.empty((0, x.shape[1]), np.float32), *blocks])
        found[~(x.any(axis=1) | u.any(axis=1))] = 0
        return found

    def rows_of_inputs(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The embedding of rows of which inputs alone are known.

        Their aligned outputs are taken to be like their inputs, as they are where counts are
        symmetric.
        """
        return self._flattened(2 * self._of_inputs(inputs))

    def _with_constant(
        self, m: NDArray[np.float32], axis: NDArray[np.float64], level: float
    ) -> "Embedding":
        """The same with a constant on an axis, `level` times the mean length of the rows m."""
        lengths = np.concatenate(
            [
                np.linalg.norm(self._flattened(rows.astype(np.float64)), axis=1)
                for rows in _blocks(m)
            ]
        )
        flattening = self.flattening - np.outer(self.flattening @ axis, axis)
        constant = level * lengths.mean(dtype=np.float64) * axis
        return replace(self, flattening=flattening, constant=constant)

    def write(self, folder: Path) -> None:
        """Put the map into an open run folder."""
        means, scales, leaning = self.means, np.array(self.scales), np.array([self.leaning])
        maps = self.rotation, self.mean, self.flattening, self.constant
        schema.Embedding(leaning, *means, scales, *maps).write(folder)

    @classmethod
    def read(cls, run: Run, dim: int) -> "Embedding | None":
        """The map of a run folder; None in one of before there was an embedding."""
        if not is_stored(schema.Embedding, run):
            return None
        stored = schema.Embedding.read(run, dim)
        of_inputs, of_outputs = stored.scales.tolist()
        return cls(
            float(stored.leaning[0]),
            (stored.input_mean, stored.output_mean),
            (of_inputs, of_outputs),
            stored.rotation,
            stored.mean,
            stored.flattening,
            stored.constant,
        )

    def _of_inputs(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray((inputs - self.means[0]) / self.scales[0])

    def _of_outputs(self, outputs: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray((outputs - self.means[1]) @ self.rotation / self.scales[1])

    def _flattened(self, m: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.asarray((m - self.mean) @ self.flattening + self.constant, np.float32)


def nearest_rotation(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The orthogonal matrix R that makes tr(Rᵀ M) largest: A Bᵀ of the SVD M = A S Bᵀ."""
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ right)


def negative_power(covariance: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Q Λ^(−power) Qᵀ; an axis without variance stays empty."""
    variances, axes = np.linalg.eigh(covariance)
    held = variances > LEAST_VARIANCE * max(variances[-1], 0.0)
    powers = np.where(held, np.where(held, variances, 1.0) ** -power, 0.0)
    return np.asarray((axes * powers) @ axes.T)


def least_axis(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The direction of the least variance, of length 1; its largest number is positive."""
    axis = np.linalg.eigh(covariance)[1][:, 0]
    return np.asarray(axis * np.sign(axis[np.abs(axis).argmax()]))


def leant(sides: Sides, composed: Sides | None, leaning: float) -> Sides:
    """Both sides with `leaning` times what composes them."""
    if composed is None or not leaning:
        return sides
    return sides[0] + leaning * composed[0], sides[1] + leaning * composed[1]


def _scale(side: NDArray[np.float32], mean: NDArray[np.float64]) -> float:
    """The root mean square length of the rows less their mean; 1 where that is 0."""
    variances = [((rows - mean) ** 2).sum() for rows in _blocks(side)]
    return float(np.sqrt(sum(variances) / max(1, len(side)))) or 1.0


def _covariance(sides: Sides, means: tuple[NDArray[np.float64], ...]) -> NDArray[np.float64]:
    """The mean of aᵀb over rows a and b of the two sides, less their means."""
    pairs = zip(*map(_blocks, sides), strict=True)
    products = [(one - means[0]).T @ (other - means[1]) for one, other in pairs]
    return np.asarray(sum(products) / max(1, len(sides[0])))


def _blocks(side: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(side), BLOCK):
        yield side[start : start + BLOCK]
