"""The lines a run begins and ends with, and the tables of an evaluation."""

import math
import shlex
from collections.abc import Sequence

from exact2vec.counts.counts import Counts
from exact2vec.counts.features import RowCounts
from exact2vec.errors import UnknownWordError
from exact2vec.loss.sweep import Losses
from exact2vec.options import available_threads
from exact2vec.train.fit import Record
from exact2vec.vectors.evaluate import Evaluation
from exact2vec.vectors.vectors import Vectors

FLOPS_A_THREAD = 55e9  # of the three products, exponentials and updates together, on a common core
SWEEP_SHARE = 0.4  # of a pass
OVERFITTED = ": worse than the frequencies alone; fewer --epochs, or a stronger --prior"


def opening(counts: Counts, vector_size: int, epochs: int, threads: int | None) -> list[str]:
    """What was read and where every token went, and a rough forecast of memory and time."""
    tokens, words = counts.tokens, len(counts.words)
    pairs = int(counts.training.data.sum() // counts.weighting.unit)
    passes, rate = (
        epochs + SWEEP_SHARE * (epochs + 1),
        FLOPS_A_THREAD * (threads or available_threads()),
    )
    seconds = (
        passes * 6 * words**2 * vector_size / rate + 1e-7 * (1 + epochs / 2) * counts.training.nnz
    )
    gigabytes = (
        57 * counts.training.nnz + 4 * (256 * words + 12 * words * vector_size)
    ) / 1e9 + 0.4
    dropped = sum(number for name, number in tokens.items() if name.startswith("dropped_"))
    validation = f" + {tokens['validation']:,} for validation" if tokens["validation"] else ""
    contexts = f"{len(counts.rare.words):,} more context only, " if counts.rare else ""
    return [
        f"{tokens['read']:,} tokens, {words:,} words of {tokens['distinct']:,} (min-count {counts.settings['min_count']}), {contexts}"
        f"{_short(pairs)} pairs (weighted by distance); a rough estimate: {gigabytes:.1f} GB and {_duration(seconds)}",
        f"tokens: {tokens['training']:,} training + {tokens['held_out']:,} held out{validation} + {dropped:,} of words that are not kept"
        f"{' + ' + format(tokens['context_only'], ',') + ' context only' if counts.rare else ''}, "
        f"in {tokens['documents']:,} documents",
    ]


def closing(vectors: Vectors, last: Record, output: str) -> list[str]:
    """Where it lies, what it lost, and what to try next."""
    held_out = last.held_out
    return [
        f"{output}: {len(vectors):,} words, {vectors.vector_size} numbers each{f', and {len(vectors.folded.names):,} context only' if vectors.folded else ''}",
        f"held-out NLL {held_out.nll:.4f} nats a pair (unigram {held_out.unigram:.4f}){OVERFITTED * (held_out.nll > held_out.unigram)}"
        if held_out
        else "held-out NLL none",
        f"try: exact2vec neighbors {shlex.quote(output)} {shlex.quote(vectors.index_to_key[min(100, len(vectors) - 1)])}",
        f"     exact2vec evaluate {shlex.quote(output)}",
    ]


def untrained_words(
    vectors: Vectors, words: Sequence[str], *, trained_only: bool
) -> tuple[str, list[str]]:
    """A mark for a query of `words`, " (composed)" or " (folded in)" or "", and a line for each word that was not trained: how it has its vector.

    UnknownWordError for one that has none, or for each of them with `trained_only`.
    """
    lines, ways = [], set()
    for word in words:
        if word in vectors.key_to_index:
            continue
        nearest = vectors.nearest_spellings(word)
        if trained_only:
            raise UnknownWordError(word, len(vectors), nearest)
        way = vectors.known_as(word)
        ways.add(way)
        how = (
            f"composed from {vectors.composer.of_what(word)}"
            if vectors.composer and way == "composed"
            else way
        )
        lines.append(
            f"{word!r} is not among the {len(vectors):,} words: {how}{f'; nearest spelling: {nearest[0]}' if nearest else ''}"
        )
    return f" ({min(ways)})" if ways else "", lines


def folded(vectors: Vectors, counts: RowCounts, output: str) -> list[str]:
    """What was folded in of `counts`, and what could not be used."""
    rows = vectors.folded
    assert rows is not None
    new = sum(name in rows.place for name in counts.rows)
    before = f" and {len(rows.names) - new:,} of before" * (len(rows.names) > new)
    lines = [f"{output}: {new:,} rows folded in beside {len(vectors):,} words{before}"]
    if trained := [name for name in counts.rows if name in vectors.key_to_index]:
        lines.append(
            f"{len(trained):,} of them are words of the run, which keep their trained vectors: {_some(trained)}"
        )
    if rows.unknown:
        lines.append(
            f"{100 * rows.unknown_share:.2f} % of the pairs are with {len(rows.unknown):,} unknown words and were left out: {_some(rows.unknown)}"
        )
    if rows.without:
        lines.append(
            f"no vector for {len(rows.without):,} rows that have neither counts nor features: {_some(rows.without)}"
        )
    return lines


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + " …" * (len(names) > 5)


def evaluation(found: Evaluation) -> list[list[str]]:
    """A table: what, nats a pair, and what it is measured on."""
    rows = [["measure", "value", "of"]]
    for name, losses in (("training", found.training), ("held-out", found.held_out)):
        rows += _losses(name, losses) if losses else [[f"{name} NLL", "none", ""]]
    rows.append(["ln V", f"{found.ln_v:.6f}", f"{found.words:,} words"])
    if (text := found.new_text) is not None:
        interval = (
            "none (one document)"
            if text.nll_interval is None
            else f"{text.nll_interval[0]:.4f} .. {text.nll_interval[1]:.4f}"
        )
        measured = f"{text.tokens:,} tokens, {text.documents:,} documents, {text.pairs:,} pairs, {100 * text.out_of_vocabulary:.2f} % out of vocabulary"
        rows += [
            ["new text NLL", f"{text.nll:.6f}", measured],
            ["new text NLL, 95 %", interval, "bootstrap over documents"],
            ["new text unigram", f"{text.unigram:.6f}", ""],
        ]
    for path, similarity in found.similarity.items():
        rows.append(
            [
                "Spearman",
                _rho(similarity.rho),
                f"{path}: {similarity.n:,} pairs, {100 * similarity.out_of_vocabulary:.2f} % out of vocabulary",
            ]
        )
        if similarity.n_composed:
            rows.append(
                [
                    "Spearman, composed",
                    _rho(similarity.rho_composed),
                    f"{path}: {similarity.n_composed:,} pairs, words that were not trained composed",
                ]
            )
    for path, analogies in found.analogies.items():
        rows.append(
            [
                "analogies",
                f"{analogies.accuracy:.4f}",
                f"{path}: {analogies.n:,} questions, {100 * analogies.out_of_vocabulary:.2f} % out of vocabulary",
            ]
        )
    return rows


def _rho(rho: float | None) -> str:
    return "none" if rho is None else f"{rho:.4f}"


def _losses(name: str, losses: Losses) -> list[list[str]]:
    measured = f"{losses.pairs:,.1f} weighted pairs"
    return [
        [f"{name} NLL", f"{losses.nll:.6f}", measured],
        [f"{name} unigram", f"{losses.unigram:.6f}", ""],
        [f"{name} floor", f"{losses.floor:.6f}", "entropy of the counts"],
        [f"{name} excess", f"{losses.excess:.6f}", "NLL above the floor"],
    ]


def _short(number: int) -> str:
    power = min(2, int(math.log10(max(number, 1))) // 3)
    return f"{number / 1000**power:.3g} {('', 'k', 'M')[power]}".rstrip()


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{seconds / 60:.0f} min"
