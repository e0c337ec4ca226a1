"""The lines a run begins and ends with, and the tables of an evaluation."""

import math
import shlex

from exact2vec.counts.counts import Counts
from exact2vec.loss.sweep import Losses
from exact2vec.options import available_threads
from exact2vec.train.fit import Record
from exact2vec.vectors.evaluate import Evaluation
from exact2vec.vectors.vectors import Vectors

FLOPS_A_THREAD = 26e9  # of the three products, exponentials and updates together, on a common core


def opening(counts: Counts, vector_size: int, epochs: int, threads: int | None) -> list[str]:
    """What was read and where every token went, and a rough forecast of memory and time."""
    tokens, words = counts.tokens, len(counts.words)
    pairs = int(counts.training.data.sum() // counts.window)
    seconds = (epochs + (epochs + 1) / 3) * 6 * words**2 * vector_size / (FLOPS_A_THREAD * (threads or available_threads())) + 1e-6 * counts.training.nnz
    gigabytes = (57 * counts.training.nnz + 4 * (256 * words + 12 * words * vector_size)) / 1e9 + 0.4
    dropped = tokens["dropped_training"] + tokens["dropped_held_out"]
    return [
        f"{tokens['read']:,} tokens, {words:,} words of {tokens['distinct']:,} (min-count {tokens['min_count']}), "
        f"{_short(pairs)} pairs (weighted by distance); a rough estimate: {gigabytes:.1f} GB and {_duration(seconds)}",
        f"tokens: {tokens['training']:,} training + {tokens['held_out']:,} held out + {dropped:,} of words that are not kept, "
        f"in {tokens['documents']:,} documents",
    ]


def closing(vectors: Vectors, last: Record, output: str) -> list[str]:
    """Where it lies, what it lost, and what to try next."""
    held_out = last.held_out
    return [
        f"{output}: {len(vectors):,} words, {vectors.vector_size} numbers each",
        f"held-out NLL {held_out.nll:.4f} nats a pair (unigram {held_out.unigram:.4f})" if held_out else "held-out NLL none",
        f"try: exact2vec neighbors {shlex.quote(output)} {shlex.quote(vectors.index_to_key[min(100, len(vectors) - 1)])}",
        f"     exact2vec evaluate {shlex.quote(output)}",
    ]


def evaluation(found: Evaluation) -> list[list[str]]:
    """A table: what, nats a pair, and what it is measured on."""
    rows = [["measure", "value", "of"]]
    for name, losses in (("training", found.training), ("held-out", found.held_out)):
        rows += _losses(name, losses) if losses else [[f"{name} NLL", "none", ""]]
    rows.append(["ln V", f"{found.ln_v:.6f}", f"{found.words:,} words"])
    if (text := found.new_text) is not None:
        interval = "none (one document)" if text.nll_interval is None else f"{text.nll_interval[0]:.4f} .. {text.nll_interval[1]:.4f}"
        measured = f"{text.tokens:,} tokens, {text.documents:,} documents, {text.pairs:,} pairs, {100 * text.out_of_vocabulary:.2f} % out of vocabulary"
        rows += [
            ["new text NLL", f"{text.nll:.6f}", measured],
            ["new text NLL, 95 %", interval, "bootstrap over documents"],
            ["new text unigram", f"{text.unigram:.6f}", ""],
        ]
    for path, similarity in found.similarity.items():
        rows.append(["Spearman", f"{similarity.rho:.4f}", f"{path}: {similarity.n:,} pairs, {100 * similarity.out_of_vocabulary:.2f} % out of vocabulary"])
    for path, analogies in found.analogies.items():
        rows.append(
            ["analogies", f"{analogies.accuracy:.4f}", f"{path}: {analogies.n:,} questions, {100 * analogies.out_of_vocabulary:.2f} % out of vocabulary"]
        )
    return rows


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
