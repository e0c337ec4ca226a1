"""The lines a run begins and ends with, and the tables of an evaluation."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exact2vec.counts.counts import Counts
from exact2vec.counts.features import RowCounts
from exact2vec.counts.kinds import KINDS, ROWS_OF_ITEMS
from exact2vec.errors import UnknownWordError
from exact2vec.vectors.queries import Which, signed_words
from exact2vec.vectors.vectors import Vectors

if TYPE_CHECKING:  # they import torch, which a query does not need
    from exact2vec.loss.count_losses import Losses
    from exact2vec.train.state import Record
    from exact2vec.vectors.evaluate import Evaluation, NewText, Similarity

OVERFITTED = ": worse than the frequencies alone; fewer --epochs, or a stronger --prior"


def opening(counts: Counts) -> list[str]:
    """What was read and where every token went."""
    tokens = counts.tokens
    pairs = int(counts.training.data.sum() // counts.weighting.unit)
    if counts.background is not None:
        pairs += round(counts.background.row_totals(counts.training).sum())
    if not tokens or counts.kind in ROWS_OF_ITEMS:
        rows = "" if counts.square else f"{len(counts.rows):,} rows, "
        held_out = 0 if counts.held_out is None else counts.held_out.nnz
        return [
            f"{rows}{len(counts.columns):,} columns, {short(pairs)} counts in "
            f"{counts.training.nnz:,} cells, {held_out:,} cells held out"
        ]
    dropped = sum(number for name, number in tokens.items() if name.startswith("dropped_"))
    validation = f" + {tokens['validation']:,} for validation" if tokens["validation"] else ""
    rare = f"{len(counts.rare.words):,} more context only, " if counts.rare else ""
    context_only = f" + {tokens['context_only']:,} context only" if counts.rare else ""
    return [
        f"{tokens['read']:,} tokens, {len(counts.words):,} words of {tokens['distinct']:,} "
        f"(min-count {counts.settings['min_count']}), {rare}"
        f"{short(pairs)} pairs (weighted by distance)",
        f"tokens: {tokens['training']:,} training + {tokens['held_out']:,} held out{validation} "
        f"+ {dropped:,} of words that are not kept{context_only}, "
        f"in {tokens['documents']:,} documents",
    ]


def closing(vectors: Vectors, last: "Record", output: str) -> list[str]:
    """Where it lies, what it lost, and what to try next."""
    held_out = last.held_out
    rare = f", and {len(vectors.folded.names):,} context only" if vectors.folded else ""
    training = last.losses
    loss = "held-out NLL none"
    if vectors.kind in ROWS_OF_ITEMS:
        loss = f"NLL of the pairs {training.nll:.4f} nats (unigram {training.unigram:.4f})"
    if held_out:
        worse = OVERFITTED * (held_out.nll > held_out.unigram)
        loss = (
            f"held-out NLL {held_out.nll:.4f} nats a pair (unigram {held_out.unigram:.4f}){worse}"
        )
    name = vectors.rows[min(100, len(vectors.rows) - 1)]
    folder, word = (shlex.quote(text) for text in (output, name))
    return [
        f"{output}: {vectors.axes.size}, {vectors.vector_size} numbers each{rare}",
        loss,
        f"try: exact2vec neighbors {folder} {word}",
        f"     exact2vec evaluate {folder}",
    ]


@dataclass(frozen=True)
class Answer:
    """What a query gives: `data` for JSON, a table to print, and notes beside it."""

    data: list[dict[str, Any]]
    table: list[list[str]]
    notes: list[str] = field(default_factory=list)


def probable_words(
    vectors: Vectors, words: Sequence[str], topn: int, *, trained_only: bool, weighted: bool
) -> Answer:
    """The `topn` words of largest p(word | words), in per cent and nats."""
    one = vectors.kind.one
    notes = untrained_words(vectors, words, trained_only=trained_only)[1]
    log_p = vectors.log_probabilities(words, weighted=weighted)
    if topn > len(vectors):
        notes.append(f"{topn} {vectors.kind.many} were asked for, there are {len(vectors)}")
    data = [
        {
            one: vectors.index_to_key[number],
            "p": math.exp(log_p[number]),
            "nats": -float(log_p[number]),
        }
        for number in (-log_p).argsort(kind="stable")[:topn]
    ]
    rows = [[row[one], f"{100 * row['p']:.4g}", f"{row['nats']:.4f}"] for row in data]
    return Answer(data, [[one, "percent", "nats"], *rows], notes)


def near_words(
    vectors: Vectors,
    expressions: Sequence[str],
    topn: int,
    *,
    trained_only: bool,
    which: Which | None,
) -> Answer:
    """The `topn` words of largest cosine to each expression."""
    notes: list[str] = []
    repeated = [one for number, one in enumerate(expressions) if one in expressions[:number]]
    if repeated:
        notes.append(f"{repeated[0]!r} was asked more than once; it is answered once")
    signed = {
        one: ([one], []) if one in vectors.spaces else signed_words(one) for one in expressions
    }
    marks: dict[str, str] = {}
    for one, (plus, minus) in signed.items():
        marks[one], lines = untrained_words(vectors, [*plus, *minus], trained_only=trained_only)
        notes += [line for line in lines if line not in notes]
    found = {
        one: vectors.most_similar(plus, minus, topn=topn, which=which)
        for one, (plus, minus) in signed.items()
    }
    if (most := max(map(len, found.values()))) < topn:
        names = vectors.kind.many if vectors.square else "names"
        notes.append(f"{topn} {names} were asked for, there are {most} besides those of the query")
    flat = [(one, word, cosine) for one, near in found.items() for word, cosine in near]
    data = [
        {
            "query": one,
            vectors.kind.one: word,
            "cosine": cosine,
            "untrained": marks[one].strip(" ()") or None,
        }
        for one, word, cosine in flat
    ]
    rows = [[one + marks[one], word, f"{cosine:.4f}"] for one, word, cosine in flat]
    return Answer(data, [["query", vectors.kind.one, "cosine"], *rows], notes)


def untrained_words(
    vectors: Vectors, words: Sequence[str], *, trained_only: bool
) -> tuple[str, list[str]]:
    """A mark for a query, " (composed)", " (folded in)" or "", and notes.

    There is a note for each word that was not trained: how it has its vector. UnknownWordError for
    one that has none, or for each of them with `trained_only`.
    """
    lines, ways = [], set()
    for word in words:
        if vectors.is_trained(word):
            continue
        nearest = vectors.nearest_spellings(word)
        if trained_only:
            why = f"{word!r} is not among the {vectors.kind.number(len(vectors))}"
            raise UnknownWordError(word, len(vectors), nearest, why)
        way = vectors.known_as(word)
        ways.add(way)
        how = (
            f"composed from {vectors.composer.description(word)}"
            if vectors.composer and way == "composed"
            else way
        )
        spelling = f"; nearest spelling: {nearest[0]}" if nearest else ""
        size = vectors.kind.number(len(vectors))
        lines.append(f"{word!r} is not among the {size}: {how}{spelling}")
    return f" ({min(ways)})" if ways else "", lines


def folded(vectors: Vectors, counts: RowCounts, output: str) -> list[str]:
    """What was folded in of `counts`, and what could not be used."""
    rows = vectors.folded
    assert rows is not None
    new = sum(name in rows.places for name in counts.rows)
    before = f" and {len(rows.names) - new:,} of before" * (len(rows.names) > new)
    lines = [f"{output}: {new:,} rows folded in beside {vectors.axes.size}{before}"]
    if trained := [name for name in counts.rows if name in vectors.axes.row_places]:
        what = vectors.axes.row_noun
        lines.append(
            f"{len(trained):,} of them are {what} of the run, which keep their trained vectors: "
            f"{_some(trained)}"
        )
    if rows.unknown:
        lines.append(
            f"{100 * rows.unknown_share:.2f} % of the pairs are with {len(rows.unknown):,} unknown "
            f"{vectors.kind.many} and were left out: {_some(rows.unknown)}"
        )
    if rows.without:
        lines.append(
            f"no vector for {len(rows.without):,} rows that have neither counts nor features: "
            f"{_some(rows.without)}"
        )
    return lines


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + " …" * (len(names) > 5)


def evaluation(found: "Evaluation") -> list[list[str]]:
    """A table: what, nats a pair, and what it is measured on."""
    rows = [["measure", "value", "of"]]
    for name, losses in (("training", found.training), ("held-out", found.held_out)):
        if losses:
            rows += _losses(name, losses)
        elif KINDS[found.kind] not in ROWS_OF_ITEMS:
            rows.append([f"{name} NLL", "none", ""])
    kind = KINDS[found.kind]
    rows.append(["ln V", f"{found.ln_v:.6f}", kind.number(found.words)])
    if found.new_text is not None:
        rows += _new_text(found.new_text)
    for path, similarity in found.similarity.items():
        rows += _similarity(path, similarity)
    for path, analogies in found.analogies.items():
        measured = f"{path}: {analogies.n:,} questions, {_unknown(analogies.out_of_vocabulary)}"
        rows.append(["analogies", f"{analogies.accuracy:.4f}", measured])
    return rows


def _new_text(text: "NewText") -> list[list[str]]:
    interval = "none (one document)"
    if text.nll_interval is not None:
        interval = f"{text.nll_interval[0]:.4f} .. {text.nll_interval[1]:.4f}"
    measured = (
        f"{text.tokens:,} tokens, {text.documents:,} documents, {text.pairs:,} pairs, "
        f"{_unknown(text.out_of_vocabulary)}"
    )
    return [
        ["new text NLL", f"{text.nll:.6f}", measured],
        ["new text NLL, 95 %", interval, "bootstrap over documents"],
        ["new text unigram", f"{text.unigram:.6f}", ""],
    ]


def _similarity(path: str, found: "Similarity") -> list[list[str]]:
    measured = f"{path}: {found.n:,} pairs, {_unknown(found.out_of_vocabulary)}"
    rows = [["Spearman", _rho(found.rho), measured]]
    if found.n_composed:
        composed = f"{path}: {found.n_composed:,} pairs, words that were not trained composed"
        rows.append(["Spearman, composed", _rho(found.rho_composed), composed])
    return rows


def _unknown(share: float) -> str:
    return f"{100 * share:.2f} % out of vocabulary"


def _rho(rho: float | None) -> str:
    return "none" if rho is None else f"{rho:.4f}"


def _losses(name: str, losses: "Losses") -> list[list[str]]:
    measured = f"{losses.pairs:,.1f} weighted pairs"
    return [
        [f"{name} NLL", f"{losses.nll:.6f}", measured],
        [f"{name} unigram", f"{losses.unigram:.6f}", ""],
        [f"{name} floor", f"{losses.floor:.6f}", "entropy of the counts"],
        [f"{name} excess", f"{losses.excess:.6f}", "NLL above the floor"],
    ]


def short(number: int) -> str:
    """A number with three digits.

    >>> short(7_044_330)
    '7.04 M'
    """
    power = min(2, int(math.log10(max(number, 1))) // 3)
    return f"{number / 1000**power:.3g} {('', 'k', 'M')[power]}".rstrip()


def duration(seconds: float) -> str:
    """About so long, in seconds or minutes."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{seconds / 60:.0f} min"
