"""Counts: k(c, w) with the names of its rows and columns; weighing, merging, saving, loading."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.features import NamedCounts, RowCounts
from exact2vec.counts.kinds import (
    COUNTS,
    EDGES,
    ROWS_OF_ITEMS,
    TEXT,
    Kind,
    entry_rows,
    stored_kind,
)
from exact2vec.counts.rare_words import RareWords
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.counts.weighting import (
    PlainWeighting,
    Weighting,
    column_sums,
    fields_of,
    numbers_of,
    weighting_of,
)
from exact2vec.counts.word_contexts import WordContexts
from exact2vec.display import html_table
from exact2vec.errors import InputError, UsageError
from exact2vec.loss.background import Background
from exact2vec.storage import graph_files, run_folder, schema
from exact2vec.storage.content import content_checked
from exact2vec.storage.stored_file import is_stored, optional_file


@dataclass(frozen=True)
class Counts:
    """Counts k(c, w) of the training, held-out and validation parts, and how to count alike.

    Columns are the words that are predicted, rows the contexts. Where they are the same names in
    the same order, the counts are square and `contexts` is None. Counts are int64, or float64.
    `held_out` and `validation` are None where no pairs are in them. `rare` are the words that are
    contexts only, None where they were not asked for. `tokens` says where each token went.
    `word_contexts` show what stands near words that are not kept, None where there are none.
    `kind` is the kind of data, whose nouns messages and pages use. Counts of a graph may have a
    `background`, which the training part has beside its cells; `edges` are the weights of those
    that are trained on, where they have no direction.
    """

    vocabulary: Vocabulary
    training: csr_array
    held_out: csr_array | None
    weighting: Weighting
    tokens: dict[str, int]
    settings: dict[str, Any] = field(default_factory=dict)
    rare: RareWords | None = None
    validation: csr_array | None = None
    contexts: Vocabulary | None = None
    word_contexts: WordContexts | None = None
    kind: Kind = TEXT
    background: Background | None = None
    edges: csr_array | None = None

    @classmethod
    def from_matrix(
        cls,
        matrix: Any,
        rows: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        *,
        weighting: Weighting | None = None,
        kind: Kind = COUNTS,
    ) -> "Counts":
        """The counts of any scipy matrix or array: row c, column w holds k(c, w) ≥ 0.

        Integers stay exact, other numbers are float64; entries that stand twice are summed. Names
        are text; without them rows are "row 0", … and columns "column 0", …. Counts are weighted
        as they are, unless a `weighting` is given. The `kind` says what the names are called.

        Raises InputError for a value that is negative, not finite or above 1e15, a name that
        stands twice, other numbers of names than of rows and columns, and counts of nothing.

        >>> Counts.from_matrix([[2, 0, 1], [0, 3, 0]], rows=["ann", "bob"])
        Counts(2 rows, 3 columns, 3 cells, held out: none)
        """
        named = NamedCounts.of_matrix(matrix, rows, columns)
        counts = named.matrix
        if counts.nnz == 0:
            raise InputError("counts: the matrix holds nothing but zeros")
        row_totals, column_totals = (np.asarray(counts.sum(axis=axis)).ravel() for axis in (1, 0))
        square = named.rows == named.names
        return cls(
            Vocabulary(named.names, column_totals),
            counts,
            None,
            weighting or PlainWeighting(),
            {},
            contexts=None if square else Vocabulary(named.rows, row_totals),
            kind=kind,
        )

    @property
    def words(self) -> list[str]:
        return self.vocabulary.words

    @property
    def columns(self) -> list[str]:
        """The names of what is predicted; the same as `words`."""
        return self.vocabulary.words

    @property
    def rows(self) -> list[str]:
        """The names of the contexts."""
        return (self.contexts or self.vocabulary).words

    @property
    def square(self) -> bool:
        """Whether rows and columns are the same names in the same order."""
        return self.contexts is None

    @cached_property
    def keep(self) -> NDArray[np.float64]:
        """s_w, the factor of each column in the weighting."""
        return self.weighting.keep(self.vocabulary.counts, self.vocabulary.total)

    @cached_property
    def row_keep(self) -> NDArray[np.float64]:
        """s_c, the factor of each row in the weighting."""
        if self.contexts is None:
            return self.keep
        return self.weighting.keep(self.contexts.counts, self.contexts.total)

    @property
    def held_out_digest(self) -> str | None:
        """The SHA-256 of names, weighting and held-out pairs.

        Held-out losses compare only where it is equal.
        """
        if self.held_out is None:
            return None
        numbers = numbers_of(self.weighting).values()
        contexts = [] if self.contexts is None else [self.rows, self.contexts.counts.tolist()]
        covered = repr((self.words, *numbers, self.vocabulary.counts.tolist(), *contexts))
        digest = hashlib.sha256(covered.encode("utf-8", "backslashreplace"))
        for array in (self.held_out.indptr, self.held_out.indices, self.held_out.data):
            wide = np.float64 if array.dtype.kind == "f" else np.int64
            digest.update(np.ascontiguousarray(array, wide).tobytes())
        return digest.hexdigest()

    @cached_property
    def unigram(self) -> NDArray[np.float64]:
        """p(w), the share of the weighted pairs of the training part that w ends."""
        totals = self.keep * column_sums(self.training, self.row_keep)
        if self.background is not None:
            totals += self.background.column_totals(self.training)
        return unigram(totals)

    def weigh(self, counts: csr_array) -> csr_array:
        """The weighted pairs n(c, w) of k(c, w), float32."""
        return self.weighting.weigh(counts, self.row_keep, self.keep)

    def background_of(self, part: csr_array) -> Background | None:
        """What the part has beside its cells: the training part alone may have some."""
        return self.background if part is self.training else None

    def weigh_rare(self) -> RowCounts | None:
        """The weighted counts of the rare words, as rows that can be folded in."""
        return None if self.rare is None else self.rare.weigh(self.weighting, self.vocabulary)

    def merge(self, *others: "Counts") -> "Counts":
        """The counts of all these texts together.

        Each must have been counted against the same words, with the same weighting and settings.
        """
        if self.kind == EDGES:
            raise UsageError("walks go through a whole graph: put the edges together, and count")
        for other in others:
            self._refuse_another_kind(other)
        parts = [self, *others]
        contexts = [part.contexts for part in parts if part.contexts is not None]
        return replace(
            self,
            vocabulary=_merged_names([part.vocabulary for part in parts]),
            contexts=_merged_names(contexts) if contexts else None,
            training=_sum([part.training for part in parts]),
            held_out=_sum([part.held_out for part in parts]),
            validation=_sum([part.validation for part in parts]),
            tokens=_merged_tokens([part.tokens for part in parts]),
            rare=self.rare and self.rare.merge([part.rare for part in others if part.rare]),
            word_contexts=_merged_contexts([part.word_contexts for part in parts]),
        )

    def _refuse_another_kind(self, other: "Counts") -> None:
        differing = [
            name
            for name, same in (
                ("kind of data", self.kind == other.kind),
                (self.kind.many, self.words == other.words),
                ("rows", self.rows == other.rows or self.words != other.words),
                ("weighting", self.weighting == other.weighting),
                ("settings", self.settings == other.settings),
                ("rare words asked for", (self.rare is None) == (other.rare is None)),
            )
            if not same
        ]
        if differing:
            raise UsageError(
                "counts merge where they were counted alike; "
                f"these differ in {', '.join(differing)}. "
                "Count each part with vocabulary= and the same options"
            )

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write a folder that `Counts.load` reads; refuses an existing one without `force`."""
        with run_folder.create(Path(folder), kind="counts", force=force) as part:
            self.write(part)

    def write(self, folder: Path) -> None:
        """Put the files of the counts into an open run folder."""
        rare = self.rare
        if rare is not None:
            times = None if rare.times is None else rare.times.tolist()
            schema.RareWords(rare.words, times, rare.kept_tokens).write(folder)
        rare_cells = None if rare is None else rare.counts
        schema.Cells(self.training, self.held_out, self.validation, rare_cells).write(folder)
        schema.Vocabulary(self.words, self.vocabulary.counts).write(folder)
        if self.contexts is not None:
            schema.RowNames(self.rows, self.contexts.counts).write(folder)
        weighting = fields_of(self.weighting)
        schema.Counting(weighting, self.tokens, self.settings, self.kind.name).write(folder)
        if self.word_contexts is not None:
            self.word_contexts.write(folder)
        if self.edges is not None:
            graph_files.Edges(self.edges).write(folder)
        if self.background is not None:
            graph_files.Background(**vars(self.background)).write(folder)

    @classmethod
    def load(cls, folder: str | Path | run_folder.Run) -> "Counts":
        """Read back what `save` wrote; CorruptFileError where a byte differs."""
        run = run_folder.open_run(folder)
        if not is_stored(schema.Cells, run):
            raise InputError(
                f"{run.folder} holds no counts, only vectors: "
                "train with counts, or name a run folder"
            )
        return cls._loaded(run)

    @classmethod
    @content_checked
    def _loaded(cls, run: run_folder.Run) -> "Counts":
        vocabulary, contexts = stored_names(run)
        counting = schema.Counting.read(run)
        weighting = weighting_of(counting.weighting)
        rare = optional_file(schema.RareWords, run)
        names = len((contexts or vocabulary).words), len(vocabulary.words)
        cells = schema.Cells.read(run, names, len(rare.words) if rare else None)
        return cls(
            vocabulary,
            cells.training,
            cells.held_out,
            weighting,
            counting.tokens,
            counting.settings,
            rare=_rare_words(rare, cells.rare, weighting, vocabulary),
            validation=cells.validation,
            contexts=contexts,
            word_contexts=WordContexts.read(run, len(vocabulary.words)),
            kind=stored_kind(counting.kind, run.folder / schema.Counting.file),
            background=_background(run, names),
            edges=graph_files.Edges.of_nodes(run, names[1]),
        )

    def __repr__(self) -> str:
        held = "none" if self.held_out is None else f"{self.held_out.nnz:,} cells"
        names = self.kind.number(len(self.words))
        if not self.square:
            names = f"{len(self.rows):,} rows, {len(self.words):,} columns"
        size = f"{names}, {self.training.nnz:,} cells"
        numbers = numbers_of(self.weighting).items()
        weighting = "".join(f", {name}={value:g}" for name, value in numbers)
        return f"Counts({size}, held out: {held}{weighting})"

    def _repr_html_(self) -> str:
        return html_table(["Counts", ""], _token_rows(self))


