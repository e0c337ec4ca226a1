"""What is held out of rows of items: by the keyed hash, or the last by time."""

import numpy as np
import pytest
from baskets_made import entries_add_up, random_baskets, same, sets

import exact2vec as e2v
from exact2vec.counts.row_parts import digest, mixed
from exact2vec.errors import InputError


def test_rows_are_held_out_by_the_hash_of_their_items():
    baskets = random_baskets(2, rows=3000)
    found = e2v.count_baskets(baskets, held_out=0.1, validation=0.2, min_count=1)
    entries_add_up(found)

    def share(basket):
        return digest("\0".join(sorted(set(basket)))) / 2**64

    held_out = [basket for basket in baskets if share(basket) < 0.1]
    validation = [basket for basket in baskets if 0.1 <= share(basket) < 0.3]
    for part, cut in ((held_out, found.held_out), (validation, found.validation)):
        several = sorted(sorted(set(basket)) for basket in part if len(set(basket)) > 1)
        rows = zip(
            sets(found.items.words, cut.contexts), sets(found.items.words, cut.targets), strict=True
        )
        assert sorted(sorted(context | target) for context, target in rows) == several
    alone = sum(len(set(basket)) == 1 for basket in held_out + validation)
    assert found.tokens["rows_uncut"] == found.tokens["dropped_uncut"] == alone > 0


def test_a_cut_is_by_the_hash_and_leaves_something_on_both_sides():
    baskets = random_baskets(4, rows=2000, most=16)
    for share in (0, 0.2, 0.5, 0.99):
        found = e2v.count_baskets(baskets, held_out=0.2, target_share=share, min_count=1)
        names, cut = found.items.words, found.held_out
        for context, target in zip(
            sets(names, cut.contexts), sets(names, cut.targets), strict=True
        ):
            size = len(context) + len(target)
            assert len(target) == min(size - 1, max(1, int(share * size + 0.5)))
            row = np.uint64(digest("\0".join(sorted(context | target))))
            hashes = {
                name: mixed(np.array([row]), np.array([digest(name)], np.uint64))[0]
                for name in context | target
            }
            assert max(hashes[name] for name in target) < min(hashes[name] for name in context)


def test_the_held_out_rows_do_not_depend_on_min_count():
    baskets = random_baskets(6, rows=2000)
    rows = [
        set(e2v.count_baskets(baskets, held_out=0.3, min_count=least).held_out.rows)
        for least in (1, 400)
    ]
    assert rows[1] < rows[0]
    found = e2v.count_baskets(baskets, held_out=0.3, min_count=400)
    entries_add_up(found)
    assert found.tokens["dropped_training"] > 0
    assert found.tokens["dropped_held_out"] > 0
    assert found.items.counts.min() >= 400
    assert len(e2v.count_baskets(baskets, max_vocab=3).items.words) == 3


def test_items_of_every_row_are_held_out():
    baskets = [sorted(set(basket)) for basket in random_baskets(7, rows=2000, most=12)]
    found = e2v.count_baskets(
        baskets, held_out=0.2, validation=0.1, held_out_by="item", min_count=1
    )
    entries_add_up(found)
    names = found.items.words
    rows = dict(zip(found.rows, sets(names, found.training), strict=True))
    assert len(rows) == len(baskets)
    whole = {f"basket {number + 1}": set(basket) for number, basket in enumerate(baskets)}
    targets = {
        part: dict(zip(cut.rows, sets(names, cut.targets), strict=True))
        for part, cut in (("validation", found.validation), ("held_out", found.held_out))
    }
    for row, basket in whole.items():
        parts = [rows[row], *(targets[part].get(row, {}) for part in targets)]
        assert set().union(*parts) == basket
        assert sum(map(len, parts)) == len(basket)
    for row, context in zip(found.held_out.rows, sets(names, found.held_out.contexts), strict=True):
        assert context.keys() == whole[row] - targets["held_out"][row].keys()
    for row, context in zip(
        found.validation.rows, sets(names, found.validation.contexts), strict=True
    ):
        assert context == rows[row]
    share = found.tokens["held_out"] / found.tokens["read"]
    # 0.2 of the entries, less one of each row whose entries were all drawn; 4 standard errors
    assert 0.15 < share < 0.2 + 4 * (0.16 / found.tokens["read"]) ** 0.5


def test_the_last_rows_by_time_are_held_out_with_one_cut_off():
    baskets = random_baskets(8, rows=500, most=9)
    times = np.random.default_rng(0).permutation(500) // 5
    found = e2v.count_baskets(baskets, time=times, held_out=0.1, validation=0.1, min_count=1)
    entries_add_up(found)
    when = {f"basket {number + 1}": time for number, time in enumerate(times)}
    last, before = ([when[row] for row in cut.rows] for cut in (found.held_out, found.validation))
    first = [when[row] for row in found.rows]
    assert max(first) <= min(before)
    assert max(before) <= min(last)
    lost = found.tokens["rows_uncut"]
    assert len(last) + len(before) + lost == 100
    same(
        found,
        e2v.count_baskets(baskets, time=times * 7 - 3, held_out=0.1, validation=0.1, min_count=1),
    )


def test_the_last_items_by_time_have_one_cut_off_and_rows_beyond_it_are_said():
    frame = {
        "user": ["ann"] * 4 + ["bob"] * 4 + ["new"] * 2,
        "item": ["tea", "milk", "rye", "tea", "tea", "milk", "rye", "ale", "tea", "rye"],
        "day": [f"2024-01-{day:02d}" for day in (1, 2, 8, 9, 3, 4, 5, 10, 9, 11)],
    }
    found = e2v.count_baskets(
        frame,
        group_by="user",
        item="item",
        time="day",
        held_out_by="item",
        held_out=0.45,
        validation=0,
        min_count=1,
    )
    names = found.items.words
    assert dict(zip(found.rows, sets(names, found.training), strict=True)) == {
        "ann": {"tea": 1, "milk": 1},
        "bob": {"tea": 1, "milk": 1, "rye": 1},
    }
    cut = found.held_out
    assert dict(zip(cut.rows, sets(names, cut.targets), strict=True)) == {"ann": {"rye": 1}}
    assert sets(names, cut.contexts) == [{"tea": 1, "milk": 1}]
    assert found.tokens["dropped_doubled"] == 1
    assert found.tokens["dropped_uncut"] == 2
    assert found.tokens["dropped_held_out"] == 1
    entries_add_up(found)


def test_all_held_out_is_an_error():
    row = ["a", "b", "c"]
    share = digest("\0".join(row)) / 2**64
    with pytest.raises(InputError, match="fell into the held-out and validation parts"):
        e2v.count_baskets([row] * 9, held_out=share * 1.001, validation=0)


def test_the_digest_is_of_what_is_held_out():
    baskets = random_baskets(3, rows=1000)
    options = {"held_out": 0.2, "min_count": 1}
    one = e2v.count_baskets(baskets, validation=0.1, **options).held_out_digest
    assert one == e2v.count_baskets(baskets[::-1], validation=0.1, **options).held_out_digest
    assert one != e2v.count_baskets(baskets, target_share=0.5, **options).held_out_digest
    assert e2v.count_baskets(baskets, held_out=0).held_out_digest is None
