"""Reading of entries in long form: every format gives the same entries, every error its line."""

import gzip
import json
import os

import numpy as np
import pytest

from exact2vec.counts import long_form
from exact2vec.counts.input_files import InputNotes
from exact2vec.counts.long_form import (
    Columns,
    frame_entries,
    gathered,
    name_text,
    read_long_form,
)
from exact2vec.counts.table_files import Form
from exact2vec.errors import InputError, UsageError

ORDERS = [("ann", "tea", 2.0, 5.0), ("bob", "milk, cold", 1.0, 7.5), ("ann", "01", 0.5, 9.0)]
WANTED = Columns(("user", "item"), "n", "at")


def csv_text(rows=ORDERS, separator=","):
    quoted = [
        [user, f'"{item}"' if separator in item else item, str(n), str(at)]
        for user, item, n, at in rows
    ]
    lines = [["at", "item", "user", "n"]] + [[at, item, user, n] for user, item, n, at in quoted]
    return "".join(f"{separator.join(line)}\n" for line in lines)


def json_text():
    names = "user", "item", "n", "at"
    return "".join(f"{json.dumps(dict(zip(names, row, strict=True)))}\n" for row in ORDERS)


def written(path, text):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return [str(path)]


def rows_of(found):
    columns = [[names.distinct[at] for at in names.numbers] for names in found.names]
    return list(zip(*columns, found.weights.tolist(), found.times.tolist(), strict=True))


def parquet(path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    names = "user", "item", "n", "at"
    columns = {name: [row[at] for row in ORDERS] for at, name in enumerate(names)}
    parquet.write_table(pyarrow.table(columns), path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", csv_text()),
        ("a.CSV", "\ufeff" + csv_text().replace("\n", "\r\n")),
        ("a.csv", csv_text().replace("\n", "\n\n").removesuffix("\n")),
        ("a.tsv", csv_text(separator="\t")),
        ("a.txt", csv_text(separator="\t")),
        ("a", csv_text()),
        ("a.jsonl", json_text()),
        ("a.ndjson", json_text().replace("\n", "\n\n")),
        ("a.csv.gz", gzip.compress(csv_text().encode(), mtime=0)),
        ("a.txt", gzip.compress(csv_text().encode(), mtime=0)),
    ],
)
def test_every_format_gives_the_same_entries(tmp_path, name, text):
    assert rows_of(read_long_form(written(tmp_path / name, text), WANTED)) == ORDERS


def test_parquet_zstd_folders_and_frames_give_them_too(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    parquet(tmp_path / "a.parquet")
    written(tmp_path / "b.tsv.zst", zstandard.compress(csv_text(separator="\t").encode()))
    names = "user", "item", "n", "at"
    frame = {name: np.array([row[at] for row in ORDERS]) for at, name in enumerate(names)}
    assert rows_of(frame_entries(frame, WANTED)) == ORDERS
    assert rows_of(read_long_form([str(tmp_path)], WANTED)) == ORDERS * 2
    several = [str(tmp_path / "a.parquet"), str(tmp_path / "b.tsv.zst")]
    assert rows_of(read_long_form(several, WANTED)) == ORDERS * 2


def test_what_is_left_out_of_a_folder_of_tables_is_named(tmp_path):
    folder, outside = tmp_path / "tables", tmp_path / "outside.tsv"
    (folder / "deeper").mkdir(parents=True)
    text = "user,item\na,b\n"
    written(folder / "a.csv", text)
    written(folder / "deeper" / "b.CSV.GZ", gzip.compress(text.encode(), mtime=0))
    written(folder / "c.csv", text)
    written(folder / "empty.csv", "")
    written(folder / "notes.pdf", text)
    written(folder / ".hidden.csv", text)
    written(outside, text.replace(",", "\t"))
    (folder / "d.tsv").symlink_to(outside)
    os.link(folder / "a.csv", folder / "e.csv")
    found = read_long_form([str(folder), str(folder / "a.csv")], Columns(("user", "item")))
    assert (len(found), found.notes) == (
        4,
        InputNotes(
            (
                f"{folder / 'e.csv'} is the same file as {folder / 'a.csv'}: read once",
                f"{folder}: 1 file skipped: hidden: .hidden.csv",
                f"{folder}: 1 file skipped: empty (0 bytes): empty.csv",
                f"{folder}: 1 file skipped, of other endings: notes.pdf",
                f"{folder / 'a.csv'} is the same file as {folder / 'a.csv'}: read once",
            ),
            (f"{folder / 'c.csv'} has the content of {folder / 'a.csv'}; both are counted",),
            (f"{folder}: 1 file read through links: d.tsv → {outside}",),
        ),
    )
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"none: a folder without tables \(wanted .*\.parquet"):
        read_long_form([str(tmp_path / "none")], Columns(("user", "item")))


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_table_that_changes_while_it_is_read_is_named(tmp_path, monkeypatch, name):
    path = tmp_path / name
    parquet(path) if name.endswith("parquet") else written(path, csv_text())

    def touched(batches, columns):
        def each():
            for batch in batches:
                os.utime(path, ns=(1, 1))
                yield batch

        return gathered(each(), columns)

    monkeypatch.setattr(long_form, "gathered", touched)
    found = read_long_form([str(path)], WANTED)
    assert rows_of(found) == ORDERS
    assert found.notes.doubts == (f"{path} changed while it was read: it was written to",)


