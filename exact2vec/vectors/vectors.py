"""Vectors: lookup, neighbours, analogies, and the probabilities p(w | c) of the model."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from exact2vec import runs
from exact2vec.counts.counts import Counts, read_vocabulary
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.errors import CorruptFileError, InputError, UnknownWordError, UsageError
from exact2vec.tables import html_table

Which = Literal["sum", "inputs", "outputs"]


@runtime_checkable
class Parameters(Protocol):
    """What a trained state offers: tensors of shapes (words, dim), (words, dim), (words)."""

    @property
    def inputs(self) -> Any: ...
    @property
    def outputs(self) -> Any: ...
    @property
    def bias(self) -> Any: ...


class Vectors:
    """Input vectors x_c, output vectors u_w and biases b_w with their words; `vectors` is inputs + outputs.

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
        self, vocabulary: Vocabulary, inputs: NDArray[np.float32], outputs: NDArray[np.float32], bias: NDArray[np.float32],
        unigram: NDArray[np.float64], counting: dict[str, Any],
    ) -> None:  # fmt: skip
        self.vocabulary = vocabulary
        self.inputs, self.outputs, self.bias = inputs, outputs, bias
        self.unigram = unigram
        self.counting = counting
        self.keep = vocabulary.keep(counting["sample"])
        self.index_to_key = vocabulary.words
        self.key_to_index = {word: number for number, word in enumerate(vocabulary.words)}

    @classmethod
    def of(cls, state: Parameters, counts: Counts) -> "Vectors":
        """Copies of the parameters of a training state, with the words of its counts."""
        inputs, outputs, bias = (np.array(value.numpy(), np.float32) for value in (state.inputs, state.outputs, state.bias))
        counting = {"window": counts.window, "sample": counts.sample, "settings": counts.settings}
        return cls(counts.vocabulary, inputs, outputs, bias, counts.unigram, counting)

    @property
    def vectors(self) -> NDArray[np.float32]:
        return self.matrix("sum")

    @property
    def vector_size(self) -> int:
        return int(self.inputs.shape[1])

    def matrix(self, which: str = "sum") -> NDArray[np.float32]:
        """One row a word: inputs + outputs, inputs, or outputs."""
        if which == "sum":
            return np.asarray(self.inputs + self.outputs)
        if which not in ("inputs", "outputs"):
            raise UsageError(f"which must be one of sum, inputs, outputs; got {which!r}")
        return self.inputs if which == "inputs" else self.outputs

    def __repr__(self) -> str:
        return f"Vectors({len(self):,} words, {self.vector_size} numbers each)"

    def _repr_html_(self) -> str:
        """The first words with their counts and nearest words."""
        rows = [(word, f"{self.vocabulary.counts[row]:,}", ", ".join(self._nearest(word))) for row, word in enumerate(self.index_to_key[:10])]
        return html_table(["word", "counted", "nearest"], rows, caption=f"{len(self):,} words, {self.vector_size} numbers each")

    def _nearest(self, word: str) -> list[str]:
        return [near for near, _ in self.most_similar(word, topn=5)] if self[word].any() else []

    def __len__(self) -> int:
        return len(self.index_to_key)

    def __contains__(self, word: object) -> bool:
        return word in self.key_to_index

    def __getitem__(self, word: str | list[str]) -> NDArray[np.float32]:
        number = [self.number(one) for one in word] if isinstance(word, list) else self.number(word)
        return np.asarray(self.inputs[number] + self.outputs[number])

    def number(self, word: object) -> int:
        """The row of a word; UnknownWordError with the nearest spellings."""
        if not isinstance(word, str):
            raise TypeError(f"words are strings; got {word!r} of type {type(word).__name__}")
        try:
            return self.key_to_index[word]
        except KeyError:
            raise UnknownWordError(word, len(self), difflib.get_close_matches(word, self.index_to_key)) from None

    def most_similar(
        self, positive: str | Sequence[str] = (), negative: str | Sequence[str] = (), topn: int = 10, *, which: Which = "sum"
    ) -> list[tuple[str, float]]:
        """The words of largest cosine with Σ positive − Σ negative (each of length 1), those words left out."""
        plus, minus = ([words] if isinstance(words, str) else list(words) for words in (positive, negative))
        if not plus and not minus:
            raise UsageError("most_similar needs at least one word")
        rows = np.array([self.number(word) for word in [*plus, *minus]])
        unit = unit_rows(self.matrix(which))
        query = np.array([1.0] * len(plus) + [-1.0] * len(minus), np.float32) @ unit[rows]
        if not query.any():
            raise UsageError("the query is a vector of zeros, which has no direction: its words cancel out")
        cosine = unit @ unit_rows(query[None])[0]
        cosine[rows] = -np.inf
        return self._top(cosine, topn, left_out=len(set(rows.tolist())))

    def similarity(self, one: str, other: str, *, which: Which = "sum") -> float:
        """The cosine of two words."""
        unit = unit_rows(self.matrix(which)[[self.number(one), self.number(other)]])
        return float(unit[0] @ unit[1])

    def log_probabilities(self, context: str | Sequence[str], *, weighted: bool = False, gamma: float = 1.0) -> NDArray[np.float64]:
        """log p(w | c) of every word, nats, for one context or jointly for several: ∝ Π p(w | c_i) / p(w)^((k − 1) γ).

        Unless `weighted`, the subsampling is divided out of each p: ∝ p(w | c) / s_w and p(w) / s_w, the text's own.
        """
        words = [context] if isinstance(context, str) else list(context)
        if not words:
            raise UsageError("p(w | …) needs at least one context word")
        inputs = self.inputs[[self.number(word) for word in words]].astype(np.float64)
        scores = inputs @ self.outputs.T.astype(np.float64) + self.bias
        divided_out = np.zeros(len(self)) if weighted else np.log(self.keep)
        joint = (_log_softmax(scores) - divided_out).sum(axis=0) - (len(words) - 1) * gamma * (np.log(self.unigram) - divided_out)
        return _log_softmax(joint)

    def predict_output_word(self, context_words_list: Sequence[str], topn: int = 10) -> list[tuple[str, float]]:
        """The most probable words near the given ones, with p(w | …), as gensim names it."""
        return self._top(np.exp(self.log_probabilities(context_words_list)), topn)

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write a folder that `load` reads; refuses an existing one without `force`."""
        with runs.create(Path(folder), kind="vectors", force=force) as part:
            runs.write_json(part / "vocabulary.json", {"words": self.index_to_key, "counts": self.vocabulary.counts.tolist()})
            self.write(part)

    def write(self, folder: Path) -> None:
        """Put the vectors into an open run folder; the vocabulary is written apart."""
        arrays: dict[str, NDArray[Any]] = {"inputs": self.inputs, "outputs": self.outputs, "bias": self.bias, "unigram": self.unigram}
        runs.write_arrays(folder / "vectors.safetensors", arrays)
        runs.write_json(folder / "vectors.json", self.counting)

    def _top(self, values: NDArray[np.floating[Any]], topn: int, left_out: int = 0) -> list[tuple[str, float]]:
        if topn < 1:
            raise UsageError(f"topn must be at least 1; got {topn}")
        order = np.argsort(-values, kind="stable")[: min(topn, len(self) - left_out)]
        return [(self.index_to_key[number], float(values[number])) for number in order]


def load(folder: str | Path) -> Vectors:
    """The vectors of a run folder, or of one that `Vectors.save` wrote; CorruptFileError where a byte differs."""
    run = runs.open_run(Path(folder))
    if "vectors.safetensors" not in run.files:
        raise InputError(f"{folder} holds counts, no vectors: train first")
    vocabulary = read_vocabulary(run)
    arrays = run.arrays("vectors.safetensors")
    lengths = {name: len(array) for name, array in arrays.items()}
    if set(lengths.values()) != {len(vocabulary.words)}:
        raise CorruptFileError(f"{folder}: the vocabulary has {len(vocabulary.words):,} words, the vectors {lengths}; they should be as many")
    return Vectors(vocabulary, arrays["inputs"], arrays["outputs"], arrays["bias"], arrays["unigram"], run.json("vectors.json"))


def signed_words(expression: str) -> tuple[list[str], list[str]]:
    """The words to add and to subtract.

    >>> signed_words("king - man + woman")
    (['king', 'woman'], ['man'])
    """
    plus: list[str] = []
    minus: list[str] = []
    sign: list[str] | None = plus
    for term in expression.split():
        if term in ("+", "-") and sign is None:
            sign = plus if term == "+" else minus
        elif sign is not None and (term not in ("+", "-")):
            sign.append(term)
            sign = None
        else:
            raise UsageError(f"{expression!r} is not a word, or words joined by ' + ' and ' - '")
    if sign is not None:
        raise UsageError(f"{expression!r} ends without a word")
    return plus, minus


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1; a row of zeros stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length == 0, 1, length))


def _log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
