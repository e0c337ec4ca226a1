"""Documents, held-out parts, vocabularies, saved counts."""

import json
import textwrap

import numpy as np
import pytest
from checking import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from exact2vec.counts.corpus import BLOCK_TOKENS, HELD_OUT, VALIDATION, Draw, index_corpus
from exact2vec.counts.counting import count_text
from exact2vec.counts.counts import Counts
from exact2vec.counts.text import Text, tokenizer
from exact2vec.errors import UsageError


def held_documents(texts, share=0.1):
    corpus = index_corpus(texts, Draw(share))
    return {
        tuple(texts[number])
        for number in np.unique(corpus.block_document[corpus.block_part == HELD_OUT])
    }


def test_held_out_documents_do_not_depend_on_their_order_and_duplicates_stay_together():
    texts = [["a", "b", str(number)] for number in range(400)]
    held = held_documents(texts)
    assert 15 < len(held) < 70
    assert held == held_documents(texts[::-1]) == held_documents(texts + texts)


def test_a_long_document_is_held_out_in_blocks_and_windows_do_not_cross_them():
    tokens = [f"w{number}" for number in range(25)] * 4000
    corpus = index_corpus([tokens], Draw(0.5))
    assert corpus.block_tokens.tolist() == [BLOCK_TOKENS] * 10
    numbered = [f"{number // BLOCK_TOKENS}:{token}" for number, token in enumerate(tokens)]
    corpus = index_corpus([numbered], Draw(0.5))
    counts = count_text([numbered], held_out=0.5, min_count=1)
    changes = int((np.diff(corpus.block_part.astype(int)) != 0).sum())
    assert 0 < corpus.block_part.sum() < 10
    kept_segments = (changes + 1 + (corpus.block_part[0] == 0)) // 2
    kept_tokens = int((corpus.block_part == 0).sum()) * BLOCK_TOKENS
    weight_of_all = sum(
        (6 - distance) * 2 * (kept_tokens - distance * kept_segments) for distance in range(1, 6)
    )
    assert counts.training.sum() == weight_of_all


def test_every_token_is_accounted_for():
    texts = [
        [f"w{number}" for number in np.random.default_rng(seed).zipf(1.4, 30) if number < 500]
        for seed in range(200)
    ]
    counts = count_text(texts, held_out=0.2, validation=0.1, min_count=4)
    tokens = counts.tokens
    assert tokens["read"] == sum(map(len, texts))
    parts = ("training", "held_out", "validation")
    assert tokens["read"] == sum(tokens[part] + tokens[f"dropped_{part}"] for part in parts)
    assert min(tokens[part] for part in parts) > 0
    assert counts.vocabulary.counts.sum() == tokens["training"]
    assert counts.vocabulary.counts.min() >= 4
    assert counts.held_out is not None


def test_words_are_ordered_by_count_then_spelling_and_cut():
    counts = count_text(
        [["b", "a", "c", "c", "a", "b", "d", "d", "d"]], min_count=1, held_out=0, max_vocab=3
    )
    assert counts.words == ["d", "a", "b"]


def test_what_is_kept_for_validation_leaves_the_held_out_part_as_it_was():
    texts = [["a", "b", str(number % 7)] for number in range(300)]
    texts = [[*text, str(number)] for number, text in enumerate(texts)]
    with_validation, without = index_corpus(texts, Draw(0.2, 0.1)), index_corpus(texts, Draw(0.2))
    assert ((with_validation.block_part == HELD_OUT) == (without.block_part == HELD_OUT)).all()
    assert 10 < (with_validation.block_part == VALIDATION).sum() < 60


def test_nothing_held_out_is_none():
    assert count_text([["a", "b"]] * 9, held_out=0).held_out is None


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don’t PANIC: it's E\u0301t\u00e9_42'", ["don't", "panic", "it's", "été", "42"]),
        ("'quoted' rock'n'roll", ["quoted", "rock'n'roll"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("x²+y² naïve", ["x²", "y²", "naïve"]),
    ],
)
def test_words(text, tokens):
    assert tokenizer()(text) == tokens


def test_other_tokens():
    assert tokenizer("space")("Don't  STOP,now") == ["Don't", "STOP,now"]
    assert tokenizer(regex=r"[A-Z]+")("DON'T stop NOW") == ["DON", "T", "NOW"]
    with pytest.raises(UsageError, match="regular expression"):
        tokenizer(regex="(")


