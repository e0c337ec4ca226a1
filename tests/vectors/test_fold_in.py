"""Words that were not trained: composed, folded in, counted as contexts only."""

import by_hand
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

import exact2vec as e2v
from exact2vec.cli import main
from exact2vec.counts.features import Features, RowCounts
from exact2vec.counts.rare_words import windows_of_rows
from exact2vec.errors import InputError, UnknownWordError, UsageError
from exact2vec.loss.formulas import metric
from exact2vec.vectors.fold_in import TOLERANCE

TOPICS = [
    "sunny sunless sunlight moonlight moonless",
    "doghouse dogless doglike catlike catless",
    "rainy rainless rainfall snowfall snowless",
]
HOW = {"vector_size": 6, "min_count": 5, "epochs": 4, "block_rows": 5, "held_out": 0.05}


def sentences(rare=True):
    random = np.random.default_rng(0)
    texts = [
        [str(word) for word in random.choice(TOPICS[random.integers(3)].split(), 6)]
        for _ in range(400)
    ]
    return (
        [*texts, *[["sunny", "eclipse", "sunlight", "moonless"]] * 4, ["xyz", "rainy"]]
        if rare
        else texts
    )


@pytest.fixture(scope="module")
def model():
    return e2v.Exact2Vec(rare=3, **HOW).fit(sentences())


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rare")
    model.save(folder / "run")
    return folder / "run"


def call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


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
    assert vectors.most_similar("qqq", topn=1, which="inputs")[0][0] in TOPICS[2].split()
    assert "qqq" not in vectors
    with pytest.raises(KeyError, match="folded in without features"):
        vectors["qqq"]


def test_unknown_words_of_counts_are_named_with_their_share(model):
    folded = model.wv.fold_in(
        RowCounts(csr_array([[3.0, 1.0]]), ["new"], ["sunny", "nobody"])
    ).folded
    assert (folded.unknown, folded.unknown_share) == (["nobody"], 0.25)
    with pytest.raises(
        InputError, match="none of the 1 words counted is among the run's 15: 'nobody'"
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
        in TOPICS[0].split()
    )
    with pytest.raises(UsageError, match="trained with a prior"):
        wv.fold_in(counts, Features(csr_array([[1]]), ["new"]), prior=(10, 10))
    assert "sunshine" not in wv
    with pytest.raises(UsageError, match="this run has none"):
        wv.matrix("composed")


def test_features_of_new_rows_must_be_trained_ones():
    words = [word for topic in TOPICS for word in topic.split()]
    known = Features(csr_array(np.kron(np.eye(3), np.ones((5, 1)))), words, ["a", "b", "c"])
    wv = e2v.Exact2Vec(**HOW, max_n=0).fit(sentences(rare=False), features=known).wv
    counts = RowCounts(csr_array((1, 1)), ["new"], ["sunny"])
    found = wv.fold_in(counts, Features(csr_array([[0, 1]]), ["new"], ["c", "b"]))
    assert {word for word, _ in found.most_similar("new", topn=3)} <= set(TOPICS[1].split())
    with pytest.raises(InputError, match="1 of the 2 columns were not trained: 'z'"):
        wv.fold_in(counts, Features(csr_array([[0, 1]]), ["new"], ["c", "z"]))


@given(st.lists(st.integers(-3, 4), min_size=1, max_size=30), st.integers(1, 4))
def test_windows_of_contexts_are_their_formula(tokens, window):
    """Tokens ≥ 0 are kept words, −2 and −3 contexts, −1 dropped."""
    rows, words = (
        np.array([-token - 2 if token < -1 else -1 for token in tokens]),
        np.array([token if token >= 0 else -1 for token in tokens]),
    )
    found = windows_of_rows(
        rows, words, np.zeros(len(tokens), np.int32), shape=(2, 5), window=window
    )
    assert found.toarray().tolist() == by_hand.windows_of_contexts(
        list(zip(rows, words, strict=True)), (2, 5), window
    )
    two = [np.concatenate([part, part]) for part in (rows, words)]
    segments = np.repeat([1, 2], len(tokens)).astype(np.int32)
    assert (windows_of_rows(*two, segments, shape=(2, 5), window=window) != 2 * found).nnz == 0


