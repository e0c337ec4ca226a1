"""What is said before counting: of files, and of words whose pairs are not counted yet."""

import gzip

import numpy as np
import pytest

import exact2vec as e2v
from exact2vec.counts.counting import count_tokens
from exact2vec.forecast import rough
from exact2vec.forecast.rough import (
    FirstOf,
    expected_cells,
    expected_features,
    rough_sizes,
    text_files,
)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """60,000 words by Zipf's law in two files, one of them packed."""
    folder, random = tmp_path_factory.mktemp("rough"), np.random.default_rng(5)
    shares = 1 / np.arange(2, 5002)
    numbers = random.choice(5000, 60_000, p=shares / shares.sum())
    lines = [" ".join(f"w{one:x}" for one in numbers[at : at + 20]) for at in range(0, 60_000, 20)]
    (folder / "a.txt").write_text("\n".join(lines[:2000]))
    (folder / "b.txt.gz").write_bytes(gzip.compress("\n".join(lines[2000:]).encode()))
    return folder


def test_sizes_of_text_are_roughly_those_that_are_read(text, monkeypatch):
    for name, sample in (("b.txt.gz", rough.SAMPLE), ("a.txt", 40_000)):
        monkeypatch.setattr(rough, "SAMPLE", sample)
        one = e2v.Text(text / name)
        found, read = rough_sizes(one), count_tokens(one, held_out=0)
        assert found.tokens == pytest.approx(read.tokens, rel=0.1)
        assert found.distinct == pytest.approx(len(read.distinct), rel=0.4)
    assert text_files(["-"]) is None
    assert rough_sizes(e2v.Text("python-docs")) is None


def test_the_first_of_a_text_is_its_beginning(text):
    whole = e2v.Text(text / "a.txt")
    some = FirstOf(whole, 3000)
    tokens = [token for piece in some for token in piece.tokens]
    every = [token for piece in whole for token in piece.tokens]
    assert tokens[:-1] == every[: len(tokens) - 1]
    assert 2900 < some.bytes <= 3000
    assert not some.ended
    assert [*FirstOf(whole, 10**9)] == [*whole]


def test_expected_cells_are_those_of_words_in_any_order(text):
    counts = e2v.count_text(e2v.Text(text), min_count=1, held_out=0, sample=0)
    expected = expected_cells(counts.vocabulary.counts, 5) / rough.COMPANY
    # windows end at line ends: of the pairs at distance d, (20 − d) / 20 are there, 85 % in all
    assert 0.85 * expected < counts.training.nnz < expected


def test_features_of_many_words_are_those_of_some(monkeypatch):
    random = np.random.default_rng(0)
    words = ["".join(random.choice([*"abcdehlnorst"], 7)) for _ in range(4000)]
    exact = expected_features(words, 4000, 3, 6)
    monkeypatch.setattr(rough, "SPELLED_WORDS", 1000)
    some = expected_features(words, 4000, 3, 6)
    assert some.cells == pytest.approx(exact.cells, rel=0.5)
    assert some.features == pytest.approx(exact.features, rel=0.6)
    assert expected_features(None, 4000, 3, 6).cells == 80_000
