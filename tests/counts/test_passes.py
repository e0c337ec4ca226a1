"""Counting in passes: the counts of parts of a text merge to the counts of the whole."""

from itertools import pairwise

import numpy as np
import pytest
from checking import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from exact2vec.counts.counting import count_text, count_tokens
from exact2vec.counts.counts import Counts
from exact2vec.counts.weighting import WindowWeighting
from exact2vec.errors import UsageError

OPTIONS = {"window": 3, "min_count": 4, "held_out": 0.2, "validation": 0.1, "rare": 1}
SHARES = {name: OPTIONS[name] for name in ("held_out", "validation")}


def documents(seed=0, size=120):
    random = np.random.default_rng(seed)
    return [[f"w{number}" for number in random.zipf(1.5, 12) if number < 60] for _ in range(size)]


def counted_in_parts(parts):
    first, *others = (count_tokens(part, **SHARES) for part in parts)
    vocabulary = first.merge(*others).vocabulary(OPTIONS["min_count"])
    first, *others = (count_text(part, vocabulary=vocabulary, **OPTIONS) for part in parts)
    return first.merge(*others)


def same(one, other):
    assert one.words == other.words
    assert one.vocabulary.counts.tolist() == other.vocabulary.counts.tolist()
    assert one.tokens == other.tokens
    assert one.settings == other.settings
    assert one.held_out_digest == other.held_out_digest
    for name in ("training", "held_out", "validation"):
        same_matrices(getattr(one, name), getattr(other, name))
    rare, others = (
        dict(zip(part.rare.words, part.rare.times, strict=True)) for part in (one, other)
    )
    assert rare == others
    weighted, others = one.weigh_rare(), other.weigh_rare()
    places = [others.place[name] for name in weighted.rows]
    np.testing.assert_array_equal(weighted.matrix.toarray(), others.matrix[places].toarray())


def same_matrices(one, other):
    assert (one is None) == (other is None)
    if one is not None:
        assert one.data.dtype == other.data.dtype == np.int64
        for name in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@settings(max_examples=examples(15))
@given(st.integers(0, 99), st.lists(st.integers(0, 120), min_size=1, max_size=3))
def test_the_counts_of_parts_merge_to_the_counts_of_the_whole(seed, cuts):
    texts = documents(seed)
    edges = [0, *sorted(cuts), len(texts)]
    parts = [texts[start:stop] for start, stop in pairwise(edges) if start < stop]
    same(counted_in_parts(parts), count_text(texts, **OPTIONS))


def test_rare_words_are_chosen_when_all_parts_are_counted():
    texts = documents()
    merged = counted_in_parts([texts[:50], texts[50:]]).rare.counted(3)
    whole = count_text(texts, **OPTIONS | {"rare": 3}).rare
    assert sorted(merged.words) == sorted(whole.words)
    assert len(merged.words) > 1
    assert sorted(merged.times) == sorted(whole.times)
    assert merged.counts.sum() == whole.counts.sum()


def test_merged_counts_come_back_as_they_were_saved(tmp_path):
    texts = documents()
    merged = counted_in_parts([texts[:50], texts[50:]])
    merged.save(tmp_path / "counts")
    same(Counts.load(tmp_path / "counts"), merged)


def test_a_word_that_a_part_lacks_counts_as_kept_whole():
    assert WindowWeighting(5, 1e-3).keep(np.array([0, 9]), 9).tolist() == [
        1,
        pytest.approx(1e-3**0.5 + 1e-3),
    ]


def test_counts_that_were_counted_otherwise_do_not_merge():
    counts = count_text(documents(), **OPTIONS)
    for other, what in (
        (count_text(documents(1), **OPTIONS), "words"),
        (count_text(documents(), **OPTIONS | {"window": 2}), "weighting"),
        (count_text(documents(), **OPTIONS | {"rare": None}), "rare words asked for"),
    ):
        with pytest.raises(UsageError, match=f"differ in {what}"):
            counts.merge(other)
