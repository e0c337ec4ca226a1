"""The command that recommends."""

import csv
import json
import math

import numpy as np
import pytest
from command_line import call, evaluated, train
from item_problems import tasty_baskets
from scipy.sparse import coo_array

from exact2vec import Exact2Vec, count_baskets
from exact2vec.errors import InputError

NAMES = [f"item_{number}" for number in range(23)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A run, and the file of its baskets."""
    folder = tmp_path_factory.mktemp("shop")
    lines = [" ".join(NAMES[item] for item in sorted(one)) for one in tasty_baskets(900)]
    (folder / "baskets.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def run(shop):
    result = call(
        *("train", shop / "baskets.txt", "--kind", "baskets", "-o", shop / "run"),
        *("--vector-size", "4", "--epochs", "1", "--min-count", "1", "--model", "mixture"),
        *("--validation", "0.2", "--held-out", "0.1"),
    )
    assert result.exit_code == 0, result.output
    said = result.stderr
    assert "mixture: share" in said
    assert "there is no floor" in said
    return shop / "run"


def test_a_basket(run):
    """p in per cent and nats, and the items of the basket that it is because of."""
    result = call("recommend", run, NAMES[1], NAMES[4], "-n", "3")
    assert result.exit_code == 0, result.output
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["item", "percent", "nats", "because", "of"]
    assert len(lines) == 3
    rows = json.loads(call("recommend", run, NAMES[1], NAMES[4], "--json", "-n", "3").stdout)
    for line, row in zip(lines, rows, strict=True):
        assert line.split()[0] == row["item"]
        assert float(line.split()[1]) == pytest.approx(100 * row["p"], rel=1e-3)
        assert row["nats"] == pytest.approx(-math.log(row["p"]))
        assert {one["item"] for one in row["because"]} <= {NAMES[1], NAMES[4]}
        assert 0.01 <= sum(one["share"] for one in row["because"]) <= 1


def test_what_is_odd_is_said(run):
    result = call("recommend", run, NAMES[1], NAMES[1], "nothing")
    assert "left out: nothing" in result.stderr
    assert f"counted once: {NAMES[1]}" in result.stderr
    assert "this is the popularity" in call("recommend", run, "nothing").stderr
    assert "0 are left" in call("recommend", run, *NAMES).stderr


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_file_of_baskets(run, shop, ending, tmp_path):
    output = tmp_path / f"next.{ending}"
    (tmp_path / "new.txt").write_text(f"{NAMES[1]} {NAMES[4]}\nnothing\n")
    result = call("recommend", run, "--from", tmp_path / "new.txt", "-o", output, "-n", "2")
    assert result.exit_code == 0, result.output
    assert "1 items are not known" in result.stderr
    assert "theirs is the popularity" in result.stderr
    if ending == "csv":
        rows = list(csv.DictReader(output.read_text().splitlines()))
    elif ending == "jsonl":
        rows = [json.loads(line) for line in output.read_text().splitlines()]
    else:
        rows = pytest.importorskip("pyarrow.parquet").read_table(output).to_pylist()
    expected = json.loads(call("recommend", run, NAMES[1], NAMES[4], "--json", "-n", "2").stdout)
    assert [row["row"] for row in rows] == ["basket 1"] * 2 + ["basket 2"] * 2
    assert [int(row["rank"]) for row in rows] == [1, 2, 1, 2]
    assert [row["item"] for row in rows[:2]] == [row["item"] for row in expected]
    assert [float(row["p"]) for row in rows[:2]] == [row["p"] for row in expected]
    assert call("recommend", run, "--from", shop / "baskets.txt", "-o", output).exit_code == 2


def test_a_table_in_long_form(run, tmp_path):
    (tmp_path / "orders.csv").write_text(f"order,what\n7,{NAMES[4]}\n7,{NAMES[1]}\n8,{NAMES[2]}\n")
    output = tmp_path / "next.csv"
    asked = ["recommend", run, "--from", tmp_path / "orders.csv", "-o", output, "-n", "1"]
    assert call(*asked, "--group-by", "order", "--item", "what").exit_code == 0
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert [row["row"] for row in rows] == ["7", "8"]
    refused = call(*asked, "--force", "--group-by", "order")
    assert (refused.exit_code, "(--group-by, --item)" in refused.stderr) == (2, True)


HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\u22121", "\uff1d1+1", "'tis", '"=1"', "a=1"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_no_name_is_a_formula_where_a_spreadsheet_opens_the_file(run, ending, tmp_path):
    """In csv such names stand behind a ', and one taken away gives them back."""
    with open(tmp_path / "orders.csv", "w", newline="") as file:
        csv.writer(file).writerows([("order", "what"), *((name, NAMES[1]) for name in HOSTILE)])
    output = tmp_path / f"next.{ending}"
    asked = ["recommend", run, "--from", tmp_path / "orders.csv", "-o", output, "-n", "1"]
    assert call(*asked, "--group-by", "order", "--item", "what").exit_code == 0
    if ending == "csv":
        with open(output, newline="") as file:
            names = [row["row"] for row in csv.DictReader(file)]
        assert all(name[0] not in "=+-@\t\u2212\uff1d" for name in names)
        names = [name.removeprefix("'") for name in names]
    elif ending == "jsonl":
        names = [json.loads(line)["row"] for line in output.read_text().splitlines()]
    else:
        rows = pytest.importorskip("pyarrow.parquet").read_table(output).to_pylist()
        names = [row["row"] for row in rows]
    assert sorted(names) == sorted(HOSTILE)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "name ITEMs"),
        (["item_1", "-o", "next.csv"], "name ITEMs"),
        (["--from", "baskets.txt"], "name ITEMs"),
        (["--from", "baskets.txt", "-o", "next.xlsx"], "must end in"),
    ],
)
def test_what_contradicts_is_refused(run, arguments, why):
    result = call("recommend", run, *arguments)
    assert (result.exit_code, why in result.stderr) == (2, True), result.stderr


