"""The spaces that a word has vectors in: embedding, sum, inputs, outputs, composed."""

import difflib
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.errors import UnknownWordError, UsageError
from exact2vec.vectors.axes import Axes
from exact2vec.vectors.embedding import LEAST_DIM, LEVEL, Embedding, Sides
from exact2vec.vectors.neighbours import Neighbours
from exact2vec.vectors.node_embedding import NodeEmbedding
from exact2vec.vectors.unseen import UnseenRows
from exact2vec.vectors.unseen_words import GramMap, Teachers


class Spaces:
    """Vectors of names in each space, trained, folded in or composed.

    `sides` are the inputs of rows and the outputs of columns. The `embedding` is made of them where
    it is not given, of those of nodes with their `edges`. The `teachers` say what n-grams mean,
    where words have some.
    """

    def __init__(
        self,
        axes: Axes,
        sides: Sides,
        unseen: UnseenRows,
        embedding: Embedding | None = None,
        teachers: Teachers | None = None,
        edges: csr_array | None = None,
    ) -> None:
        self.axes, self.sides, self.unseen = axes, sides, unseen
        self._edges = edges
        self._given, self._teachers = embedding, teachers if axes.square else None
        self._matrices: dict[str, NDArray[np.float32]] = {}
        self._neighbours: dict[str, Neighbours] = {}

    @cached_property
    def embedding(self) -> Embedding:
        """The map that makes the embedding of both vectors of a word."""
        self.axes.check_which("embedding")
        spared = self._teachers is not None and self.sides[0].shape[1] >= LEAST_DIM
        return self._given or Embedding.of_words(
            self.sides, self._composed_sides, level=LEVEL if spared else 0.0
        )

    @cached_property
    def node_embedding(self) -> NodeEmbedding | None:
        """The embedding of nodes; None where names are not nodes of a graph."""
        if self._edges is None:
            return None
        return NodeEmbedding.of_nodes(self.sides, self._composed_sides, self._edges)

    @cached_property
    def gram_map(self) -> GramMap | None:
        """The map from n-grams to the embedding, learned when it is first asked for."""
        if self._teachers is None:
            return None
        return self._teachers.gram_map(self.matrix("embedding"), self.embedding.constant)

    @cached_property
    def _composed_sides(self) -> Sides | None:
        composer = self.unseen.composer
        if composer is None or not composer.describer.size:
            return None
        return composer.compose(self.axes.row_names)

    def matrix(self, which: str) -> NDArray[np.float32]:
        """The vectors of all trained names in a space, a row each."""
        if which not in self._matrices:
            self._matrices[which] = self._made(which)
        return self._matrices[which]

    def neighbours(self, which: str) -> Neighbours:
        """The trained names of a space, to be compared with."""
        if which not in self._neighbours:
            self._neighbours[which] = Neighbours(self.matrix(which))
        return self._neighbours[which]

    def _made(self, which: str) -> NDArray[np.float32]:
        self.axes.check_which(which)
        inputs, outputs = self.sides
        if which == "embedding" and self.node_embedding is not None:
            return self.node_embedding.rows
        if which == "embedding":
            return self.embedding.rows(self.sides, self._composed_sides)
        if which == "sum":
            return np.asarray(inputs + outputs)
        if which != "composed":
            return inputs if which == "inputs" else outputs
        if self._composed_sides is None:
            raise UsageError("which='composed' needs n-grams or features, and this run has none")
        of_inputs, of_outputs = self._composed_sides
        return of_inputs + of_outputs if self.axes.square else of_inputs

    def __contains__(self, name: str) -> bool:
        """Whether it is the name of a trained row or column."""
        return name in self.axes.column_places or name in self.axes.row_places

    def has(self, name: str) -> bool:
        """Whether the name has a vector where none is asked for in particular."""
        return name in self or self.unseen.way(name) is not None

    def known_as(self, name: str) -> str:
        """How a name has its vector; UnknownWordError where it has none."""
        way = "trained" if name in self else self.unseen.way(name)
        if way is None:
            raise self._unknown(name, self.axes.row_noun, self.axes.row_names)
        return way

    def vector(self, name: str, which: str) -> NDArray[np.float32]:
        """The vector of a name; UnknownWordError where it has none."""
        self.axes.check_which(which)
        number = self.axes.places(which).get(name)
        if number is None:
            return self._untrained(name, which)
        if which == "composed" and self._composed_sides and not self.unseen.describes(name):
            why = f"none of the n-grams and features of {name!r} is known, so nothing composes it"
            raise UnknownWordError(name, len(self.axes.columns), [], why)
        return np.asarray(self.matrix(which)[number])

    def _untrained(self, name: str, which: str) -> NDArray[np.float32]:
        """The vector of a row that was folded in, or that can be composed."""
        if which == "outputs" and not self.axes.square:
            raise self._unknown(name, "columns", self.axes.columns)
        if self.unseen.way(name) is None:
            raise self._unknown(name, self.axes.row_noun, self.axes.row_names)
        described = self.unseen.has_outputs(name)
        if which not in ("inputs", "embedding") and not described:
            why = (
                f"{name!r} was folded in without features: it has an input vector and an "
                "embedding alone, which='inputs' (--which inputs) or 'embedding'"
            )
            raise UnknownWordError(name, len(self.axes.columns), [], why)
        inputs, outputs = self.unseen.vectors(name, composed=which == "composed")
        if which == "embedding":
            return self._embedded(name, inputs, outputs)
        if which in ("inputs", "outputs") or not self.axes.square:
            return np.asarray(outputs if which == "outputs" else inputs)
        return np.asarray(inputs + outputs)

    def _embedded(
        self, name: str, inputs: NDArray[np.float32], outputs: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The embedding of a row that was not trained.

        That of a word is learned from n-grams, others are mapped as trained ones are.
        """
        if self.node_embedding is not None:
            if self.unseen.way(name) == "composed":
                return self.node_embedding.of_features(inputs, outputs)
            return self.node_embedding.of_edges(inputs, outputs)
        if self.unseen.way(name) == "composed" and self.gram_map is not None:
            return np.asarray(self.gram_map.rows([name])[0])
        if not self.unseen.has_outputs(name):
            return np.asarray(self.embedding.rows_of_inputs(inputs[None])[0])
        composed = self.unseen.vectors(name, composed=True)
        one, other = ((side[0][None], side[1][None]) for side in ((inputs, outputs), composed))
        return np.asarray(self.embedding.rows(one, other if self._composed_sides else None)[0])

    def _unknown(self, name: str, what: str, names: list[str]) -> UnknownWordError:
        why = f"{name!r} is not among the {len(names):,} {what}"
        why += self.unseen.reason(name) if what != "columns" else ""
        return UnknownWordError(name, len(names), partial(self.nearest_spellings, name), why)

    def nearest_spellings(self, name: str) -> list[str]:
        """Trained names that are spelled alike."""
        names = self.axes.columns
        return difflib.get_close_matches(
            name, names if self.axes.square else [*self.axes.row_names, *names]
        )
