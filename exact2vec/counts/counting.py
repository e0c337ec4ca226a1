"""Ways to count text: in one call, or in passes that can be called one by one."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.corpus import PARTS, Corpus, Draw, index_corpus
from exact2vec.counts.counts import Counts
from exact2vec.counts.features import RowCounts
from exact2vec.counts.rare_words import count_rare_words
from exact2vec.counts.sentences import no_sentences_came, refuse_no_sentences
from exact2vec.counts.text import Text
from exact2vec.counts.text_part import TextPart, token_times
from exact2vec.counts.vocabulary import TokenCounts, Vocabulary
from exact2vec.counts.weighting import Weighting, WindowWeighting
from exact2vec.counts.windows import count_windows
from exact2vec.counts.word_contexts import count_word_contexts
from exact2vec.counts.words import tokenizer
from exact2vec.errors import InputError, UsageError
from exact2vec.options import checked, documented

Look = Callable[[TokenCounts, Vocabulary], None]
TEXT_SETTINGS = ("tokens", "regex", "document")


@documented(
    texts="a Text (files), or an iterable of documents: strings, or lists of tokens",
    vocabulary="the words to count, whatever their number in these texts; default None: those of "
    "the texts",
    look="called with the TokenCounts and the Vocabulary before pairs are counted; it may raise",
)
def count_text(
    texts: Iterable[object],
    *,
    window: int = 5,
    min_count: int = 5,
    max_vocab: int | None = None,
    sample: float = 1e-3,
    held_out: float = 0.02,
    validation: float = 0.0,
    rare: int | None = None,
    vocabulary: Vocabulary | None = None,
    threads: int | None = None,
    look: Look | None = None,
) -> Counts:
    """Count the words near each word.

    `texts` is a `Text` (files), or an iterable of documents. A document is a string, cut into
    lower-cased words, or a list of tokens, taken as they are. Words below `min_count` are dropped
    first. Then k(c, w) = Σ (window + 1 − distance) over the pairs at most `window` apart, int64.
    Words that are not kept but counted at least `rare` times are counted as contexts only.

    With `vocabulary`, the words of that one are counted, whatever their number in these texts.
    So the counts of parts of a text merge to the counts of the whole: see `count_tokens`.

    Raises InputError where there is nothing to count or to predict, UsageError for an option out
    of its range.

    >>> count_text(["the cat sat on the mat", "the dog sat on the log"] * 5, held_out=0)
    Counts(7 words, 35 cells, held out: none, window=5, sample=0.001)
    """
    checked(
        window=window,
        min_count=min_count,
        max_vocab=max_vocab,
        sample=sample,
        held_out=held_out,
        validation=validation,
        rare=rare,
        threads=threads,
    )
    corpus, settings = _read(texts, held_out, validation)
    settings |= {
        "min_count": min_count,
        "max_vocab": max_vocab,
        "held_out": held_out,
        "validation": validation,
    }
    words = vocabulary or _vocabulary(corpus, texts, min_count, max_vocab, look)
    counts = _counted(corpus, words, WindowWeighting(window, sample), settings, rare, threads)
    if vocabulary is None and counts.training.nnz == 0:
        raise InputError(
            f"{len(corpus.ids):,} tokens in {corpus.documents:,} documents: no pairs; "
            "windows do not cross documents (see --document)"
        )
    return counts


def _vocabulary(
    corpus: Corpus,
    texts: Iterable[object],
    min_count: int,
    max_vocab: int | None,
    look: Look | None,
) -> Vocabulary:
    tokens = _token_counts(corpus)
    try:
        words = tokens.vocabulary(min_count, max_vocab)
    except InputError as error:
        if isinstance(texts, Text) and texts.unsegmented:
            raise InputError(f"too few words: {texts.unsegmented}") from error
        raise
    if look is not None:
        look(tokens, words)
    return words


def count_tokens(
    texts: Iterable[object], *, held_out: float = 0.02, validation: float = 0.0
) -> TokenCounts:
    """How often each token stands in the training part: the first pass over a large text.

    Parts of the text can be counted apart and merged; then each is counted against one vocabulary.

    >>> parts = ["the cat sat", "the dog sat"], ["the cat ran"]
    >>> first, *others = (count_tokens(part, held_out=0) for part in parts)
    >>> words = first.merge(*others).vocabulary(min_count=2)
    >>> words.words
    ['the', 'cat', 'sat']
    >>> first, *others = (count_text(part, vocabulary=words, held_out=0) for part in parts)
    >>> first.merge(*others)
    Counts(3 words, 6 cells, held out: none, window=5, sample=0.001)
    """
    checked(held_out=held_out, validation=validation)
    return _token_counts(_read(texts, held_out, validation)[0])


def _token_counts(corpus: Corpus) -> TokenCounts:
    return TokenCounts(corpus.distinct, token_times(corpus), len(corpus.ids), corpus.documents)


def _read(
    texts: Iterable[object], held_out: float, validation: float
) -> tuple[Corpus, dict[str, Any]]:
    """The corpus with its parts drawn, and how other text is cut alike."""
    if held_out + validation >= 1:
        raise UsageError(
            "held_out and validation are shares that leave something to train on, so their sum is "
            f"below 1; got {held_out:g} + {validation:g}"
        )
    texts, settings = _with_settings(texts)
    return index_corpus(texts, Draw(held_out, validation), tokenizer()), settings


def _counted(
    corpus: Corpus,
    vocabulary: Vocabulary,
    weighting: WindowWeighting,
    settings: dict[str, Any],
    rare: int | None,
    threads: int | None,
) -> Counts:
    """The counts of a corpus against given words."""
    size, numbers = len(vocabulary.words), vocabulary.numbers(corpus.distinct)
    parts = [TextPart.of(corpus, numbers, part) for part in range(len(PARTS))]
    tokens = _token_totals(corpus, vocabulary, parts)
    training, held_out, validation = (
        count_windows(
            part.words, part.segments, size=size, window=weighting.window, threads=threads
        )
        for part in parts
    )
    rare_words = None
    if rare is not None:
        rare_words = count_rare_words(parts[0], size, least=rare, window=weighting.window)
        context_only = int(rare_words.times.sum()) if rare_words.times is not None else 0
        tokens |= {
            "context_only": context_only,
            "dropped_training": tokens["dropped_training"] - context_only,
        }
    near = None
    if settings.get("subwords"):
        near = count_word_contexts(parts[0], size, window=weighting.window)
    return Counts(
        replace(vocabulary, counts=parts[0].word_times(size)),
        training,
        held_out if held_out.nnz else None,
        weighting,
        tokens,
        settings,
        rare_words,
        validation if validation.nnz else None,
        word_contexts=near,
    )


def count_new_words(
    texts: Iterable[object],
    vocabulary: Vocabulary,
    weighting: Weighting,
    settings: dict[str, Any],
    *,
    least: int = 1,
) -> RowCounts:
    """The weighted counts, over the words of a run, of the other words of new text.

    They are cut and weighted as the run was; those counted fewer than `least` times are left out.
    """
    tokenize = tokenizer(settings.get("tokens") or "words", settings.get("regex"))
    corpus = index_corpus(texts, tokenize=tokenize)
    window = _of_text(weighting).window
    kept = TextPart.of(corpus, vocabulary.numbers(corpus.distinct))
    words = count_rare_words(kept, len(vocabulary.words), least=least, window=window)
    return words.weigh(weighting, vocabulary)


def count_alike(
    texts: Iterable[object],
    vocabulary: Vocabulary,
    weighting: Weighting,
    settings: dict[str, Any],
    *,
    tokenized: bool,
) -> tuple[csr_array, Corpus, NDArray[np.int32]]:
    """Count new texts with a run's vocabulary, weighting and tokens.

    Returns k(c, w), what was read, and the word number of each token, −1 for an unknown one.
    """
    tokenize = (
        None if tokenized else tokenizer(settings.get("tokens") or "words", settings.get("regex"))
    )
    corpus = index_corpus(texts, tokenize=tokenize)
    if len(corpus.ids) == 0:
        raise InputError("no tokens: the text holds only white space or signs")
    numbers, window = vocabulary.numbers(corpus.distinct), _of_text(weighting).window
    kept = TextPart.of(corpus, numbers)
    counts = count_windows(kept.words, kept.segments, size=len(vocabulary.words), window=window)
    return counts, corpus, numbers[corpus.ids]


def weighted_pairs(
    ids: NDArray[np.int32],
    documents: NDArray[np.int64],
    weighting: Weighting,
    keep: NDArray[np.float64],
    chunk: int = 1 << 20,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]]:
    """The pairs of words near each other in a document, some at a time.

    Yields for each pair its document, the left word, the right word, and the weight n that it
    has in either direction.
    """
    window = _of_text(weighting).window
    for distance in range(1, min(window, len(ids)) + 1):
        for start in range(0, len(ids) - distance, chunk):
            left = slice(start, min(start + chunk, len(ids) - distance))
            right = slice(left.start + distance, left.stop + distance)
            near = documents[left] == documents[right]
            one, other = ids[left][near], ids[right][near]
            weight = (window + 1 - distance) / window * keep[one] * keep[other]
            yield documents[left][near], one, other, weight


def _of_text(weighting: Weighting) -> WindowWeighting:
    if not isinstance(weighting, WindowWeighting):
        raise UsageError(
            f"new text needs a run that was trained on text; this one has {weighting}: "
            "give the counts of new rows instead"
        )
    return weighting


def _with_settings(texts: Iterable[object]) -> tuple[Iterable[object], dict[str, Any]]:
    """The texts, and how to cut other text alike.

    Lists of tokens are taken as they are, so other text is cut at white space.
    """
    if isinstance(texts, Text):
        words = texts.settings["tokens"] == "words" and texts.settings["regex"] is None
        return texts, {name: texts.settings[name] for name in TEXT_SETTINGS} | {"subwords": words}
    refuse_no_sentences(texts)
    rest = iter(texts)
    first = list(itertools.islice(rest, 1))
    if not first:
        raise no_sentences_came(texts)
    tokens = "words" if first and isinstance(first[0], str) else "space"
    return itertools.chain(first, rest), {
        "tokens": tokens,
        "regex": None,
        "document": "line",
        "subwords": True,
    }


def _token_totals(corpus: Corpus, vocabulary: Vocabulary, parts: list[TextPart]) -> dict[str, int]:
    """Where every token went."""
    distinct = vocabulary.distinct or len(corpus.distinct)
    tokens = {"read": len(corpus.ids), "documents": corpus.documents, "distinct": distinct}
    for name, part in zip(PARTS, parts, strict=True):
        tokens |= {name: len(part.words), f"dropped_{name}": part.dropped}
    return tokens
