"""Choosing the numbers of the mixture by the validation part; only counts are made anew."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.counts import unigram
from exact2vec.counts.credit import CreditRule, credit_rounds
from exact2vec.parallel import Workers
from exact2vec.vectors.item_model import ItemModel, mean_nll, target_probabilities
from exact2vec.vectors.item_parts import Mixture
from exact2vec.vectors.ranking import Questions, ranked

KAPPAS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
FIRST_KAPPA, KAPPA_STEP = 5.0, 4.0  # where there are rounds
TARGET_POWERS = (0.5,)
SOURCE_POWERS = (0.25, 0.5)
BACKGROUNDS = (0.3, 1.0)
MOST_ROUNDS = 6
MOST_KAPPA_STEPS = 3


@dataclass(frozen=True)
class Try:
    """A rule, and what it is worth on the validation part: `loss` is what is chosen by.

    The counts were made by the `counting`, p(w | i) of them by the `rule`.
    """

    rule: CreditRule
    loss: float
    counting: CreditRule


@dataclass
class Choice:
    """The baskets that are counted, the questions that choose, and what has been tried.

    `by` is "nll", nats a target, or "recall@20", whose loss is its negative. With `most_rounds`
    = 0 there is no EM.
    """

    baskets: csr_array
    questions: Questions
    workers: Workers
    by: str = "nll"
    most_rounds: int = MOST_ROUNDS
    tries: list[Try] = field(default_factory=list)

    @property
    def times(self) -> NDArray[np.int64]:
        """How many baskets each item is in."""
        return np.bincount(self.baskets.indices, minlength=self.baskets.shape[1])

    def mixture(self, counts: csr_array, rule: CreditRule) -> Mixture:
        times = self.times
        return Mixture(counts, rule, unigram(times.astype(np.float64)), times)

    def loss(self, mixture: Mixture) -> float:
        """Of the validation part."""
        contexts, targets = self.questions.contexts, self.questions.targets
        if self.by == "nll":
            return mean_nll(target_probabilities(mixture, contexts, targets))
        found = ranked(ItemModel((mixture,), (1.0,)).probabilities, contexts, targets)
        return -float(found.recall.mean())

    def tried(self, counts: csr_array, counting: CreditRule, rules: Sequence[CreditRule]) -> Try:
        """The best of these rules on the same counts; each is noted."""
        found = [Try(rule, self.loss(self.mixture(counts, rule)), counting) for rule in rules]
        self.tries.extend(found)
        return min(found, key=lambda one: one.loss)

    def rounds(self, rule: CreditRule) -> Iterator[csr_array]:
        """The counts after 0, 1, 2, … rounds."""
        popularity = unigram(self.times.astype(np.float64))
        return credit_rounds(self.baskets, popularity, rule, workers=self.workers)


def choose_rule(choice: Choice) -> Try:
    """The best rule of a small grid, one number after the other.

    First κ without rounds. Then rounds of EM, as long as the loss falls, for κ around 5, and for
    targets of large baskets that weigh less. Then the weights of the sources and of popularity,
    by which the rounds then share credit too, where that is better.
    """
    counting = CreditRule()
    counts = next(choice.rounds(counting))
    best = choice.tried(counts, counting, [CreditRule(kappa=kappa) for kappa in KAPPAS])
    if choice.most_rounds:
        best = _better(best, _with_rounds(choice))
        counting = best.counting
        counts = _counts_of(choice, counting)
    powers = [replace(best.rule, source_power=power) for power in SOURCE_POWERS]
    best = _better(best, choice.tried(counts, counting, powers))
    grounds = [replace(best.rule, background=weight) for weight in BACKGROUNDS]
    best = _better(best, choice.tried(counts, counting, grounds))
    if counting.rounds and best.rule != counting:
        shared = replace(best.rule, kappa=counting.kappa)  # the rounds share by these weights too
        best = _better(best, choice.tried(_counts_of(choice, shared), shared, [best.rule]))
    return best


def _with_rounds(choice: Choice) -> Try:
    """κ is climbed in steps of a factor; then the power of the targets is tried."""
    best = _best_round(choice, CreditRule(kappa=FIRST_KAPPA))
    for factor in (KAPPA_STEP, 1 / KAPPA_STEP):
        before = best
        for _ in range(MOST_KAPPA_STEPS):
            found = _best_round(choice, replace(best.rule, kappa=best.rule.kappa * factor))
            if found.loss >= best.loss:
                break
            best = found
        if best is not before:
            break
    powers = [
        _best_round(choice, replace(best.rule, target_power=power)) for power in TARGET_POWERS
    ]
    return _better(best, *powers)


def _best_round(choice: Choice, rule: CreditRule) -> Try:
    """The rounds are ended by the first that does not help."""
    best = None
    for number, counts in zip(range(choice.most_rounds + 1), choice.rounds(rule), strict=False):
        if number == 0:
            continue
        counting = replace(rule, rounds=number)
        found = choice.tried(counts, counting, [counting])
        if best is not None and found.loss >= best.loss:
            break
        best = found
    assert best is not None
    return best


def _counts_of(choice: Choice, rule: CreditRule) -> csr_array:
    *_, counts = (one for _, one in zip(range(rule.rounds + 1), choice.rounds(rule), strict=False))
    return counts


def _better(*tries: Try) -> Try:
    """The first of the smallest loss."""
    return min(tries, key=lambda one: one.loss)