def test_rare_words_are_contexts_only_and_change_nothing_else(model):
    counts, plain = model.counts_, e2v.count_text(sentences(), min_count=5, held_out=0.05)
    assert (counts.training != plain.training).nnz == 0
    assert counts.rare.words == ["eclipse"]
    held = 4 - counts.tokens["context_only"]
    assert (
        counts.tokens["dropped_training"] + counts.tokens["context_only"]
        == plain.tokens["dropped_training"]
    )
    rare = counts.weigh_rare()
    row = dict(zip(rare.names, rare.matrix.toarray()[0], strict=True))
    ratio = 1e-3 / (4 - held) * counts.vocabulary.counts.sum()
    keep = dict(zip(counts.words, counts.keep, strict=True)) | {
        "eclipse": min(1, ratio**0.5 + ratio)
    }
    weight = (4 - held) * keep["eclipse"] / 5
    for word, near in (("sunny", 5), ("sunlight", 5), ("moonless", 4), ("rainy", 0)):
        assert row[word] == pytest.approx(weight * near * keep[word], rel=1e-5)
    assert model.wv.known_as("eclipse") == "folded in"
    assert model.wv.most_similar("eclipse", topn=1, which="inputs")[0][0] in TOPICS[0].split()


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
    np.testing.assert_allclose(wv["sunshine"], features @ (x + u), atol=1e-5)
    np.testing.assert_array_equal(wv.vector("sunshine", "composed"), wv["sunshine"])
    np.testing.assert_allclose(
        wv.vector("sunny", "composed"), wv.matrix("composed")[wv.key_to_index["sunny"]]
    )
    assert not np.allclose(wv.vector("sunny", "composed"), wv["sunny"])
    assert wv.most_similar("sunshine", topn=1)[0][0] in TOPICS[0].split()


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
    words = [word for topic in TOPICS for word in topic.split()]
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
    result = call("export", run, tmp_path / "out.vec", "--words", tmp_path / "words.txt")
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
    words = [word for topic in TOPICS for word in topic.split()]
    known = Features(csr_array(np.eye(3).repeat(5, axis=0)), words, ["sky", "pets", "rain"])
    vectors = e2v.Exact2Vec(max_n=0, **HOW).fit(sentences(rare=False), features=known).wv
    new = RowCounts(csr_array([[3.0, 1.0]]), ["qqq"], vectors.index_to_key[:2])
    folded = vectors.fold_in(new, Features(csr_array([[1.0]]), ["qqq"], ["pets"]))
    pet = next(word for word in words if word.startswith("dog"))
    np.testing.assert_allclose(
        folded.vector("qqq", "composed"), vectors.vector(pet, "composed"), rtol=1e-5
    )
    assert "qqq" in folded


def test_words_that_nothing_describes_are_not_composed_and_a_run_of_none_says_so(tmp_path):
    vectors = (
        e2v.Exact2Vec(**HOW).fit([*sentences(rare=False), *[["x", "sunny", "sunlight"]] * 9]).wv
    )
    assert "x" in vectors
    with pytest.raises(UnknownWordError, match="nothing composes it"):
        vectors.vector("x", "composed")
    with pytest.raises(UsageError, match="needs n-grams or features, and this run has none"):
        e2v.Exact2Vec(max_n=0, **HOW).fit(sentences(rare=False)).wv.matrix("composed")


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


def test_bad_words_to_export_are_named_with_the_byte(run, tmp_path):
    (tmp_path / "words.txt").write_bytes(b"sunny\n\xff\n")
    result = call("export", run, tmp_path / "out.vec", "--words", tmp_path / "words.txt")
    assert (result.exit_code, "words.txt: byte 0xff at offset 6 is not UTF-8" in result.stderr) == (
        3,
        True,
    ), result.stderr
