"""Vectors of rows that are not columns: people and drinks."""

import json
from types import SimpleNamespace

import by_hand
import numpy as np
import pytest
import torch
from command_line import call
from scipy.sparse import csr_array

import exact2vec as e2v
from exact2vec.counts.features import Describer, Features, RowCounts
from exact2vec.errors import InputError, UnknownWordError, UsageError
from exact2vec.estimator import Exact2Vec
from exact2vec.loss.formulas import DAMPING, metric
from exact2vec.storage import run_folder
from exact2vec.storage.writing import write_whole
from exact2vec.vectors.evaluate import losses, word_analogies, word_similarity
from exact2vec.vectors.fold_in import TOLERANCE
from exact2vec.vectors.formats import export
from exact2vec.vectors.vectors import Vectors, load

PEOPLE = ["ann", "bob", "cy", "both"]
DRINKS = ["tea", "milk", "rye", "gin", "both"]
TABLE = np.array([[5, 4, 0, 1, 1], [4, 5, 1, 0, 0], [0, 1, 7, 5, 2], [1, 0, 3, 3, 1]])


@pytest.fixture(scope="module")
def counts():
    return e2v.Counts.from_matrix(csr_array(TABLE), rows=PEOPLE, columns=DRINKS)


@pytest.fixture(scope="module")
def vectors(counts):
    """Vectors of a made state; away from the origin, no two sizes equal."""
    made = torch.Generator().manual_seed(7)
    x, u, b = (torch.randn(*shape, generator=made) for shape in ((4, 3), (5, 3), (5,)))
    state = SimpleNamespace(inputs=x, outputs=u, bias=b, shrinkage=None)
    return Vectors.from_state(state, counts)


def scores(vectors):
    return by_hand.scores_of(
        vectors.inputs.tolist(), vectors.outputs.tolist(), vectors.bias.tolist()
    )


def test_a_row_has_an_input_and_a_column_an_output(vectors):
    assert (vectors.rows, vectors.columns, vectors.square) == (PEOPLE, DRINKS, False)
    assert (vectors.inputs.shape, vectors.outputs.shape) == ((4, 3), (5, 3))
    np.testing.assert_array_equal(vectors["bob"], vectors.inputs[1])
    np.testing.assert_array_equal(vectors["gin"], vectors.outputs[3])
    np.testing.assert_array_equal(vectors[["ann", "tea"]], [vectors["ann"], vectors["tea"]])
    assert "ann" in vectors
    assert "tea" in vectors
    assert "nobody" not in vectors
    assert repr(vectors) == "Vectors(4 rows, 5 columns, 3 numbers each)"
    assert "most probable" in vectors._repr_html_()


def test_a_name_on_both_sides_needs_to_be_told(vectors):
    np.testing.assert_array_equal(vectors.vector("both", "inputs"), vectors.inputs[3])
    np.testing.assert_array_equal(vectors.vector("both", "outputs"), vectors.outputs[4])
    with pytest.raises(UsageError, match="name of a row and of a column: give which='inputs'"):
        vectors["both"]


def test_rows_are_compared_with_rows_and_columns_with_columns(vectors):
    def cosines(matrix, row, names):
        unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        found = {name: float(unit[row] @ other) for name, other in zip(names, unit, strict=True)}
        return sorted(((name, cos) for name, cos in found.items()), key=lambda pair: -pair[1])[1:]

    for name, matrix, row, names in (
        ("cy", vectors.inputs, 2, PEOPLE),
        ("milk", vectors.outputs, 1, DRINKS),
    ):
        expected = cosines(matrix, row, names)
        found = vectors.most_similar(name)
        assert [near for near, _ in found] == [near for near, _ in expected]
        for (near, cosine), (_, wanted) in zip(found, expected, strict=True):
            assert cosine == pytest.approx(wanted, abs=1e-6)
            side = None if near != "both" else ("inputs" if names is PEOPLE else "outputs")
            if side is None:
                assert vectors.similarity(name, near) == pytest.approx(wanted, abs=1e-6)
    assert vectors.most_similar("both", which="outputs", topn=2) != vectors.most_similar(
        "both", which="inputs", topn=2
    )
    with pytest.raises(UsageError, match="'tea' is a column and 'ann' is none"):
        vectors.similarity("ann", "tea")
    with pytest.raises(UsageError, match="ask for p"):
        vectors.most_similar(["tea"], ["ann"])