def _token_rows(counts: Counts) -> list[tuple[str, str]]:
    tokens = counts.tokens
    if counts.kind in ROWS_OF_ITEMS and tokens:
        return entry_rows(counts.kind, tokens, len(counts.words))
    numbers = numbers_of(counts.weighting)
    values = ", ".join(f"{value:g}" for value in numbers.values())
    weighting = [(", ".join(numbers), values)] if numbers else []
    if not tokens:
        return [
            ("rows", f"{len(counts.rows):,}"),
            ("columns", f"{len(counts.words):,}"),
            ("cells counted", f"{counts.training.nnz:,}"),
            *weighting,
        ]
    dropped = sum(number for name, number in tokens.items() if name.startswith("dropped_"))
    some = [
        (title, f"{tokens[name]:,}")
        for name, title in (("validation", "for validation"), ("context_only", "context only"))
        if tokens.get(name)
    ]
    return [
        ("tokens read", f"{tokens['read']:,}"),
        ("for training", f"{tokens['training']:,}"),
        ("held out", f"{tokens['held_out']:,}"),
        *some,
        ("dropped", f"{dropped:,}"),
        (f"{counts.kind.many} kept", f"{len(counts.words):,} of {tokens['distinct']:,}"),
        ("cells counted", f"{counts.training.nnz:,}"),
        *weighting,
        ("most frequent", ", ".join(counts.words[:8])),
    ]


