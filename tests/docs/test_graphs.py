"""The guide of graphs runs, and what it prints has the properties that it tells."""

import re
from pathlib import Path

import graphs
import large_graph
import numpy as np
import pytest
import raw

import exact2vec as e2v
from exact2vec.options.edges import EDGE_TRAINING

GUIDE = Path(__file__).parents[2] / "docs" / "graphs.md"


def test_the_guide_runs(capsys):
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    scope = {}
    for block in blocks:
        exec(block, scope)
    said = capsys.readouterr().out
    assert int(re.search(r"(\d+) of 34 members", said)[1]) >= 32
    model, degrees = map(float, re.search(r"AUC (\S+), by degrees alone (\S+)", said).groups())
    assert 0.5 < model <= 1
    assert 0.5 < degrees <= 1  # busy nodes often have an edge
    assert re.search(r"perhaps missing: \['\d+', '\d+', '\d+'\]", said)


@pytest.mark.parametrize("text", [GUIDE.read_text(), e2v.count_edges.__doc__], ids=["page", "doc"])
def test_the_settings_of_graphs_are_those_of_the_command(text):
    told = re.findall(r"prior=\((\d+), (\d+)\), epochs=(\d+)", text)
    prior, epochs = EDGE_TRAINING["prior"], EDGE_TRAINING["epochs"]
    assert {tuple(map(int, numbers)) for numbers in told} == {(*prior, epochs)}


def test_what_is_said_beside_the_table_of_labels_is_in_its_lines():
    said = (GUIDE.parent / "measured.md").read_text()
    rows = {(row["graph"], row["method"]): row for row in raw.read(graphs.RESULTS)}
    ahead, against = [], []
    for graph in graphs.GRAPHS:
        default = rows[graph, "exact, embedding"]
        for name in graphs.PEERS:
            row = rows[graph, name]
            half = np.subtract(row["0.5"]["micro"], default["0.5"]["micro"]).mean()
            error = np.std(row["0.5"]["micro"], ddof=1) / np.sqrt(graphs.SPLITS)
            assert half < error
            if half > 0:
                ahead.append(f"{100 * half:.2f}".lstrip("0"))
                assert name == "NetMF"
            mean, wide = map(float, graphs.difference(default, row).split(" ± "))
            if mean < 0:
                against.append(f"−{-mean:.2f} ({name}, {graph})".replace("0.", "."))
                assert -mean < wide
    assert "NetMF is {} ahead on cora and {} on citeseer".format(*ahead) in said
    assert ", ".join(against) in said
    assert "a fifth (ppi) to a twenty-fifth (cora) of DeepWalk's CPU seconds" in said
    times = {
        graph: sum(rows[graph, "DeepWalk"]["seconds"].values())
        / sum(rows[graph, "exact, embedding"]["seconds"].values())
        for graph in graphs.GRAPHS
    }
    assert min(times, key=lambda graph: times[graph]) == "ppi"
    assert max(times, key=lambda graph: times[graph]) == "cora"
    assert times["ppi"] > 5
    assert times["cora"] > 25


def test_the_large_graph_is_what_it_is_said_to_be():
    nodes, edges = 500, 4000
    keys, community = large_graph.made(nodes, edges)
    one, other = divmod(keys, nodes)
    assert len(np.unique(keys)) == edges
    assert (one < other).all()
    assert len(community) == nodes
    within = (community[one] == community[other]).mean()
    assert 0.3 < within < 0.6  # half, less those that were drawn twice
    degrees = np.bincount(np.concatenate([one, other]), minlength=nodes)
    assert degrees.max() > 4 * degrees.mean()
