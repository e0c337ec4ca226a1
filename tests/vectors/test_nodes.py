"""The embedding of nodes; new nodes; labels and links of nodes."""

import logistic
import numpy as np
import pytest
from graphs_made import edge_list, weights_of
from scipy.sparse import csr_array

import exact2vec as e2v
from exact2vec.errors import InputError, UnknownWordError, UsageError
from exact2vec.vectors import link_scores
from exact2vec.vectors.evaluate_nodes import evaluate_nodes
from exact2vec.vectors.label_scores import Labels, label_scores, liblinear, share_score

SMALL = {"vector_size": 6, "prior": (5.0, 5.0), "epochs": 3, "threads": 1}


@pytest.fixture(scope="module")
def counts():
    return e2v.count_edges(edge_list(weights_of(60)), hops=3, held_out=0.1)


@pytest.fixture(scope="module")
def vectors(counts):
    *_, last = e2v.fit(counts, **SMALL)
    return e2v.Vectors.from_state(last.state, counts)


def test_the_embedding_is_its_formula(counts, vectors):
    x, u = (side.astype(float) for side in (vectors.inputs, vectors.outputs))
    left, _, right = np.linalg.svd(u.T @ x)
    rotation = left @ right
    steps = counts.edges.toarray()
    spoken = steps / steps.sum(axis=1, keepdims=True) @ (u + x @ rotation.T)
    own = x + u @ rotation
    wanted = sum(part / np.linalg.norm(part, axis=1, keepdims=True) for part in (own, spoken))
    np.testing.assert_allclose(vectors.vectors, wanted, atol=2e-6)


def test_a_run_of_nodes_comes_back(vectors, tmp_path):
    vectors.save(tmp_path / "nodes")
    found = e2v.load(tmp_path / "nodes")
    assert found.vectors.tobytes() == vectors.vectors.tobytes()
    assert found.most_similar("n3", topn=2) == vectors.most_similar("n3", topn=2)


def test_a_new_node_comes_by_its_edges(counts, vectors):
    """One with the edges of a trained node is near it."""
    row = counts.rows.index("n5")
    edges = counts.edges[[row]]
    found = vectors.fold_in(e2v.RowCounts(csr_array(edges), ["new"], counts.columns))
    assert found.similarity("new", "n5") > 0.9
    near = [name for name, _ in found.most_similar("new", topn=3)]
    assert "n5" in near


def test_isolated_nodes_have_features_or_no_vector():
    edges = edge_list(weights_of(30))
    counts = e2v.count_edges(edges, nodes=["lone"])
    *_, last = e2v.fit(counts, **SMALL)
    with pytest.raises(UnknownWordError, match="not among the 30 nodes"):
        e2v.Vectors.from_state(last.state, counts)["lone"]
    names = [*counts.rows, "lone"]
    features = e2v.Features(np.ones((31, 1)), names, ["there"])
    *_, last = e2v.fit(counts, features=features, **SMALL)
    vectors = e2v.Vectors.from_state(last.state, counts)
    assert vectors.known_as("lone") == "composed"
    assert np.isfinite(vectors["lone"]).all()
    assert vectors["lone"].any()


