"""Vectors: lookup, neighbours, analogies, and the probabilities p(w | c) of the model."""

import difflib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact2vec.counts.counts import Counts, stored_names
from exact2vec.counts.features import Features, RowCounts
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.counts.weighting import Weighting, fields_of, weighting_of
from exact2vec.display import html_table
from exact2vec.errors import InputError, UnknownWordError, UsageError
from exact2vec.options import strengths_of_new_rows
from exact2vec.storage import run_folder, schema
from exact2vec.storage.stored_file import is_stored
from exact2vec.vectors.axes import Axes
from exact2vec.vectors.parameters import Parameters, parameter_arrays, state_composer
from exact2vec.vectors.queries import Which, largest, log_softmax, unit_rows
from exact2vec.vectors.unseen import Composer, Folded, UnseenRows


class Vectors:
    """Input vectors x_c of rows, output vectors u_w and biases b_w of columns, with their names.

    Where rows and columns are the same names, as the words of a text, `vectors` is inputs +
    outputs. A word that was not trained has vectors too where its n-grams or features are known
    (`composer`), or where it was folded in (`folded`): `word in vectors` is true exactly where
    `vectors[word]` returns. `key_to_index` lists the trained words alone.

    >>> from exact2vec import count_text, fit
    >>> counts = count_text(["sun moon", "dog cat"] * 20, held_out=0)
    >>> *_, last = fit(counts, vector_size=2, epochs=50)
    >>> vectors = Vectors.from_state(last.state, counts)
    >>> vectors.predict_output_word(["sun"], topn=1)[0][0]
    'moon'
    >>> vectors["moon"].shape
    (2,)

    Where they are not, as of users × items, a row has an input vector and a column an output
    vector, and nothing adds them. `vectors[name]`, `similarity` and `most_similar` take those: rows
    are compared with rows and columns with columns. p(column | row) is `predict_output_word`.
    `key_to_index` lists the columns, `axes` both. A name on both sides needs `which`.

    >>> from exact2vec.counts.weighting import PlainWeighting
    >>> drinks, people = Vocabulary(["tea", "milk", "rye"], np.ones(3)), ["ann", "bob"]
    >>> x, u = np.eye(2, 3, dtype=np.float32), np.eye(3, dtype=np.float32)
    >>> shares, people = np.full(3, 1 / 3), Vocabulary(people, np.ones(2))
    >>> tastes = Vectors(drinks, x, u, u[0], shares, PlainWeighting(), {}, contexts=people)
    >>> tastes
    Vectors(2 rows, 3 columns, 3 numbers each)
    >>> tastes["ann"], tastes["milk"]  # the input vector of a row, the output vector of a column
    (array([1., 0., 0.], dtype=float32), array([0., 1., 0.], dtype=float32))
    >>> tastes.predict_output_word("ann", topn=1)[0][0], tastes.most_similar("ann")
    ('tea', [('bob', 0.0)])
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        inputs: NDArray[np.float32],
        outputs: NDArray[np.float32],
        bias: NDArray[np.float32],
        unigram: NDArray[np.float64],
        weighting: Weighting,
        settings: dict[str, Any],
        composer: Composer | None = None,
        folded: Folded | None = None,
        contexts: Vocabulary | None = None,
    ) -> None:
        self.vocabulary, self.contexts = vocabulary, contexts
        self.inputs, self.outputs, self.bias = inputs, outputs, bias
        self.unigram = unigram
        self.weighting, self.settings = weighting, settings
        self.composer, self.folded = composer, folded
        self.unseen = UnseenRows(composer, folded)
        self.keep = weighting.keep(vocabulary.counts, vocabulary.total)
        self.axes = Axes(vocabulary.words, contexts.words if contexts else None)
        self.index_to_key, self.key_to_index = vocabulary.words, self.axes.column_places

    @classmethod
    def from_state(cls, state: Parameters, counts: Counts) -> "Vectors":
        """Copies of the parameters of a training state, with the names of its counts."""
        return cls(
            counts.vocabulary,
            *parameter_arrays(state),
            counts.unigram,
            counts.weighting,
            counts.settings,
            state_composer(state, square=counts.square),
            contexts=counts.contexts,
        )

    @property
    def vectors(self) -> NDArray[np.float32]:
        return self.matrix("sum")

    @property
    def vector_size(self) -> int:
        return int(self.inputs.shape[1])

    @property
    def square(self) -> bool:
        """Whether rows and columns are the same names in the same order."""
        return self.axes.square

    @property
    def rows(self) -> list[str]:
        """The names of the rows, which have input vectors."""
        return self.axes.row_names

    @property
    def columns(self) -> list[str]:
        """The names of the columns, which have output vectors; the same as `index_to_key`."""
        return self.axes.columns

    def matrix(self, which: str = "sum") -> NDArray[np.float32]:
        """One row a trained word: the sum inputs + outputs, inputs, outputs, or composed.

        What is composed of the word's features f is f·(G_x + G_u). Without a sum, where rows and
        columns are not the same, inputs are of rows, outputs of columns, and f·G_x is composed.
        """
        self.axes.check_which(which)
        if which == "sum":
            return np.asarray(self.inputs + self.outputs)
        if which == "composed":
            return self._composed
        return self.inputs if which == "inputs" else self.outputs

    @cached_property
    def _composed(self) -> NDArray[np.float32]:
        if self.composer is None or not self.composer.describer.size:
            raise UsageError("which='composed' needs n-grams or features, and this run has none")
        inputs, outputs = self.composer.compose(self.rows)
        return inputs + outputs if self.square else inputs

    def __repr__(self) -> str:
        return f"Vectors({self.axes.size}, {self.vector_size} numbers each)"

    def _repr_html_(self) -> str:
        """The first words with their counts and what is nearest, or most probable of columns."""
        names = self.contexts or self.vocabulary
        rows = [
            (name, f"{names.counts[row]:,}", ", ".join(self._companions(name)))
            for row, name in enumerate(names.words[:10])
        ]
        header = ["word", "nearest"] if self.square else ["row", "most probable"]
        return html_table(
            [header[0], "counted", header[1]],
            rows,
            caption=f"{self.axes.size}, {self.vector_size} numbers each",
        )

    def _companions(self, name: str) -> list[str]:
        if not self.square:
            return [column for column, _ in self.predict_output_word(name, topn=5)]
        return [near for near, _ in self.most_similar(name, topn=5)] if self[name].any() else []

    def __len__(self) -> int:
        return len(self.index_to_key)

    def __contains__(self, word: object) -> bool:
        if not isinstance(word, str) or self.is_trained(word):
            return isinstance(word, str)
        return self.unseen.has_outputs(word) or (
            not self.square and word in self.unseen.folded_names
        )

    def is_trained(self, name: str) -> bool:
        """Whether it is the name of a trained row or column."""
        return name in self.key_to_index or name in self.axes.row_places

    def __getitem__(self, word: Any) -> NDArray[np.float32]:
        return (
            np.stack([self.vector(one) for one in word])
            if isinstance(word, list)
            else self.vector(word)
        )

    def default_which(self, names: Sequence[str]) -> Which:
        """The vectors that these names have where none are asked for: see `Axes`."""
        return self.axes.default_which(names, self.unseen.folded_names)

    def vector(self, word: Any, which: Which | None = None) -> NDArray[np.float32]:
        """The vector of a trained, folded-in or composed word.

        By default it is the sum, or that of the word's side where rows are not columns. Where there
        is none, an UnknownWordError names the nearest spellings.
        """
        if not isinstance(word, str):
            raise TypeError(f"words are strings; got {word!r} of type {type(word).__name__}")
        which = self.default_which([word]) if which is None else which
        self.axes.check_which(which)
        number = self.axes.places(which).get(word)
        if number is None:
            return self._untrained(word, which)
        if which == "composed":
            self._composed  # noqa: B018  which refuses a run without features
            if self.composer is None or not self.composer.knows(word):
                why = (
                    f"none of the n-grams and features of {word!r} is known, so nothing composes it"
                )
                raise UnknownWordError(word, len(self), [], why)
            return np.asarray(self._composed[number])
        if which == "sum":
            return np.asarray(self.inputs[number] + self.outputs[number])
        return np.asarray((self.inputs if which == "inputs" else self.outputs)[number])

    def known_as(self, word: str) -> str:
        """How a word has its vector: "trained", "folded in", or "composed".

        UnknownWordError where it has none.
        """
        if self.is_trained(word):
            return "trained"
        way = self.unseen.way(word)
        if way is None:
            raise self._unknown(word, "words" if self.square else "rows", self.rows)
        return way

    def _untrained(self, word: str, which: Which) -> NDArray[np.float32]:
        """The vector of a row that was folded in, or that can be composed."""
        if which == "outputs" and not self.square:
            raise self._unknown(word, "columns", self.columns)
        if self.unseen.way(word) is None:
            raise self._unknown(word, "words" if self.square else "rows", self.rows)
        if which != "inputs" and not self.unseen.has_outputs(word):
            why = (
                f"{word!r} was folded in without features: it has an input vector alone, "
                "which='inputs' (--which inputs)"
            )
            raise UnknownWordError(word, len(self), [], why)
        inputs, outputs = self.unseen.vectors(word, composed=which == "composed")
        if which in ("inputs", "outputs") or not self.square:
            return np.asarray(outputs if which == "outputs" else inputs)
        return np.asarray(inputs + outputs)

    def _unknown(self, word: str, what: str, names: list[str]) -> UnknownWordError:
        why = f"{word!r} is not among the {len(names):,} {what}"
        why += self.unseen.reason(word) if what != "columns" else ""
        return UnknownWordError(word, len(names), self.nearest_spellings(word), why)

    def nearest_spellings(self, word: str) -> list[str]:
        """Trained names that are spelled alike."""
        names = self.columns if self.square else [*self.rows, *self.columns]
        return difflib.get_close_matches(word, names)

    def fold_in(
        self,
        counts: RowCounts,
        features: Features | None = None,
        *,
        prior: tuple[float, float] | None = None,
        threads: int | None = None,
    ) -> "Vectors":
        """These vectors with the rows of `counts` beside them.

        Each minimises its own objective with the outputs fixed (vectors/fold_in.py). `features`
        describe the new rows by features that were trained. `prior` is needed where the run has
        none; its first number is κ_x in weighted pairs of window 5. `folded` of the result says
        what could not be used.
        """
        from exact2vec.vectors.fold_in import fold_in  # which needs torch; lookup does not

        composer = self.composer.with_features(features) if self.composer else None
        if features is not None and composer is None:
            raise UsageError("features need a run that was trained with a prior")
        strength = None
        if prior is not None:
            strength = self.weighting.strength_in_pairs(strengths_of_new_rows(prior)[0])
        new = fold_in(self, RowCounts.checked(counts), composer, strength, threads=threads)
        return Vectors(
            self.vocabulary,
            self.inputs,
            self.outputs,
            self.bias,
            self.unigram,
            self.weighting,
            self.settings,
            self.composer,
            new.beside(self.folded),
            self.contexts,
        )

    def most_similar(
        self,
        positive: str | Sequence[str] = (),
        negative: str | Sequence[str] = (),
        topn: int = 10,
        *,
        which: Which | None = None,
    ) -> list[tuple[str, float]]:
        """The words of largest cosine with Σ positive − Σ negative, those words left out.

        Each vector is divided by its length first. Rows are compared with rows, columns with
        columns, where they are not the same.
        """
        plus, minus = (
            [words] if isinstance(words, str) else list(words) for words in (positive, negative)
        )
        if not plus and not minus:
            raise UsageError("most_similar needs at least one word")
        words = [*plus, *minus]
        which = self.default_which(words) if which is None else which
        signs = np.array([1.0] * len(plus) + [-1.0] * len(minus), np.float32)
        query = signs @ unit_rows(np.stack([self.vector(word, which) for word in words]))
        if not query.any():
            raise UsageError(
                "the query is a vector of zeros, which has no direction"
                + ": its words cancel out" * (len(words) > 1)
            )
        places = self.axes.places(which)
        asked = sorted({places[word] for word in words if word in places})
        cosine = unit_rows(self.matrix(which)) @ unit_rows(query[None])[0]
        cosine[asked] = -np.inf
        return largest(cosine, self.axes.names(which), topn, left_out=len(asked))

    def similarity(self, one: str, other: str, *, which: Which | None = None) -> float:
        """The cosine of two words: of two rows or two columns, where they are not the same."""
        which = self.default_which([one, other]) if which is None else which
        unit = unit_rows(np.stack([self.vector(one, which), self.vector(other, which)]))
        return float(unit[0] @ unit[1])

    def log_probabilities(
        self, context: str | Sequence[str], *, weighted: bool = False, gamma: float = 1.0
    ) -> NDArray[np.float64]:
        """log p(w | c) of every column in nats, for one row or jointly for several.

            p(w | c_1 … c_k) ∝ Π p(w | c_i) / p(w)^((k − 1) γ)

        Unless `weighted`, the subsampling is divided out, which leaves the text's own shares:
        p(w | c) / s_w and p(w) / s_w stand in the place of p(w | c) and p(w).
        """
        words = [context] if isinstance(context, str) else list(context)
        if not words:
            raise UsageError("p(w | …) needs at least one context word")
        log_p = self.log_softmax(np.stack([self.vector(word, "inputs") for word in words]))
        divided_out = np.zeros(len(self)) if weighted else np.log(self.keep)
        joint = (log_p - divided_out).sum(axis=0) - (len(words) - 1) * gamma * (
            np.log(self.unigram) - divided_out
        )
        return log_softmax(joint)

    def log_softmax(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """log p(w | x) of every column in nats, for each row x of `inputs`: the model's own p."""
        scores = inputs.astype(np.float64) @ self.outputs.T.astype(np.float64) + self.bias
        return log_softmax(scores)

    def predict_output_word(
        self, context_words_list: str | Sequence[str], topn: int = 10
    ) -> list[tuple[str, float]]:
        """The most probable words near the given ones, with p(w | …), as gensim names it."""
        return largest(np.exp(self.log_probabilities(context_words_list)), self.columns, topn)

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write a folder that `load` reads; refuses an existing one without `force`."""
        with run_folder.create(Path(folder), kind="vectors", force=force) as part:
            schema.Vocabulary(self.index_to_key, self.vocabulary.counts).write(part)
            if self.contexts is not None:
                schema.RowNames(self.rows, self.contexts.counts).write(part)
            self.write(part)

    def write(self, folder: Path) -> None:
        """Put the vectors into an open run folder; the names are written apart."""
        schema.Vectors(self.inputs, self.outputs, self.bias, self.unigram).write(folder)
        schema.VectorSettings(fields_of(self.weighting), self.settings).write(folder)
        for part in (self.composer, self.folded):
            if part is not None:
                part.write(folder)


def load(folder: str | Path) -> Vectors:
    """The vectors of a run folder, or of one that `Vectors.save` wrote.

    CorruptFileError where a byte differs.
    """
    run = run_folder.open_run(Path(folder))
    if not is_stored(schema.Vectors, run):
        raise InputError(f"{folder} holds counts, no vectors: train first")
    vocabulary, contexts = stored_names(run)
    names = len((contexts or vocabulary).words), len(vocabulary.words)
    arrays, counting = schema.Vectors.read(run, names), schema.VectorSettings.read(run)
    return Vectors(
        vocabulary,
        arrays.inputs,
        arrays.outputs,
        arrays.bias,
        arrays.unigram,
        weighting_of(counting.weighting),
        counting.settings,
        Composer.read(run),
        Folded.read(run),
        contexts,
    )
