"""Words that were not trained: which have a vector, how it is composed and stored."""

import numpy as np
import pytest
from command_line import call
from topics import DERIVED
from unseen_words import HOW, sentences

import exact2vec as e2v
from exact2vec.errors import UnknownWordError, UsageError


def test_in_is_true_exactly_where_a_vector_comes_back(model):
    for word in ("sunny", "sunshine", "eclipse", "xyz", "", "q", 5, None):
        try:
            model.wv[word]
        except (KeyError, TypeError):
            assert word not in model.wv
        else:
            assert word in model.wv
    assert "sunshine" in model.wv
    assert "sunshine" not in model.wv.key_to_index
    with pytest.raises(KeyError, match="none of its n-grams is known"):
        model.wv["qqq"]


def test_composed_vectors_are_the_features_times_the_maps(model):
    wv, (x, u) = model.wv, model.wv.composer.maps
    features = wv.composer.describer.describe(["sunshine"]).toarray()[0]
    np.testing.assert_allclose(wv.vector("sunshine", "inputs"), features @ x, atol=1e-6)
    np.testing.assert_allclose(wv.vector("sunshine", "sum"), features @ (x + u), atol=1e-5)
    np.testing.assert_array_equal(wv.vector("sunshine", "composed"), wv.vector("sunshine", "sum"))
    np.testing.assert_allclose(
        wv.vector("sunny", "composed"), wv.matrix("composed")[wv.key_to_index["sunny"]]
    )
    assert not np.allclose(wv.vector("sunny", "composed"), wv.vector("sunny", "sum"))
    assert wv.most_similar("sunshine", topn=1)[0][0] in DERIVED[0].split()


def test_words_that_nothing_describes_are_not_composed_and_a_run_of_none_says_so(tmp_path):
    vectors = (
        e2v.Exact2Vec(**HOW).fit([*sentences(rare=False), *[["x", "sunny", "sunlight"]] * 9]).wv
    )
    assert "x" in vectors
    with pytest.raises(UnknownWordError, match="nothing composes it"):
        vectors.vector("x", "composed")
    with pytest.raises(UsageError, match="needs n-grams or features, and this run has none"):
        e2v.Exact2Vec(max_n=0, **HOW).fit(sentences(rare=False)).wv.matrix("composed")


def test_a_run_folder_keeps_it_all_and_checks_it(model, run):
    again = e2v.load(run)
    for word, ways in (
        ("sunny", ("sum", "composed")),
        ("sunshine", ("sum", "composed")),
        ("eclipse", ("inputs",)),
    ):
        for which in ways:
            np.testing.assert_array_equal(again.vector(word, which), model.wv.vector(word, which))
    assert e2v.Counts.load(run).rare.words == ["eclipse"]
    assert (e2v.Counts.load(run).rare.counts != model.counts_.rare.counts).nnz == 0
    assert call("check", run).exit_code == 0


@pytest.mark.parametrize(
    "name", ["prior.json", "prior.safetensors", "folded.json", "folded.safetensors", "rare.json"]
)
def test_a_flipped_bit_is_noticed(run, tmp_path, name):
    import shutil

    shutil.copytree(run, tmp_path / "copy")
    data = bytearray((run / name).read_bytes())
    data[-5] ^= 1
    (tmp_path / "copy" / name).write_bytes(data)
    result = call("check", tmp_path / "copy")
    assert (result.exit_code, name in result.stderr) == (4, True)
