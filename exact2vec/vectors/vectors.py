"""Vectors: lookup, neighbours, analogies, and the probabilities p(w | c) of the model."""

import difflib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

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
from exact2vec.vectors.queries import Which, check_which, log_softmax, unit_rows
from exact2vec.vectors.unseen import Composer, Folded


@runtime_checkable
class Parameters(Protocol):
    """What a trained state offers: tensors of shapes (words, dim), (words, dim), (words)."""

    @property
    def inputs(self) -> Any: ...
    @property
    def outputs(self) -> Any: ...
    @property
    def bias(self) -> Any: ...
    @property
    def shrinkage(self) -> Any: ...


class Vectors:
    """Input vectors x_c, output vectors u_w and biases b_w with their words.

    `vectors` is inputs + outputs. A word that was not trained has vectors too where its n-grams or
    features are known (`composer`), or where it was folded in (`folded`): `word in vectors` is true
    exactly where `vectors[word]` returns. `key_to_index` lists the trained words alone.

    >>> from exact2vec import count_text, fit
    >>> counts = count_text(["sun moon", "dog cat"] * 20, held_out=0)
    >>> *_, last = fit(counts, vector_size=2, epochs=50)
    >>> vectors = Vectors.of(last.state, counts)
    >>> vectors.predict_output_word(["sun"], topn=1)[0][0]
    'moon'
    >>> vectors["moon"].shape
    (2,)
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
    ) -> None:
        self.vocabulary = vocabulary
        self.inputs, self.outputs, self.bias = inputs, outputs, bias
        self.unigram = unigram
        self.weighting, self.settings = weighting, settings
        self.composer, self.folded = composer, folded
        self.keep = weighting.keep(vocabulary.counts, vocabulary.total)
        self.index_to_key = vocabulary.words
        self.key_to_index = {word: number for number, word in enumerate(vocabulary.words)}

    @classmethod
    def of(cls, state: Parameters, counts: Counts) -> "Vectors":
        """Copies of the parameters of a training state, with the words of its counts."""
        inputs, outputs, bias = (
            np.array(value.numpy(), np.float32)
            for value in (state.inputs, state.outputs, state.bias)
        )
        composer = None
        if (shrinkage := state.shrinkage) is not None:
            maps = tuple(np.array(value.numpy(), np.float32) for value in shrinkage.maps)
            composer = Composer(
                shrinkage.prior.describer, (maps[0], maps[1]), shrinkage.prior.strengths
            )
        return cls(
            counts.vocabulary,
            inputs,
            outputs,
            bias,
            counts.unigram,
            counts.weighting,
            counts.settings,
            composer,
        )

    @property
    def vectors(self) -> NDArray[np.float32]:
        return self.matrix("sum")

    @property
    def vector_size(self) -> int:
        return int(self.inputs.shape[1])

    def matrix(self, which: str = "sum") -> NDArray[np.float32]:
        """One row a trained word: the sum inputs + outputs, inputs, outputs, or composed.

        What is composed of the word's features f is f·(G_x + G_u).
        """
        if which == "sum":
            return np.asarray(self.inputs + self.outputs)
        if which == "composed":
            return self._composed
        check_which(which)
        return self.inputs if which == "inputs" else self.outputs

    @cached_property
    def _composed(self) -> NDArray[np.float32]:
        if self.composer is None or not self.composer.describer.size:
            raise UsageError("which='composed' needs n-grams or features, and this run has none")
        inputs, outputs = self.composer.compose(self.index_to_key)
        return inputs + outputs

    def __repr__(self) -> str:
        return f"Vectors({len(self):,} words, {self.vector_size} numbers each)"

    def _repr_html_(self) -> str:
        """The first words with their counts and nearest words."""
        rows = [
            (word, f"{self.vocabulary.counts[row]:,}", ", ".join(self._nearest(word)))
            for row, word in enumerate(self.index_to_key[:10])
        ]
        return html_table(
            ["word", "counted", "nearest"],
            rows,
            caption=f"{len(self):,} words, {self.vector_size} numbers each",
        )

    def _nearest(self, word: str) -> list[str]:
        return [near for near, _ in self.most_similar(word, topn=5)] if self[word].any() else []

    def __len__(self) -> int:
        return len(self.index_to_key)

    def __contains__(self, word: object) -> bool:
        if not isinstance(word, str) or word in self.key_to_index:
            return isinstance(word, str)
        if self.folded is not None and (number := self.folded.place.get(word)) is not None:
            return bool(self.folded.described[number])
        return self.composer is not None and self.composer.knows(word)

    def __getitem__(self, word: Any) -> NDArray[np.float32]:
        return (
            np.stack([self.vector(one) for one in word])
            if isinstance(word, list)
            else self.vector(word)
        )

    def vector(self, word: Any, which: Which = "sum") -> NDArray[np.float32]:
        """The vector of a trained, folded-in or composed word.

        Where there is none, an UnknownWordError names the nearest spellings.
        """
        if not isinstance(word, str):
            raise TypeError(f"words are strings; got {word!r} of type {type(word).__name__}")
        check_which(which)
        number = self.key_to_index.get(word)
        if which == "composed" and number is not None:
            composed = self.matrix(which)[number]
            if self.composer is None or not self.composer.knows(word):
                raise UnknownWordError(
                    word,
                    len(self),
                    [],
                    f"none of the n-grams and features of {word!r} is known, "
                    "so nothing composes it",
                )
            return np.asarray(composed)
        inputs, outputs = (
            self._untrained(word, which)
            if number is None
            else (self.inputs[number], self.outputs[number])
        )
        if which in ("inputs", "outputs"):
            return inputs if which == "inputs" else outputs
        return np.asarray(inputs + outputs)

    def known_as(self, word: str) -> str:
        """How a word has its vector: "trained", "folded in", or "composed".

        UnknownWordError where it has none.
        """
        if word in self.key_to_index:
            return "trained"
        self._untrained(word, "inputs")
        return "folded in" if self.folded and word in self.folded.place else "composed"

    def _untrained(self, word: str, which: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self.folded is not None and (number := self.folded.place.get(word)) is not None:
            if which != "inputs" and not self.folded.described[number]:
                why = (
                    f"{word!r} was folded in without features: it has an input vector alone, "
                    "which='inputs' (--which inputs)"
                )
                raise UnknownWordError(word, len(self), [], why)
            return (self.folded.means if which == "composed" else self.folded.inputs)[
                number
            ], self.folded.outputs[number]
        if self.composer is not None and self.composer.knows(word):
            inputs, outputs = self.composer.compose([word])
            return inputs[0], outputs[0]
        raise UnknownWordError(
            word, len(self), self.nearest_spellings(word), self._why_unknown(word)
        )

    def _why_unknown(self, word: str) -> str:
        message = f"{word!r} is not among the {len(self):,} words"
        if self.folded is not None and word in self.folded.without:
            return f"{message}, and it has neither counts nor features"
        if self.composer is None or not self.composer.describer.size:
            return message
        what = "n-grams" if self.composer.describer.known is None else "features"
        return f"{message}, and none of its {what} is known"

    def nearest_spellings(self, word: str) -> list[str]:
        """Trained words that are spelled alike."""
        return difflib.get_close_matches(word, self.index_to_key)

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

        composer = self.composer.of(features) if self.composer else None
        if features is not None and composer is None:
            raise UsageError("features need a run that was trained with a prior")
        strength = (
            None
            if prior is None
            else self.weighting.strength_in_pairs(strengths_of_new_rows(prior)[0])
        )
        folded = fold_in(
            self, RowCounts.checked(counts), composer, strength, threads=threads
        ).beside(self.folded)
        return Vectors(
            self.vocabulary,
            self.inputs,
            self.outputs,
            self.bias,
            self.unigram,
            self.weighting,
            self.settings,
            self.composer,
            folded,
        )

    def most_similar(
        self,
        positive: str | Sequence[str] = (),
        negative: str | Sequence[str] = (),
        topn: int = 10,
        *,
        which: Which = "sum",
    ) -> list[tuple[str, float]]:
        """The words of largest cosine with Σ positive − Σ negative, those words left out.

        Each vector is divided by its length first.
        """
        plus, minus = (
            [words] if isinstance(words, str) else list(words) for words in (positive, negative)
        )
        if not plus and not minus:
            raise UsageError("most_similar needs at least one word")
        words = [*plus, *minus]
        rows = sorted({self.key_to_index[word] for word in words if word in self.key_to_index})
        query = np.array([1.0] * len(plus) + [-1.0] * len(minus), np.float32) @ unit_rows(
            np.stack([self.vector(word, which) for word in words])
        )
        if not query.any():
            raise UsageError(
                "the query is a vector of zeros, which has no direction"
                + ": its words cancel out" * (len(words) > 1)
            )
        cosine = unit_rows(self.matrix(which)) @ unit_rows(query[None])[0]
        cosine[rows] = -np.inf
        return self._top(cosine, topn, left_out=len(rows))

    def similarity(self, one: str, other: str, *, which: Which = "sum") -> float:
        """The cosine of two words."""
        unit = unit_rows(np.stack([self.vector(one, which), self.vector(other, which)]))
        return float(unit[0] @ unit[1])

    def log_probabilities(
        self, context: str | Sequence[str], *, weighted: bool = False, gamma: float = 1.0
    ) -> NDArray[np.float64]:
        """log p(w | c) of every word in nats, for one context or jointly for several.

            p(w | c_1 … c_k) ∝ Π p(w | c_i) / p(w)^((k − 1) γ)

        Unless `weighted`, the subsampling is divided out, which leaves the text's own shares:
        p(w | c) / s_w and p(w) / s_w stand in the place of p(w | c) and p(w).
        """
        words = [context] if isinstance(context, str) else list(context)
        if not words:
            raise UsageError("p(w | …) needs at least one context word")
        inputs = np.stack([self.vector(word, "inputs") for word in words]).astype(np.float64)
        scores = inputs @ self.outputs.T.astype(np.float64) + self.bias
        divided_out = np.zeros(len(self)) if weighted else np.log(self.keep)
        joint = (log_softmax(scores) - divided_out).sum(axis=0) - (len(words) - 1) * gamma * (
            np.log(self.unigram) - divided_out
        )
        return log_softmax(joint)

    def predict_output_word(
        self, context_words_list: Sequence[str], topn: int = 10
    ) -> list[tuple[str, float]]:
        """The most probable words near the given ones, with p(w | …), as gensim names it."""
        return self._top(np.exp(self.log_probabilities(context_words_list)), topn)

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write a folder that `load` reads; refuses an existing one without `force`."""
        with run_folder.create(Path(folder), kind="vectors", force=force) as part:
            schema.Vocabulary(self.index_to_key, self.vocabulary.counts).write(part)
            self.write(part)

    def write(self, folder: Path) -> None:
        """Put the vectors into an open run folder; the vocabulary is written apart."""
        schema.Vectors(self.inputs, self.outputs, self.bias, self.unigram).write(folder)
        schema.VectorSettings(fields_of(self.weighting), self.settings).write(folder)
        for part in (self.composer, self.folded):
            if part is not None:
                part.write(folder)

    def _top(
        self, values: NDArray[np.floating[Any]], topn: int, left_out: int = 0
    ) -> list[tuple[str, float]]:
        if topn < 1:
            raise UsageError(f"topn must be at least 1; got {topn}")
        order = np.argsort(-values, kind="stable")[: min(topn, len(self) - left_out)]
        return [(self.index_to_key[number], float(values[number])) for number in order]


def load(folder: str | Path) -> Vectors:
    """The vectors of a run folder, or of one that `Vectors.save` wrote.

    CorruptFileError where a byte differs.
    """
    run = run_folder.open_run(Path(folder))
    if not is_stored(schema.Vectors, run):
        raise InputError(f"{folder} holds counts, no vectors: train first")
    vocabulary, _ = stored_names(run)
    arrays = schema.Vectors.read(run, (len(vocabulary.words), len(vocabulary.words)))
    counting = schema.VectorSettings.read(run)
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
    )
