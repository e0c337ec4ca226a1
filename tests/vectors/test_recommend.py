"""Recommendations from vectors: names, batches, and what is odd about a basket."""

import numpy as np
import pytest
from item_problems import tasty_baskets

import exact2vec as e2v
from exact2vec.errors import CorruptFileError, InputError, UnknownWordError, UsageError
from exact2vec.vectors.item_model import ItemModel
from exact2vec.vectors.item_parts import Popularity
from exact2vec.vectors.recommend import Recommender

NAMES = [f"item {number}" for number in range(23)]
BASKETS = [[NAMES[item] for item in sorted(basket)] for basket in tasty_baskets(900)]


@pytest.fixture(scope="module")
def model():
    counted = e2v.count_baskets(BASKETS, held_out=0.1, validation=0.15, min_count=1)
    made = e2v.Exact2Vec(vector_size=4, epochs=2, prior=(5, 20), model="mixture")
    return made.fit(counted)


def test_the_vectors_are_of_the_credit_counts(model):
    assert model.counts_.square
    assert model.counts_.training.dtype == np.float64
    rows = model.baskets_
    seen = rows.training.nnz + rows.validation.contexts.nnz + rows.validation.targets.nnz
    assert model.next_items_.baskets_with.sum() == seen
    assert model.next_items_.chosen["nll"] < model.next_items_.chosen["unigram"]


def test_p_is_that_of_the_model(model):
    basket = [NAMES[1], NAMES[4]]
    found = model.wv.recommend(basket, topn=23)
    assert len(found) == len(model.wv) - 2
    assert sum(p for _, p in found) == pytest.approx(1, abs=1e-9)
    assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)
    assert not {name for name, _ in found} & set(basket)
    recommender = model.wv.recommender
    p = recommender.model.probabilities(recommender.contexts([basket]))[0]
    assert dict(found) == {model.wv.index_to_key[item]: p[item] for item in np.flatnonzero(p)}


def test_batches_are_their_baskets(model):
    baskets = [[NAMES[1]], [NAMES[4], NAMES[2]], [], NAMES]
    assert model.wv.recommend(baskets, 3) == [model.wv.recommend(one, 3) for one in baskets]
    assert model.wv.recommend(NAMES[1], 3) == model.wv.recommend([NAMES[1]], 3)


def test_what_is_seen_may_be_asked_for(model):
    found = dict(model.wv.recommend([NAMES[1], NAMES[4]], 23, exclude_seen=False))
    assert len(found) == len(model.wv)
    assert sum(found.values()) == pytest.approx(1, abs=1e-9)


def test_odd_baskets(model):
    """Twice is once; unknown says nothing; nothing known is popularity; all is nothing left."""
    once = model.wv.recommend([NAMES[1]], 5)
    assert model.wv.recommend([NAMES[1], NAMES[1]], 5) == once
    assert model.wv.recommend([NAMES[1], "no such item"], 5) == once
    popular = model.wv.recommend(["no such item", "nor this"], 23)
    times = model.next_items_.baskets_with
    assert [name for name, _ in popular] == [
        model.wv.index_to_key[item] for item in np.argsort(-times, kind="stable")
    ]
    assert model.wv.recommend(model.wv.index_to_key, 5) == []
    with pytest.raises(UnknownWordError, match="'item 99' is not among the"):
        model.wv.recommend("item 99")
    with pytest.raises(UsageError, match="names"):
        model.wv.recommend([1, 2])
    for given in (map(str, NAMES[:2]), None, 5):
        with pytest.raises(UsageError, match="recommend takes a name, a basket of names"):
            model.wv.recommend(given)
    with pytest.raises(UsageError, match="topn"):
        model.wv.recommend([NAMES[1]], 0)


def test_vectors_of_text_have_no_next_item():
    model = e2v.Exact2Vec(vector_size=2, epochs=1).fit([["sun", "moon"]] * 20)
    with pytest.raises(InputError, match="--kind baskets"):
        model.wv.recommend(["sun"])


def test_reasons_are_shares_of_p(model):
    """Where another part has a share too, the mixture's reasons are of what it gives."""
    names, mixture = model.wv.index_to_key, model.wv.recommender.model.mixture
    popular = Popularity(mixture.popularity)
    both = Recommender(names, lambda: ItemModel((popular, mixture), (0.6, 0.4)))
    basket, item = [1, 2], 5
    context = both.contexts([[names[one] for one in basket]])
    p = both.model.probabilities(context)[0, item]
    alone = ItemModel((mixture,), (1.0,)).probabilities(context)[0, item]
    wanted = mixture.reasons(np.array(basket), item) * 0.4 * alone / p
    shares = {one: share for one, share in zip(basket, wanted, strict=True) if share >= 0.01}
    assert dict(both.because(basket, item)) == pytest.approx(shares)
    assert sum(shares.values()) < 0.9


@pytest.mark.parametrize("kind", ["mixture", "all"])
def test_a_run_recommends_alike(model, kind, tmp_path):
    if kind == "all":
        model = e2v.Exact2Vec(vector_size=4, epochs=1, prior=(5, 20)).fit(model.baskets_)
        assert {part.name for part in model.wv.recommender.model.parts} >= {"composed"}
    model.save(tmp_path / "run")
    loaded = e2v.load(tmp_path / "run")
    baskets = [[NAMES[1]], [NAMES[4], NAMES[2]], []]
    assert loaded.recommend(baskets, 5) == model.wv.recommend(baskets, 5)
    (tmp_path / "run" / "next_items.json").write_text("{}")
    with pytest.raises(CorruptFileError, match="next_items"):
        e2v.load(tmp_path / "run").recommend(baskets)
