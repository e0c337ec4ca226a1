"""Run folders of earlier formats load for ever, with the numbers they were written with.

`golden/format1` is a run on 40 short lines. Some of them are held out, others are for
validation. It has n-grams and features, and two words that are contexts only.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import exact2vec as e2v
from exact2vec.counts.counts import Counts
from exact2vec.pages.run_view import stored_run

GOLDEN = Path(__file__).parents[1] / "golden" / "format1"
TOPICS = ["cat farm horse wind dog", "snow cow rain sun sky", "night moon cloud star storm"]
WORDS = [word for words in TOPICS for word in words.split()]  # in order of their counts
SUN = [-0.01097308, 0.01174766, -0.26707274, 0.01882976]  # its input vector
MOONLIGHT = [-0.00617208, -0.01277279, -0.07442566, 0.01112196]  # folded in
STORMY = [-0.00983061, -0.0160243, -0.06075113, 0.01499027]  # composed of its n-grams
NEW_TEXT_NLL = 2.43512724815354  # nats per pair


def test_the_words_and_vectors_of_format_1():
    vectors = e2v.load(GOLDEN)
    assert vectors.index_to_key == WORDS
    np.testing.assert_allclose(vectors.vector("sun", "inputs"), SUN, atol=1e-7)
    np.testing.assert_allclose(vectors.vector("moonlight", "inputs"), MOONLIGHT, atol=1e-7)
    np.testing.assert_allclose(vectors.vector("stormy", "sum"), STORMY, atol=1e-7)
    assert vectors.known_as("moonlight") == "folded in"
    assert vectors.log_probabilities("sun")[0] == pytest.approx(-2.661439534, abs=1e-6)


def test_the_counts_of_format_1():
    counts = Counts.load(GOLDEN)
    assert counts.training[[0]].toarray()[0, :7].tolist() == [20, 23, 27, 0, 20, 0, 20]
    assert counts.held_out.sum() == 320
    assert counts.validation.sum() == 200
    assert counts.weigh(counts.training).sum() == pytest.approx(103.5781831741333, rel=1e-6)
    assert counts.rare.words == ["moonlight", "starry"]
    weighted = [0.42609784, 0.29860678, 0.33333334, 0.38636127, 0.8426829]
    np.testing.assert_allclose(counts.weigh_rare().matrix.data, weighted, rtol=1e-6)


def test_the_losses_of_format_1_are_those_it_was_written_with():
    summary = json.loads((GOLDEN / "summary.json").read_text())
    found = e2v.evaluate(GOLDEN, ["sun moon star", "dog cat cow horse"])
    for name in ("training", "held_out"):
        losses = getattr(found, name)
        for number in ("nll", "excess", "floor", "unigram", "pairs"):
            assert getattr(losses, number) == pytest.approx(summary[name][number], rel=1e-6)
    assert found.held_out_digest == summary["held_out_digest"]
    assert found.new_text.nll == pytest.approx(NEW_TEXT_NLL, rel=1e-6)


def test_the_history_of_format_1_is_read_by_its_present_names():
    run = stored_run(GOLDEN)
    assert [row["validation_nll"] for row in run.history] == [
        2.3226061104557982,
        2.487277380628482,
    ]
    assert run.summary["validation"]["nll"] == 2.487277380628482
    assert run.counts.tokens["validation"] == 25