def test_there_is_no_sum(vectors):
    for ask in (
        lambda: vectors.vectors,
        lambda: vectors.matrix("sum"),
        lambda: vectors.vector("ann", "sum"),
    ):
        with pytest.raises(UsageError, match=r"4 rows, 5 columns.*give which='inputs'"):
            ask()
    np.testing.assert_array_equal(vectors.matrix("outputs"), vectors.outputs)


def test_unknown_names_are_told_with_their_side(vectors):
    with pytest.raises(UnknownWordError, match="'anne' is not among the 4 rows; nearest: ann"):
        vectors["anne"]
    with pytest.raises(UnknownWordError, match="'ann' is not among the 5 columns"):
        vectors.vector("ann", "outputs")
    with pytest.raises(UnknownWordError, match="'tea' is not among the 4 rows"):
        vectors.predict_output_word("tea")


def test_probabilities_are_of_columns_given_a_row(vectors):
    expected = by_hand.log_softmax(scores(vectors)[2])
    np.testing.assert_allclose(vectors.log_probabilities("cy"), expected, rtol=1e-9)
    found = vectors.predict_output_word("cy", topn=5)
    assert {name for name, _ in found} == set(DRINKS)
    assert sum(p for _, p in found) == pytest.approx(1, abs=1e-12)


def test_losses_are_the_formulas(vectors, counts):
    """Scores are float32: each −log p is off by about 1e-6 at most."""
    found, held_out = losses(vectors, counts)
    assert held_out is None
    sides = vectors.inputs.tolist(), vectors.outputs.tolist(), vectors.bias.tolist()
    assert found.nll == pytest.approx(by_hand.count_nll(*sides, TABLE.tolist()), rel=1e-6)
    assert found.excess == pytest.approx(by_hand.excess(*sides, TABLE.tolist()), rel=1e-5)
    assert found.floor == pytest.approx(by_hand.entropy_floor(TABLE.tolist()), rel=1e-9)
    shares = TABLE.sum(axis=0) / TABLE.sum()
    assert found.unigram == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-9)
    assert found.pairs == TABLE.sum()


def test_a_folder_keeps_both_sides(vectors, tmp_path):
    vectors.save(tmp_path / "vectors")
    again = load(tmp_path / "vectors")
    assert (again.rows, again.columns) == (PEOPLE, DRINKS)
    np.testing.assert_array_equal(again.inputs, vectors.inputs)
    np.testing.assert_array_equal(again.log_probabilities("ann"), vectors.log_probabilities("ann"))


def test_new_rows_are_folded_in(vectors):
    new = RowCounts(csr_array([[6.0, 5.0, 0.0]]), ["dee"], ["tea", "milk", "sake"])
    folded = vectors.fold_in(new, prior=(2.0, 2.0))
    assert folded.known_as("dee") == "folded in"
    assert "dee" in folded
    x, u = folded["dee"].astype(np.float64), vectors.outputs.astype(np.float64)
    p = np.exp(by_hand.log_softmax((u @ x + vectors.bias).tolist()))
    pull = metric(torch.from_numpy(u), torch.from_numpy(vectors.unigram), damping=DAMPING).numpy()
    gradient = u.T @ (11 * p - np.array([6.0, 5, 0, 0, 0])) + 2.0 * pull @ x
    steepness = np.sqrt(gradient @ np.linalg.solve(pull, gradient))
    assert steepness < 1.1 * TOLERANCE * (11 + 2)  # rounding of x to float32 is the tenth
    assert folded.most_similar("dee", topn=4)[0][0] in PEOPLE