def test_names_stay_text(tmp_path):
    items = Columns(("user", "item"))
    lines = "user,item\n" + "".join(f"7,{item}\n" for item in ("1", "01", "1.0", "1", "nan", "+1"))
    found = read_long_form(written(tmp_path / "a.csv", lines), items)
    assert found.names[1].distinct == ["1", "01", "1.0", "nan", "+1"]
    assert found.names[1].numbers.tolist() == [0, 1, 2, 0, 3, 4]
    values = ["1", '"01"', "1.0", '"1"', "1e2", '"null"']
    lines = "".join(f'{{"user": 7, "item": {value}}}\n' for value in values)
    found = read_long_form(written(tmp_path / "a.jsonl", lines), items)
    assert found.names[1].distinct == ["1", "01", "1.0", "1e2", "null"]
    frame = {"user": [7] * 4, "item": [1, "01", 1.0, np.int64(1)]}
    assert frame_entries(frame, items).names[1].distinct == ["1", "01", "1.0"]


def test_integers_of_parquet_are_the_text_of_their_digits(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"user": ["1", "2"], "item": [1, 2**62], "other": [1.0, 2.5]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    found = read_long_form([str(tmp_path / "a.parquet")], Columns(("user", "item", "other")))
    assert found.names[1].distinct == ["1", str(2**62)]
    assert found.names[2].distinct == ["1.0", "2.5"]


def test_both_ends_of_an_edge_share_numbers_and_need_no_header(tmp_path):
    ends = Columns(("source", "target"), "weight", together=True)
    bare = Form(header=False)
    for name, lines in (
        ("a.tsv", "# a comment\na\tb\t2\n\nb\tc\t1\n"),
        ("a.edges", "% sym\na  b 2\n b\tc  1 \n"),
        ("a.csv", "a,b,2\nb,c,1\n"),
    ):
        found = read_long_form(written(tmp_path / name, lines), ends, bare)
        assert [names.numbers.tolist() for names in found.names] == [[0, 1], [1, 2]]
        assert found.names[0].distinct == found.names[1].distinct == ["a", "b", "c"]
        assert found.weights.tolist() == [2, 1]
    found = read_long_form(written(tmp_path / "a.tsv", "a\tb\nb\tc\n"), ends, bare)
    assert found.weights is None
    one, other = (
        written(tmp_path / name, text)[0] for name, text in (("c", "a b\n"), ("d", "a b 1\n"))
    )
    with pytest.raises(InputError, match="some files have weight and others have none"):
        read_long_form([one, other], ends, bare)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "is empty \\(0 bytes\\)"),
        ("a.csv", "\n\n", "no header, only blank lines"),
        ("a.csv", "user,item\n", "no entries"),
        ("a.csv", "usr,item\na,b\n", "there is no column 'user'; the columns are 'usr', 'item'"),
        ("a.csv", "user;item\na;b\n", "'user;item': ',' does not part it, see --separator"),
        ("a.csv", "user,item,user\na,b,c\n", "the column 'user' stands twice"),
        ("a.csv", "user,item\na,b\na\n", "line 3: 1 field, but the header has 2: 'a'"),
        ("a.csv", "user,item\na,b\nc,d,e\n", "line 3: 3 fields, but the header has 2"),
        ("a.csv", 'user,item\na,"b\nb"\nc,d,e\n', "line 4: 3 fields"),
        ("a.csv", 'user,item\na,"b\nb"\n,e\n', "line 4: the user is empty"),
        ("a.csv", "user,item\na,b\n\na, \n", "line 4: the item is empty"),
        ("a.csv", 'user,item\na,b\nc,"d\ne,f\n', "line 3: unexpected end of data"),
        ("a.csv", 'user,item\na,"b"c\n', "line 2: ',' expected after '\"'"),
        ("a.jsonl", '{"user": "a", "item": "b"}\n\n{"user": "a"\n', "line 3 is not JSON"),
        ("a.jsonl", '{"user": "a"}\n', "line 1: there is no column 'item'; the columns are 'user'"),
        ("a.jsonl", '["a", "b"]\n', "line 1: wanted an object"),
        ("a.jsonl", '{"user": "a", "item": ["b"]}\n', "line 1: the item is .* of type list"),
        ("a.jsonl", '{"user": true, "item": "b"}\n', "line 1: the user is 'True' of type bool"),
        ("a.jsonl", '{"user": "a", "item": NaN}\n', "line 1: the item is missing"),
        ("a.jsonl", '{"user": "a", "item": null}\n', "line 1: the item is missing"),
        ("a.csv", b"user,item\na,b\nc,\xff\n", "line 3, is not utf-8"),
        ("a.csv", "user,item\na,b\n".encode("utf-16"), "looks like UTF-16; use --encoding utf-16"),
        ("a.csv.gz", gzip.compress(b"user,item\na,b\n", mtime=0)[:-9], "cut off or damaged"),
        ("a.parquet", b"PAR1 no", "wanted a parquet file"),
    ],
)
def test_errors_say_where(tmp_path, name, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_long_form(written(tmp_path / name, text), Columns(("user", "item")))
    if "no entries" not in message:
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("weight", ["-1", "nan", "inf", "-inf", "1e16", "", "abc", "1,5", "1_0"])
def test_bad_weights_are_refused_with_their_line(tmp_path, weight):
    text = f'user,item,n\na,b,1\na,c,"{weight}"\n'
    path = written(tmp_path / "a.csv", text)
    with pytest.raises(InputError, match=r"line 3: (weights are finite|the weight)"):
        read_long_form(path, Columns(("user", "item"), "n"))
    loose = Columns(("user", "item"), "n", any_weight=True)
    if weight in ("-1", "nan", ""):
        found = read_long_form(path, loose).weights
        np.testing.assert_array_equal(found, [1, float(weight or "nan")])
    else:
        with pytest.raises(InputError, match="line 3"):
            read_long_form(path, loose)


def test_truth_is_no_weight(tmp_path):
    path = written(tmp_path / "a.jsonl", '{"user": "a", "item": "b", "n": true}\n')
    for any_weight in (False, True):
        with pytest.raises(InputError, match="line 1: the weight 'True' is no number"):
            read_long_form(path, Columns(("user", "item"), "n", any_weight=any_weight))


def test_times_are_numbers_or_iso_8601(tmp_path):
    def seconds(*times):
        lines = "".join(f"a,b,{time}\n" for time in times)
        path = written(tmp_path / "a.csv", f"user,item,t\n{lines}")
        return read_long_form(path, Columns(("user", "item"), time="t")).times.tolist()

    assert seconds("3", "2.5", "-1e3") == [3, 2.5, -1000]
    assert seconds("1970-01-02", "1970-01-01T00:01", "1970-01-01 00:00:01.5") == [86400, 60, 1.5]
    assert seconds("1970-01-01T02:00+02:00", "1970-01-01T00:01Z") == [0, 60]
    for times in (("3", "1970-01-01"), ("1970-01-01", "3x"), ("1970-01-01", "1970-01-01T00:00Z")):
        with pytest.raises(InputError, match="line 3: wanted a time"):
            seconds(*times)
    for time in ("", "inf", "31/12/2010"):
        with pytest.raises(InputError, match="line 2: wanted a time"):
            seconds(time)


def test_a_separator_may_be_any_but_a_quote(tmp_path):
    columns = Columns(("user", "item"))
    for separator in (";", "|", "::", "tab", "\\t"):
        from exact2vec.counts.table_files import separator_of

        sign = separator_of(separator)
        path = written(tmp_path / "a.dat", f"user{sign}item\na{sign}b c\n")
        found = read_long_form(path, columns, Form(sign))
        assert [names.distinct for names in found.names] == [["a"], ["b c"]]
    for separator in ("", '"', "\n"):
        with pytest.raises(UsageError, match="separator must be"):
            separator_of(separator)


def test_blocks_keep_their_lines(tmp_path, monkeypatch):
    import exact2vec.counts.table_files as table_files

    monkeypatch.setattr(table_files, "BATCH_ROWS", 3)
    good = "".join(f'u{number},"i\n{number}"\n' for number in range(10))
    path = written(tmp_path / "a.csv", f"user,item\n{good}u,\n")
    with pytest.raises(InputError, match="line 22: the item is empty"):
        read_long_form(path, Columns(("user", "item")))
    found = read_long_form(written(tmp_path / "a.csv", f"user,item\n{good}"), Columns(("item",)))
    assert found.names[0].distinct == [f"i\n{number}" for number in range(10)]


def test_what_is_no_name():
    for value in (None, float("nan"), True, b"a", ["a"]):
        with pytest.raises(ValueError, match="is "):
            name_text(value)
