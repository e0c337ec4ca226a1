"""Rows of other data that are asked of a run: their contexts, their targets, what is left out."""

import pytest

from exact2vec import count_baskets
from exact2vec.counts.asked_rows import asked_rows
from exact2vec.counts.entries import frame_table, list_entries, table_columns
from exact2vec.errors import InputError

COLUMNS = table_columns("user", "item", None, None)


def entries(pairs):
    users, items = zip(*pairs, strict=True)
    return frame_table({"user": list(users), "item": list(items)}, COLUMNS)


def baskets(**how):
    held = {"ann": "abc", "bob": "bcd", "cy": "abd", "di": "acd", "eve": "abcd", "flo": "abd"}
    pairs = [(user, item) for user, items in held.items() for item in items]
    table = {"user": [user for user, _ in pairs], "item": [item for _, item in pairs]}
    how = {"held_out": 0, "validation": 0, "min_count": 1} | how
    return count_baskets(table, group_by="user", item="item", **how)


def named(matrix, row, names):
    return {names[item] for item in matrix[[row]].indices}


def test_what_a_run_holds_of_a_name_is_the_context_and_the_rest_is_asked():
    trained = baskets()
    found = asked_rows(trained, entries([("ann", "d"), ("ann", "a"), ("bob", "a"), ("bob", "new")]))
    words = trained.items.words
    assert found.cut.rows == ["ann", "bob"]
    assert named(found.cut.contexts, 0, words) == set("abc")
    assert named(found.cut.targets, 0, words) == {"d"}
    assert named(found.cut.targets, 1, words) == {"a"}
    assert (found.known, found.new, found.shown, found.strange, found.unasked) == (2, 0, 1, 1, 0)


def test_what_was_held_out_is_context_too():
    """With and without held-out parts, by rows and by items, the contexts are the same."""
    asked = entries([("ann", "d"), ("bob", "a"), ("cy", "c")])
    plain = asked_rows(baskets(), asked)
    for by in ("row", "item"):
        trained = baskets(held_out=0.3, validation=0.2, held_out_by=by)
        found = asked_rows(trained, asked)
        assert found.cut.rows == plain.cut.rows
        for row in range(3):
            assert named(found.cut.contexts, row, trained.items.words) == named(
                plain.cut.contexts, row, baskets().items.words
            )


def test_other_rows_are_cut_by_the_hash():
    trained = baskets()
    pairs = [("new", item) for item in "abcd"] + [("alone", "a")]
    found = asked_rows(trained, entries(pairs))
    again = asked_rows(trained, entries(pairs[::-1]))
    assert found.cut.rows == ["new"]
    assert found.cut.targets.nnz == 1
    assert found.cut.contexts.nnz == 3
    assert (found.cut.targets != again.cut.targets).nnz == 0
    assert (found.known, found.new, found.unasked) == (0, 1, 1)


def test_baskets_have_no_names():
    found = asked_rows(baskets(), list_entries([["a", "b", "c"]] * 3, None))
    assert (found.known, found.new) == (0, 3)


def test_nothing_to_ask_is_an_error():
    with pytest.raises(InputError, match="none of 2 rows can be asked"):
        asked_rows(baskets(), entries([("ann", "a"), ("new", "z")]))
