"""Commands on a graph: train, neighbors, evaluate, fold-in; what is said of the edges."""

import json
import re
from pathlib import Path

import pytest
from command_line import call
from graphs_made import edge_list, weights_of

from exact2vec import machine
from exact2vec.cli.kinds import DATA_FLAGS, KINDS, WHY


def page_data(page):
    return json.loads(
        re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S)[1]
    )


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    lines = [f"{one}\t{other}\t{weight:g}\n" for one, other, weight in edge_list(weights_of(60))]
    (folder / "edges.tsv").write_text("".join([*lines, "n3\tn3\t1\n", lines[0]]))
    (folder / "nodes.txt").write_text("n1\nlone\n")
    labels = [f"n{node}\t{'low' if node < 20 else 'high'}\n" for node in range(60)]
    (folder / "labels.tsv").write_text("".join([*labels, "lone\tlow\n"]))
    return folder


def trained(graph, name, *flags):
    edges = ["train", graph / "edges.tsv", "--kind", "edges", "-o", graph / name]
    return call(*edges, "--vector-size", "6", *flags)


@pytest.fixture(scope="module")
def run(graph):
    result = trained(graph, "run", "--nodes", graph / "nodes.txt", "--held-out", "0.1")
    assert result.exit_code == 0, result.output
    said = result.stderr
    for what in (
        "1 doubled and added up",
        "1 loops dropped",
        "held out",
        "60 nodes in 1 component",
    ):
        assert what in said
    assert "1 nodes without edges have no vector: 'lone'" in said
    return graph / "run"


def test_the_defaults_are_those_of_graphs(run):
    config = json.loads((run / "config.json").read_text())
    assert (config["prior"], config["epochs"]) == ([5.0, 5.0], 2)


def test_neighbours_of_a_node(run):
    result = call("neighbors", run, "n3", "-n", "2", "--json")
    assert len(json.loads(result.stdout)) == 2
    lone = call("neighbors", run, "lone")
    assert (lone.exit_code, "not among the 60 nodes" in lone.stderr) == (3, True)


