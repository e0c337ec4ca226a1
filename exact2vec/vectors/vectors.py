"""Vectors: lookup, neighbours, analogies, and the probabilities p(w | c) of the model."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.counts import Counts, stored_names
from exact2vec.counts.features import Features, RowCounts
from exact2vec.counts.kinds import TEXT, Kind, stored_kind
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.counts.weighting import Weighting, fields_of, weighting_of
from exact2vec.counts.word_contexts import WordContexts
from exact2vec.errors import InputError, UnknownWordError, UsageError
from exact2vec.options import strengths_of_new_rows
from exact2vec.storage import graph_files, run_folder, schema
from exact2vec.storage.content import content_checked
from exact2vec.storage.next_item_files import NextItems
from exact2vec.storage.stored_file import is_stored
from exact2vec.vectors.axes import Axes
from exact2vec.vectors.embedding import Embedding
from exact2vec.vectors.neighbours import checked_topn
from exact2vec.vectors.other_names import OTHER_NAMES, name_here
from exact2vec.vectors.parameters import Parameters, parameter_arrays, state_composer
from exact2vec.vectors.queries import (
    Query,
    Which,
    checked_vector,
    log_softmax,
    queries,
    signed_sum,
    unit_rows,
)
from exact2vec.vectors.recommend import NextItemsOf, Recommender, Recommends, stored_next_items
from exact2vec.vectors.spaces import Spaces
from exact2vec.vectors.spelling import Spelling
from exact2vec.vectors.unseen import Composer, Folded, UnseenRows
from exact2vec.vectors.unseen_words import Teachers


class Vectors(Recommends):
    """Input vectors x_c of rows, output vectors u_w and biases b_w of columns, with their names.

    Where rows and columns are the same names, as the words of a text, `vectors` is the embedding.
    A word that was not trained has vectors too where its n-grams or features are known
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
        embedding: Embedding | None = None,
        word_contexts: WordContexts | None = None,
        kind: Kind = TEXT,
        next_items: NextItemsOf | None = None,
        edges: csr_array | None = None,
    ) -> None:
        self.vocabulary, self.contexts, self.kind, self.edges = vocabulary, contexts, kind, edges
        self.inputs, self.outputs, self.bias = inputs, outputs, bias
        self.unigram = unigram
        self.weighting, self.settings = weighting, settings
        self.composer, self.folded = composer, folded
        self.keep = weighting.keep(vocabulary.counts, vocabulary.total)
        self.axes = Axes(vocabulary.words, contexts.words if contexts else None, kind)
        self.unseen = UnseenRows(composer, folded)
        self.word_contexts = word_contexts
        teachers = Teachers.of_run(vocabulary, weighting, composer, word_contexts)
        self.spaces = Spaces(self.axes, (inputs, outputs), self.unseen, embedding, teachers, edges)
        self.spelling = Spelling.of_run(settings, vocabulary.words)
        self.index_to_key, self.key_to_index = vocabulary.words, self.axes.column_places
        self.next_items = next_items
        self.recommender = None
        if next_items is not None:
            self.recommender = Recommender(vocabulary.words, partial(next_items, self))

    @classmethod
    def from_state(
        cls, state: Parameters, counts: Counts, next_items: NextItemsOf | None = None
    ) -> "Vectors":
        """Copies of the parameters of a training state, with the names of its counts."""
        return cls(
            counts.vocabulary,
            *parameter_arrays(state),
            counts.unigram,
            counts.weighting,
            counts.settings,
            state_composer(state, square=counts.square),
            contexts=counts.contexts,
            word_contexts=counts.word_contexts,
            kind=counts.kind,
            next_items=next_items,
            edges=counts.edges,
        )

    @property
    def vectors(self) -> NDArray[np.float32]:
        """The embedding of each trained word; where rows are not columns, there is none."""
        return self.matrix()

    @property
    def embedding(self) -> Embedding:
        """The map from both vectors of a word to the one that it is compared by."""
        return self.spaces.embedding

    @property
    def _map(self) -> Embedding | None:
        """The embedding where it is made of both vectors of a name alone."""
        return self.embedding if self.square and self.edges is None else None

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

    def matrix(self, which: str | None = None) -> NDArray[np.float32]:
        """One row a trained word: its embedding, inputs + outputs, inputs, outputs, or composed.

        The embedding (`vectors/embedding.py`) is the default. What is composed of the word's
        features f is f·(G_x + G_u). Where rows and columns are not the same, inputs are of rows,
        outputs of columns, f·G_x is composed, and there is neither an embedding nor a sum.
        """
        return self.spaces.matrix("embedding" if which is None else which)

    def __repr__(self) -> str:
        return f"Vectors({self.axes.size}, {self.vector_size} numbers each)"

    def _repr_html_(self) -> str:
        from exact2vec.vectors.first_rows import first_rows

        return first_rows(self)

    def __len__(self) -> int:
        return len(self.index_to_key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.index_to_key)

    def __contains__(self, word: object) -> bool:
        if not isinstance(word, str):
            return False
        try:
            return self.spaces.has(self.spelled(word))
        except UnknownWordError:
            return False

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name_here("Vectors", name, OTHER_NAMES))

    def spelled(self, query: str) -> str:
        """A query as the words of this run are spelled: `Monday` is `monday` in lower-cased text.

        It is cut as the text was. UnknownWordError where that makes several words of it.
        """
        if query in self.spaces or query in self.unseen.folded_names:
            return query
        tokens = self.spelling.tokens(query)
        if len(tokens) > 1:
            said = ", ".join(map(repr, tokens))
            raise UnknownWordError(
                query, len(self), [], f"{query!r} is {self.kind.number(len(tokens))}: {said}"
            )
        return tokens[0] if tokens else query

    def is_trained(self, name: str) -> bool:
        """Whether it is the name of a trained row or column, or is spelled so."""
        try:
            return self.spelled(name) in self.spaces
        except UnknownWordError:
            return False

    def __getitem__(self, word: Any) -> NDArray[np.float32]:
        return (
            np.stack([self.vector(one) for one in word])
            if isinstance(word, list | tuple)
            else self.vector(word)
        )

    def default_which(self, names: Sequence[str]) -> Which:
        """The vectors that these names have where none are asked for: see `Axes`."""
        spelled = [self.spelled(name) for name in names]
        return self.axes.default_which(spelled, self.unseen.folded_names)

    def vector(self, word: Any, which: Which | None = None) -> NDArray[np.float32]:
        """The vector of a trained, folded-in or composed word.

        By default it is the embedding, or that of the word's side where rows are not columns. Where
        there is none, an UnknownWordError names the nearest spellings.
        """
        if not isinstance(word, str):
            what = f"got {word!r} of type {type(word).__name__}"
            raise TypeError(f"{self.kind.many} are strings; {what}")
        which = self.default_which([word]) if which is None else which
        return self.spaces.vector(self.spelled(word), which)

    def known_as(self, word: str) -> str:
        """How a word has its vector: "trained", "folded in", or "composed".

        UnknownWordError where it has none.
        """
        return self.spaces.known_as(self.spelled(word))

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
        describe the new rows by features that were trained; new nodes of a graph are given by the
        weights of their edges to trained ones. `prior` is needed where the run has
        none; its first number is κ_x in weighted pairs of window 5. `folded` of the result says
        what could not be used.
        """
        from exact2vec.vectors.fold_in import fold_in  # which needs torch; lookup does not
        from exact2vec.vectors.node_fold_in import fold_in_nodes

        composer = self.composer.with_features(features) if self.composer else None
        if features is not None and composer is None:
            raise UsageError("features need a run that was trained with a prior")
        strength = None
        if prior is not None:
            strength = self.weighting.strength_in_pairs(strengths_of_new_rows(prior)[0])
        folding = fold_in if self.edges is None else fold_in_nodes
        new = folding(self, RowCounts.checked(counts), composer, strength, threads=threads)
        arrays = self.inputs, self.outputs, self.bias, self.unigram
        trained = self.vocabulary, *arrays, self.weighting, self.settings, self.composer
        known = self.contexts, self._map, self.word_contexts, self.kind, self.next_items
        return Vectors(*trained, new.beside(self.folded), *known, self.edges)

    def most_similar(
        self,
        positive: Query | Sequence[Query] = (),
        negative: Query | Sequence[Query] = (),
        topn: int | None = 10,
        *,
        which: Which | None = None,
    ) -> list[tuple[str, float]]:
        """The words of largest cosine with Σ positive − Σ negative, those words left out.

        Words, and vectors of their kind. Each is divided by its length first. All words are ranked
        where `topn` is None. Rows are compared with rows, columns with columns, where they are not
        the same.
        """
        plus, minus = queries(positive), queries(negative)
        if not plus and not minus:
            raise UsageError(f"most_similar needs at least one {self.kind.one}")
        words = [query for query in (*plus, *minus) if isinstance(query, str)]
        which = self.default_which(words) if which is None else which
        vectors = [
            self.vector(query, which)
            if isinstance(query, str)
            else checked_vector(query, self.vector_size)
            for query in (*plus, *minus)
        ]
        query = signed_sum(vectors[: len(plus)], vectors[len(plus) :])
        places = self.axes.places(which)
        asked = sorted({places[word] for word in map(self.spelled, words) if word in places})
        names = self.axes.names(which)
        topn = len(names) if topn is None else checked_topn(topn)
        numbers, cosines = self.spaces.neighbours(which).nearest(query[None], topn, [asked])
        near = [names[number] for number in numbers[0]]
        return list(zip(near, cosines[0].tolist(), strict=True))

    def similarity(self, one: str, other: str, *, which: Which | None = None) -> float:
        """The cosine of two words: of two rows or two columns, where they are not the same."""
        which = self.default_which([one, other]) if which is None else which
        unit = unit_rows(np.stack([self.vector(one, which), self.vector(other, which)]))
        return float(np.clip(unit[0] @ unit[1], -1, 1))

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
            raise UsageError(f"p(w | …) needs at least one {self.kind.one} as context")
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

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write a folder that `load` reads; refuses an existing one without `force`."""
        with run_folder.create(Path(folder), kind="vectors", force=force) as part:
            schema.Vocabulary(self.index_to_key, self.vocabulary.counts).write(part)
            if self.contexts is not None:
                schema.RowNames(self.rows, self.contexts.counts).write(part)
            edges = None if self.edges is None else graph_files.Edges(self.edges)
            for beside in (self.word_contexts, edges, self):
                if beside is not None:
                    beside.write(part)

    def write(self, folder: Path) -> None:
        """Put the vectors into an open run folder; the names are written apart."""
        schema.Vectors(self.inputs, self.outputs, self.bias, self.unigram).write(folder)
        settings = fields_of(self.weighting), self.settings, self.kind.name
        schema.VectorSettings(*settings).write(folder)
        for part in (self._map, self.composer, self.folded):
            if part is not None:
                part.write(folder)


def load(folder: str | Path | run_folder.Run) -> Vectors:
    """The vectors of a run folder; CorruptFileError where a byte differs or makes no sense."""
    run = run_folder.open_run(folder)
    if not is_stored(schema.Vectors, run):
        raise InputError(f"{run.folder} holds counts, no vectors: train first")
    return _loaded(run)


@content_checked
def _loaded(run: run_folder.Run) -> Vectors:
    vocabulary, contexts = stored_names(run)
    names = len((contexts or vocabulary).words), len(vocabulary.words)
    arrays, counting = schema.Vectors.read(run, names), schema.VectorSettings.read(run)
    return Vectors(
        vocabulary,
        *(arrays.inputs, arrays.outputs, arrays.bias, arrays.unigram),
        weighting_of(counting.weighting),
        counting.settings,
        Composer.read(run),
        Folded.read(run),
        contexts,
        Embedding.read(run, arrays.inputs.shape[1]) if contexts is None else None,
        WordContexts.read(run, len(vocabulary.words)),
        stored_kind(counting.kind, run.folder / schema.VectorSettings.file),
        next_items=stored_next_items(run) if is_stored(NextItems, run) else None,
        edges=graph_files.Edges.of_nodes(run, names[1]),
    )
