"""Rows that are folded in: each is solved, and its strengths are those of the run."""

import numpy as np
import pytest
import torch
from command_line import call
from scipy.sparse import csr_array
from topics import DERIVED
from unseen_words import HOW, sentences

import exact2vec as e2v
from exact2vec.counts.features import Features, RowCounts
from exact2vec.errors import InputError, UnknownWordError, UsageError
from exact2vec.loss.formulas import metric
from exact2vec.vectors.fold_in import TOLERANCE


def row_objective(vectors, counts, means, strength):
    """(objective, gradient, gradient norm as fold-in states it) of each row at x.

    In float64, by autograd.
    """
    outputs, bias = (
        torch.from_numpy(vectors.outputs).double(),
        torch.from_numpy(vectors.bias).double(),
    )
    F = metric(outputs, torch.from_numpy(vectors.unigram), damping=0.1)
    dense, means = torch.from_numpy(counts.toarray()).double(), torch.from_numpy(means).double()

    def at(x):
        x = torch.from_numpy(np.array(x)).double().requires_grad_()
        scores = x @ outputs.T + bias
        values = (dense * (scores.logsumexp(dim=1, keepdim=True) - scores)).sum(
            dim=1
        ) + strength / 2 * (((x - means) @ F) * (x - means)).sum(dim=1)
        (gradient,) = torch.autograd.grad(values.sum(), x)
        norm = ((gradient @ torch.linalg.inv(F)) * gradient).sum(dim=1).sqrt() / (
            dense.sum(dim=1) + strength
        )
        return values.detach(), gradient, norm

    return at


@pytest.mark.parametrize("strength", [0.01, 150.0])
def test_each_row_is_solved_and_no_worse_than_the_trained_one(model, strength):
    vectors, weighted = model.wv, model.counts_.weigh(model.counts_.training)
    names = [f"again {word}" for word in vectors.index_to_key]
    folded = vectors.fold_in(
        RowCounts(weighted, names, vectors.index_to_key), prior=(strength, 1)
    ).folded
    assert folded.names == [*names, "eclipse"]
    inputs = folded.inputs[: len(names)]
    at = row_objective(vectors, weighted, vectors.composer.compose(names)[0], strength)
    values, _, norm = at(inputs)
    assert norm.max() < 2 * TOLERANCE
    trained, _, trained_norm = at(vectors.inputs)
    assert (values <= trained + 1e-9).all()
    assert trained_norm.max() > 10 * TOLERANCE
    moved, _, _ = at(inputs + 0.2 * np.random.default_rng(0).standard_normal(inputs.shape))
    assert (moved > values).all()


def test_a_row_with_features_and_no_counts_is_its_mean_and_one_with_neither_has_none(model):
    counts = RowCounts(csr_array((3, 2)), ["sunshine", "qqq", "dogs"], ["sunny", "rainy"])
    folded = model.wv.fold_in(counts)
    np.testing.assert_array_equal(
        folded.folded.inputs[:2], model.wv.composer.compose(["sunshine", "dogs"])[0]
    )
    assert folded.folded.without == ["qqq"]
    with pytest.raises(
        UnknownWordError, match=r"'qqq' is not among .* neither counts nor features"
    ):
        folded["qqq"]


def test_what_a_folded_row_has(model):
    counts = RowCounts(csr_array([[5.0, 0], [0, 7.0]]), ["sunshine", "qqq"], ["sunny", "rainy"])
    vectors = model.wv.fold_in(counts)
    composed = model.wv.composer.compose(["sunshine"])
    np.testing.assert_array_equal(vectors.vector("sunshine", "outputs"), composed[1][0])
    assert not np.array_equal(vectors.vector("sunshine", "inputs"), composed[0][0])
    np.testing.assert_array_equal(
        vectors.vector("sunshine", "composed"), composed[0][0] + composed[1][0]
    )
    assert vectors.most_similar("qqq", topn=1, which="inputs")[0][0] in DERIVED[2].split()
    assert vectors.most_similar("qqq", topn=1)[0][0] in DERIVED[2].split()
    assert "qqq" in vectors
    with pytest.raises(KeyError, match="folded in without features"):
        vectors.vector("qqq", "sum")


def test_unknown_words_of_counts_are_named_with_their_share(model):
    folded = model.wv.fold_in(
        RowCounts(csr_array([[3.0, 1.0]]), ["new"], ["sunny", "nobody"])
    ).folded
    assert (folded.unknown, folded.unknown_share) == (["nobody"], 0.25)
    with pytest.raises(
        InputError, match="none of the 1 names counted is among the run's 15: 'nobody'"
    ):
        model.wv.fold_in(RowCounts(csr_array([[1.0]]), ["new"], ["nobody"]))