def test_features_of_rows_compose_rows(vectors, counts, tmp_path):
    """The features of columns, of another number, are no features of rows."""
    known = Features(csr_array(np.eye(5, 2)), [*PEOPLE, "dee"], ["old", "tall"])
    describer, _ = Describer.learn(PEOPLE, max_n=0, known=known)
    prior = SimpleNamespace(describer=describer, strengths=(2.0, 3.0))
    maps = torch.arange(6.0).reshape(2, 3), torch.ones(7, 3)
    state = SimpleNamespace(
        inputs=torch.from_numpy(vectors.inputs),
        outputs=torch.from_numpy(vectors.outputs),
        bias=torch.from_numpy(vectors.bias),
        shrinkage=SimpleNamespace(prior=prior, maps=maps),
    )
    described = Vectors.from_state(state, counts)
    np.testing.assert_array_equal(described.vector("bob", "composed"), [3, 4, 5])
    np.testing.assert_array_equal(described.matrix("composed")[0], [0, 1, 2])
    new = Features(csr_array([[1.0, 1.0]]), ["eve"], ["old", "tall"])
    counted = RowCounts(csr_array([[0.0, 2.0]]), ["eve"], DRINKS[:2])
    folded = described.fold_in(counted, new)
    np.testing.assert_array_equal(folded.vector("eve", "composed"), [3, 5, 7])
    folded.save(tmp_path / "out")
    again = load(tmp_path / "out")
    np.testing.assert_array_equal(again["eve"], folded["eve"])
    np.testing.assert_array_equal(again.vector("bob", "composed"), [3, 4, 5])


def test_questions_of_a_file_are_asked_of_their_side(vectors, tmp_path):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("tea\tmilk\t9\ntea\trye\t2\nmilk\tgin\t1\nrye\tgin\t8\n")
    found = word_similarity(vectors, pairs)
    assert (found.n, found.rho) == (4, word_similarity(vectors, pairs, which="outputs").rho)
    with pytest.raises(InputError, match="0 of 4 pairs have vectors"):
        word_similarity(vectors, pairs, which="inputs")
    questions = tmp_path / "questions.txt"
    questions.write_text("tea milk rye gin\n")
    assert word_analogies(vectors, questions).n == 1
    with pytest.raises(UsageError, match="which='sum'"):
        word_analogies(vectors, questions, which="sum")


def test_each_side_is_exported_by_name(vectors, tmp_path):
    assert export(vectors, tmp_path / "rows.vec", which="inputs") == 4
    assert export(vectors, tmp_path / "columns.vec", which="outputs", words=["tea"]) == 5
    lines = (tmp_path / "columns.vec").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["5", *DRINKS]
    with pytest.raises(UsageError, match="give which='inputs' for rows"):
        export(vectors, tmp_path / "sum.vec")
    assert not (tmp_path / "sum.vec").exists()


@pytest.fixture(scope="module")
def model(vectors, counts):
    """An estimator as it is after `fit`."""
    model = Exact2Vec(vector_size=3, prior=(2.0, 2.0), held_out=0)
    model.counts_, model.wv = counts, vectors
    return model


def test_the_estimator_scores_cells_of_the_trained_rows(model, vectors):
    other = np.array([[0, 1, 0, 0, 2], [0] * 5, [3, 0, 0, 0, 0], [0, 0, 0, 1, 0]])
    sides = vectors.inputs.tolist(), vectors.outputs.tolist(), vectors.bias.tolist()
    expected = -by_hand.count_nll(*sides, other.tolist())
    assert model.score(csr_array(other)) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(InputError, match="the matrix is 2 × 5, there are 4 row names"):
        model.score(other[:2])


def test_the_estimator_transforms_new_rows(model, vectors):
    new = np.array([[6, 5, 0, 0, 0], [0] * 5, [0, 0, 1, 9, 0]])
    found = model.transform(csr_array(new))
    named = RowCounts(csr_array(new[[0, 2]]), ["dee", "eve"], DRINKS)
    expected = vectors.fold_in(named, prior=(2.0, 2.0)).folded.inputs
    np.testing.assert_allclose(found[[0, 2]], expected, atol=1e-6)
    assert not found[1].any()
    p = model.predict_proba(new)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(p, np.exp(vectors.log_softmax(found)), rtol=1e-12)
    np.testing.assert_array_equal(
        model.predict_proba(["ann"])[0], np.exp(vectors.log_probabilities("ann"))
    )
    assert model.classes_ == DRINKS
    with pytest.raises(InputError, match="new rows × the 5 trained columns; got"):
        model.transform(new[:, :3])


