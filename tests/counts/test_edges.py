"""Edges of every form count alike; what is wrong with one is said, with its line."""

import networkx
import numpy as np
import pytest
from graphs_made import dense_counts, edge_list, weights_of
from scipy.sparse import csr_array

import exact2vec as e2v
from exact2vec.errors import InputError, InputWarning, UsageError

EDGES = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]


def cells(counts):
    """n(c, w) by name."""
    found = counts.training.tocoo()
    names = counts.rows, counts.columns
    values = zip(found.row, found.col, found.data, strict=True)
    return {(names[0][one], names[1][other]): value for one, other, value in values}


def close(one, other):
    assert one.keys() == other.keys()
    np.testing.assert_allclose(list(one.values()), [other[key] for key in one], rtol=1e-12)


def test_counts_are_those_of_the_dense_formula():
    weights = weights_of()
    counts = e2v.count_edges(edge_list(weights), hops=3)
    order = [int(name[1:]) for name in counts.rows]
    wanted = dense_counts(weights, 3)[order][:, order]
    np.testing.assert_allclose(counts.training.toarray(), wanted, atol=1e-13 * wanted.max())
    degrees = np.asarray(weights.sum(axis=1)).ravel()[order]
    assert counts.vocabulary.counts.tolist() == degrees.tolist()
    assert (np.diff(degrees) <= 0).all()
    assert counts.kind.many == "nodes"


def test_every_form_of_edges_counts_alike(tmp_path):
    weights = weights_of()
    triples = [(one[1:], other[1:], weight) for one, other, weight in edge_list(weights)]
    wanted = cells(e2v.count_edges(triples, hops=2))
    graph = networkx.Graph()
    graph.add_weighted_edges_from((int(one), int(other), weight) for one, other, weight in triples)
    (tmp_path / "plain.txt").write_text("".join(f"{a}\t{b}\t{w}\n" for a, b, w in triples))
    (tmp_path / "named.csv").write_text(
        "how,to,from\n" + "".join(f"{w},{b},{a}\n" for a, b, w in triples)
    )
    table = {
        name: list(column) for name, column in zip("abw", zip(*triples, strict=True), strict=True)
    }
    forms = [
        e2v.count_edges(graph, hops=2),
        e2v.count_edges(weights, hops=2),
        e2v.count_edges(np.array([[float(part) for part in edge] for edge in triples]), hops=2),
        e2v.count_edges(reversed(triples), hops=2),
        e2v.count_edges([(b, a, w) for a, b, w in triples], hops=2),
        e2v.count_edges(tmp_path / "plain.txt", hops=2),
        e2v.count_edges(tmp_path / "named.csv", hops=2, source="from", target="to", weight="how"),
        e2v.count_edges(table, hops=2, source="a", target="b", weight="w"),
    ]
    for found in forms:
        close(cells(found), wanted)


def test_doubled_edges_add_up_loops_are_dropped_and_names_stay_text():
    edges = [("1", "01"), ("01", "1"), ("1", "1.0"), ("1", "1"), ("01", "1.0")]
    counts = e2v.count_edges(edges, hops=1)
    close(
        cells(counts),
        {
            **{("1", "01"): 2.0, ("01", "1"): 2.0, ("1", "1.0"): 1.0, ("1.0", "1"): 1.0},
            **{("01", "1.0"): 1.0, ("1.0", "01"): 1.0},
        },
    )
    read = counts.settings["read"]
    assert (read["edges_read"], read["doubled"], read["loops"]) == (5, 1, 1)


def test_isolated_nodes_and_components_are_said():
    counts = e2v.count_edges([*EDGES, ("x", "y"), ("z", "z")], nodes=["lone", "a"])
    assert counts.settings["isolated"] == ["lone", "z"]
    assert counts.settings["read"]["components"] == 2
    assert counts.settings["read"]["largest_component"] == 4
    assert "lone" not in counts.rows


