"""What a run is worth: exact losses of held-out and new text, word similarity, analogies."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.counting import count_alike, weighted_pairs
from exact2vec.counts.counts import Counts, has_counts
from exact2vec.errors import InputError, UnknownWordError
from exact2vec.loss.count_losses import BLOCK_ROWS, Losses, WeightedCounts, exact_losses
from exact2vec.loss.engine import engine_of
from exact2vec.loss.engine.cells import Outputs, Workspace
from exact2vec.parallel import Workers
from exact2vec.storage.files import text_lines
from exact2vec.storage.run_folder import Run, open_run
from exact2vec.vectors.queries import Which, unit_rows
from exact2vec.vectors.vectors import Vectors, load

RESAMPLES = 1000


@dataclass(frozen=True)
class NewText:
    """Losses of new text in nats per weighted pair.

    The 95 % interval is by bootstrap over its documents, None of a single one.
    """

    nll: float
    nll_interval: tuple[float, float] | None
    unigram: float
    documents: int
    tokens: int
    out_of_vocabulary: float
    pairs: int
    weighted_pairs: float


@dataclass(frozen=True)
class Similarity:
    """Spearman's ρ between cosine and human score over `n` pairs of trained words.

    `out_of_vocabulary` is the share of the other pairs. `rho_composed` is ρ over `n_composed`
    pairs, the words that were not trained composed. Each is None where there is nothing to rank:
    fewer than three pairs, or all scores or cosines equal.
    """

    rho: float | None
    n: int
    out_of_vocabulary: float
    rho_composed: float | None = None
    n_composed: int = 0


@dataclass(frozen=True)
class Analogies:
    """The share of `n` questions whose answer is the nearest word.

    `out_of_vocabulary` is the share of questions that were left out.
    """

    accuracy: float
    n: int
    out_of_vocabulary: float


@dataclass(frozen=True)
class Evaluation:
    """Losses in nats per weighted pair, None where there was nothing to measure.

    `words` is the number of columns, which ln V is the logarithm of. `kind` names the kind of data.
    """

    words: int
    ln_v: float
    training: Losses | None
    held_out: Losses | None
    held_out_digest: str | None
    new_text: NewText | None
    similarity: dict[str, Similarity]
    analogies: dict[str, Analogies]
    kind: str = "text"


@runtime_checkable
class Trained(Protocol):
    """An estimator after `fit`."""

    wv: Vectors
    counts_: Counts


def evaluate(
    run: str | Path | Run | Vectors | Trained,
    texts: Iterable[object] | None = None,
    *,
    similarity: Sequence[str | Path] = (),
    analogies: Sequence[str | Path] = (),
    which: Which | None = None,
    restrict: int = 30_000,
    threads: int | None = None,
) -> Evaluation:
    """Everything that can be said of a run: its losses, computed anew, and what was asked for.

    `run` is a run folder, an Exact2Vec after `fit`, or Vectors, which have no losses of their own.
    `texts` is new text: a `Text`, or documents as `count_text` takes them. `similarity` and
    `analogies` are files; `which` are the vectors they are asked of, by default the embedding, and
    where rows are not columns the vectors of the names' side.
    """
    if isinstance(run, str | Path | Run):
        run = open_run(run)
        vectors, counts = load(run), Counts.load(run) if has_counts(run) else None
    else:
        vectors, counts = (run, None) if isinstance(run, Vectors) else (run.wv, run.counts_)
    training, held_out = losses(vectors, counts, threads=threads) if counts else (None, None)
    return Evaluation(
        len(vectors),
        math.log(len(vectors)),
        training,
        held_out,
        counts.held_out_digest if counts else None,
        None if texts is None else new_text(vectors, texts, threads=threads),
        {str(path): word_similarity(vectors, path, which=which) for path in similarity},
        {
            str(path): word_analogies(vectors, path, which=which, restrict=restrict)
            for path in analogies
        },
        vectors.kind.name,
    )


def losses(
    vectors: Vectors, counts: Counts, *, threads: int | None = None
) -> tuple[Losses, Losses | None]:
    """The exact losses of the training part, and of the held-out part where there is one."""
    background = counts.background_of(counts.training)
    training = WeightedCounts(counts.weigh(counts.training), background)
    held_out = [] if counts.held_out is None else [WeightedCounts(counts.weigh(counts.held_out))]
    counted, log_unigram = [training, *held_out], torch.from_numpy(np.log(vectors.unigram))
    with Workers(threads) as workers:
        workspace = Workspace.of(workers, BLOCK_ROWS, len(vectors))
        measured = exact_losses(*_sides(vectors), counted, log_unigram, workspace)
    return measured[0], measured[1] if held_out else None


def new_text(
    vectors: Vectors,
    texts: Iterable[object],
    *,
    tokenized: bool = False,
    threads: int | None = None,
    seed: int = 1,
) -> NewText:
    """The exact NLL of new text, counted and weighted as the run was, beside its unigram."""
    counts, corpus, ids = count_alike(
        texts, vectors.vocabulary, vectors.weighting, vectors.settings, tokenized=tokenized
    )
    known = ids >= 0
    if counts.nnz == 0:
        raise InputError(
            f"{len(ids):,} tokens, {int(known.sum()):,} of them known to the run: "
            "no pairs, so no loss"
        )
    nll = cell_nll(vectors, counts, threads)
    per_document = _document_sums(ids[known], corpus.token_document[known], vectors, nll)
    total = per_document.sum(axis=0)
    return NewText(
        nll=total[0] / total[2],
        nll_interval=_bootstrap(per_document, seed),
        unigram=total[1] / total[2],
        documents=corpus.documents,
        tokens=len(ids),
        out_of_vocabulary=1 - float(known.mean()),
        pairs=int(total[3]),
        weighted_pairs=float(total[2]),
    )


def word_similarity(
    vectors: Vectors, path: str | Path, *, which: Which | None = None
) -> Similarity:
    """Spearman's rank correlation over a file of lines "word TAB word TAB score".

    The words are spelled as those of the run are.
    """
    pairs = [
        (_spelled(vectors, one), _spelled(vectors, other), score)
        for one, other, score in _pairs(path)
    ]
    if which is None:
        which = _default_which(vectors, [word for one, other, _ in pairs for word in (one, other)])
    vectors.axes.check_which(which)
    places = vectors.axes.places(which)
    trained = [pair for pair in pairs if pair[0] in places and pair[1] in places]
    all_pairs = (
        [pair for pair in pairs if pair[0] in vectors and pair[1] in vectors]
        if vectors.composer
        else []
    )
    most = max(trained, all_pairs, key=len)
    if len(most) < 3:
        raise InputError(
            f"{path}: {len(most)} of {len(pairs)} pairs have vectors, {len(trained)} of them "
            "trained; a rank correlation needs at least 3"
        )
    if len({score for _, _, score in most}) == 1:
        raise InputError(f"{path}: all {len(most)} scores are equal; there is nothing to rank")
    rho, composed = (_rank_correlation(vectors, some, which) for some in (trained, all_pairs))
    return Similarity(rho, len(trained), 1 - len(trained) / len(pairs), composed, len(all_pairs))


def _rank_correlation(
    vectors: Vectors, pairs: list[tuple[str, str, float]], which: Which
) -> float | None:
    from scipy.stats import spearmanr

    matrix = vectors.matrix(which)
    unit: dict[str, NDArray[np.float32]] = {}
    for word in {word for one, other, _ in pairs for word in (one, other)}:
        number = vectors.axes.places(which).get(word)
        vector = vectors.vector(word, which) if number is None else matrix[number]
        unit[word] = unit_rows(vector[None])[0]
    cosine = [float(unit[one] @ unit[other]) for one, other, _ in pairs]
    scores = [score for _, _, score in pairs]
    if len(pairs) < 3 or min(len(set(cosine)), len(set(scores))) == 1:
        return None
    return float(spearmanr(cosine, scores).statistic)


def word_analogies(
    vectors: Vectors, path: str | Path, *, which: Which | None = None, restrict: int = 30_000
) -> Analogies:
    """a : b = c : ? over lines of four words, spelled as those of the run are.

    Answers and questions are among the `restrict` most frequent words. The answer is the word
    nearest (cosine) to b − a + c, each of length 1, other than a, b and c, as in word2vec's
    compute-accuracy.
    """
    questions = [[_spelled(vectors, word) for word in question] for question in _questions(path)]
    if which is None:
        which = _default_which(vectors, [word for question in questions for word in question])
    vectors.axes.check_which(which)
    place = {word: number for number, word in enumerate(vectors.axes.names(which)[:restrict])}
    known = np.array(
        [
            [place[word] for word in question]
            for question in questions
            if all(word in place for word in question)
        ]
    ).reshape(-1, 4)
    if len(known) == 0:
        raise InputError(
            f"{path}: none of {len(questions)} questions has vectors for its four words"
        )
    unit = unit_rows(vectors.matrix(which))[:restrict]
    right = sum(
        _right_answers(unit, known[start : start + 256]) for start in range(0, len(known), 256)
    )
    return Analogies(right / len(known), len(known), 1 - len(known) / len(questions))


def _spelled(vectors: Vectors, word: str) -> str:
    """The word as the run spells it; what is several words there stays as it is."""
    try:
        return vectors.spelled(word)
    except UnknownWordError:
        return word


def _default_which(vectors: Vectors, words: list[str]) -> Which:
    """The vectors of the side that the first known word is of."""
    known = [word for word in words if vectors.is_trained(word)]
    return vectors.default_which(known[:1])


def _right_answers(unit: NDArray[np.float32], questions: NDArray[np.int64]) -> int:
    a, b, c, answer = questions.T
    cosine = (unit[b] - unit[a] + unit[c]) @ unit.T
    np.put_along_axis(cosine, questions[:, :3], -np.inf, axis=1)
    return int((cosine.argmax(axis=1) == answer).sum())


def _lines(path: str | Path) -> list[tuple[int, str]]:
    return [
        (number, line.strip())
        for number, line in enumerate(text_lines(Path(path)), start=1)
        if line.strip() and not line.startswith("#")
    ]


def _pairs(path: str | Path) -> list[tuple[str, str, float]]:
    pairs = []
    for number, line in _lines(path):
        fields = line.split("\t")
        try:
            pairs.append((fields[0], fields[1], float(fields[2])))
            if not math.isfinite(pairs[-1][2]):
                raise ValueError
        except (IndexError, ValueError):
            raise InputError(
                f"{path}, line {number}: wanted word TAB word TAB score, got {line[:60]!r}"
            ) from None
    return pairs


def _questions(path: str | Path) -> list[list[str]]:
    questions = []
    for number, line in _lines(path):
        if line.startswith(":"):
            continue
        if len(words := line.split()) != 4:
            raise InputError(f"{path}, line {number}: wanted four words, got {line[:60]!r}")
        questions.append(words)
    return questions


def _sides(vectors: Vectors) -> tuple[torch.Tensor, Outputs]:
    """Inputs and outputs, as the engine of the loss takes them."""
    inputs, outputs, bias = (
        torch.from_numpy(array) for array in (vectors.inputs, vectors.outputs, vectors.bias)
    )
    return inputs, Outputs.of(outputs, bias)


def cell_nll(vectors: Vectors, counts: csr_array, threads: int | None) -> csr_array:
    """−log p(w | c) of each counted cell, float64, in a matrix of the same cells."""
    values, counted = np.empty(counts.nnz), WeightedCounts(counts)
    inputs, outputs = _sides(vectors)
    engine = engine_of(inputs, outputs.rows)
    rows = np.flatnonzero(np.diff(counts.indptr))
    with Workers(threads) as workers:
        workspace = Workspace.of(workers, BLOCK_ROWS, len(vectors))
        for start in range(0, len(rows), BLOCK_ROWS):
            block = rows[start : start + BLOCK_ROWS]
            x = inputs[torch.from_numpy(block)]
            nll = engine.cell_nll(x, outputs, counted.block(block), workspace=workspace)
            # rows between them have no cells
            values[counts.indptr[block[0]] : counts.indptr[block[-1] + 1]] = nll
    return csr_array((values, counts.indices, counts.indptr), shape=counts.shape)


def _document_sums(
    ids: NDArray[np.int32],
    documents: NDArray[np.int64],
    vectors: Vectors,
    nll: csr_array,
) -> NDArray[np.float64]:
    """For each document Σ n·nll, Σ n·unigram nll, Σ n, and the number of ordered pairs."""
    sums = np.zeros((int(documents.max()) + 1, 4))
    unigram = -np.log(vectors.unigram)
    pairs = weighted_pairs(ids, documents, vectors.weighting, vectors.keep)
    for document, one, other, weight in pairs:
        terms = (
            weight * (_at(nll, one, other) + _at(nll, other, one)),
            weight * (unigram[one] + unigram[other]),
            2 * weight,
            np.full(len(one), 2.0),
        )
        for column, term in enumerate(terms):
            sums[:, column] += np.bincount(document, term, len(sums))
    return sums[sums[:, 3] > 0]


def _at(
    matrix: csr_array, rows: NDArray[np.int32], columns: NDArray[np.int32]
) -> NDArray[np.float64]:
    cells: Any = matrix[rows, columns]
    return np.asarray(cells.todense() if hasattr(cells, "todense") else cells).ravel()


def _bootstrap(per_document: NDArray[np.float64], seed: int) -> tuple[float, float] | None:
    """The 2.5 and 97.5 percentiles of the NLL over documents drawn with replacement."""
    random = np.random.default_rng(seed)
    size = len(per_document)
    if size < 2:
        return None
    draws = [per_document[random.integers(0, size, size), :3].sum(axis=0) for _ in range(RESAMPLES)]
    low, high = np.percentile([draw[0] / draw[2] for draw in draws], [2.5, 97.5])
    return float(low), float(high)
