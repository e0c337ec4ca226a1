"""From text to vectors and back: command line and Python give the same numbers and files."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import call, evaluated
from topics import SMALL, sentences

import exact2vec as e2v
from exact2vec.counts.corpus import index_corpus
from exact2vec.counts.sentences import pieces_of
from exact2vec.loss.formulas import count_nll

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    (folder / "text.txt").write_text("\n".join(map(" ".join, sentences())))
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    result = call("train", folder / "text.txt", "-o", folder / "cli", *flags)
    assert result.exit_code == 0, result.output
    model = e2v.Exact2Vec(**SMALL).fit(sentences())
    model.save(folder / "python")
    return folder, model, result


def test_python_and_the_command_line_write_the_same_bytes(trained):
    folder, _, _ = trained
    for name in (
        "counts.safetensors",
        "vocabulary.json",
        "vectors.safetensors",
        "history.jsonl",
        "history.csv",
        "summary.json",
    ):
        assert (folder / "cli" / name).read_bytes() == (folder / "python" / name).read_bytes(), name


def test_the_printed_loss_is_the_dense_formula_and_is_recomputed(trained):
    folder, model, result = trained
    counts = model.counts_
    wv = e2v.load(folder / "cli")
    for part, name in ((counts.training, "training"), (counts.held_out, "held_out")):
        dense = torch.from_numpy(counts.weigh(part).toarray()).double()
        tensors = [torch.from_numpy(array).double() for array in (wv.inputs, wv.outputs, wv.bias)]
        printed = json.loads((folder / "cli" / "summary.json").read_text())[name]["nll"]
        assert printed == pytest.approx(count_nll(*tensors, dense).item(), rel=1e-6)
        assert printed == pytest.approx(evaluated(folder / "cli")[name]["nll"], rel=1e-7)
        assert f"{printed:.4f}" in result.stderr


def test_the_losses_stand_where_they_must(trained):
    folder, model, result = trained
    found = evaluated(folder / "cli")
    assert (
        found["training"]["floor"]
        < found["training"]["nll"]
        < found["training"]["unigram"]
        <= found["ln_v"]
        == math.log(len(model.wv))
    )
    assert found["training"]["nll"] == pytest.approx(
        found["training"]["floor"] + found["training"]["excess"], abs=1e-6
    )
    for word in ("epoch 0", "epoch 3", "held-out", "unigram", "floor", "ln V", "forecast"):
        assert word in result.stderr
    history = [
        json.loads(line) for line in (folder / "cli" / "history.jsonl").read_text().splitlines()
    ]
    assert [row["epoch"] for row in history] == [0, 1, 2, 3]
    assert history[-1]["objective"] < history[0]["objective"]
    assert "seconds" not in history[0]
    assert "seconds" in (folder / "cli" / "times.jsonl").read_text()


def test_saved_vectors_alone_load_and_score_new_text(trained, tmp_path):
    _, model, _ = trained
    model.wv.save(tmp_path / "v")
    again = e2v.load(tmp_path / "v")
    for name in ("inputs", "outputs", "bias", "unigram", "vectors"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model.wv, name))
    found = e2v.evaluate(tmp_path / "v", sentences(seed=9))
    assert found.training is None
    assert found.new_text.nll == pytest.approx(-model.score(sentences(seed=9)))
    np.testing.assert_array_equal(again["sun"], model.wv["sun"])
    assert "sun" in again
    assert "nobody" not in again


@pytest.mark.skipif(
    not (DATA / "text" / "time_machine.txt").is_file(),
    reason="the sample data is not beside this checkout",
)
def test_a_book_is_learned():
    counts = e2v.count_text(e2v.Text(DATA / "text" / "time_machine.txt", document="paragraph"))
    *_, last = e2v.fit(counts, vector_size=20, epochs=4)
    assert last.training.nll < last.training.unigram
    assert last.held_out.nll < math.log(len(counts.words))
    assert (
        counts.tokens["documents"]
        == index_corpus(
            pieces_of(e2v.Text(DATA / "text" / "time_machine.txt", document="paragraph"))
        ).documents
    )
