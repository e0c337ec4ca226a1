"""The embedding of words that were not trained: one ridge from n-grams to that of trained words.

    G = argmin Σ_c ω_c |y_c − f_c G|² + λ |G|²,        embedding = f G + constant

f weighs the n-grams of a word by their rarity, and holds its features as they are. y is the
embedding of a trained word, less the constant, with ω = N_c / (N_c + κ). Words that are not kept,
but counted often enough, teach with `RARE_SHARE` of that. What stands near them says what y may be:

    y = STRETCH · (v̄ A + b),        v̄ = Σ_w n(c, w) v_w / Σ_w n(c, w)

A and b are the least squares from v̄ over the first tokens of trained words to their embedding v.
docs/maths.md (15). Source: Khodak et al. 2018 (à la carte).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.features import Describer
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.counts.weighting import Weighting
from exact2vec.counts.word_contexts import WordContexts
from exact2vec.vectors.unseen import Composer

PENALTY = 0.2  # λ, of the mean ω of trained words
RARE_SHARE = 0.3  # of the weight of a trained word
STRETCH = 1.4  # least squares shorten what they guess
LEAST_SAMPLE = 5  # words of the sample, for each number of a vector
ROUNDING = 1e-5  # of the largest singular value
TOLERANCE = 0.02  # relative residual
MOST_STEPS = 100


@dataclass(frozen=True)
class Lessons:
    """What the ridge learns of words that are not kept: their vectors y and their pairs."""

    words: list[str]
    targets: NDArray[np.float32]
    pairs: NDArray[np.float64]

    @classmethod
    def none(cls, dim: int) -> "Lessons":
        return cls([], np.empty((0, dim), np.float32), np.empty(0))


@dataclass(frozen=True)
class Teachers:
    """The words that teach what n-grams mean: those of the `vocabulary`, and rare ones."""

    vocabulary: Vocabulary
    weighting: Weighting
    composer: Composer
    contexts: WordContexts | None

    @classmethod
    def of_run(
        cls,
        vocabulary: Vocabulary,
        weighting: Weighting,
        composer: Composer | None,
        contexts: WordContexts | None,
    ) -> "Teachers | None":
        """None where words have no n-grams."""
        if composer is None or not composer.describer.grams:
            return None
        return cls(vocabulary, weighting, composer, contexts)

    def lessons(self, vectors: NDArray[np.float32]) -> Lessons:
        """What the contexts of rare words say, given the vectors of the trained words.

        Nothing where the sample is too small to learn from.
        """
        contexts, dim = self.contexts, vectors.shape[1]
        if contexts is None or len(contexts.sample) < LEAST_SAMPLE * dim:
            return Lessons.none(dim)
        rare, sample = contexts.weigh(self.weighting, self.vocabulary)
        mapped = least_squares(mean_vectors(sample, vectors), vectors[contexts.sample])
        targets = STRETCH * (_with_ones(mean_vectors(rare, vectors)) @ mapped)
        return Lessons(contexts.rare.words, targets.astype(np.float32), _totals(rare))

    def weights(self, lessons: Lessons) -> NDArray[np.float64]:
        """ω of the trained words, then of those of the lessons."""
        times = self.vocabulary.counts
        pairs = self.weighting.pairs(times, self.weighting.keep(times, self.vocabulary.total))
        strength = self.composer.strengths[0]
        of_rare = RARE_SHARE * _learned_share(lessons.pairs, strength)
        return np.concatenate([_learned_share(pairs, strength), of_rare])

    def gram_map(self, embedding: NDArray[np.float32], constant: NDArray[np.float64]) -> "GramMap":
        """The map that is learned from the embedding of the trained words."""
        trained = embedding.any(axis=1, keepdims=True)
        vectors = np.where(trained, embedding - constant, 0).astype(np.float32)
        lessons, known = self.lessons(vectors), self.composer.describer
        describer, features = Describer.weighted(
            [*self.vocabulary.words, *lessons.words],
            min_n=known.min_n,
            max_n=known.max_n,
            known=known.known,
        )
        targets, weights = np.vstack([vectors, lessons.targets]), self.weights(lessons)
        penalty = PENALTY * float(weights[: len(vectors)].mean())
        solution = without_axis(least_ridge(features, targets, weights, penalty), constant)
        return GramMap(describer, solution, constant)


@dataclass(frozen=True)
class GramMap:
    """From the n-grams and features of a word to its embedding."""

    describer: Describer
    solution: NDArray[np.float32]
    constant: NDArray[np.float64]

    def rows(self, words: Sequence[str]) -> NDArray[np.float32]:
        """The embedding of `words`, one a row."""
        said = self.describer.describe(words) @ self.solution
        return np.asarray(said + self.constant, np.float32)


def least_ridge(
    features: csr_array,
    targets: NDArray[np.float32],
    weights: NDArray[np.float64],
    penalty: float,
) -> NDArray[np.float32]:
    """G of the module's equation, for rows f, `targets` y, `weights` ω and the `penalty` λ."""
    import torch  # which lookup of trained words does not need

    from exact2vec.parallel import Workers
    from exact2vec.vectors.ridge import FeatureRows, weighted_ridge

    with Workers() as workers:
        solution = weighted_ridge(
            FeatureRows(features),
            torch.from_numpy(targets),
            torch.from_numpy(weights),
            penalty,
            torch.zeros(features.shape[1], targets.shape[1]),
            workers,
            tolerance=TOLERANCE,
            most_steps=MOST_STEPS,
        )
    return np.asarray(solution.numpy())


def without_axis(rows: NDArray[np.float32], constant: NDArray[np.float64]) -> NDArray[np.float32]:
    """The rows with 0 on the axis of the constant, where the ridge leaves its residual."""
    square = float(constant @ constant)
    if not square:
        return rows
    return np.asarray(rows - np.outer(rows @ constant, constant / square), np.float32)


def mean_vectors(counts: csr_array, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean of `vectors` over the counts of each row, zeros where there are none."""
    totals = _totals(counts)
    return np.asarray((counts @ vectors) / np.where(totals > 0, totals, 1.0)[:, None], np.float64)


def least_squares(means: NDArray[np.float64], known: NDArray[np.float32]) -> NDArray[np.float64]:
    """A above b, with which `means` A + b comes nearest to `known`.

    What varies less than float32 rounds, as on the axis of the constant, explains nothing.
    """
    axes, triangle = np.linalg.qr(_with_ones(means))
    right = axes.T @ known.astype(np.float64)
    return np.asarray(np.linalg.lstsq(triangle, right, rcond=ROUNDING)[0])


def _learned_share(pairs: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """N / (N + κ); 0 for words without pairs."""
    return np.asarray(np.where(pairs > 0, pairs / np.where(pairs > 0, pairs + strength, 1.0), 0.0))


def _with_ones(means: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hstack([means, np.ones((len(means), 1))])


def _totals(counts: csr_array) -> NDArray[Any]:
    return np.asarray(counts.sum(axis=1), np.float64).ravel()
