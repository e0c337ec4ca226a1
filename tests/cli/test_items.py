"""Training on baskets and tables: what is said, refused and kept, and what a run then answers."""

import json
import random

import numpy as np
import pytest
from command_line import call

import exact2vec as e2v
import exact2vec.pages.report

FLAGS = ("--vector-size", "3", "--epochs", "1")
BASKETS = [["tea", "milk", "bun"], ["ale", "rye", "nuts"], ["tea", "bun"], ["ale", "nuts"]] * 30


def table_of(baskets, weight=""):
    lines = [f"u{at},{item}{weight}" for at, basket in enumerate(baskets) for item in basket]
    return "\n".join(["user,item" + ",n" * bool(weight), *lines]) + "\n"


def trained(folder, text, *flags, name="data.csv", kind="table"):
    """The result of training on a file of this text, and the run folder."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    columns = ["--group-by", "user", "--item", "item"] * (kind == "table")
    run = folder / "run"
    return call("train", path, "--kind", kind, *columns, *flags, "-o", run, *FLAGS), run


@pytest.fixture(autouse=True)
def without_reports(request, monkeypatch):
    """Only the run that is asked for its report writes one: that takes a second."""
    if "a_table_is_trained_on" not in request.node.name:
        monkeypatch.setattr(exact2vec.pages.report, "QUICK_CELLS", 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    result, run = trained(tmp_path_factory.mktemp("items"), table_of(BASKETS))
    assert result.exit_code == 0, result.output
    return run


def test_a_table_is_trained_on_and_speaks_of_items(tmp_path):
    result, run = trained(tmp_path, table_of(BASKETS), "--held-out", "0.1")
    assert result.exit_code == 0, result.output
    said = result.stderr
    assert "300 entries of 120 rows, 6 items of 6 (min-count 5)\n" in said
    baskets = e2v.Baskets.load(run)
    tokens = baskets.tokens
    assert (
        f"entries: {tokens['training']} training + {tokens['validation']} for validation + "
        f"{tokens['held_out']} held out + 0 of items that are not kept\n"
    ) in said
    assert "6 items, 3 numbers each" in said
    assert "NLL of the pairs" in said
    assert "word" not in said.replace("words=", "")
    assert baskets.settings["held_out"] == 0.1
    assert baskets.settings["validation"] == 0.02
    assert (run / "report.html").exists()
    same = e2v.count_baskets(tmp_path / "data.csv", group_by="user", item="item", held_out=0.1)
    np.testing.assert_array_equal(same.training.data, baskets.training.data)
    pairs = e2v.Counts.load(run).training
    np.testing.assert_array_equal(pairs.data, same.pair_counts().training.data)


def test_baskets_are_lines_and_separators_part_them(tmp_path):
    wanted = e2v.count_baskets(BASKETS)
    spaced = [[f"a {item}" for item in basket] for basket in BASKETS]
    for name, lines, flags, baskets in (
        ("a.txt", "".join(f"{' '.join(basket)}\n" for basket in BASKETS), [], BASKETS),
        ("a.csv", "".join(f"{','.join(basket)}\r\n" for basket in spaced), [], spaced),
        ("a.tsv", "\ufeff" + "\n\n".join("\t".join(basket) for basket in spaced), [], spaced),
        (
            "a.txt",
            "".join(f"{'; '.join(basket)};\n" for basket in spaced),
            ["--separator", ";"],
            spaced,
        ),
    ):
        result, run = trained(tmp_path, lines, "--force", *flags, name=name, kind="baskets")
        assert result.exit_code == 0, result.output
        found = e2v.Baskets.load(run)
        assert sorted(found.items.words) == sorted({item for basket in baskets for item in basket})
        assert found.training.nnz == e2v.count_baskets(baskets).training.nnz
        assert found.kind.name == "baskets"
    assert wanted.training.shape == found.training.shape


def test_commas_that_parted_nothing_are_said(tmp_path):
    result, _ = trained(
        tmp_path,
        "whole milk,tea\nale,rye bread\n" * 30,
        "--min-count",
        "1",
        name="a.txt",
        kind="baskets",
    )
    assert "use --separator , where commas part them" in result.stderr


def test_stdin_is_read(tmp_path):
    lines = "".join(f"{' '.join(basket)}\n" for basket in BASKETS)
    result = call("train", "--kind", "baskets", "-", "-o", tmp_path / "one", *FLAGS, given=lines)
    assert result.exit_code == 0, result.output
    columns = "--group-by", "user", "--item", "item"
    result = call(
        "train",
        "--kind",
        "table",
        *columns,
        "-",
        "-o",
        tmp_path / "two",
        *FLAGS,
        given=table_of(BASKETS),
    )
    assert result.exit_code == 0, result.output
    one, two = (e2v.Baskets.load(tmp_path / name) for name in ("one", "two"))
    assert one.items.words == two.items.words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data.csv is empty (0 bytes)"),
        ("user,item\n", "no entries"),
        ("usr,item\na,b\n", "there is no column 'user'; the columns are 'usr', 'item'"),
        ('user,item\na,"b\nb"\nc\n', "data.csv, line 4: 1 field, but the header has 2"),
        ('user,item\na,"b\n', "data.csv, line 2: unexpected end of data"),
        ("user,item\na,\n", "data.csv, line 2: the item is empty"),
        (b"user,item\na,\xff\n", "data.csv, line 2, is not utf-8"),
        ("user,item\na,b\na,c\n", "no item is held by 5 training rows"),
        ("user,item\n" + "a,b\n" * 9, "one item, 'b': nothing to predict"),
    ],
)
def test_bad_tables_are_refused_with_their_line(tmp_path, text, message):
    result, run = trained(tmp_path, text, "--held-out", "0", "--validation", "0")
    assert result.exit_code == 3, result.output
    assert message in result.stderr
    assert not run.exists()


def test_bad_lines_of_json_are_refused_with_their_line(tmp_path):
    good = '{"user": "a", "item": "b"}\n'
    for line, message in (
        ("{", "line 2 is not JSON"),
        ('{"user": "a"}', "line 2: there is no column 'item'"),
        ('{"user": "a", "item": ["b"]}', "line 2: the item is \"['b']\" of type list"),
    ):
        result, run = trained(tmp_path, f"{good}{line}\n", name="data.jsonl")
        assert (result.exit_code, message in result.stderr) == (3, True), result.output
        assert not run.exists()


@pytest.mark.parametrize(
    ("kind", "flags", "message"),
    [
        ("baskets", ["--window", "3"], "--window goes with --kind text, not with baskets"),
        ("table", ["--tokens", "space"], "--tokens goes with --kind text, not with table"),
        ("table", ["--rare", "2"], "only words below --min-count are folded in"),
        ("baskets", ["--item", "a"], "--item goes with --kind table, not with baskets"),
        ("baskets", ["--time", "t"], "--time goes with --kind table, not with baskets"),
        ("text", ["--separator", ","], "--separator goes with --kind baskets or table"),
        ("text", ["--held-out-by", "item"], "of text, whole documents are held out"),
        ("baskets", ["--held-out-by", "user"], "--held-out-by must be one of row, item"),
        ("baskets", ["--target-share", "1"], "--target-share must be a number of at least 0"),
        ("baskets", ["--separator", ""], "separator must be one sign or more"),
        ("table", ["--encoding", "utf-99"], "encoding 'utf-99' is unknown"),
        ("baskets", ["--encoding", "utf-99"], "encoding 'utf-99' is unknown"),
    ],
)
def test_flags_of_other_kinds_are_refused_with_the_reason(tmp_path, kind, flags, message):
    result, run = trained(tmp_path, "tea milk\n", *flags, kind=kind)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert not run.exists()


def test_a_table_needs_its_columns(tmp_path):
    result = call("train", "x.csv", "--kind", "table", "--item", "a", "-o", tmp_path / "run")
    assert result.exit_code == 2
    assert "a table needs group_by and item (--group-by, --item)" in result.stderr
    columns = "--group-by", "a", "--item", "a"
    result = call("train", "x.csv", "--kind", "table", *columns, "-o", tmp_path / "run")
    assert result.exit_code == 2
    assert "must name different columns; got 'a', 'a'" in result.stderr


def test_other_encodings_are_read_where_they_are_named(tmp_path):
    text = table_of(BASKETS).replace("tea", "thé")
    lines = "thé milk bun\nale rye\n" * 30
    for encoding, kind, data in (("utf-16", "table", text), ("latin-1", "baskets", lines)):
        flags = "--encoding", encoding, "--force"
        result, run = trained(tmp_path, data.encode(encoding), *flags, name="a.txt", kind=kind)
        assert result.exit_code == 0, result.output
        assert "thé" in e2v.load(run)
    result, _ = trained(tmp_path, text.encode("utf-16"), "--force")
    assert (result.exit_code, "use --encoding utf-16" in result.stderr) == (3, True)
    flags = "--errors", "replace", "--force"
    result, run = trained(tmp_path, text.encode("latin-1"), *flags)
    assert result.exit_code == 0, result.output
    assert "th\ufffd" in e2v.load(run)
    assert "1 names hold U+FFFD" in result.stderr


def test_what_is_dropped_is_said(tmp_path):
    text = table_of([*BASKETS, ["solo"]], ",1") + "u0,tea,1\nu1,bun,-2\nu1,tea,\nu2,ale,0\n"
    result, _ = trained(tmp_path, text, "--weight", "n", "--held-out", "0", "--validation", "0")
    assert result.exit_code == 0, result.output
    for line in (
        "entries: 300 training + 0 for validation + 0 held out + 1 of items that are not kept "
        "+ 4 dropped",
        "1 entries dropped: the item stands in the row already",
        "1 entries dropped: the weight is missing",
        "1 entries dropped: the weight is negative",
        "1 entries dropped: the weight is 0",
        "1 rows without items that are kept",
    ):
        assert line in result.stderr
    text = table_of(BASKETS, ",1") + "u0,tea,inf\n"
    result, _ = trained(tmp_path, text, "--weight", "n", "--force")
    assert result.exit_code == 3
    assert "data.csv, line 302: weights are finite numbers to 1e+15; got 'inf'" in result.stderr


def test_shuffled_lines_give_the_same_bytes(tmp_path):
    runs = []
    for seed in (1, 2):
        shuffled = [random.Random(seed).sample(basket, len(basket)) for basket in BASKETS]
        random.Random(seed).shuffle(shuffled)
        text = "".join(f"{' '.join(basket)}\n" for basket in shuffled)
        folder = tmp_path / str(seed)
        folder.mkdir()
        threads = "--threads", str(seed)
        result, run = trained(folder, text, *threads, name="a.txt", kind="baskets")
        assert result.exit_code == 0, result.output
        runs.append(run)
    for name in ("vocabulary.json", "counts.safetensors", "vectors.safetensors"):
        assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes(), name


def test_ids_stay_text_up_to_the_neighbours(tmp_path):
    text = table_of([["1", "01", "1.0"], ["1", "nan"]] * 30)
    result, run = trained(tmp_path, text, "--held-out", "0", "--validation", "0")
    assert result.exit_code == 0, result.output
    assert sorted(e2v.load(run).index_to_key) == ["01", "1", "1.0", "nan"]
    found = call("neighbors", run, "01", "--json")
    assert sorted(row["item"] for row in json.loads(found.stdout)) == ["1", "1.0", "nan"]


def test_a_run_is_trained_on_again_with_its_rows(run, tmp_path):
    result = call("train", run, "-o", tmp_path / "again", *FLAGS)
    assert result.exit_code == 0, result.output
    assert "300 entries of 120 rows, 6 items of 6" in result.stderr
    one, other = (e2v.Baskets.load(folder) for folder in (run, tmp_path / "again"))
    np.testing.assert_array_equal(one.training.data, other.training.data)
    np.testing.assert_array_equal(e2v.load(run).inputs, e2v.load(tmp_path / "again").inputs)
    e2v.Counts.load(run).save(tmp_path / "pairs")
    result = call("train", tmp_path / "pairs", "-o", tmp_path / "run", *FLAGS)
    assert result.exit_code == 0, result.output
    assert "6 columns" in result.stderr
    assert "entries read" in e2v.Counts.load(run)._repr_html_()
    result = call("train", run, "--kind", "table", "-o", tmp_path / "no")
    assert (result.exit_code, "leave out --kind table" in result.stderr) == (2, True)


def test_a_run_answers_in_items(run):
    found = call("neighbors", run, "tea", "-n", "99")
    assert found.stdout.splitlines()[0].split() == ["query", "item", "cosine"]
    assert "99 items were asked for, there are 5" in found.stderr
    given = call("neighbors", run, "tea", "bun", "--given", "-n", "2", "--json")
    assert [*json.loads(given.stdout)[0]] == ["item", "p", "nats"]
    unknown = call("neighbors", run, "Tea")
    assert unknown.exit_code == 3
    assert "'Tea' is not among the 6 items; nearest: tea" in unknown.stderr
    evaluated = call("evaluate", run)
    assert "6 items" in evaluated.stdout
    assert "held-out" not in evaluated.stdout
    assert "word" not in found.output + given.output + unknown.output + evaluated.output


def test_items_are_exported_where_the_format_can_hold_them(run, tmp_path):
    result = call("export", run, tmp_path / "items.vec")
    assert result.exit_code == 0, result.output
    assert "6 items, 3 numbers each" in result.stderr
    spaced = [[f"a {item}" for item in basket] for basket in BASKETS]
    result, other = trained(tmp_path, table_of(spaced))
    assert result.exit_code == 0, result.output
    result = call("export", other, tmp_path / "spaced.vec")
    assert result.exit_code == 3
    assert "the item 'a " in result.stderr
    assert "holds a space or a line end" in result.stderr
    assert not (tmp_path / "spaced.vec").exists()


def test_features_of_items_compose_new_ones(tmp_path):
    values = {"tea": "mild", "milk": "mild", "bun": "mild", "cake": "mild"}
    lines = [
        f"{item},{values.get(item, 'hot')},1"
        for item in ["tea", "milk", "bun", "ale", "rye", "nuts", "cake"]
    ]
    (tmp_path / "known.csv").write_text("\n".join(["row,feature,value", *lines]) + "\n")
    features = "--features", tmp_path / "known.csv"
    result, run = trained(tmp_path, table_of(BASKETS), *features, "--prior", "1,1")
    assert result.exit_code == 0, result.output
    found = call("neighbors", run, "cake", "-n", "3", "--json")
    assert {row["item"] for row in json.loads(found.stdout)} == {"tea", "milk", "bun"}
    assert "'cake' is not among the 6 items: composed from 1 feature" in found.stderr
    ranked = json.loads(call("recommend", run, "tea", "--new-items", "--json").stdout)
    assert {row["item"] for row in ranked} == {"milk", "bun", "ale", "rye", "nuts", "cake"}
    (new,) = [row for row in ranked if row["item"] == "cake"]
    assert new["because"] == [{"item": "tea", "share": 1.0}]
    assert sum(row["p"] for row in ranked) == pytest.approx(1)
    seen = call("recommend", run, "tea", "--new-items", "--include-seen", "--json").stdout
    assert {"tea", "cake"} <= {row["item"] for row in json.loads(seen)}


def test_no_ngrams_are_made_of_names(run):
    with pytest.raises(KeyError):
        e2v.load(run)["teas"]