def test_evaluate_ranks_held_out_rows(run):
    """Beside popularity and item-kNN, each measure with its interval; the mixture is best."""
    result = call("evaluate", run)
    assert result.exit_code == 0, result.output
    assert "recall@20" in result.stdout
    assert "no floor" in result.stderr
    items = evaluated(run)["items"]
    summary = json.loads((run / "summary.json").read_text())
    assert summary["held_out_digest"] == items["held_out_digest"] is not None
    assert set(items["measures"]) == {"model", "popularity", "item-kNN"}
    nll = {name: of.get("nll") for name, of in items["measures"].items()}
    assert nll["item-kNN"] is None
    assert nll["model"]["value"] < nll["popularity"]["value"]
    for measures in items["measures"].values():
        for one in measures.values():
            assert one["interval"][0] <= one["value"] <= one["interval"][1]


def test_a_run_of_text_recommends_nothing(shop):
    (shop / "words.txt").write_text("the cat sat on the mat\n" * 20)
    assert train(shop / "text", shop / "words.txt", "--min-count", "1").exit_code == 0
    result = call("recommend", shop / "text" / "run", "cat")
    assert (result.exit_code, "--kind baskets" in result.stderr) == (3, True)


def test_rows_of_a_table_are_asked_as_they_are_trained(shop, tmp_path):
    """A returned item is no target; what is not read of files is refused, and notes are said."""
    rows = [
        (f"u{number}", NAMES[item]) for number, one in enumerate(tasty_baskets(300)) for item in one
    ]
    (tmp_path / "all.csv").write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in rows))
    columns = "--group-by", "user", "--item", "item"
    made = call(
        *("train", tmp_path / "all.csv", "--kind", "table", *columns, "-o", tmp_path / "run"),
        *("--vector-size", "4", "--epochs", "1", "--min-count", "1", "--model", "mixture"),
        *("--held-out", "0.1"),
    )
    assert made.exit_code == 0, made.output
    known = {item for user, item in rows if user == "u1"}
    one, other = sorted(set(NAMES[:22]) - known)[:2]
    (tmp_path / "new.csv").write_text(f"user,item,n\nu1,{one},1\nu1,{other},-1\n")
    found = call("evaluate", tmp_path / "run", tmp_path / "new.csv", *columns, "--weight", "n")
    assert found.exit_code == 0, found.output
    assert "1 targets of 1 rows" in found.stderr
    refused = call("evaluate", tmp_path / "run", *columns)
    assert (refused.exit_code, "--group-by, --item say how" in refused.stderr) == (2, True)
    assert call("recommend", tmp_path / "run", NAMES[1], *columns).exit_code == 2
    twice = call(
        "evaluate", tmp_path / "run", tmp_path / "new.csv", "--group-by=user", "--item=user"
    )
    assert (twice.exit_code, "different columns" in twice.stderr) == (2, True)


def test_probabilities_of_the_estimator_are_those_of_what_comes_next():
    baskets = [[NAMES[item] for item in one] for one in tasty_baskets(300)]
    model = Exact2Vec(vector_size=4, epochs=1, prior=(5, 20), model="mixture")
    model.fit(count_baskets(baskets, min_count=1))
    p = model.predict_proba([[NAMES[1], NAMES[4]], [NAMES[2]]])
    assert p.shape == (2, len(model.classes_))
    assert p.sum(axis=1) == pytest.approx(1, abs=1e-9)
    best = model.wv.recommend([NAMES[1], NAMES[4]], topn=1)[0]
    assert best == (model.classes_[p[0].argmax()], p[0].max())
    again = np.zeros((1, len(model.classes_)))
    again[0, [model.classes_.index(NAMES[2])]] = 1
    assert model.predict_proba(again) == pytest.approx(p[1:])
    bought, other = model.classes_.index(NAMES[2]), model.classes_.index(NAMES[1])
    stored = coo_array(([2.0, 1.0, 0.0], ([0, 0, 0], [bought, bought, other])), again.shape)
    assert model.predict_proba(stored.tocsr()) == pytest.approx(p[1:])
    with pytest.raises(InputError, match="items; got"):
        model.predict_proba(again[:, 1:])
    with pytest.raises(InputError, match="-1"):
        model.predict_proba(-again)