def test_a_run_without_a_prior_asks_for_one():
    wv = e2v.Exact2Vec(**HOW, prior=None).fit(sentences(rare=False)).wv
    counts = RowCounts(csr_array([[3.0]]), ["new"], ["sunny"])
    for prior in (None, (0, 5), (float("nan"), 1)):
        with pytest.raises(UsageError, match=r"needs prior=|the first above 0|finite numbers"):
            wv.fold_in(counts, prior=prior)
    assert (
        wv.fold_in(counts, prior=(10, 10)).most_similar("new", topn=1, which="inputs")[0][0]
        in DERIVED[0].split()
    )
    with pytest.raises(UsageError, match="trained with a prior"):
        wv.fold_in(counts, Features(csr_array([[1]]), ["new"]), prior=(10, 10))
    assert "sunshine" not in wv
    with pytest.raises(UsageError, match="this run has none"):
        wv.matrix("composed")


def test_features_of_new_rows_must_be_trained_ones():
    words = [word for topic in DERIVED for word in topic.split()]
    known = Features(csr_array(np.kron(np.eye(3), np.ones((5, 1)))), words, ["a", "b", "c"])
    wv = e2v.Exact2Vec(**HOW, max_n=0).fit(sentences(rare=False), features=known).wv
    counts = RowCounts(csr_array((1, 1)), ["new"], ["sunny"])
    found = wv.fold_in(counts, Features(csr_array([[0, 1]]), ["new"], ["c", "b"]))
    assert {word for word, _ in found.most_similar("new", topn=3)} <= set(DERIVED[1].split())
    with pytest.raises(InputError, match="1 of the 2 columns were not trained: 'z'"):
        wv.fold_in(counts, Features(csr_array([[0, 1]]), ["new"], ["c", "z"]))


@pytest.mark.parametrize(
    ("window", "strengths"), [(2, (75, 250)), (5, (150, 500)), (11, (300, 1000))]
)
def test_strengths_are_those_of_as_many_tokens_whatever_the_window(window, strengths):
    model = e2v.Exact2Vec(**HOW, window=window).fit(sentences())
    assert model.wv.composer.strengths == pytest.approx(strengths)
    new = RowCounts(csr_array([[3.0, 1.0]]), ["new"], model.wv.index_to_key[:2])
    own, stated = (model.wv.fold_in(new, prior=prior).folded.inputs for prior in (None, (150, 500)))
    np.testing.assert_array_equal(own, stated)


def test_strengths_of_new_rows_that_are_none_are_refused(model, run, tmp_path):
    new = RowCounts(csr_array([[3.0, 1.0]]), ["new"], model.wv.index_to_key[:2])
    for prior in ((0.0, 5.0), (-1.0, 5.0), (np.nan, 1.0), (0.0, 0.0)):
        with pytest.raises(UsageError, match="prior"):
            model.wv.fold_in(new, prior=prior)
    (tmp_path / "new.csv").write_text("row,word,count\nqqq,sunny,3\n")
    for prior in ("no", "0,0", "0,5", "-1,5"):
        result = call(
            "fold-in", run, tmp_path / "new.csv", "-o", tmp_path / "out", "--prior", prior
        )
        assert (result.exit_code, "prior" in result.stderr) == (2, True), result.stderr
    with pytest.raises(UsageError, match="rare words are folded in"):
        e2v.Exact2Vec(rare=3, prior=(0, 500), **HOW).fit(sentences())


def test_folding_in_again_keeps_the_rows_before_and_replaces_those_of_the_same_name(
    model, tmp_path
):
    words = model.wv.index_to_key[:2]
    once = model.wv.fold_in(RowCounts(csr_array([[3.0, 1.0], [1.0, 2.0]]), ["one", "two"], words))
    twice = once.fold_in(RowCounts(csr_array([[9.0, 1.0], [1.0, 2.0]]), ["two", "three"], words))
    assert set(twice.folded.names) == {*model.wv.folded.names, "one", "two", "three"}
    np.testing.assert_array_equal(twice.vector("one", "inputs"), once.vector("one", "inputs"))
    assert not np.array_equal(twice.vector("two", "inputs"), once.vector("two", "inputs"))
    twice.save(tmp_path / "twice")
    np.testing.assert_array_equal(
        e2v.load(tmp_path / "twice").vector("one", "inputs"), once.vector("one", "inputs")
    )


def test_a_row_is_composed_of_the_features_it_was_folded_in_with():
    words = [word for topic in DERIVED for word in topic.split()]
    known = Features(csr_array(np.eye(3).repeat(5, axis=0)), words, ["sky", "pets", "rain"])
    vectors = e2v.Exact2Vec(max_n=0, **HOW).fit(sentences(rare=False), features=known).wv
    new = RowCounts(csr_array([[3.0, 1.0]]), ["qqq"], vectors.index_to_key[:2])
    folded = vectors.fold_in(new, Features(csr_array([[1.0]]), ["qqq"], ["pets"]))
    pet = next(word for word in words if word.startswith("dog"))
    np.testing.assert_allclose(
        folded.vector("qqq", "composed"), vectors.vector(pet, "composed"), rtol=1e-5
    )
    assert "qqq" in folded
