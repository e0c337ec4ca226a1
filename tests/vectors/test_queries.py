"""What vectors are asked: probabilities, neighbours, sums of words."""

import json

import numpy as np
import pytest
from command_line import call
from topics import NOUNS

from exact2vec.errors import UnknownWordError, UsageError


def test_probabilities_are_the_text_s_own(trained):
    _, model = trained
    wv = model.wv
    own, weighted = (wv.log_probabilities("sun", weighted=flag) for flag in (False, True))
    expected = np.exp(weighted) / wv.keep
    np.testing.assert_allclose(np.exp(own), expected / expected.sum())
    joint = wv.log_probabilities(["sun", "moon"], weighted=True)
    expected = np.exp(weighted + wv.log_probabilities("moon", weighted=True)) / wv.unigram
    np.testing.assert_allclose(np.exp(joint), expected / expected.sum())
    np.testing.assert_allclose(model.predict_proba(["sun", "dog"]).sum(axis=1), 1)
    assert model.classes_ == wv.index_to_key
    top = wv.predict_output_word(["sun", "star"], topn=3)
    assert {word for word, _ in top} <= set(NOUNS[0].split())
    shown = call("neighbors", trained[0], "sun", "star", "--given", "-n", "3", "--json")
    assert [row["word"] for row in json.loads(shown.stdout)] == [word for word, _ in top]


def test_gamma_holds_for_the_text_s_own_distributions(trained):
    wv = trained[1].wv
    own = (
        wv.log_probabilities("sun")
        + wv.log_probabilities("dog")
        - 0.5 * np.log(wv.unigram / wv.keep)
    )
    own -= np.log(np.exp(own).sum())
    np.testing.assert_allclose(wv.log_probabilities(["sun", "dog"], gamma=0.5), own, atol=1e-12)


def test_neighbours_and_sums_of_words(trained):
    run, model = trained
    wv = model.wv
    assert {word for word, _ in wv.most_similar("dog", topn=4)} == set(NOUNS[1].split()) - {"dog"}
    assert wv.similarity("dog", "cat") > wv.similarity("dog", "moon")
    unit = wv.vectors / np.linalg.norm(wv.vectors, axis=1, keepdims=True)
    query = sum(
        sign * unit[wv.key_to_index[word]] for word, sign in (("sun", 1), ("dog", 1), ("cat", -1))
    )
    found = wv.most_similar(["sun", "dog"], ["cat"], topn=99)
    assert {word for word, _ in found} == set(wv.index_to_key) - {"sun", "dog", "cat"}
    for word, cosine in found:
        assert cosine == pytest.approx(
            float(query @ unit[wv.key_to_index[word]]) / np.linalg.norm(query), abs=1e-5
        )
    shown = call("neighbors", run, "sun - cat + dog", "--json")
    assert json.loads(shown.stdout)[0]["word"] == found[0][0]
    np.testing.assert_array_equal(wv.inputs + wv.outputs, wv.matrix("sum"))
    np.testing.assert_array_equal(wv.vectors, wv.matrix("embedding"))
    with pytest.raises(UsageError, match="embedding, sum, inputs, outputs"):
        wv.matrix("both")
    with pytest.raises(UnknownWordError, match="nearest: horse"):
        wv.most_similar("hose")