def test_the_pages_say_that_they_show_words(vectors, counts, tmp_path):
    from exact2vec.pages.explorer import explorer
    from exact2vec.pages.report import report

    with run_folder.create(tmp_path / "run", kind="run") as part:
        counts.write(part)
        vectors.write(part)
        for kind in ("config", "summary", "provenance"):
            write_whole(part / f"{kind}.json", b"{}")
        for kind in ("history", "times"):
            write_whole(part / f"{kind}.jsonl", b"")
    for ask in (lambda: report(tmp_path / "run"), lambda: explorer(tmp_path / "run")):
        with pytest.raises(UsageError, match=r"names beside the same names.*4 rows, 5 columns"):
            ask()


@pytest.fixture(scope="module")
def folder(vectors, counts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rectangular") / "run"
    with run_folder.create(folder, kind="run") as part:
        counts.write(part)
        vectors.write(part)
    return str(folder)


def test_the_command_line_answers_for_both_sides(folder, vectors, tmp_path):
    result = call("neighbors", folder, "ann", "tea", "--json", "-n", "1")
    assert result.exit_code == 0, result.output
    asked = {row["query"]: row["name"] for row in json.loads(result.stdout)}
    assert asked["ann"] == vectors.most_similar("ann", topn=1)[0][0]
    assert asked["tea"] == vectors.most_similar("tea", topn=1)[0][0]
    given = call("neighbors", folder, "cy", "--given", "-n", "1", "--json")
    assert json.loads(given.stdout)[0]["name"] == vectors.predict_output_word("cy", topn=1)[0][0]
    assert call("neighbors", folder, "both").exit_code == 2
    assert call("neighbors", folder, "both", "--which", "outputs").exit_code == 0
    evaluated = json.loads(call("evaluate", folder, "--json").stdout)
    assert evaluated["training"]["nll"] == pytest.approx(
        losses(vectors, e2v.Counts.load(folder))[0].nll, rel=1e-12
    )
    refused = call("export", folder, str(tmp_path / "x.vec"))
    assert (refused.exit_code, "--which inputs" in refused.stderr) == (2, True)
    assert call("export", folder, str(tmp_path / "x.vec"), "--which", "inputs").exit_code == 0


def test_names_may_hold_spaces(vectors, counts, tmp_path):
    named = e2v.Counts.from_matrix(TABLE)
    state = SimpleNamespace(
        inputs=torch.from_numpy(vectors.inputs),
        outputs=torch.from_numpy(vectors.outputs),
        bias=torch.from_numpy(vectors.bias),
        shrinkage=None,
    )
    Vectors.from_state(state, named).save(tmp_path / "run")
    near = json.loads(call("neighbors", str(tmp_path / "run"), "row 2", "--json").stdout)
    assert {row["name"] for row in near} == {"row 0", "row 1", "row 3"}
    given = call("neighbors", str(tmp_path / "run"), "row 2", "--given", "-n", "1", "--json")
    assert json.loads(given.stdout)[0]["name"].startswith("column ")


def test_the_command_line_folds_in_new_rows(folder, tmp_path):
    (tmp_path / "new.csv").write_text("row,word,count\ndee,tea,3\nann,tea,1\n")
    result = call(
        "fold-in", folder, str(tmp_path / "new.csv"), "-o", str(tmp_path / "out"), "--prior", "2,2"
    )
    assert result.exit_code == 0, result.output
    assert "2 rows folded in beside 4 rows, 5 columns" in result.stderr
    assert "1 of them are rows of the run" in result.stderr
    assert load(tmp_path / "out").known_as("dee") == "folded in"


def test_new_text_is_refused(folder, tmp_path):
    (tmp_path / "new.txt").write_text("ann tea\n")
    result = call("evaluate", folder, str(tmp_path / "new.txt"))
    assert (result.exit_code, "new text needs a run that was trained on text" in result.stderr) == (
        2,
        True,
    ), result.output
