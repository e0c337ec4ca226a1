"""Exact2Vec: scikit-learn manners over counts → train → vectors.

The command line writes its run folders with it.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.baskets import Baskets
from exact2vec.counts.counting import count_text
from exact2vec.counts.counts import Counts
from exact2vec.counts.features import Features, NamedCounts, RowCounts, is_matrix
from exact2vec.counts.sentences import pieces_of
from exact2vec.counts.text import Text
from exact2vec.display import History, in_notebook, notebook_bar
from exact2vec.errors import InputError, UsageError
from exact2vec.options import COUNTING, ITEM_MODEL, TRAINING, checked, documented, validation_share
from exact2vec.pages.report import report_page
from exact2vec.pages.run_view import RunView
from exact2vec.storage import run_folder, schema
from exact2vec.train.checkpoint import history_row, summary
from exact2vec.train.fit import fit
from exact2vec.train.going_on import Earlier
from exact2vec.train.item_training import item_settings, parts_and_counts
from exact2vec.train.problem import Strengths
from exact2vec.train.provenance import origin_of
from exact2vec.train.state import Progress, Record
from exact2vec.vectors.evaluate import losses, new_text
from exact2vec.vectors.item_model import ItemModel
from exact2vec.vectors.other_names import by_our_names
from exact2vec.vectors.queries import log_softmax
from exact2vec.vectors.stored_items import NextItemParts
from exact2vec.vectors.vectors import Vectors

PARAMETERS = COUNTING + ITEM_MODEL + TRAINING
Listener = Callable[[Iterator[Record]], Iterator[Record]]


@documented()
class Exact2Vec:
    """Train word vectors with the exact softmax loss.

    >>> model = Exact2Vec(vector_size=2, epochs=3, held_out=0)
    >>> model = model.fit([["sun", "moon"], ["dog", "cat"]] * 20)
    >>> model.wv.most_similar("sun", topn=1)[0][0]
    'moon'

    Arguments are those of `count_text` and `fit`. After `fit` there are `wv` (Vectors), `counts_`,
    and `history_`, a dict for each measured record with losses in nats.

    `fit` takes a scipy matrix too, or a numeric array: users × items, documents × terms. Its rows
    and columns have numbers for names ("row 0", "column 0"); name them with `Counts.from_matrix`.
    Then `transform` gives vectors of new rows, and `score` the likelihood of other cells.

    scikit-learn's clone, cross-validation, searches and pipelines take it. Before a classifier in a
    pipeline it takes matrices, not sentences, since `transform` does.

    Of `Baskets` (see `count_baskets`) it trains the pairs of items, and keeps them as `baskets_`.
    """

    @by_our_names
    def __init__(
        self,
        *,
        vector_size: int = 100,
        window: int = 5,
        min_count: int = 5,
        max_vocab: int | None = None,
        sample: float = 1e-3,
        held_out: float = 0.02,
        validation: float = 0.0,
        rare: int | None = None,
        model: str = "all",
        validate: str = "nll",
        epochs: int | str = 2,
        max_epochs: int = 20,
        rate: float = 0.05,
        row_power: float = 0.75,
        prior: Strengths | None = (150.0, 500.0),
        min_n: int = 3,
        max_n: int | None = None,
        block_rows: int = 256,
        exact_every: int | None = None,
        seed: int = 1,
        threads: int | None = None,
    ) -> None:
        self.vector_size = vector_size
        self.window = window
        self.min_count = min_count
        self.max_vocab = max_vocab
        self.sample = sample
        self.held_out = held_out
        self.validation = validation
        self.rare = rare
        self.model = model
        self.validate = validate
        self.epochs = epochs
        self.max_epochs = max_epochs
        self.rate = rate
        self.row_power = row_power
        self.prior = prior
        self.min_n = min_n
        self.max_n = max_n
        self.block_rows = block_rows
        self.exact_every = exact_every
        self.seed = seed
        self.threads = threads

    def __repr__(self) -> str:
        changed = [
            f"{option.name}={getattr(self, option.name)!r}"
            for option in PARAMETERS
            if getattr(self, option.name) != option.default
        ]
        return f"Exact2Vec({', '.join(changed)})"

    def __getattr__(self, name: str) -> Any:
        if name in ("wv", "counts_", "baskets_", "history_", "times_", "last_"):
            raise AttributeError(f"this Exact2Vec has no {name} yet: call fit(sentences) first")
        raise AttributeError(f"'Exact2Vec' object has no attribute {name!r}")

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator  # which is there, since it alone asks

        return BaseEstimator().__sklearn_tags__()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments by name, as scikit-learn reads them."""
        return {option.name: getattr(self, option.name) for option in PARAMETERS}

    def set_params(self, **params: Any) -> "Exact2Vec":
        """Set arguments by name."""
        for name, value in params.items():
            if name not in self.get_params():
                raise UsageError(
                    f"{name!r} is not an argument of Exact2Vec; "
                    f"it has {', '.join(self.get_params())}"
                )
            setattr(self, name, value)
        return self

    def fit(
        self,
        sentences: Any,
        y: None = None,
        *,
        features: Features | None = None,
        listen: Listener | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> "Exact2Vec":
        """Train on lists of tokens, a `Text`, `Counts`, `Baskets`, or a matrix of rows × columns.

        `features` are what is known of the rows beside their counts. `listen` sees the records of
        `fit` pass, as a progress bar does; a notebook shows one. Of `Baskets`, what predicts the
        next item is chosen first (`model`, `validate`), and told to `say`; the vectors are then
        trained on its credit counts.

        Raises DivergedError, with `wv` and `history_` as last measured, where the loss runs away.
        """
        self._check()
        self.count(sentences, say)
        return self.train(features=features, listen=listen)

    def count(self, sentences: Any, say: Callable[[str], None] = lambda line: None) -> Counts:
        """The counts of what `fit` takes, which are `counts_` from now on: its first half."""
        self.baskets_ = sentences if isinstance(sentences, Baskets) else None
        self.next_items_, self.counts_ = self._counted(sentences, say)
        return self.counts_

    def train(
        self, *, features: Features | None = None, listen: Listener | None = None
    ) -> "Exact2Vec":
        """Train on what was counted: the second half of `fit`."""
        self._check()
        self.history_ = History()
        self.times_: list[dict[str, Any]] = []
        return self._train(features, listen, None)

    def go_on(
        self,
        counts: Counts,
        earlier: Earlier,
        *,
        features: Features | None = None,
        listen: Listener | None = None,
        baskets: Baskets | None = None,
    ) -> "Exact2Vec":
        """Train on from where an earlier `fit` was, of the same counts, features and arguments.

        It ends with the vectors and the history that the other would have ended with. `baskets` are
        those that the counts are of.
        """
        self._check()
        self.count(counts)
        self.baskets_ = baskets
        self.wv, self.last_ = Vectors.from_state(earlier.measured.state, counts), earlier.measured
        self.history_, self.times_ = History(earlier.history), list(earlier.times)
        return self._train(features, listen, earlier.progress)

    def forget_after(self, step: int) -> None:
        """Take what was measured later out of the history."""
        self.history_ = History(row for row in self.history_ if row["step"] <= step)
        self.times_ = [row for row in self.times_ if row["step"] <= step]

    def _check(self) -> None:
        prior: Any = checked(**self.get_params())["prior"]
        if self.rare is not None and not (prior and prior[0]):
            raise UsageError(
                "rare words are folded in with the first strength of the prior: "
                "give prior=(150, 500), or leave rare out"
            )

    def _train(
        self, features: Features | None, listen: Listener | None, progress: Progress | None
    ) -> "Exact2Vec":
        before = self.times_[-1]["seconds"] if self.times_ else 0.0
        began = time.perf_counter() - before
        arguments = {option.name: getattr(self, option.name) for option in TRAINING}
        listen = listen or (notebook_bar if in_notebook() else iter)
        records = fit(self.counts_, features=features, progress=progress, **arguments)
        for record in listen(records):
            if record.training is not None:
                self.wv = Vectors.from_state(record.state, self.counts_, self._next_items())
                self.last_ = record
                self.history_.append(history_row(record))
                self.times_.append(
                    {"step": record.step, "seconds": round(time.perf_counter() - began, 3)}
                )
        if (rare := self.counts_.weigh_rare()) is not None:
            self.wv = self.wv.fold_in(rare, features, threads=self.threads)
        return self

    def transform(self, matrix: Any) -> NDArray[np.float32]:
        """The input vectors of new rows, from their counts of the trained columns.

        Each is the optimum of its own objective for the trained outputs, pulled towards 0 with the
        first strength of `prior`; a row without counts is 0. The counts are as `fit` takes them.
        """
        from exact2vec.vectors.fold_in import fold_in

        prior: Any = checked(prior=self.prior)["prior"]
        weighting, counts = self.counts_.weighting, self._rows(matrix)
        strength = weighting.strength_in_pairs(prior[0]) if prior else None
        weighted = weighting.weigh(counts, np.ones(counts.shape[0]), self.counts_.keep)
        names = [str(number) for number in range(counts.shape[0])]
        new = RowCounts(weighted, names, self.wv.columns)
        folded = fold_in(self.wv, new, None, strength, threads=self.threads)
        vectors = np.zeros((len(names), self.wv.vector_size), np.float32)
        vectors[[int(name) for name in folded.names]] = folded.inputs
        return vectors

    def score(self, sentences: Any, y: None = None) -> float:
        """The mean log-likelihood of new sentences, nats per pair; higher is better.

        They are counted and weighted as the text was that this model was trained on. Of a matrix
        it is that of its cells, whose rows and columns are the trained ones in their order.
        """
        if is_matrix(sentences):
            counts = self.counts_
            cells = Counts.from_matrix(sentences, counts.rows, counts.columns).training
            others = replace(counts, training=cells, held_out=None)
            return -losses(self.wv, others, threads=self.threads)[0].nll
        return -float(
            new_text(
                self.wv, sentences, tokenized=not isinstance(sentences, Text), threads=self.threads
            ).nll
        )

    def predict_proba(self, words: Any, *, weighted: bool = False) -> NDArray[np.float64]:
        """p(w | c) for each context c (rows) and each word of `classes_` (columns).

        Contexts are names of rows, or a matrix of new rows as `transform` takes it. Unless
        `weighted`, the subsampling is divided out. Of `Baskets` contexts are baskets of names, or
        a matrix of them, and p is that of what comes next, as in `Vectors.recommend`.
        """
        if isinstance(words, str):
            raise TypeError(f"got a string; did you mean [{words!r}]?")
        if self.wv.recommender is not None:
            return self.wv.recommender.probabilities(words)
        if is_matrix(words):
            log_p = self.wv.log_softmax(self.transform(words))
            return np.exp(log_p if weighted else log_softmax(log_p - np.log(self.wv.keep)))
        return np.stack(
            [np.exp(self.wv.log_probabilities(word, weighted=weighted)) for word in words]
        )

    @property
    def classes_(self) -> list[str]:
        """The names of the columns."""
        return self.wv.columns

    def save(
        self,
        folder: str | Path,
        *,
        force: bool = False,
        provenance: dict[str, Any] | None = None,
        report: bool = False,
    ) -> None:
        """Write a run folder: what `load`, `evaluate` and the command line read.

        `report` adds report.html, to be opened in a browser.
        """
        with run_folder.create(Path(folder), kind="run", force=force) as part:
            self.write_trained(part)
            self.write_start(part, provenance)
            if report:
                self.write_report(part, str(folder), provenance)

    def write_start(self, folder: Path, provenance: dict[str, Any] | None = None) -> None:
        """Put what is known before training into an open run folder."""
        self.counts_.write(folder)
        for of_items in (self.baskets_, self.next_items_):
            if of_items is not None:
                of_items.write(folder)
        schema.Config(self._config()).write(folder)
        schema.Provenance(origin_of(provenance)).write(folder)

    def write_trained(self, folder: Path) -> None:
        """Put what training made into an open run folder, the vectors first."""
        self.wv.write(folder)
        for stored in (
            schema.Summary(self._summary()),
            schema.History(self.history_),
            schema.HistoryTable(self.history_),
            schema.Times(self.times_),
        ):
            stored.write(folder)

    def write_report(
        self, folder: Path, name: str, provenance: dict[str, Any] | None = None
    ) -> None:
        """Put the report into an open run folder, as a run of this name."""
        arguments = self._config(), self._summary(), origin_of(provenance)
        rows = self.history_, self.times_, self.baskets_
        seen = RunView(name, self.wv, self.counts_, *arguments, *rows)
        schema.Report(report_page([seen])).write(folder)

    def _config(self) -> dict[str, Any]:
        config = checked(**{option.name: getattr(self, option.name) for option in TRAINING})
        return config | {"threads": None}

    def _summary(self) -> dict[str, Any]:
        held_out_of = self.counts_ if self.baskets_ is None else self.baskets_
        return summary(self.last_, len(self.wv), held_out_of.held_out_digest)

    def _counted(
        self, data: Any, say: Callable[[str], None]
    ) -> tuple[NextItemParts | None, Counts]:
        """The counts of whatever `fit` was given; of baskets what comes next too."""
        if isinstance(data, Baskets):
            return parts_and_counts(
                data,
                item_settings(data.kind.name, self.model, self.validate, self._config()),
                threads=self.threads,
                say=say,
                merged=self.epochs != "auto",
            )
        return None, self._counts(data)

    def _next_items(self) -> Callable[[Vectors], ItemModel] | None:
        """What makes the model of what comes next of vectors, with the parts and the counts."""
        parts, counts = self.next_items_, self.counts_.training
        if parts is None:
            return None
        return lambda vectors: parts.model(
            counts, lambda: (vectors.inputs, vectors.outputs, vectors.bias)
        )

    def _counts(self, data: Any) -> Counts:
        """The counts of what is no basket."""
        if isinstance(data, Counts):
            return data
        return Counts.from_matrix(data) if is_matrix(data) else self._count(data)

    def _rows(self, matrix: Any) -> csr_array:
        """The counts of new rows; InputError where the columns are not as many as the trained."""
        columns = self.counts_.columns
        if not is_matrix(matrix) or matrix.shape[1] != len(columns):
            shape = getattr(matrix, "shape", type(matrix).__name__)
            raise InputError(
                f"wanted a matrix of new rows × the {len(columns):,} trained columns; got {shape}"
            )
        return NamedCounts.of_matrix(matrix, None, columns).matrix

    def _count(self, sentences: Any) -> Counts:
        checked_sentences = sentences if isinstance(sentences, Text) else pieces_of(sentences)
        counting = {option.name: getattr(self, option.name) for option in COUNTING} | {
            "validation": validation_share(self.validation, self.epochs)
        }
        return count_text(checked_sentences, threads=self.threads, **counting)