def _background(run: run_folder.Run, names: tuple[int, int]) -> Background | None:
    if not is_stored(graph_files.Background, run):
        return None
    stored = graph_files.Background.read(run, names)
    return Background(stored.amounts, stored.shares, stored.errors)


def has_counts(folder: str | Path | run_folder.Run) -> bool:
    """Whether a run folder holds counts, or vectors alone."""
    return is_stored(schema.Cells, run_folder.open_run(folder))


def unigram(column_totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """p(w), the share of the pairs that w ends.

    A word without pairs counts half the smallest total, so that log p is finite.
    """
    least = column_totals[column_totals > 0].min()
    smoothed = np.where(column_totals > 0, column_totals, least / 2)
    return np.asarray(smoothed / smoothed.sum())


def stored_names(run: run_folder.Run) -> tuple[Vocabulary, Vocabulary | None]:
    """The names of the columns of a run folder, and of its rows where they are others."""
    columns, rows = schema.Vocabulary.read(run), optional_file(schema.RowNames, run)
    contexts = None if rows is None else Vocabulary(rows.words, rows.counts)
    return Vocabulary(columns.words, columns.counts), contexts


def _rare_words(
    stored: schema.RareWords | None,
    cells: csr_array | None,
    weighting: Weighting,
    vocabulary: Vocabulary,
) -> RareWords | None:
    if stored is None or cells is None:
        return None
    if stored.weighted:
        keep = weighting.keep(vocabulary.counts, vocabulary.total)
        cells.data = cells.data * weighting.unit / keep[cells.indices]
    times = None if stored.times is None else np.array(stored.times, np.int64)
    return RareWords(stored.words, cells, times, stored.kept_tokens)


def _merged_names(parts: Sequence[Vocabulary]) -> Vocabulary:
    counts = [part.counts for part in parts]
    return replace(parts[0], counts=sum(counts[1:], counts[0]))


def _merged_contexts(parts: Sequence[WordContexts | None]) -> WordContexts | None:
    there = [part for part in parts if part is not None]
    return there[0].merge(there[1:]) if there else None


def _sum(parts: Sequence[csr_array | None]) -> Any:
    """The sum of the matrices that are there, or None."""
    there = [part for part in parts if part is not None]
    return sum(there[1:], there[0]) if there else None


def _merged_tokens(parts: Sequence[dict[str, int]]) -> dict[str, int]:
    """Where the tokens of all parts went; distinct ones do not add up."""
    names = dict.fromkeys(name for part in parts for name in part)
    merged = {name: sum(part.get(name, 0) for part in parts) for name in names}
    if "distinct" in merged:
        merged["distinct"] = max(part.get("distinct", 0) for part in parts)
    return merged
