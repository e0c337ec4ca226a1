"""The model of what comes next: which parts it has, with which numbers, by the validation part."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.baskets import Baskets
from exact2vec.counts.counts import Counts, unigram
from exact2vec.counts.credit import CreditRule, credit_counts
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.counts.weighting import PlainWeighting
from exact2vec.errors import InputError
from exact2vec.options import OPTIONS
from exact2vec.options.items import PAIR_TRAINING
from exact2vec.parallel import Workers
from exact2vec.train.composed_items import ComposedSettings, train_composed
from exact2vec.train.fit import fit
from exact2vec.train.item_choice import MOST_ROUNDS, Choice, Try, choose_rule
from exact2vec.vectors.composed_items import Composed
from exact2vec.vectors.item_model import (
    ItemModel,
    interpolation_shares,
    mean_nll,
    target_probabilities,
)
from exact2vec.vectors.item_parts import (
    TABLE_BYTES,
    ItemPart,
    Mixture,
    Popularity,
    softmax_table,
)
from exact2vec.vectors.ranking import Questions, ranked
from exact2vec.vectors.stored_items import NextItemParts

TABLE_KAPPAS = (1.0, 4.0, 16.0)  # times κ, where the mixture is backed off to the embedding
LEAST_TARGETS = 50
GRID = np.linspace(0, 1, 21)
Said = Callable[[str], None]


@dataclass(frozen=True)
class ItemSettings:
    """Which parts are tried, and what decides: the NLL of the validation part, or its recall@20.

    `rounds` are the most of EM. `training` are the arguments of `fit` for the vectors, which the
    mixture is backed off to where that is better.
    """

    model: str = "all"
    validate: str = "nll"
    rounds: int = MOST_ROUNDS
    training: dict[str, Any] = field(default_factory=lambda: dict(PAIR_TRAINING))
    composed: ComposedSettings = field(default_factory=ComposedSettings)


# Of users it is asked what they do later. What was left out at random would favour rounds of EM,
# which sharpen what stands together for a short while (docs/decisions/items.md).
PRESETS = {
    "table": ItemSettings(rounds=0, composed=ComposedSettings(vector_size=128)),
    "baskets": ItemSettings(
        composed=ComposedSettings(
            vector_size=128,
            epochs=6,
            by_direction=False,
            temperature=1.0,
            keep=0.8,
            power=0.25,
            block_rows=128,
        )
    ),
}
UNCHOSEN = {"table": CreditRule(kappa=1.0), "baskets": CreditRule(kappa=5.0, rounds=3)}


@dataclass(frozen=True)
class Contribution:
    """A part: its share of the model, its own NLL of the validation part, and what it cost."""

    name: str
    share: float
    nll: float
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What was chosen. The counts are made by `counting`; p(w | i) of them by `rule`.

    With `table` the mixture is backed off to the embedding. `nll` is that of the whole on the
    validation part, `unigram` that of popularity, nats a target; None where nothing was asked.
    """

    counting: CreditRule
    rule: CreditRule
    table: bool
    composed: Composed | None
    shares: dict[str, float]
    parts: list[Contribution] = field(default_factory=list)
    tries: list[Try] = field(default_factory=list)
    nll: float | None = None
    unigram: float | None = None


def item_settings(kind: str, model: str, validate: str, training: dict[str, Any]) -> ItemSettings:
    """The preset of a kind of data, with what was asked for; `training` are arguments of `fit`."""
    preset = PRESETS[kind]
    composed = replace(preset.composed, seed=training["seed"])
    return replace(preset, model=model, validate=validate, training=training, composed=composed)