@pytest.mark.parametrize(("document", "documents"), [("line", 4), ("paragraph", 2), ("file", 1)])
def test_documents_are_lines_paragraphs_or_files(tmp_path, document, documents):
    (tmp_path / "text.txt").write_text("a b\nc d\n\n \ne f\ng h\n")
    corpus = index_corpus(Text(tmp_path / "text.txt", document=document))
    assert corpus.documents == documents


def test_a_folder_is_read_in_order_and_names_what_it_skips(tmp_path):
    for name, text in (
        ("b.txt", "second"),
        ("a.txt", "first"),
        ("c.png", "no"),
        (".hidden.txt", "no"),
    ):
        (tmp_path / name).write_text(text)
    text = Text(tmp_path)
    assert [token for piece in text for token in piece.tokens] == ["first", "second"]
    assert text.left_out == [
        f"{tmp_path}: 1 file skipped: hidden: .hidden.txt",
        f"{tmp_path}: 1 file skipped, of other endings: c.png",
    ]


def test_hard_wrapped_text_is_noticed(tmp_path):
    paragraph = textwrap.fill("some words on a line that was wrapped at sixty signs. " * 30, 60)
    for way, between in (("paragraph", "\n\n"), ("file", "\n")):
        (tmp_path / "wrapped.txt").write_text(between.join([paragraph] * 9))
        text = Text(tmp_path / "wrapped.txt")
        list(text)
        (note,) = text.notes
        assert "look hard-wrapped" in note
        assert note.endswith(f"consider --document {way}")


words = st.text(st.characters(exclude_categories=[]), min_size=1, max_size=6)


@pytest.mark.filterwarnings("ignore::exact2vec.errors.InputWarning")  # tokens of white space
@settings(max_examples=examples(40))
@given(st.lists(st.lists(words, min_size=2, max_size=9), min_size=2, max_size=9))
def test_counts_come_back_as_they_were_saved(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("counts")
    try:
        counts = count_text([*texts, ["a", "b"]], min_count=1, held_out=0.3)
    except ValueError as error:
        assert (
            "held-out part" in str(error)
            or "no pairs" in str(error)
            or "nothing to predict" in str(error)
        )
        return
    counts.save(folder / "c")
    again = Counts.load(folder / "c")
    assert again.words == counts.words
    assert again.held_out_digest == counts.held_out_digest
    assert (again.training != counts.training).nnz == 0
    assert again.tokens == counts.tokens


def test_python_docs_is_the_documentation_of_this_python():
    tokens = [token for piece in Text("python-docs") for token in piece.tokens]
    assert 200_000 < len(tokens) < 500_000
    assert {"server", "thread", "docstring"} <= set(tokens)


def test_vocabulary_of_another_length_is_refused(tmp_path):
    from exact2vec.errors import CorruptFileError
    from exact2vec.storage import run_folder, schema
    from exact2vec.storage.writing import write_whole

    count_text([["a", "b", "c"]] * 9, held_out=0).save(tmp_path / "c")
    vocabulary = json.loads((tmp_path / "c" / "vocabulary.json").read_bytes())
    with run_folder.create(tmp_path / "d", kind="counts") as part:
        for name in ("counts.safetensors", "counting.json"):
            write_whole(part / name, (tmp_path / "c" / name).read_bytes())
        counts = np.array(vocabulary["counts"][:2])
        schema.Vocabulary(vocabulary["words"][:2], counts).write(part)
    with pytest.raises(CorruptFileError, match="2 names of rows, but training has 3 rows"):
        Counts.load(tmp_path / "d")


def test_a_window_wider_than_the_text_is_all_of_it(tmp_path):
    counts = count_text([["a", "b", "c"]], window=10_000, min_count=1, held_out=0)
    assert counts.training.toarray().tolist() == [
        [0, 10000, 9999],
        [10000, 0, 10000],
        [9999, 10000, 0],
    ]


def test_a_billion_of_one_pair_is_exact(tmp_path):
    counts = count_text([["a", "b"]] * 9, held_out=0)
    counts.training.data[:] = 10**9 + 1
    counts.save(tmp_path / "many")
    assert Counts.load(tmp_path / "many").training.sum() == 2 * (10**9 + 1)
    counts.training.data[:] = 2**40 + 1
    counts.save(tmp_path / "more")
    assert Counts.load(tmp_path / "more").training.max() == 2**40 + 1
