"""A run of format 2 loads for ever, with the numbers that it was written with.

`golden/format2` is a run on 41 short sentences, some held out, with n-grams and a word that is a
context only.
"""

import json
import socket
from pathlib import Path

import numpy as np
import pytest
from command_line import GOOD, call

import exact2vec as e2v
from exact2vec.counts.counts import Counts
from exact2vec.pages.run_view import stored_run
from exact2vec.storage.run_folder import open_run

GOLDEN = Path(__file__).parents[1] / "golden" / "format2"
RAINY = [0.03578056, -0.13633408, -0.03559233, 0.07953699]  # its input vector


def test_words_and_vectors_of_format_2():
    assert open_run(GOLDEN).version == 2
    vectors = e2v.load(GOLDEN)
    assert (len(vectors), vectors.index_to_key[0]) == (15, "rainy")
    np.testing.assert_allclose(vectors.vector("rainy", "inputs"), RAINY, atol=1e-7)
    assert vectors.log_probabilities("rainy")[0] == pytest.approx(-2.2468506, abs=1e-6)
    assert vectors.known_as("once") == "folded in"


def test_losses_of_format_2_are_those_it_was_written_with():
    summary = json.loads((GOLDEN / "summary.json").read_text())
    found = e2v.evaluate(GOLDEN)
    for name in ("training", "held_out"):
        for number in ("nll", "excess", "floor", "unigram", "pairs"):
            written = summary[name][number]
            assert getattr(getattr(found, name), number) == pytest.approx(written, rel=1e-6)
    assert found.held_out_digest == summary["held_out_digest"]
    assert stored_run(GOLDEN).history[-1]["nll"] == summary["training"]["nll"]


def test_counts_of_format_2_are_written_as_they_were_read(tmp_path):
    Counts.load(GOLDEN).save(tmp_path / "counts")
    for path in (tmp_path / "counts").iterdir():
        if path.name != "manifest.json":
            assert path.read_bytes() == (GOLDEN / path.name).read_bytes(), path.name


def test_no_command_of_the_main_path_opens_a_socket(tmp_path, monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("a socket was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    (tmp_path / "good.txt").write_text(GOOD)
    run = tmp_path / "run"
    train = ("train", tmp_path / "good.txt", "-o", run, "--min-count=2", "--vector-size=2")
    for command in (
        train,
        ("evaluate", run),
        ("neighbors", run, "cat"),
        ("export", run, tmp_path / "v.vec"),
        ("report", run),
        ("explore", run, "-o", tmp_path / "page"),
        ("check", run),
    ):
        result = call(*command)
        assert result.exit_code == 0, result.output