def parts_and_counts(
    baskets: Baskets,
    settings: ItemSettings,
    *,
    threads: int | None = None,
    say: Said = lambda line: None,
    merged: bool = True,
) -> tuple[NextItemParts, Counts]:
    """What comes next, chosen by the validation part; and the credit counts to train vectors on.

    `merged` counts the validation rows too, when they have chosen. Otherwise they stay the
    validation part of the counts. Fewer than 50 targets choose nothing: see `unchosen_plan`.
    """
    cut, rows = baskets.validation, baskets.training
    with Workers(threads) as workers:
        if cut is not None and cut.targets.nnz >= LEAST_TARGETS:
            questions = Questions(cut.contexts, cut.targets)
            plan = plan_items(rows, questions, settings, workers=workers, say=say)
        elif settings.model == "composed":
            asked = 0 if cut is None else cut.targets.nnz
            raise InputError(
                f"the composed model needs {LEAST_TARGETS} targets for validation, and there are "
                f"{asked}: raise --validation, or use --model mixture"
            )
        else:
            plan = unchosen_plan(baskets.kind.name)
            say(
                f"fewer than {LEAST_TARGETS} targets for validation, so nothing is chosen: "
                f"the mixture alone, with {plan.rule}"
            )
        if merged and cut is not None:
            rows = baskets.known_rows
        counts = item_counts(rows, baskets.items, plan, workers)
    for line in said_of(plan):
        say(line)
    validation = None if merged or cut is None else baskets.pair_counts().validation
    counts = replace(
        counts,
        tokens=baskets.tokens,
        settings=baskets.settings,
        kind=baskets.kind,
        validation=validation,
    )
    return item_parts(rows, plan), counts


def said_of(plan: Plan) -> list[str]:
    """What each part contributes and costs."""
    if plan.nll is None or plan.unigram is None:
        return []
    parts = [
        f"{part.name}: share {part.share:.2f}, NLL {part.nll:.4f} alone, {part.seconds:.0f} s"
        for part in plan.parts
    ]
    return [
        *parts,
        f"validation NLL {plan.nll:.4f} nats a target, popularity {plan.unigram:.4f} "
        "(there is no floor)",
    ]


def plan_items(
    baskets: csr_array,
    questions: Questions,
    settings: ItemSettings,
    *,
    workers: Workers,
    say: Said = lambda line: None,
) -> Plan:
    """The Plan of the largest worth on `questions`, trained on `baskets` without them."""
    return _Planning(baskets, questions, settings, workers, say).plan()


def unchosen_plan(kind: str) -> Plan:
    """What is done where nothing is kept for validation: the mixture, with usual numbers."""
    rule = UNCHOSEN[kind]
    return Plan(rule, rule, False, None, {"mixture": 1.0})


def item_counts(baskets: csr_array, items: Vocabulary, plan: Plan, workers: Workers) -> Counts:
    """The credit counts of all baskets, which the embedding is trained on."""
    popularity = unigram(item_times(baskets).astype(np.float64))
    found = credit_counts(baskets, popularity, plan.counting, workers=workers)
    return Counts(items, found, None, PlainWeighting(), {})


def item_parts(baskets: csr_array, plan: Plan) -> NextItemParts:
    """The parts of a Plan for all these baskets."""
    chosen = {
        "nll": plan.nll,
        "unigram": plan.unigram,
        "parts": [
            {"name": part.name, "share": part.share, "nll": part.nll} for part in plan.parts
        ],  # no seconds: a run is the same bytes
        "tries": [asdict(one.rule) | {"loss": one.loss} for one in plan.tries],
    }
    numbers = plan.counting, plan.rule, plan.table, plan.shares, plan.composed
    return NextItemParts(*numbers, item_times(baskets), chosen)


def item_times(baskets: csr_array) -> NDArray[np.int64]:
    """How many baskets each item is in."""
    return np.bincount(baskets.indices, minlength=baskets.shape[1]).astype(np.int64)


def table_fits(items: int) -> bool:
    """Whether a probability for each pair of items is held in memory."""
    return 8 * items * items <= TABLE_BYTES


