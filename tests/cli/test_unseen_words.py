"""Words that were not trained, at the command line."""

import json

import numpy as np
import pytest
import unseen_words
from command_line import call
from topics import DERIVED
from unseen_words import sentences

import exact2vec as e2v


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = tmp_path_factory.mktemp("unseen") / "run"
    unseen_words.model().save(run)
    return run


def test_neighbors_says_how_a_word_is_known(run):
    shown = call("neighbors", run, "sunshine", "-n", "2")
    assert shown.stdout.splitlines()[1].startswith("sunshine (composed)")
    assert "'sunshine' is not among the 15 words: composed from" in shown.stderr
    assert "nearest spelling: sun" in shown.stderr
    given_it = call("neighbors", run, "sunshine", "--given", "-n", "2")
    assert (given_it.exit_code, "composed from" in given_it.stderr) == (0, True)
    refused = call("neighbors", run, "sunshine", "--trained-only")
    assert (refused.exit_code, "nearest: sun" in refused.stderr) == (3, True)
    assert call("neighbors", run, "qqq").exit_code == 3


def test_a_word_that_is_asked_twice_is_said_to_be_composed_once(run):
    result = call("neighbors", run, "sunshine", "sunny - sunshine + rainy", "-n", "2", "--json")
    assert result.stderr.count("'sunshine' is not among the 15 words") == 1
    answers = json.loads(result.stdout)
    assert {answer["untrained"] for answer in answers} == {"composed"}


def test_fold_in_at_the_command_line(run, tmp_path):
    (tmp_path / "new.txt").write_text("sunny sunshine sunlight\nrainy qqq rainfall\n")
    result = call("fold-in", run, tmp_path / "new.txt", "-o", tmp_path / "out")
    assert (
        result.exit_code,
        "2 rows folded in beside 15 words and 1 of before" in result.stderr,
    ) == (0, True), result.output
    assert e2v.load(tmp_path / "out").known_as("qqq") == "folded in"
    (tmp_path / "new.csv").write_text("row,word,count\nqqq,rainy,3\nqqq,nobody,1\nzzz,rainy,0\n")
    result = call("fold-in", run, tmp_path / "new.csv", "-o", tmp_path / "csv", "--prior", "20,20")
    assert result.exit_code == 0, result.output
    assert (
        "25.00 % of the pairs are with 1 unknown words and were left out: 'nobody'" in result.stderr
    )
    assert "no vector for 1 rows that have neither counts nor features: 'zzz'" in result.stderr
    assert call("fold-in", run, tmp_path / "new.csv", "-o", tmp_path / "csv").exit_code == 2
    assert call("neighbors", tmp_path / "csv", "qqq", "--which", "inputs", "-n", "1").exit_code == 0


def test_the_run_itself_and_several_tables_are_no_place_and_no_input_to_fold_in(run, tmp_path):
    (tmp_path / "new.csv").write_text("row,word,count\nqqq,sunny,3\n")
    result = call("fold-in", run, tmp_path / "new.csv", "-o", run, "--force")
    assert (result.exit_code, "is the run itself" in result.stderr) == (2, True), result.stderr
    result = call(
        "fold-in", run, tmp_path / "new.csv", tmp_path / "new.csv", "-o", tmp_path / "out"
    )
    assert (result.exit_code, "one table of row, word, count" in result.stderr) == (2, True), (
        result.stderr
    )
    assert call("check", run).exit_code == 0


BAD_TRAIN = [
    (["--prior", "-1,5"], "prior must be two finite numbers"),
    (["--prior", "nan,5"], "prior must be"),
    (["--prior", "150"], "prior must be"),
    (["--subwords", "6-3"], "--subwords must be two lengths"),
    (["--subwords", "x"], "--subwords must be"),
    (["--prior", "no", "--subwords", "3-6"], "need a prior"),
    (["--prior", "no", "--features", "f.csv"], "need a prior"),
    (["--prior", "no", "--rare", "2"], "need a prior"),
    (["--prior", "0,500", "--rare", "2"], "--rare needs a --prior whose first strength is above 0"),
]


