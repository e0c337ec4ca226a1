"""Choosing the parts of a model and their numbers by questions."""

from dataclasses import replace

import numpy as np
import pytest
from item_problems import ITEMS, cut, matrix_of, tasty_baskets

from exact2vec import count_baskets
from exact2vec.counts.counts import unigram
from exact2vec.counts.credit import CreditRule, credit_counts
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.errors import InputError
from exact2vec.parallel import Workers
from exact2vec.train.composed_items import ComposedSettings
from exact2vec.train.item_choice import Choice, choose_rule
from exact2vec.train.item_training import (
    ItemSettings,
    item_counts,
    item_parts,
    item_times,
    parts_and_counts,
    plan_items,
    unchosen_plan,
)
from exact2vec.vectors.item_model import mean_nll, target_probabilities
from exact2vec.vectors.item_parts import softmax_table
from exact2vec.vectors.ranking import Questions

SMALL = ItemSettings(
    training={"vector_size": 4, "epochs": 2, "prior": (5.0, 20.0)},
    composed=ComposedSettings(4, 4, False, 1.0, 0.7, 0.25, rate=0.05, block_rows=64),
)
BASKETS = matrix_of(tasty_baskets(500))
QUESTIONS = Questions(*cut(tasty_baskets(400, seed=5)))
LATER = cut(tasty_baskets(2000, seed=6))


PLANS = {}


def planned(settings):
    key = settings.model, settings.validate
    if key not in PLANS:
        with Workers(2) as workers:
            PLANS[key] = plan_items(BASKETS, QUESTIONS, settings, workers=workers)
    return PLANS[key]


def test_the_rule_is_the_best_that_was_tried():
    with Workers(2) as workers:
        choice = Choice(BASKETS, QUESTIONS, workers)
        best = choose_rule(choice)
        again = choose_rule(Choice(BASKETS, QUESTIONS, workers))
        counts = credit_counts(
            BASKETS, unigram(item_times(BASKETS) * 1.0), best.counting, workers=workers
        )
    assert best.loss == min(one.loss for one in choice.tries)
    assert best == again
    assert choice.loss(choice.mixture(counts, best.rule)) == best.loss
    assert {one.rule.rounds for one in choice.tries} >= {0, 1, 2}


def test_rounds_are_tried_with_the_weights_that_were_chosen(monkeypatch):
    usual = Choice.loss
    monkeypatch.setattr(
        Choice,
        "loss",
        lambda self, mixture: usual(self, mixture) - 9 * mixture.rule.background,
    )
    with Workers(2) as workers:
        choice = Choice(BASKETS, QUESTIONS, workers)
        best = choose_rule(choice)
    assert best.rule.background == 1.0
    assert best.counting.rounds
    shared = [one for one in choice.tries if one.counting.background == 1.0]
    assert [(one.rule, one.counting.kappa) for one in shared] == [(best.rule, best.counting.kappa)]
    assert best.loss == min(one.loss for one in choice.tries)


def test_without_rounds_there_is_no_em():
    with Workers(2) as workers:
        choice = Choice(BASKETS, QUESTIONS, workers, "recall@20", most_rounds=0)
        best = choose_rule(choice)
    assert {one.rule.rounds for one in choice.tries} == {0}
    assert -1 <= best.loss < 0


def test_the_whole_is_no_worse_than_its_parts():
    plan = planned(SMALL)
    assert sum(plan.shares.values()) == pytest.approx(1, abs=1e-12)
    assert [part.name for part in plan.parts] == ["popularity", "mixture", "composed"]
    assert plan.nll <= min(part.nll for part in plan.parts) + 1e-6
    assert plan.nll < plan.unigram - 0.3
    assert plan.unigram == plan.parts[0].nll
    assert {part.name: part.share for part in plan.parts} == plan.shares


@pytest.mark.parametrize("model", ["mixture", "composed"])
def test_one_part_alone(model):
    plan = planned(replace(SMALL, model=model))
    assert set(plan.shares) == {"popularity", model}
    assert (plan.composed is None) == (model == "mixture")


def test_shares_by_recall_are_of_the_grid():
    plan = planned(replace(SMALL, validate="recall@20"))
    assert plan.shares["popularity"] == 0
    assert round(20 * plan.shares["mixture"], 9) % 1 == 0


def test_the_model_of_a_plan():
    """Made anew of all baskets, with the embedding's own probabilities behind the counts."""
    plan = replace(planned(SMALL), table=True)
    items = Vocabulary([str(item) for item in range(ITEMS)], item_times(BASKETS))
    random, sizes = np.random.default_rng(1), ((ITEMS, 3), (ITEMS, 3), ITEMS)
    vectors = [random.standard_normal(size).astype(np.float32) for size in sizes]
    with Workers(2) as workers:
        counts = item_counts(BASKETS, items, plan, workers)
    assert counts.square
    parts = item_parts(BASKETS, plan)
    model = parts.model(counts.training, lambda: vectors)
    np.testing.assert_array_equal(model.mixture.table, softmax_table(*vectors))
    np.testing.assert_allclose(model.mixture.table.sum(axis=1), 1, rtol=1e-12)
    assert replace(parts, table=False).model(counts.training, tuple).mixture.table is None
    assert mean_nll(target_probabilities(model.mixture, *LATER)) < plan.unigram


@pytest.mark.parametrize("by", ["row", "item"])
def test_every_row_is_counted_once(by):
    """Also where a row has items in the training part and in the validation part."""
    users = [f"user {number}" for number in range(400)]
    held = tasty_baskets(400, seed=3)
    pairs = [(user, f"item {i}") for user, items in zip(users, held, strict=True) for i in items]
    table = {"user": [user for user, _ in pairs], "item": [item for _, item in pairs]}
    how = {"group_by": "user", "item": "item", "min_count": 1, "held_out": 0, "validation": 0.2}
    baskets = count_baskets(table, held_out_by=by, **how)
    parts, _ = parts_and_counts(baskets, replace(SMALL, model="mixture"))
    rows = baskets.training.nnz + baskets.validation.targets.nnz
    rows += baskets.validation.contexts.nnz if by == "row" else 0
    assert parts.baskets_with.sum() == rows


def test_a_composed_model_without_questions_is_an_error():
    baskets = count_baskets([["a", "b"], ["a", "c"]] * 30, validation=0.02, held_out=0)
    with pytest.raises(InputError, match="needs 50 targets for validation"):
        parts_and_counts(baskets, replace(SMALL, model="composed"))


def test_without_questions_there_are_usual_numbers():
    plan = unchosen_plan("baskets")
    assert plan.counting == CreditRule(kappa=5.0, rounds=3)
    assert plan.shares == {"mixture": 1.0}
    assert plan.nll is None