def test_labels_and_held_out_edges_are_judged(run, graph):
    result = call("evaluate", run, "--labels", graph / "labels.tsv", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    (labels,) = found["labels"].values()
    assert (labels["labelled"], labels["isolated"], len(labels["scores"])) == (61, 1, 2)
    assert len(labels["scores"][0]["micro_of_splits"]) == 10
    links = found["links"]["held-out edges"]
    assert links["degrees"]["score"] == "product of degrees"
    result = call("evaluate", run, "--labels", graph / "labels.tsv")
    assert "micro F1, per cent" in result.stdout
    assert "by product of degrees" in result.stdout
    assert "judged by vectors that have not seen the held-out edges" in result.stderr
    assert "have not seen" not in call("evaluate", run).stderr


def test_edges_of_a_file_are_judged_where_they_were_not_trained_on(run, graph):
    there = weights_of(60).toarray()
    absent = [(0, other) for other in range(1, 60) if not there[0, other]][:2]
    lines = [f"n{one}\tn{other}\n" for one, other in absent]
    (graph / "others.tsv").write_text("".join([*lines, "n2\tstranger\n"]))
    found = json.loads(call("evaluate", run, "--edges", graph / "others.tsv", "--json").stdout)
    links = found["links"][str(graph / "others.tsv")]
    assert (links["edges"], links["strangers"]) == (2, 1)
    (graph / "named.csv").write_text(
        "how;to;from\n" + "".join(f"1;n{other};n{one}\n" for one, other in absent)
    )
    flags = "--edges", graph / "named.csv", "--source", "from", "--target", "to"
    named = call("evaluate", run, *flags, "--separator", ";", "--json")
    assert named.exit_code == 0, named.output
    assert json.loads(named.stdout)["links"][str(graph / "named.csv")]["edges"] == 2
    useless = call("evaluate", run, "--source", "from", "--target", "to")
    assert (useless.exit_code, "how files of --edges are read" in useless.stderr) == (2, True)
    result = call("evaluate", run, "--edges", graph / "edges.tsv")
    assert (result.exit_code, "were trained on" in result.stderr) == (3, True)


def test_held_out_edges_of_a_dense_graph_stop_nothing(tmp_path):
    """All 66 pairs of twelve nodes have an edge: there is none to judge against."""
    names = [f"n{node}" for node in range(12)]
    lines = [f"{one}\t{other}\n" for one in names for other in names if one < other]
    (tmp_path / "edges.tsv").write_text("".join(lines))
    (tmp_path / "labels.tsv").write_text("".join(f"{name}\t{name[-1]}\n" for name in names))
    assert trained(tmp_path, "run", "--held-out", "0.2").exit_code == 0
    result = call("evaluate", tmp_path / "run", "--labels", tmp_path / "labels.tsv", "--json")
    assert result.exit_code == 0, result.output
    assert "held-out edges are not judged: " in result.stderr
    assert "pairs without an edge are wanted" in result.stderr
    found = json.loads(result.stdout)
    assert (found["links"], list(found["not_judged"])) == ({}, ["held-out edges"])
    assert len(found["labels"]) == 1
    (tmp_path / "some.tsv").write_text("n0\tstranger\n")
    refused = call("evaluate", tmp_path / "run", "--edges", tmp_path / "some.tsv")
    assert (refused.exit_code, "no edge to judge" in refused.stderr) == (3, True)


def test_labels_colour_the_map(run, graph):
    out = graph / "page.html"
    result = call("report", run, "-o", out, "--labels", graph / "labels.tsv")
    assert result.exit_code == 0, result.output
    data = page_data(out.read_text())
    assert data["runs"][0]["map"]["groups"]["names"] == ["high", "low"]
    assert ["edges dropped: loops", 1] in data["read"]
    assert (
        call("explore", run, "-o", graph / "site", "--labels", graph / "labels.tsv").exit_code == 0
    )
    seen = page_data((graph / "site" / "index.html").read_text())["run"]
    assert seen["map"]["groups"]["names"] == ["high", "low"]


def test_what_is_cut_is_said(graph):
    result = trained(graph, "cut", "--whole-cells", "0", "--epochs", "1")
    assert "cells below chance stand as a background: it moves" in result.stderr
    table = call("evaluate", graph / "cut").stdout
    assert "over all cells, those in the background too" in table
    result = trained(graph, "few", "--whole-cells", "0", "--most-cells", "700", "--epochs", "1")
    assert re.search(r"cells below 1\.\d+ times chance stand .*; --most-cells keeps", result.stderr)
    result = trained(graph, "cut-table", "--whole-cells", "0", "--epochs", "1", "--directed")
    assert "cells below chance stand as a background: it moves" in result.stderr
    directed = call("evaluate", graph / "cut-table")
    assert directed.exit_code == 0, directed.output
    assert "over all cells" not in directed.stdout  # as the help of --whole-cells says


def test_new_nodes_come_by_their_edges(run, graph):
    guide = (Path(__file__).parents[2] / "docs" / "graphs.md").read_text()
    header = re.search("The first line of the file is `(.*)`; the others", guide)[1]
    (graph / "new.csv").write_text(f"{header}\nnew,n3,2\nnew,n4,1\n")
    result = call("fold-in", run, graph / "new.csv", "-o", graph / "with-new")
    assert result.exit_code == 0, result.output
    near = json.loads(call("neighbors", graph / "with-new", "new", "--json").stdout)
    assert near


def test_directed_edges_are_a_table(graph):
    result = trained(graph, "directed", "--directed", "--hops", "1")
    assert result.exit_code == 0, result.output
    assert call("evaluate", graph / "directed").exit_code == 0


def test_walks_that_cannot_fit_are_refused_and_anyway_insists(graph, monkeypatch):
    monkeypatch.setattr(machine, "room", lambda: machine.Room(1000, "the container"))
    refused = trained(graph, "refused")
    assert refused.exit_code == 5, refused.output
    assert "the container leaves 0 MB: use a smaller --whole-cells or fewer --hops (now 10)" in (
        refused.stderr
    )
    checked = call("check", graph / "edges.tsv", "--kind", "edges")
    assert checked.exit_code == 0, checked.output
    assert "train would refuse this: this would take about" in checked.stderr
    insisted = trained(graph, "insisted", "--epochs", "1", "--anyway")
    assert insisted.exit_code == 0, insisted.output


@pytest.mark.parametrize(
    ("text", "flags", "code", "why"),
    [
        ("", (), 3, "is empty"),
        ("a\tb\t-1\n", (), 3, "line 1: weights are finite numbers, from 0"),
        ("a\ta\n", (), 3, "1 of them loops: no edge between two nodes"),
        ("a\tb\n", ("--source", "x"), 2, "give both, or none"),
        ("u\tv\na\tb\n", ("--source", "x", "--target", "v"), 3, "there is no column 'x'"),
        ("a\tb\n", ("--window", "3"), 2, "--window goes with --kind text, not with edges"),
        ("a\tb\n", ("--min-count", "3"), 2, "not with edges: every node of a graph is kept"),
    ],
)
def test_bad_input(tmp_path, text, flags, code, why):
    (tmp_path / "edges.tsv").write_text(text)
    result = trained(tmp_path, "run", *flags)
    assert (result.exit_code, why in result.stderr) == (code, True), result.stderr
    assert not (tmp_path / "run").exists()


def test_every_flag_that_a_kind_does_not_take_has_its_reason():
    for kind, taken in KINDS.items():
        names = {*(option.name for option in DATA_FLAGS), "directed", "nodes"} - {*taken.flags}
        assert kind == "counts" or names <= {*WHY}, kind


def test_flags_of_graphs_are_refused_elsewhere(tmp_path):
    (tmp_path / "text.txt").write_text("a b\n")
    result = call("train", tmp_path / "text.txt", "-o", tmp_path / "run", "--directed")
    assert (result.exit_code, "--directed goes with --kind edges" in result.stderr) == (2, True)


def test_a_first_line_like_a_header_is_said(tmp_path):
    (tmp_path / "edges.tsv").write_text("# edges\nsource\ttarget\na\tb\nb\tc\nc\ta\n")
    result = trained(tmp_path, "run", "--epochs", "1")
    assert "comments left out, lines that begin with # or %: 1" in result.stderr
    assert "the first line, 'source target', was read as an edge" in result.stderr
