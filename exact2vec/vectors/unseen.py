"""Vectors of rows that were never trained.

They are composed of known features, or folded in from counts of their own.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from exact2vec.counts.features import Describer, Features
from exact2vec.errors import InputError, UnknownWordError
from exact2vec.storage import schema
from exact2vec.storage.run_folder import Run
from exact2vec.storage.stored_file import field_values, optional_file

ROW_ARRAYS = ("inputs", "means", "outputs", "described", "pairs")


@dataclass(frozen=True)
class Composer:
    """Composes f·G_x and f·G_u from the features f of a row.

    `maps` are G_x and G_u, features × dim; `strengths` are κ_x and κ_u.
    """

    describer: Describer
    maps: tuple[NDArray[np.float32], NDArray[np.float32]]
    strengths: tuple[float, float]

    def compose(self, names: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The input and output vectors of `names`, one a row.

        A row without known features is zeros.
        """
        features = self.describer.describe(names)
        return np.asarray(features @ self.maps[0]), np.asarray(features @ self.maps[1])

    def knows(self, name: str) -> bool:
        """Whether anything is known of the row."""
        return self.describer.describe([name]).nnz > 0

    def description(self, name: str) -> str:
        """What is known of the row, in words: '3 n-grams'."""
        known = self.describer.known
        grams = self.describer.known_grams(name)
        values = int(known.matrix[[known.place[name]]].nnz) if known and name in known.place else 0
        return " and ".join(
            f"{number} {noun}{'s' * (number != 1)}"
            for number, noun in ((grams, "n-gram"), (values, "feature"))
            if number
        )

    def with_features(self, features: Features | None) -> "Composer":
        """This Composer for rows described by other `features`.

        The names of their columns must be among those that were trained.
        """
        if features is None:
            return self
        trained = self.describer.known.names if self.describer.known else []
        place = {name: number for number, name in enumerate(trained)}
        if strange := [name for name in Features.checked(features).names if name not in place]:
            raise InputError(
                f"features: {len(strange):,} of the {len(features.names):,} columns were not "
                f"trained: {', '.join(map(repr, strange[:5]))}"
            )
        cells = features.matrix.tocoo()
        columns = np.array([place[name] for name in features.names], np.int32)[cells.col]
        aligned = coo_array(
            (cells.data, (cells.row, columns)), shape=(len(features.rows), len(trained))
        )
        return replace(
            self, describer=replace(self.describer, known=Features(aligned, features.rows, trained))
        )

    def write(self, folder: Path) -> None:
        """Put the features and maps into an open run folder."""
        describer, known = self.describer, self.describer.known
        schema.Prior(
            list(self.strengths),
            describer.min_n,
            describer.max_n,
            describer.grams,
            known.rows if known else None,
            known.names if known else None,
        ).write(folder)
        schema.PriorArrays(*self.maps, known.matrix if known else None).write(folder)

    @classmethod
    def read(cls, run: Run) -> "Composer | None":
        """The Composer of a run folder; None where it has no prior."""
        stored = optional_file(schema.Prior, run)
        if stored is None:
            return None
        arrays, known = schema.PriorArrays.read(run, stored), None
        if stored.rows is not None:
            known = Features(arrays.features, stored.rows, stored.features)
        describer = Describer(stored.ngrams, stored.min_n, stored.max_n, known)
        of_inputs, of_outputs = stored.strengths
        return cls(describer, (arrays.input_map, arrays.output_map), (of_inputs, of_outputs))


@dataclass(frozen=True)
class Folded:
    """Rows folded in, whose `inputs` come from counts of their own.

    `means` and `outputs` are composed of features where a row is `described`. `pairs` are the
    weighted counts of each row. `without` names rows that got no vector, `unknown` the words whose
    counts could not be used, and `unknown_share` is their share of the pairs.
    """

    names: list[str]
    inputs: NDArray[np.float32]
    means: NDArray[np.float32]
    outputs: NDArray[np.float32]
    described: NDArray[np.bool_]
    pairs: NDArray[np.float64]
    without: list[str]
    unknown: list[str]
    unknown_share: float

    @cached_property
    def places(self) -> dict[str, int]:
        """The number of each row."""
        return {name: number for number, name in enumerate(self.names)}

    def beside(self, before: "Folded | None") -> "Folded":
        """These rows, and those of `before` that are not among them."""
        if before is None:
            return self
        kept = [number for number, name in enumerate(before.names) if name not in self.places]
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(before, name)[kept]])
            for name in ROW_ARRAYS
        }
        return replace(
            self, names=[*self.names, *(before.names[number] for number in kept)], **joined
        )

    def write(self, folder: Path) -> None:
        """Put the rows into an open run folder."""
        names = schema.Folded(self.names, self.without, self.unknown, self.unknown_share)
        names.write(folder)
        arrays = self.inputs, self.means, self.outputs, self.described, self.pairs
        schema.FoldedArrays(*arrays).write(folder)

    @classmethod
    def read(cls, run: Run) -> "Folded | None":
        """The folded-in rows of a run folder, or None."""
        names = optional_file(schema.Folded, run)
        if names is None:
            return None
        return cls(**field_values(names), **field_values(schema.FoldedArrays.read(run, names)))


@dataclass(frozen=True)
class UnseenRows:
    """Rows that were not trained: folded in, or composed of what is known of them."""

    composer: Composer | None
    folded: Folded | None

    @property
    def folded_names(self) -> Collection[str]:
        return self.folded.places if self.folded is not None else ()

    def describes(self, name: str) -> bool:
        """Whether anything is known of the row beside its counts."""
        return self.composer is not None and self.composer.knows(name)

    def way(self, name: str) -> str | None:
        """ "folded in", "composed", or None where the row has no vector."""
        if name in self.folded_names:
            return "folded in"
        return "composed" if self.describes(name) else None

    def has_outputs(self, name: str) -> bool:
        """Whether the row has an output vector too, since something is known of it."""
        if self.folded is not None and name in self.folded.places:
            return bool(self.folded.described[self.folded.places[name]])
        return self.way(name) is not None

    def vectors(self, name: str, *, composed: bool) -> tuple[NDArray[np.float32], ...]:
        """The input and output vectors; with `composed` what features say, not the counts."""
        if self.folded is not None and name in self.folded.places:
            number = self.folded.places[name]
            inputs = self.folded.means if composed else self.folded.inputs
            return inputs[number], self.folded.outputs[number]
        if self.composer is None:
            raise UnknownWordError(name, 0, [])
        return tuple(side[0] for side in self.composer.compose([name]))

    def reason(self, name: str) -> str:
        """Why a row has no vector, to stand behind a message that it is not known."""
        if self.folded is not None and name in self.folded.without:
            return ", and it has neither counts nor features"
        if self.composer is None or not self.composer.describer.size:
            return ""
        known = "n-grams" if self.composer.describer.known is None else "features"
        return f", and none of its {known} is known"
