"""From text to vectors and back.

Command line and Python give the same numbers, and files come back bit for bit.
"""

import json
import math
import os
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from checking import examples
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import exact2vec as e2v
from exact2vec.cli import main
from exact2vec.counts.corpus import index_corpus, pieces_of
from exact2vec.counts.counts import unigram
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.counts.weighting import WindowWeighting
from exact2vec.errors import InputError, UnknownWordError, UsageError
from exact2vec.loss.count_losses import WeightedCounts, exact_losses
from exact2vec.loss.engine.cells import Outputs, RowLosses, Workspace
from exact2vec.loss.formulas import count_nll
from exact2vec.options import checked
from exact2vec.parallel import Workers
from exact2vec.train.problem import row_weights
from exact2vec.vectors.evaluate import new_text
from exact2vec.vectors.formats import export

DATA = Path(__file__).parents[2] / "shared" / "data"
TOPICS = ["sun moon star sky night", "dog cat cow horse farm", "rain wind snow storm cloud"]
SMALL = {"vector_size": 5, "min_count": 2, "held_out": 0.1, "epochs": 3, "block_rows": 7}


def sentences(seed=0, size=400):
    random = np.random.default_rng(seed)
    return [
        [str(word) for word in random.choice(TOPICS[random.integers(3)].split(), 6)]
        for _ in range(size)
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    (folder / "text.txt").write_text("\n".join(map(" ".join, sentences())))
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    result = CliRunner().invoke(
        main, ["train", str(folder / "text.txt"), "-o", str(folder / "cli"), *flags]
    )
    assert result.exit_code == 0, result.output
    model = e2v.Exact2Vec(**SMALL).fit(sentences())
    model.save(folder / "python")
    return folder, model, result


def evaluated(*arguments):
    result = CliRunner().invoke(main, ["evaluate", "--json", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


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
    for word in ("epoch 0", "epoch 3", "held-out", "unigram", "floor", "ln V", "rough estimate"):
        assert word in result.stderr
    history = [
        json.loads(line) for line in (folder / "cli" / "history.jsonl").read_text().splitlines()
    ]
    assert [row["epoch"] for row in history] == [0, 1, 2, 3]
    assert history[-1]["objective"] < history[0]["objective"]
    assert "seconds" not in history[0]
    assert "seconds" in (folder / "cli" / "times.jsonl").read_text()


def test_the_same_bytes_for_any_number_of_threads(trained, tmp_path):
    folder, _, _ = trained
    for threads in (1, 3):
        e2v.Exact2Vec(**SMALL, threads=threads).fit(sentences()).save(tmp_path / str(threads))
        for name in ("vectors.safetensors", "history.jsonl", "config.json"):
            assert (tmp_path / str(threads) / name).read_bytes() == (
                folder / "cli" / name
            ).read_bytes()


def test_new_text_that_is_the_training_text_has_the_training_loss():
    model = e2v.Exact2Vec(**{**SMALL, "held_out": 0}).fit(sentences())
    found = new_text(model.wv, sentences(), tokenized=True)
    assert found.nll == pytest.approx(model.history_[-1]["nll"], rel=1e-6)
    assert found.unigram == pytest.approx(model.last_.losses.unigram, rel=1e-6)
    assert found.weighted_pairs * 1 == pytest.approx(model.last_.losses.pairs, rel=1e-6)
    assert found.nll_interval[0] < found.nll < found.nll_interval[1]
    assert model.score(sentences()) == pytest.approx(-found.nll)


def test_new_text_says_how_much_it_covers(trained, tmp_path):
    folder, model, _ = trained
    (tmp_path / "new.txt").write_text("sun moon unknown words sun\n\ndog cat\n")
    found = evaluated(folder / "cli", tmp_path / "new.txt")["new_text"]
    assert (found["tokens"], found["documents"], found["pairs"]) == (7, 2, 8)
    assert found["out_of_vocabulary"] == pytest.approx(2 / 7)
    assert found["nll"] == pytest.approx(
        -model.score([["sun", "moon", "x", "x", "sun"], ["dog", "cat"]])
    )
    (tmp_path / "other.txt").write_text("nothing known here")
    result = CliRunner().invoke(
        main, ["evaluate", str(folder / "cli"), str(tmp_path / "other.txt")]
    )
    assert (result.exit_code, "0 of them known" in result.stderr) == (3, True)


def test_probabilities_are_the_text_s_own(trained):
    _, model, _ = trained
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
    assert {word for word, _ in top} <= set(TOPICS[0].split())
    shown = CliRunner().invoke(
        main, ["neighbors", str(trained[0] / "cli"), "sun", "star", "--given", "-n", "3", "--json"]
    )
    assert [row["word"] for row in json.loads(shown.stdout)] == [word for word, _ in top]


def test_neighbours_and_sums_of_words(trained):
    folder, model, _ = trained
    wv = model.wv
    assert {word for word, _ in wv.most_similar("dog", topn=4)} == set(TOPICS[1].split()) - {"dog"}
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
    shown = CliRunner().invoke(
        main, ["neighbors", str(folder / "cli"), "sun - cat + dog", "--json"]
    )
    assert json.loads(shown.stdout)[0]["word"] == found[0][0]
    np.testing.assert_array_equal(wv.matrix("inputs") + wv.matrix("outputs"), wv.vectors)
    with pytest.raises(UsageError, match="sum, inputs, outputs"):
        wv.matrix("both")
    with pytest.raises(UnknownWordError, match="nearest: horse"):
        wv.most_similar("hose")


def vectors_of(words, size, seed=0):
    random = np.random.default_rng(seed)
    arrays = [random.standard_normal((len(words), size)) for _ in range(2)]
    arrays = [(array * 10.0 ** random.integers(-30, 30)).astype(np.float32) for array in arrays]
    bias = np.zeros(len(words), np.float32)
    return e2v.Vectors(
        Vocabulary(words, np.arange(len(words), 0, -1)),
        *arrays,
        bias,
        unigram(np.ones(len(words))),
        WindowWeighting(),
        {},
    )


@settings(max_examples=examples(30))
@given(
    st.lists(
        st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters=" \n"),
            min_size=1,
            max_size=5,
        ),
        min_size=2,
        max_size=8,
        unique=True,
    ),
    st.integers(1, 5),
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_gensim_reads_what_we_export_bit_for_bit(tmp_path_factory, words, size):
    gensim = pytest.importorskip("gensim.models", reason="gensim is not installed")
    folder, vectors = tmp_path_factory.mktemp("export"), vectors_of(words, size)
    for name in ("v.vec", "v.bin"):
        export(vectors, folder / name)
        read = gensim.KeyedVectors.load_word2vec_format(folder / name, binary=name.endswith("bin"))
        assert read.index_to_key == words
        np.testing.assert_array_equal(read.vectors, vectors.vectors)


def test_words_that_word2vec_files_cannot_hold_are_refused(tmp_path):
    for word in ("two words", "line\nend", ""):
        with pytest.raises(InputError, match="cannot be written"):
            export(vectors_of(["fine", word], 3), tmp_path / "v.vec")
    with pytest.raises(UsageError, match="must end in"):
        export(vectors_of(["a", "b"], 3), tmp_path / "v.zip")
    assert list(tmp_path.iterdir()) == []


def test_similarity_and_analogies_by_hand(trained, tmp_path):
    folder, model, _ = trained
    (tmp_path / "pairs.tsv").write_text(
        "# comment\nSun\tmoon\t9\ndog\tcat\t8\nsun\tcat\t1\ndog\tnobody\t5\n"
    )
    (tmp_path / "questions.txt").write_text(": section\nsun moon dog cat\nsun moon dog nobody\n")
    found = evaluated(
        folder / "cli",
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
    result = CliRunner().invoke(
        main, ["evaluate", str(folder / "cli"), "--similarity", str(tmp_path / "pairs.tsv")]
    )
    assert (result.exit_code, "line 1: wanted word TAB word TAB score" in result.stderr) == (
        3,
        True,
    )


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


def test_estimates_are_marked_and_the_end_is_exact():
    model = e2v.Exact2Vec(**{**SMALL, "exact_every": 0}).fit(sentences())
    assert [row["exact"] for row in model.history_] == [True, False, False, True]
    assert model.history_[1]["nll_standard_error"] > 0
    assert model.history_[3]["nll_standard_error"] is None


def test_parameters_are_scikit_learn_s():
    model = e2v.Exact2Vec(vector_size=7)
    assert model.get_params()["vector_size"] == 7
    assert model.set_params(window=2).window == 2
    with pytest.raises(UsageError, match="is not an argument"):
        model.set_params(size=3)


def test_the_loss_command_needs_no_dashes():
    shown = CliRunner().invoke(main, ["loss", "-1", "2.3", ".1"]).stdout
    for number in ("3.4377", "0.1377", "2.3377"):
        assert number in shown
    steps = (
        CliRunner()
        .invoke(main, ["loss", "-1", ".2", "--target", "0", "--steps", "10", "--rate", "0.5"])
        .stdout.splitlines()
    )
    assert len(steps) == 12
    assert "1.463282" in steps[1]
    assert "0.131842" in steps[10]
    assert steps[11].split() == ["10", "0.641514", "-1.441514"]
    assert CliRunner().invoke(main, ["loss", "1", "2", "--target", "5"]).exit_code == 2


def test_quiet_says_nothing(tmp_path):
    (tmp_path / "text.txt").write_text("a b a b\n" * 9)
    result = CliRunner().invoke(
        main,
        ["train", str(tmp_path / "text.txt"), "-o", str(tmp_path / "run"), "-q", "--held-out", "0"],
    )
    assert (result.exit_code, result.output) == (0, "")


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


def test_a_seed_locale_and_hash_change_nothing(tmp_path):
    import subprocess
    import sys

    (tmp_path / "text.txt").write_text("naïve café sun\nmoon star café\n" * 20)
    found = set()
    for number, environment in enumerate(
        (
            {"PYTHONHASHSEED": "1", "LANG": "C"},
            {"PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo"},
        )
    ):
        command = [
            sys.executable,
            "-m",
            "exact2vec",
            "train",
            tmp_path / "text.txt",
            "-o",
            tmp_path / str(number),
            "--vector-size",
            "3",
        ]
        subprocess.run(
            command,
            check=True,
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
        )
        found.add(
            (tmp_path / str(number) / "vectors.safetensors").read_bytes()
            + (tmp_path / str(number) / "vocabulary.json").read_bytes()
        )
    assert len(found) == 1


def test_nothing_depends_on_the_threads_of_the_caller():
    random = np.random.default_rng(0)
    counts = csr_array(
        (
            random.random(200_000).astype(np.float32),
            (random.integers(0, 70_000, 200_000), random.integers(0, 70_000, 200_000)),
        ),
        shape=(70_000, 70_000),
    )
    log_unigram = torch.log(torch.rand(70_000, generator=torch.Generator().manual_seed(1)).double())
    rows = torch.zeros(70_000, 8)
    found = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        weighted = WeightedCounts(counts)
        losses = RowLosses(
            weighted.totals[weighted.totals > 0] * 1.1, weighted.totals[weighted.totals > 0] * 0.3
        )
        weights = row_weights(weighted.totals, 0.75)
        with patch("exact2vec.loss.count_losses.row_losses", return_value=[losses]):
            found.append(
                (
                    exact_losses(
                        rows,
                        Outputs(rows, 7),
                        [weighted],
                        log_unigram,
                        Workspace.of(Workers(1), 1, 1),
                        row_weights=weights,
                    ),
                    weights.tolist(),
                )
            )
    torch.set_num_threads(before)
    assert found[0] == found[1]


def test_cased_tokens_given_in_python_are_found_by_the_command_line(tmp_path):
    e2v.Exact2Vec(vector_size=2, held_out=0).fit([["Cat", "Dog", "Cow"]] * 40).save(
        tmp_path / "run"
    )
    (tmp_path / "new.txt").write_text("Cat Dog Cow")
    found = evaluated(tmp_path / "run", tmp_path / "new.txt")["new_text"]
    assert (found["out_of_vocabulary"], found["nll_interval"]) == (0, None)
    shown = CliRunner().invoke(main, ["evaluate", str(tmp_path / "run"), str(tmp_path / "new.txt")])
    assert "none (one document)" in shown.stdout


def test_gamma_holds_for_the_text_s_own_distributions(trained):
    wv = trained[1].wv
    own = (
        wv.log_probabilities("sun")
        + wv.log_probabilities("dog")
        - 0.5 * np.log(wv.unigram / wv.keep)
    )
    own -= np.log(np.exp(own).sum())
    np.testing.assert_allclose(wv.log_probabilities(["sun", "dog"], gamma=0.5), own, atol=1e-12)


def test_numbers_given_as_text_are_refused():
    with pytest.raises(
        UsageError, match="window must be an integer of at least 1 and below 10001; got '5'"
    ):
        checked(window="5")