def test_held_out_edges_leave_the_graph_in_both_directions():
    weights = weights_of(120)
    triples = edge_list(weights)
    counts = e2v.count_edges(triples, hops=2, held_out=0.2, validation=0.1)
    read = counts.settings["read"]
    assert read["held_out"] + read["validation"] + read["training"] == len(triples)
    assert 0.1 < read["held_out"] / len(triples) < 0.3
    whole = {name: number for number, name in enumerate(counts.rows)}
    back = e2v.count_edges(
        [(b, a, w) for a, b, w in reversed(triples)], hops=2, held_out=0.2, validation=0.1
    )
    assert (counts.held_out != back.held_out).nnz == 0
    assert (counts.held_out != counts.held_out.T).nnz == 0
    left = csr_array(counts.held_out + counts.validation + counts.edges)
    for one, other, weight in triples:
        if one in whole and other in whole:
            assert left[whole[one], whole[other]] == weight
    assert counts.edges.multiply(counts.held_out).nnz == 0
    np.testing.assert_allclose(counts.training.toarray(), dense_counts(counts.edges, 2), atol=1e-12)


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_every_edge_is_accounted_for(seed, directed):
    random = np.random.default_rng(seed)
    edges = [(*ends, weight) for *ends, weight in random.integers(0, (60, 60, 5), (90, 3)).tolist()]
    counts = e2v.count_edges(edges, hops=1, directed=directed, held_out=0.2, validation=0.2)
    read = counts.settings["read"]
    parts = ("training", "held_out", "validation", "loops", "without_weight", "doubled")
    assert read["edges_read"] == sum(read[part] for part in parts) == 90
    cells = 1 if directed else 2
    for part in ("held_out", "validation"):
        judged = getattr(counts, part).nnz // cells
        assert read[part] == judged + read[f"{part}_without_nodes"]
    assert read["held_out_without_nodes"] + read["validation_without_nodes"] > 0


def test_a_symmetric_matrix_has_each_edge_once():
    matrix = csr_array([[1.0, 2.0, 0.0], [2.0, 0.0, 3.0], [0.0, 3.0, 0.0]])
    matrix.data[matrix.data == 3] = 0.0
    read = e2v.count_edges(matrix, hops=1).settings["read"]
    numbers = [read[name] for name in ("edges_read", "training", "loops", "without_weight")]
    assert numbers == [3, 1, 1, 1]


def test_an_undirected_graph_has_both_directions_where_these_count():
    graph = networkx.path_graph(4)
    graph.add_edge(2, 2)
    counts = e2v.count_edges(graph, directed=True, hops=1)
    path = [("0", "1"), ("1", "2"), ("2", "3")]
    close(cells(counts), dict.fromkeys([*path, *(edge[::-1] for edge in path)], 1.0))
    read = e2v.count_edges(graph, hops=1).settings["read"]
    assert (read["edges_read"], read["training"], read["loops"], read["doubled"]) == (4, 3, 1, 0)
    one_way = networkx.DiGraph([("u", "p"), ("v", "p")])
    assert e2v.count_edges(one_way, directed=True, hops=1).columns == ["p"]


def test_nodes_are_a_list_or_a_file(tmp_path):
    (tmp_path / "nodes.txt").write_text("lone\n\na\n")
    counts = e2v.count_edges(EDGES, nodes=tmp_path / "nodes.txt")
    assert counts.settings["isolated"] == ["lone"]
    with pytest.raises(TypeError, match=r"pathlib.Path of a file.*got the text 'lone'"):
        e2v.count_edges(EDGES, nodes="lone")


def test_comments_and_headers_are_said(tmp_path):
    (tmp_path / "edges.txt").write_text("# made by hand\n\na b\n% more\n# last\nb c\n# end\n")
    assert e2v.count_edges(tmp_path / "edges.txt").settings["read"]["comments"] == 4
    (tmp_path / "edges.csv").write_text("id_1,id_2\na,b\n")
    with pytest.warns(UserWarning, match="first line, 'id_1 id_2', was read as an edge"):
        e2v.count_edges(tmp_path / "edges.csv")
    (tmp_path / "edges.tsv").write_text("source\ttarget\tweight\na\tb\t1\n")
    why = "line 1: the weight 'weight' is no number .* --source, --target, --weight"
    with pytest.raises(InputError, match=why):
        e2v.count_edges(tmp_path / "edges.tsv")


