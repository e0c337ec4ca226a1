"""Problems with a prior: of tensors, of sentences, and a ridge by least squares."""

from dataclasses import replace

import numpy as np
import torch
from topics import DERIVED, sentences

from exact2vec.loss.engine.cells import Workspace
from exact2vec.loss.formulas import Pull, metric
from exact2vec.train import problem as problems


def by_least_squares(features, targets, totals, strength):
    """Rows √ω · (f, y), and √λ · (I, 0) below them, λ = (1 − ω̄)²."""
    weights = np.array([total / (total + strength) if total else 0 for total in totals])
    caution = max(
        0.01,
        (1 - np.mean([weight for weight, total in zip(weights, totals, strict=True) if total]))
        ** 2,
    )
    left = np.vstack(
        [np.sqrt(weights)[:, None] * features, np.sqrt(caution) * np.eye(features.shape[1])]
    )
    right = np.vstack(
        [np.sqrt(weights)[:, None] * targets, np.zeros((features.shape[1], targets.shape[1]))]
    )
    return np.linalg.lstsq(left, right, rcond=None)[0]


def shrunk_problem(seed=0, contexts=6, words=7, dim=3):
    """Inputs, outputs, bias, counts, row weights and pulls, float64, away from the origin."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    inputs, outputs, bias = normal(contexts, dim) + 0.5, normal(words, dim) - 0.2, normal(words)
    counts = (
        torch.rand(contexts, words, generator=generator, dtype=torch.float64)
        * torch.tensor([1.0, 5, 30, 200, 2, 9])[:contexts, None]
    )
    weights = torch.rand(contexts, generator=generator, dtype=torch.float64) + 0.5
    pulls = (
        Pull(15.0, normal(contexts, dim), metric(outputs, counts.sum(dim=0), damping=0.1)),
        Pull(50.0, normal(words, dim), metric(inputs, counts.sum(dim=1))),
    )
    return inputs, outputs, bias, counts, weights, pulls


SENTENCES = sentences(size=300, topics=DERIVED)


def problem_of(counts, workers, how, dtype=torch.float64):
    size = len(counts.words)
    problem = problems.problem_of(counts, Workspace.of(workers, size, size, dtype), 0.75, 1)
    return replace(
        problem,
        prior=problems.prior_of(counts, problem.training, (15.0, 50.0), None, 3, how),
    )
