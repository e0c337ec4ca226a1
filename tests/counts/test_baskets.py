"""Rows of items: what is counted, dropped and held out, and the credit of pairs."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from baskets_made import ALL, entries_add_up, matrices, random_baskets, same, sets
from scipy.sparse import csr_array

import exact2vec as e2v
from exact2vec.errors import CorruptFileError, InputError, InputWarning, UsageError


def test_a_basket_is_a_set_and_items_are_in_order_of_rows_that_hold_them():
    found = e2v.count_baskets([["tea", "milk", "tea"], ["rye"], ["rye", "ale", "tea"]], **ALL)
    assert found.items.words == ["rye", "tea", "ale", "milk"]
    assert found.items.counts.tolist() == [2, 2, 1, 1]
    rows = dict(zip(found.rows, sets(found.items.words, found.training), strict=True))
    assert rows == {
        "basket 1": {"tea": 1, "milk": 1},
        "basket 2": {"rye": 1},
        "basket 3": {"rye": 1, "ale": 1, "tea": 1},
    }
    assert (found.tokens["dropped_doubled"], found.tokens["rows_of_one"]) == (1, 1)
    entries_add_up(found)
    assert "1 basket" not in repr(found)
    assert "3 baskets, 4 items, 6 entries" in repr(found)
    assert "the item stands in the basket already" in found._repr_html_()


def by_hand(rows):
    """n(i, w) = Σ_rows ω_w ω_i / Σ_{j≠w} ω_j, in plain loops over floats."""
    found = {}
    for row in rows:
        for target, weight in row.items():
            others = sum(other for name, other in row.items() if name != target)
            for source, share in row.items():
                if source != target:
                    pair = source, target
                    found[pair] = found.get(pair, 0.0) + weight * share / others
    return found


@pytest.mark.parametrize("weighted", [False, True])
def test_pair_counts_are_their_formula(weighted):
    random = np.random.default_rng(3)
    dense = random.integers(0, 3, (50, 9)) * random.integers(0, 2, (50, 9))
    dense = dense * random.uniform(0.1, 9, dense.shape) if weighted else (dense > 0).astype(int)
    found = e2v.count_baskets(dense, **ALL)
    counts = found.pair_counts()
    wanted = by_hand(sets(found.items.words, found.training))
    cells = counts.training.tocoo()
    names = found.items.words
    got = {
        (names[row], names[column]): value
        for row, column, value in zip(cells.row, cells.col, cells.data, strict=True)
    }
    assert got.keys() == wanted.keys()
    for pair, value in wanted.items():
        assert got[pair] == pytest.approx(value, rel=1e-13)
    assert counts.square
    assert counts.training.dtype == np.float64
    assert counts.held_out is None
    # a row of k items has k units of credit, where it has more than one
    several = [row for row in sets(names, found.training) if len(row) > 1]
    credit = sum(sum(row.values()) for row in several)
    assert counts.training.sum() == pytest.approx(credit, rel=1e-12)


def test_a_weight_that_outweighs_all_others_loses_nothing():
    found = e2v.count_baskets(np.array([[1e15, 1e-3, 3e-3]]), **ALL)
    counts = found.pair_counts().training.todense()
    names = found.items.words
    big, small, third = (names.index(f"item {number}") for number in range(3))
    assert counts[small, big] == pytest.approx(0.25e15, rel=1e-12)
    assert counts[third, big] == pytest.approx(0.75e15, rel=1e-12)
    assert counts[big, small] == pytest.approx(1e-3, rel=1e-12)


def test_pairs_are_trained_at_once():
    baskets = e2v.count_baskets([["sun", "moon"], ["dog", "cat"]] * 20, held_out=0)
    model = e2v.Exact2Vec(vector_size=2, epochs=3).fit(baskets)
    assert model.wv.most_similar("sun", topn=1)[0][0] == "moon"
    assert model.wv.kind.many == "items"
    assert model.baskets_ is baskets
    with pytest.raises(InputError, match="'moo' is not among the 4 items; nearest: moon"):
        model.wv["moo"]


def test_neither_order_nor_container_changes_a_thing(tmp_path):
    baskets = random_baskets()
    random = np.random.default_rng(1)
    shuffled = [[*random.permutation(basket).tolist()] for basket in baskets]
    random.shuffle(shuffled)
    wanted = e2v.count_baskets(baskets)
    same(wanted, e2v.count_baskets(shuffled))
    path = tmp_path / "baskets.csv"
    path.write_text("".join(f"{','.join(basket)}\n" for basket in shuffled))
    same(wanted, e2v.count_baskets(path))
    packed = tmp_path / "baskets.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes().replace(b"\n", b"\r\n")))
    same(wanted, e2v.count_baskets(packed))
    for one, other in zip(matrices(wanted), matrices(e2v.count_baskets(shuffled)), strict=True):
        np.testing.assert_array_equal(one.data, other.data)
    np.testing.assert_array_equal(
        wanted.pair_counts().training.data, e2v.count_baskets(shuffled).pair_counts().training.data
    )


def test_what_is_left_out_of_a_folder_is_a_warning(tmp_path):
    (tmp_path / "a.txt").write_text("tea milk\ntea rye\n" * 9)
    (tmp_path / "b.txt").write_text("")
    with pytest.warns(InputWarning, match=r"1 file skipped: empty \(0 bytes\): b\.txt") as found:
        assert sorted(e2v.count_baskets(tmp_path).items.words) == ["milk", "rye", "tea"]
    assert len(found) == 1


def test_tables_are_in_order_of_names_whatever_holds_them(tmp_path):
    baskets = random_baskets(5)
    pairs = [(f"u{row}", item) for row, basket in enumerate(baskets) for item in basket]
    random = np.random.default_rng(1)
    random.shuffle(pairs)
    frame = {"user": [user for user, _ in pairs], "item": [item for _, item in pairs]}
    wanted = e2v.count_baskets(frame, group_by="user", item="item")
    assert wanted.rows == sorted(wanted.rows)
    assert wanted.kind.groups == "rows"
    path = tmp_path / "orders.csv"
    path.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in sorted(pairs)))
    found = e2v.count_baskets(str(path), group_by="user", item="item")
    same(wanted, found)
    assert found.rows == wanted.rows
    assert found.held_out.rows == wanted.held_out.rows
    users, items = sorted(set(frame["user"])), sorted(set(frame["item"]))
    cells = [users.index(user) for user, _ in pairs], [items.index(item) for _, item in pairs]
    ones = csr_array((np.ones(len(pairs)), cells), shape=(len(users), len(items)))
    ones.data[:] = 1
    same(wanted, e2v.count_baskets(ones, rows=users, items=items))


def test_bad_weights_are_dropped_and_counted(tmp_path):
    path = tmp_path / "orders.csv"
    lines = (
        "ann,tea,2\nann,tea,1.5\nann,milk,1\nbob,tea,-1\nbob,milk,\nbob,rye,0\ncy,rye,1\ncy,tea,1\n"
    )
    path.write_text(f"user,item,n\n{lines}")
    found = e2v.count_baskets(path, group_by="user", item="item", weight="n", **ALL)
    assert sets(found.items.words, found.training) == [
        {"tea": 3.5, "milk": 1},
        {"tea": 1, "rye": 1},
    ]
    dropped = {name[8:]: size for name, size in found.tokens.items() if name[:8] == "dropped_"}
    assert {name: size for name, size in dropped.items() if size} == {
        "missing": 1,
        "negative": 1,
        "zero": 1,
        "doubled": 1,
    }
    entries_add_up(found)
    path.write_text("user,item,n\nann,tea,inf\n")
    with pytest.raises(InputError, match="line 2: weights are finite"):
        e2v.count_baskets(path, group_by="user", item="item", weight="n")
    path.write_text("user,item,n\nann,tea,-1\nann,milk,\n")
    with pytest.raises(
        InputError, match="none of 2 entries has a weight above 0: 1 are missing, 1"
    ):
        e2v.count_baskets(path, group_by="user", item="item", weight="n")


def test_the_order_of_doubled_weights_does_not_matter():
    weights = [0.1, 0.2, 0.3, 1e-9, 7.7]
    assert sum(weights) != sum(weights[::-1])
    sums = [
        e2v.count_baskets(
            {"user": ["ann"] * 6, "item": ["tea"] * 5 + ["rye"], "n": [*order, 1.0]},
            group_by="user",
            item="item",
            weight="n",
            **ALL,
        ).training.data.tolist()
        for order in (weights, weights[::-1])
    ]
    assert sums[0] == sums[1]


def test_ids_stay_text():
    found = e2v.count_baskets([["1", "01", "1.0"], [1, "nan", "null"]], **ALL)
    assert sorted(found.items.words) == ["01", "1", "1.0", "nan", "null"]
    assert found.items.words[0] == "1"


@pytest.mark.parametrize(
    ("baskets", "options", "error", "message"),
    [
        ("tea milk", {}, TypeError, "did you mean"),
        (["tea milk", "rye"], {}, TypeError, "basket 1 is 'tea milk' of type str"),
        ([["a"], {"a": 1}], {}, TypeError, "basket 2 is .* of type dict"),
        ([["a"], 7], {}, TypeError, "basket 2 is 7 of type int"),
        ([["a", None]], {}, InputError, "basket 1, item 2: the item is missing"),
        ([["a"], ["b", ""]], {}, InputError, "basket 2, item 2: the item is empty"),
        ([], ALL, InputError, "no entries"),
        ([[], []], ALL, InputError, "no entries"),
        ([["a"]] * 9, ALL, InputError, "one item, 'a': nothing to predict"),
        ([["a", "b"]] * 3, {"held_out": 0, "validation": 0}, InputError, "--min-count 3 would"),
        (
            [["a", "b"]] * 5 + [["a"]] * 3,
            {"min_count": 6, **{"held_out": 0, "validation": 0}},
            InputError,
            "one item alone is held by 6 training rows, .* --min-count 5 would",
        ),
        ([["a", "b"]], {"held_out": 0.6, "validation": 0.4}, UsageError, "below 1; got 0.6"),
        ([["a", "b"]], {"held_out_by": "user"}, UsageError, "held_out_by must be one of row, item"),
        ([["a", "b"]], {"target_share": 1}, UsageError, "target_share must be a number"),
        ([["a", "b"]], {"time": "day"}, UsageError, "names a column"),
        ([["a", "b"]], {"time": [1, 2]}, InputError, "1 rows and 2 times"),
        ([["a", "b"]], {"weight": "n"}, UsageError, "weight names a column"),
        ([["a", "b"]], {"rows": ["ann"]}, UsageError, "rows and items name"),
        ([["a", "b"]], {"group_by": "user", "item": "item"}, UsageError, "got list"),
        ({"user": ["a"]}, {}, UsageError, "needs group_by and item"),
        ({"user": [1]}, {"group_by": "user", "item": "item"}, InputError, "columns are 'user'"),
        (np.array([[1.0, -1]]), {}, InputError, "'row 0' has -1.0 for 'item 1'"),
        (np.array([[1.0, np.nan]]), {}, InputError, "values must be finite"),
        (np.array([[1, 1]]), {"rows": ["a", "b"]}, InputError, "there are 2 row names"),
        (Path("nowhere.txt"), {}, InputError, "no such file"),
    ],
)
def test_errors_say_what_was_wanted(baskets, options, error, message):
    with pytest.raises(error, match=message):
        e2v.count_baskets(baskets, **options)


def test_a_generator_that_raises_has_its_own_error():
    def generator():
        yield ["a", "b"]
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone") as caught:
        e2v.count_baskets(generator())
    assert caught.value.__notes__ == ["raised by the baskets after basket 1"]


def test_no_pairs_is_an_error_of_the_pairs_alone():
    found = e2v.count_baskets([["a"], ["b"]], **ALL)
    with pytest.raises(InputError, match="no basket holds two items that are kept: no pairs"):
        found.pair_counts()


def test_a_run_folder_keeps_the_rows(tmp_path):
    for options in ({"held_out": 0.2, "validation": 0.2}, {"held_out": 0, "validation": 0}):
        baskets = e2v.count_baskets(random_baskets(9), **options)
        model = e2v.Exact2Vec(vector_size=3, epochs=1).fit(baskets)
        model.save(tmp_path / "run", force=True)
        found = e2v.Baskets.load(tmp_path / "run")
        same(baskets, found)
        for name in ("rows", "tokens", "settings", "kind"):
            assert getattr(found, name) == getattr(baskets, name)
        assert found.items.distinct == baskets.items.distinct
        assert repr(found) == repr(baskets)
        assert e2v.Counts.load(tmp_path / "run").kind is baskets.kind
        assert e2v.load(tmp_path / "run").kind is baskets.kind
    e2v.Exact2Vec(vector_size=3, epochs=1).fit([["a", "b"]] * 50).save(tmp_path / "text")
    with pytest.raises(InputError, match="holds no baskets"):
        e2v.Baskets.load(tmp_path / "text")
    path = tmp_path / "run" / "item_rows.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptFileError, match=r"item_rows\.safetensors"):
        e2v.Baskets.load(tmp_path / "run")