def test_directed_edges_are_a_table_of_sources_and_targets():
    counts = e2v.count_edges([("u", "p"), ("u", "q"), ("v", "q")], hops=1, directed=True)
    assert (counts.rows, counts.columns) == (["u", "v"], ["q", "p"])
    assert not counts.square
    close(cells(counts), {("u", "p"): 1.0, ("u", "q"): 1.0, ("v", "q"): 1.0})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a\tb\t-1", "line 2: weights are finite numbers, from 0"),
        ("a\tb\tnan", "line 2: weights are finite"),
        ("a\tb\tinf", "line 2: weights are finite"),
        ("a\tb\t", "line 2: weights are finite"),
        ("a\tb\tx", "line 2: the weight 'x' is no number"),
        ("\tb\t1", "line 2: the source is empty"),
        ("a\tb", "line 2: 2 fields"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, why):
    (tmp_path / "edges.tsv").write_text(f"a\tb\t1\n{line}\n")
    with pytest.raises(InputError, match=why):
        e2v.count_edges(tmp_path / "edges.tsv")


@pytest.mark.parametrize(
    ("edges", "error", "why"),
    [
        ([("a", "a")], InputError, "1 of them loops: no edge"),
        ([("a", "b", -2.0)], InputError, "edge 1: weights are finite"),
        ([("a", "b"), ("a",)], InputError, r"edge 2: wanted \(source, target\)"),
        ([("a", "b"), "cd"], InputError, "edge 2: wanted"),
        ([("a", None)], InputError, "edge 1: the .* is missing"),
        ({"a": "b"}, TypeError, "got a dict; wanted edges"),
        (7, TypeError, "got a int; wanted edges"),
        (np.eye(4), InputError, "adjacency matrix as a scipy matrix"),
        (csr_array(np.ones((2, 3))), InputError, "square matrix"),
        (csr_array([[0, -1.0], [-1.0, 0]]), InputError, "cell 1: weights"),
    ],
    ids=str,
)
def test_bad_edges_are_named(edges, error, why):
    with pytest.raises(error, match=why):
        e2v.count_edges(edges)


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("weights", [(5e-324, 5e-324), (1, 1e-308)])
def test_weights_that_are_nothing_in_float32_are_named(weights, directed):
    edges = [("a", "b", weights[0]), ("b", "a", weights[0]), ("b", "c", weights[1])]
    with pytest.raises(InputError, match=r"the edges of node '[abc]' weigh .* scale the weights"):
        e2v.count_edges(edges, directed=directed)


def test_what_is_left_out_of_a_folder_is_a_warning(tmp_path):
    (tmp_path / "a.tsv").write_text("a\tb\nb\tc\n")
    (tmp_path / "b.tsv").write_text("")
    with pytest.warns(InputWarning, match=r"1 file skipped: empty \(0 bytes\): b\.tsv") as found:
        assert len(e2v.count_edges(tmp_path).rows) == 3
    assert len(found) == 1


def test_bad_options_are_named():
    with pytest.raises(UsageError, match="hops must be an integer of at least 1"):
        e2v.count_edges(EDGES, hops=0)
    with pytest.raises(UsageError, match="give both, or none"):
        e2v.count_edges(EDGES, source="a")
    with pytest.raises(UsageError, match="sum is below 1"):
        e2v.count_edges(EDGES, held_out=0.6, validation=0.5)
    with pytest.raises(UsageError, match="walks go through a whole graph"):
        e2v.count_edges(EDGES).merge(e2v.count_edges(EDGES))


def test_counts_of_a_graph_come_back_from_their_folder(tmp_path):
    counts = e2v.count_edges(edge_list(weights_of()), hops=3, held_out=0.1, whole_cells=0)
    counts.save(tmp_path / "counts")
    found = e2v.Counts.load(tmp_path / "counts")
    assert found.kind == counts.kind
    assert (found.edges != counts.edges).nnz == 0
    for name in ("amounts", "shares", "errors"):
        one, other = (getattr(each.background, name) for each in (found, counts))
        assert one.tobytes() == other.tobytes()
    assert found.settings == counts.settings