class _Planning:
    """The parts as they come, with their probabilities of the targets."""

    def __init__(
        self,
        baskets: csr_array,
        questions: Questions,
        settings: ItemSettings,
        workers: Workers,
        say: Said,
    ) -> None:
        self.baskets, self.questions, self.settings = baskets, questions, settings
        self.workers, self.say = workers, say
        self.choice = Choice(baskets, questions, workers, settings.validate, settings.rounds)

    def plan(self) -> Plan:
        popularity = Popularity(unigram(self.choice.times.astype(np.float64)))
        parts: dict[str, ItemPart] = {"popularity": popularity}
        seconds = {"popularity": 0.0}
        counting = rule = CreditRule()
        if self.settings.model != "composed":
            with _timed(seconds, "mixture"):
                counting, parts["mixture"] = self._mixture()
        if self.settings.model != "mixture":
            with _timed(seconds, "composed"):
                parts["composed"] = self._composed(popularity.popularity)
        shares, nlls, nll = self._shares(parts)
        mixture, composed = parts.get("mixture"), parts.get("composed")
        rule = mixture.rule if isinstance(mixture, Mixture) else rule
        return Plan(
            counting,
            rule,
            isinstance(mixture, Mixture) and mixture.table is not None,
            composed if isinstance(composed, Composed) and shares["composed"] > 0 else None,
            shares,
            [Contribution(name, shares[name], nlls[name], seconds[name]) for name in parts],
            self.choice.tries,
            nll,
            nlls["popularity"],
        )

    def _mixture(self) -> tuple[CreditRule, Mixture]:
        """The best mixture, backed off to an embedding of its own counts where that is better."""
        best = choose_rule(self.choice)
        rule, counting = best.rule, best.counting
        popularity = unigram(self.choice.times.astype(np.float64))
        counts = credit_counts(self.baskets, popularity, counting, workers=self.workers)
        found, least = self.choice.mixture(counts, rule), best.loss
        self.say(f"mixture: {rule}, validation {self.settings.validate} {least:.4f}")
        if not table_fits(len(popularity)):
            return counting, found
        table = self._table(counts)
        for factor in TABLE_KAPPAS:
            backed = replace(found, table=table, rule=replace(rule, kappa=factor * rule.kappa))
            if (loss := self.choice.loss(backed)) < least:
                least, found = loss, backed
        return counting, found

    def _table(self, counts: csr_array) -> NDArray[np.float64]:
        """p_θ(w | i) of an embedding trained on these counts."""
        names = Vocabulary([str(item) for item in range(counts.shape[0])], self.choice.times)
        how: dict[str, Any] = {**self.settings.training, "max_n": 0, "exact_every": 0}
        if how.get("epochs") == "auto":  # the validation part is asked for targets already
            how["epochs"] = OPTIONS["epochs"].default
        how["threads"] = self.workers.threads
        *_, last = fit(Counts(names, counts, None, PlainWeighting(), {}), **how)
        state = last.state
        return softmax_table(state.inputs.numpy(), state.outputs.numpy(), state.bias.numpy())

    def _composed(self, popularity: NDArray[np.float64]) -> Composed:
        settings, part = self.settings.composed, None
        records = train_composed(
            self.baskets, popularity, settings, workers=self.workers, questions=self.questions
        )
        for record, part in records:  # noqa: B007
            self.say(f"composed: pass {record.epoch:g} of {settings.epochs}")
        assert part is not None
        return part

    def _shares(
        self, parts: dict[str, ItemPart]
    ) -> tuple[dict[str, float], dict[str, float], float]:
        """λ, the NLL of each part alone, and that of the whole."""
        asked = self.questions.contexts, self.questions.targets
        each = [target_probabilities(part, *asked) for part in parts.values()]
        if self.settings.validate == "nll" or len(parts) < 3:
            shares = interpolation_shares(each)
        else:
            shares = self._shares_by_recall(list(parts.values()))
        shares = tuple(share if share > 1e-4 else 0.0 for share in shares)
        shares = tuple(share / sum(shares) for share in shares)
        nlls = {name: mean_nll(one) for name, one in zip(parts, each, strict=True)}
        whole = mean_nll(np.asarray(shares) @ np.stack(each))
        return dict(zip(parts, shares, strict=True)), nlls, whole

    def _shares_by_recall(self, parts: list[ItemPart]) -> tuple[float, ...]:
        """Of the grid of shares of mixture and composed, the one of the largest recall@20."""
        asked = self.questions.contexts, self.questions.targets
        found = []
        for share in GRID:
            model = ItemModel(tuple(parts[1:]), (share, 1 - share))
            found.append(float(ranked(model.probabilities, *asked).recall.mean()))
        best = GRID[int(np.argmax(found))]
        return 0.0, float(best), float(1 - best)


class _timed:
    """Notes how many seconds its block took."""

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self.seconds, self.name = seconds, name

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds[self.name] = time.perf_counter() - self.began
