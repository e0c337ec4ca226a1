"""The compiled counting beside its plain twins: the same numbers, blocks and counts."""

import io

import by_hand
import numpy as np
import pytest
from checking import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from exact2vec.counts import corpus, windows
from exact2vec.counts.corpus import Draw, index_pieces, index_text
from exact2vec.counts.impressions import Impressions
from exact2vec.counts.text import Text
from exact2vec.counts.token_table import Numbering
from exact2vec.counts.tokens import character_classes
from exact2vec.storage import files

signs = st.text(
    st.sampled_from(
        " \t\n\r\x1c\u00a0\u2028'’_-.,aZé0²\u0301\u0903İΣςßﬁ漢😀·‧"
        '\u200c\u200d\u00ad\ufeff"אב\u05b8״'
    )
    | st.characters(exclude_categories=["Cs"]),
    max_size=60,
)
UNSEEN = ["\u200e", "\u200d", "\u200d \ufeff", "\u00ad", "\u2060", " ", ""]
paragraphs = st.lists(st.sampled_from(["a b", "c-d", *UNSEEN]), max_size=12).map("\n".join)


HALF = Draw(0.3, 0.2)


def same(one, other):
    assert one.distinct == other.distinct
    for name in ("ids", "block_tokens", "block_document", "block_part"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


class StringText(Text):
    """A Text of strings, read a few bytes at a time."""

    def __init__(self, *texts, size, **settings):
        super().__init__("-", **settings)
        self.texts, self.size = texts, size

    def stretches(self):
        self.seen = Impressions()
        for text in filter(None, self.texts):
            yield from self._stretches(SlowBytes(text.encode(), self.size), "memory")


class SlowBytes:
    """A reader that gives at most `size` bytes at once."""

    def __init__(self, data, size):
        self.file, self.size = io.BytesIO(data), size

    def read(self, _=-1):
        return self.file.read(self.size)


@settings(max_examples=examples(300))
@given(
    st.lists(signs | paragraphs, min_size=1, max_size=3),
    st.sampled_from(["words", "space"]),
    st.sampled_from(["line", "paragraph", "file"]),
    st.integers(1, 40),
)
def test_text_is_numbered_as_its_plain_twin_does(texts, tokens, document, size):
    text = StringText(*texts, size=size, tokens=tokens, document=document)
    plain = index_pieces(iter(text), HALF)
    same(index_text(text, tokens, HALF), plain)
    same(index_text(text, tokens), index_pieces(iter(text)))


@pytest.mark.parametrize("unseen", UNSEEN)
def test_a_line_of_unseen_signs_ends_a_paragraph_of_words(unseen):
    """As a blank line does."""
    text = StringText(f"a b\n{unseen}\nc d", size=40, document="paragraph")
    compiled = index_text(text, "words")
    assert len(set(compiled.block_document)) == 2
    same(compiled, index_pieces(iter(text)))


def test_long_documents_are_cut_at_the_same_tokens(monkeypatch, tmp_path):
    monkeypatch.setattr(corpus, "BLOCK_TOKENS", 7)
    monkeypatch.setattr(files, "READ_BYTES", 11)
    (tmp_path / "text.txt").write_text(
        "\n".join(
            " ".join(f"w{number}" for number in range(length))
            for length in (1, 6, 7, 8, 14, 15, 30)
        )
    )
    for document in ("line", "file"):
        text = Text(tmp_path / "text.txt", document=document)
        same(index_text(text, "words", HALF), index_pieces(iter(text), HALF))


def test_documentation_of_python_is_numbered_alike():
    text = Text("python-docs")
    same(index_text(text, "words", HALF), index_pieces(iter(text), HALF))


def test_the_table_of_characters_of_ascii_is_the_beginning_of_the_whole():
    for tokens in ("words", "space"):
        np.testing.assert_array_equal(
            character_classes(tokens, 128), character_classes(tokens, 0x110000)[:128]
        )


def test_numbers_stay_as_the_table_grows():
    numbering = Numbering(slots=4)
    tokens = [f"t{number % 300}" for number in range(1000)]
    numbers = numbering.numbers(np.frombuffer(" ".join(tokens).encode(), np.uint8))
    assert [numbering.tokens()[number] for number in numbers] == tokens
    assert numbering.tokens() == tokens[:300]


def test_equal_hashes_are_told_apart_by_their_bytes():
    numbering = Numbering(slots=16)
    numbering.numbers(np.frombuffer(b"one", np.uint8))
    numbering._bytes[:3] = np.frombuffer(b"eno", np.uint8)
    assert numbering.numbers(np.frombuffer(b"one", np.uint8)).tolist() == [1]


@settings(max_examples=examples(60))
@given(
    st.lists(st.lists(st.integers(0, 39), min_size=0, max_size=60), min_size=1, max_size=5),
    st.integers(1, 70),
    st.sampled_from([1, 2]),
)
def test_windows_are_counted_as_by_hand_and_by_the_plain_twin(documents, window, threads):
    ids = np.array([word for document in documents for word in document], np.int32)
    segments = np.repeat(np.arange(len(documents)), list(map(len, documents))).astype(np.int32)
    counts = windows.count_windows(ids, segments, size=40, window=window, threads=threads)
    plain = windows.count_windows_plainly(ids, segments, size=40, window=window)
    assert (
        counts.toarray().tolist()
        == by_hand.window_counts(documents, 40, window)
        == plain.toarray().tolist()
    )
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(counts, name), getattr(plain, name))
    assert counts.data.dtype == np.int64


@pytest.mark.parametrize("threads", [1, 2])
def test_frequent_and_rare_contexts_of_a_large_vocabulary(threads):
    random = np.random.default_rng(1)
    ids = np.minimum(random.zipf(1.3, 60_000) - 1, 4_999).astype(np.int32)
    segments = np.sort(random.integers(0, 50, 60_000)).astype(np.int32)
    counts = windows.count_windows(ids, segments, size=5_000, window=3, threads=threads)
    plain = windows.count_windows_plainly(ids, segments, size=5_000, window=3)
    assert (counts.nnz, counts.sum()) == (plain.nnz, plain.sum())
    assert (counts != plain).nnz == 0