def made_labels(random, nodes=90, dim=7):
    rows = random.standard_normal((nodes, dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    has = rows @ random.standard_normal((dim, 4)) + random.standard_normal((nodes, 4)) > 0.5
    has[:, 3] = False
    return rows, has


def test_the_fast_regression_is_liblinear():
    rows, has = made_labels(np.random.default_rng(4))
    found, wanted = (fit(rows[:60], has[:60], rows[60:]) for fit in (logistic.fit, liblinear))
    np.testing.assert_allclose(found[:, :3], wanted[:, :3], atol=2e-3)  # liblinear's own tolerance
    assert np.isneginf(found[:, 3]).all()
    assert wanted.tobytes() == liblinear(rows[:60], has[:60], rows[60:], threads=1).tobytes()


def test_a_regression_that_has_not_ended_is_no_result(monkeypatch):
    rows, has = made_labels(np.random.default_rng(4))
    monkeypatch.setattr(logistic, "STEPS", 3)
    with pytest.raises(RuntimeError, match="no optimum to 1e-07 in 3 steps"):
        logistic.fit(rows[:60], has[:60], rows[60:])


def test_labels_that_follow_the_graph_are_found(vectors, counts):
    part = [("low" if int(name[1:]) < 20 else "high") for name in counts.rows]
    pairs = [*zip(counts.rows, part, strict=True), ("stranger", "low")]
    found = label_scores(vectors, Labels.of_pairs(pairs), splits=3)
    assert (found.labelled, found.strangers, found.labels) == (len(counts.rows), 1, 2)
    half, most = found.scores
    assert (half.trained, most.trained, len(half.micro_of_splits)) == (0.5, 0.9, 3)
    assert half.micro > 0.8
    errors = np.std(half.micro_of_splits, ddof=1) / np.sqrt(3)
    assert half.micro_error == pytest.approx(errors)


def test_splits_are_shown_as_they_pass(vectors, counts):
    seen = []

    def watch(splits):
        for one in splits:
            seen.append(one)
            yield one

    labels = Labels.of_pairs([(name, str(int(name[1:]) % 3)) for name in counts.rows])
    found = label_scores(vectors, labels, splits=2, watch=watch)
    assert seen == [(0.5, 0), (0.5, 1), (0.9, 0), (0.9, 1)]
    rows = np.array([vectors[name] for name in labels.nodes])
    rows = np.float64((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))
    for score in found.scores:
        wanted = share_score(rows, labels.has, score.trained, 2, 1, liblinear)
        assert score == wanted


def test_labels_that_strangers_alone_have_count_for_nothing(vectors, counts):
    pairs = [(name, "low" if int(name[1:]) < 20 else "high") for name in counts.rows]
    some, more = (
        label_scores(vectors, Labels.of_pairs(labels), splits=2)
        for labels in (pairs, [("node", "label"), *pairs])
    )
    assert (more.labels, more.strangers) == (2, 1)
    assert more.scores == some.scores


@pytest.mark.parametrize(("share", "trained"), [(0.01, 1), (0.5, 2), (0.9, 3)])
def test_a_part_of_few_nodes_is_never_empty(share, trained):
    sizes = set()

    def fit(rows, has, new):
        sizes.add((len(rows), len(new)))
        return np.zeros((len(new), has.shape[1]))

    share_score(np.zeros((4, 2)), np.eye(4, dtype=bool), share, 3, 1, fit)
    assert sizes == {(trained, 4 - trained)}


def test_labels_of_other_nodes_are_refused(vectors, tmp_path):
    (tmp_path / "labels.tsv").write_text("x\tred\ny\tblue\n")
    with pytest.raises(InputError, match="0 of 2 labelled nodes have a vector"):
        label_scores(vectors, Labels.read(tmp_path / "labels.tsv"))
    (tmp_path / "labels.tsv").write_text("x\tred\ny blue\n")
    with pytest.raises(InputError, match="line 2: wanted node TAB label"):
        Labels.read(tmp_path / "labels.tsv")


def test_links_are_judged_beside_degrees(vectors, counts):
    found = evaluate_nodes(vectors, counts).links["held-out edges"]
    assert found.edges == counts.held_out.nnz // 2
    assert found.by == link_scores.SCORES[0]
    assert found.degrees.score == "product of degrees"
    assert 0.5 < found.degrees.auc < 1
    assert 0.5 < found.model.auc < 1


def test_scores_of_pairs_are_those_of_the_formula(vectors):
    pairs = np.array([[0, 3], [7, 2]])
    found = link_scores.pair_scores(vectors, pairs)
    raw = vectors.inputs.astype(float) @ vectors.outputs.T + vectors.bias
    log_p = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
    joint = raw + np.log(vectors.vocabulary.counts)[:, None]
    for name, scores in zip(link_scores.SCORES, (joint, log_p), strict=True):
        wanted = [(scores[one, other] + scores[other, one]) / 2 for one, other in pairs]
        np.testing.assert_allclose(found[name], wanted, rtol=1e-6)


def test_pairs_without_an_edge_are_none_and_even():
    whole = np.unique(link_scores.pair_keys(np.array([[0, 1], [2, 1]]), 5))
    found = link_scores.non_edges(5, whole, 8)
    keys = link_scores.pair_keys(found, 5)
    assert len(np.unique(keys)) == 8
    assert not np.isin(keys, whole).any()
    assert np.array_equal(found, link_scores.non_edges(5, whole, 8))
    with pytest.raises(InputError, match="has not so many"):
        link_scores.non_edges(5, whole, 9)
    many = link_scores.non_edges(40, whole, 500)
    assert 200 < (many < 20).sum() * 500 / 1000 < 300  # ends are spread evenly


def test_labels_are_of_nodes_alone():
    counts = e2v.count_text(["sun moon", "dog cat"] * 20, held_out=0)
    *_, last = e2v.fit(counts, vector_size=2)
    vectors = e2v.Vectors.from_state(last.state, counts)
    with pytest.raises(UsageError, match="this run has words"):
        evaluate_nodes(vectors, counts, labels=["some.tsv"])
