"""What vectors are worth: new text, similarity, analogies."""

import numpy as np
import pytest
from command_line import call, evaluated
from topics import SMALL, sentences

import exact2vec as e2v
from exact2vec.vectors.evaluate import new_text


def test_new_text_that_is_the_training_text_has_the_training_loss():
    model = e2v.Exact2Vec(**{**SMALL, "held_out": 0}).fit(sentences())
    found = new_text(model.wv, sentences(), tokenized=True)
    assert found.nll == pytest.approx(model.history_[-1]["nll"], rel=1e-6)
    assert found.unigram == pytest.approx(model.last_.losses.unigram, rel=1e-6)
    assert found.weighted_pairs * 1 == pytest.approx(model.last_.losses.pairs, rel=1e-6)
    assert found.nll_interval[0] < found.nll < found.nll_interval[1]
    assert model.score(sentences()) == pytest.approx(-found.nll)


def test_new_text_says_how_much_it_covers(trained, tmp_path):
    run, model = trained
    (tmp_path / "new.txt").write_text("sun moon unknown words sun\n\ndog cat\n")
    found = evaluated(run, tmp_path / "new.txt")["new_text"]
    assert (found["tokens"], found["documents"], found["pairs"]) == (7, 2, 8)
    assert found["out_of_vocabulary"] == pytest.approx(2 / 7)
    assert found["nll"] == pytest.approx(
        -model.score([["sun", "moon", "x", "x", "sun"], ["dog", "cat"]])
    )
    (tmp_path / "other.txt").write_text("nothing known here")
    result = call("evaluate", run, tmp_path / "other.txt")
    assert (result.exit_code, "0 of them known" in result.stderr) == (3, True)


def test_similarity_and_analogies_by_hand(trained, tmp_path):
    run, model = trained
    (tmp_path / "pairs.tsv").write_text(
        "# comment\nSun\tmoon\t9\ndog\tcat\t8\nsun\tcat\t1\ndog\tnobody\t5\n"
    )
    (tmp_path / "questions.txt").write_text(": section\nsun moon dog cat\nsun moon dog nobody\n")
    found = evaluated(
        run,
        "--similarity",
        tmp_path / "pairs.tsv",
        "--analogies",
        tmp_path / "questions.txt",
    )
    (similarity,), (analogies,) = found["similarity"].values(), found["analogies"].values()
    assert (similarity["n"], similarity["out_of_vocabulary"]) == (3, 0.25)
    cosines = [
        model.wv.similarity(*pair) for pair in (("sun", "moon"), ("dog", "cat"), ("sun", "cat"))
    ]
    assert similarity["rho"] == pytest.approx(
        np.corrcoef(np.argsort(np.argsort(cosines)), [2, 1, 0])[0, 1]
    )
    answer = model.wv.most_similar(["moon", "dog"], ["sun"], topn=1)[0][0]
    assert (analogies["accuracy"], analogies["n"], analogies["out_of_vocabulary"]) == (
        float(answer == "cat"),
        1,
        0.5,
    )
    (tmp_path / "pairs.tsv").write_text("sun moon nine\n")
    result = call("evaluate", run, "--similarity", tmp_path / "pairs.tsv")
    assert (result.exit_code, "line 1: wanted word TAB word TAB score" in result.stderr) == (
        3,
        True,
    )