@pytest.mark.parametrize(
    ("flags", "expected"),
    BAD_TRAIN,
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags_that_do_not_fit_are_exit_2(tmp_path, flags, expected):
    (tmp_path / "text.txt").write_text("\n".join(map(" ".join, sentences())))
    result = call("train", tmp_path / "text.txt", "-o", tmp_path / "run", *flags)
    assert (result.exit_code, expected in result.stderr) == (2, True), result.stderr


def test_training_with_flags(tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(map(" ".join, sentences())))
    words = [word for topic in DERIVED for word in topic.split()]
    (tmp_path / "f.csv").write_text(
        "row,feature,value\n" + "".join(f"{word},{word[0]},1\n" for word in [*words, "sol"])
    )
    common = [tmp_path / "text.txt", "--vector-size", "4", "--epochs", "2", "--rare", "3"]
    for name, flags in (
        ("a", ["--features", tmp_path / "f.csv"]),
        ("b", ["--tokens", "space"]),
        ("c", ["--subwords", "no"]),
        ("d", ["--subwords", "2-4"]),
    ):
        result = call("train", *common, "-o", tmp_path / name, *flags)
        assert result.exit_code == 0, result.output
        assert "1 more context only" in result.stderr.splitlines()[1]
    assert e2v.load(tmp_path / "a").known_as("sol") == "composed"
    sizes = {name: e2v.load(tmp_path / name).composer.describer for name in "abcd"}
    assert sizes["b"].size == sizes["c"].size == 0
    assert min(map(len, sizes["d"].grams)) == 2
    (tmp_path / "f.csv").write_text("row,feature,value\nsunny,s,1\n")
    result = call("train", *common, "-o", tmp_path / "e", "--features", tmp_path / "f.csv")
    assert (result.exit_code, "14 of the 15 trained rows are not among its 1" in result.stderr) == (
        3,
        True,
    ), result.stderr


def test_export_writes_composed_words_too(run, tmp_path):
    (tmp_path / "words.txt").write_text("sunshine\nsunny\nsunshine\n")
    result = call("export", run, tmp_path / "out.vec", "--also", tmp_path / "words.txt")
    assert (result.exit_code, "16 words, 1 of them composed or folded in" in result.stderr) == (
        0,
        True,
    ), result.output
    lines = (tmp_path / "out.vec").read_text().splitlines()
    assert (lines[0], lines[-1].split()[0]) == ("16 6", "sunshine")
    np.testing.assert_array_equal(
        np.array(lines[-1].split()[1:], np.float32), e2v.load(run)["sunshine"]
    )
    (tmp_path / "words.txt").write_text("qqq\n")
    assert (
        call("export", run, tmp_path / "other.vec", "--words", tmp_path / "words.txt").exit_code
        == 3
    )


def test_bad_words_to_export_are_named_with_the_byte(run, tmp_path):
    (tmp_path / "words.txt").write_bytes(b"sunny\n\xff\n")
    result = call("export", run, tmp_path / "out.vec", "--words", tmp_path / "words.txt")
    assert (
        result.exit_code,
        "words.txt, line 2: byte 0xff at offset 6 is not UTF-8" in result.stderr,
    ) == (
        3,
        True,
    ), result.stderr


def test_similarity_stands_over_trained_pairs_and_over_all(run, tmp_path):
    (tmp_path / "pairs.tsv").write_text(
        "sunny\tsunless\t9\ncatlike\trainy\t1\ndogless\tdoghouse\t8\nsunshine\tsunny\t7\nqqq\tsunny\t2\n"
    )
    found = e2v.evaluate(run, similarity=[tmp_path / "pairs.tsv"]).similarity[
        str(tmp_path / "pairs.tsv")
    ]
    assert (found.n, found.n_composed, found.out_of_vocabulary) == (3, 4, pytest.approx(0.4))
    assert -1 <= found.rho_composed <= 1
    shown = call("evaluate", run, "--similarity", tmp_path / "pairs.tsv").stdout
    assert "3 pairs" in shown
    assert "4 pairs, words that were not trained composed" in shown


def test_similarity_of_words_that_are_mostly_unseen(run, tmp_path):
    (tmp_path / "pairs.tsv").write_text(
        "sunny\tsunless\t9\nsunshine\tsunny\t1\nmoonshine\tdogless\t8\nrainshine\tsunny\t7\n"
    )
    found = e2v.evaluate(run, similarity=[tmp_path / "pairs.tsv"]).similarity[
        str(tmp_path / "pairs.tsv")
    ]
    assert (found.rho, found.n, found.n_composed) == (None, 1, 4)
    assert -1 <= found.rho_composed <= 1
    shown = call("evaluate", run, "--similarity", tmp_path / "pairs.tsv").stdout
    assert "Spearman            none" in shown
    assert (
        call(
            "report", run, "-o", tmp_path / "page.html", "--similarity", tmp_path / "pairs.tsv"
        ).exit_code
        == 0
    )
