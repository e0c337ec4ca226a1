"""The estimator: what it refuses, what it shows, and its parameters."""

import numpy as np
import pytest
from topics import SMALL, sentences

from exact2vec import count_baskets
from exact2vec.errors import InputError, UsageError
from exact2vec.estimator import Exact2Vec


def test_python_strings_for_lists_and_generators_that_raise():
    with pytest.raises(TypeError, match=r"got a string; did you mean \[text.split\(\)\]"):
        Exact2Vec().fit("some text")
    with pytest.raises(TypeError, match=r"sentence 1 is a string; did you mean \[text.split\(\)\]"):
        Exact2Vec().fit(["some text"])
    with pytest.raises(TypeError, match="sentence 2 holds 3 of type int"):
        Exact2Vec().fit([["a"], ["b", 3]])

    def failing():
        yield ["a", "b"]
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError, match="went away") as caught:
        Exact2Vec().fit(failing())
    assert "sentence 1" in caught.value.__notes__[0]


def test_python_objects_say_what_they_are_and_what_is_missing():
    model = Exact2Vec(vector_size=2, held_out=0, min_count=2)
    assert repr(model) == "Exact2Vec(min_count=2, held_out=0, vector_size=2)"
    with pytest.raises(AttributeError, match=r"no wv yet: call fit\(sentences\) first"):
        model.score([["a", "b"]])
    assert not hasattr(model, "nonsense")
    vectors = model.fit([["a", "b", "c"]] * 9).wv
    assert repr(vectors) == "Vectors(3 words, 2 numbers each)"
    np.testing.assert_array_equal(vectors[["a", "c"]], np.stack([vectors["a"], vectors["c"]]))
    with pytest.raises(TypeError, match="words are strings; got 0 of type int"):
        vectors[0]


def test_estimates_are_marked_and_the_end_is_exact():
    model = Exact2Vec(**{**SMALL, "exact_every": 0}).fit(sentences())
    assert [row["exact"] for row in model.history_] == [True, False, False, True]
    assert model.history_[1]["nll_standard_error"] > 0
    assert model.history_[3]["nll_standard_error"] is None


def test_parameters_are_scikit_learn_s():
    model = Exact2Vec(vector_size=7)
    assert model.get_params()["vector_size"] == 7
    assert model.set_params(window=2).window == 2
    with pytest.raises(UsageError, match="is not an argument"):
        model.set_params(size=3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": 5, "iter": 3}, "here: vector_size.*here: epochs"),
        ({"workers": 4}, "no 'workers'; here: threads"),
        ({"negative": 5}, "the softmax is exact"),
        ({"random_state": 1}, "here: seed"),
        ({"sentences": []}, r"here: fit\(sentences\)"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_arguments_of_other_packages_are_answered_with_the_name_here(given, said):
    with pytest.raises(TypeError, match=said):
        Exact2Vec(**given)


def test_sentences_are_no_argument():
    with pytest.raises(TypeError, match=r"sentences go to fit\(sentences\)"):
        Exact2Vec([["sun", "moon"]])


def test_scikit_learn_takes_the_estimator():
    base = pytest.importorskip("sklearn.base", reason="scikit-learn is not installed")
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    texts = sentences(size=60)
    model = Exact2Vec(vector_size=2, epochs=1, held_out=0, min_count=1, threads=1)
    assert base.clone(model).get_params() == model.get_params()
    check_is_fitted(model.fit(texts))
    scores = cross_val_score(model, texts, cv=2)
    search = GridSearchCV(model, {"sample": [1e-3, 0]}, cv=2).fit(texts)
    assert np.isfinite(scores).all()
    assert search.best_params_["sample"] in (1e-3, 0)
    pipeline = Pipeline([("vectors", model)]).fit(texts)
    assert pipeline.score(texts) < 0
    assert "Exact2Vec" in pipeline._repr_html_()


def test_a_basket_is_transformed_as_an_item_that_stands_beside_its_items():
    random = np.random.default_rng(0)
    kinds = [[f"{kind}{number}" for number in range(6)] for kind in "ab"]
    rows = [list(random.choice(kinds[number % 2], 4, replace=False)) for number in range(400)]
    baskets = count_baskets([list(map(str, row)) for row in rows], held_out=0, validation=0)
    model = Exact2Vec(vector_size=4, epochs=4).fit(baskets)
    columns = model.classes_
    matrix = np.zeros((3, len(columns)))
    matrix[0, [columns.index("a0"), columns.index("a1")]] = 1
    matrix[1, columns.index("b2")] = 5
    found = model.transform(matrix)
    assert found.shape == (3, 4)
    assert not found[2].any()
    inputs = model.wv.inputs
    cosines = found[:2] @ (inputs / np.linalg.norm(inputs, axis=1, keepdims=True)).T
    for row, kind in ((0, "a"), (1, "b")):  # as an item that stands beside these
        best = [columns[place] for place in np.argsort(-cosines[row])[:3]]
        assert {name[0] for name in best} == {kind}
    with pytest.raises(InputError, match="12 trained columns"):
        model.transform(matrix[:, :5])
