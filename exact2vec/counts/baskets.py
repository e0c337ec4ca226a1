"""Baskets: rows of items, some of them held out and cut into context and target."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from exact2vec.counts.counts import Counts
from exact2vec.counts.kinds import BASKETS, Kind, entry_rows, stored_kind
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.counts.weighting import PlainWeighting
from exact2vec.display import html_table
from exact2vec.errors import InputError
from exact2vec.storage import item_files, run_folder
from exact2vec.storage.run_folder import Run
from exact2vec.storage.stored_file import is_stored, optional_file


@dataclass(frozen=True)
class Cut:
    """Rows that are held out, each cut once: what is known of it, and what is to be predicted.

    `contexts` and `targets` are rows × items of weights above 0. No cell is in both.
    """

    rows: list[str]
    contexts: csr_array
    targets: csr_array

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Baskets:
    """Rows of items: baskets, orders, or the users of a table.

    `training` is rows × items of weights above 0; the items that most rows hold come first, ties
    in order of spelling. `validation` and `held_out` are None where nothing is. `tokens` says
    where every entry went, `settings` how to count alike.

    >>> from exact2vec import count_baskets
    >>> count_baskets([["tea", "milk"], ["tea", "rye"]] * 5, held_out=0, validation=0)
    Baskets(10 baskets, 3 items, 20 entries, validation: none, held out: none)
    """

    items: Vocabulary
    rows: list[str]
    training: csr_array
    validation: Cut | None
    held_out: Cut | None
    tokens: dict[str, int]
    settings: dict[str, Any] = field(default_factory=dict)
    kind: Kind = BASKETS

    @property
    def held_out_digest(self) -> str | None:
        """The SHA-256 of the items' names, and of contexts and targets that are held out.

        Held-out losses compare only where it is equal.
        """
        if self.held_out is None:
            return None
        digest = hashlib.sha256(repr(self.items.words).encode("utf-8", "backslashreplace"))
        for side in (self.held_out.contexts, self.held_out.targets):
            for array, kind in (
                (side.indptr, np.int64),
                (side.indices, np.int64),
                (side.data, np.float64),
            ):
                digest.update(np.ascontiguousarray(array, kind).tobytes())
        return digest.hexdigest()

    def pair_counts(self) -> Counts:
        """n(i, w): how much item i of a row is credited for its other item w, float64, square.

        An item w of weight ω_w has that much credit. The row's other items share it by weight:

            n(i, w) = Σ_rows ω_w ω_i / Σ_{j≠w} ω_j,  which is 1 / (k − 1) in a row of k equal items

        The validation part shares the targets' credit among the items of their context. There is no
        held-out part: p(w | i) is of one item, and the held-out loss is of whole contexts.

        They are counted once. Raises InputError where no row holds two items.
        """
        return self._pairs

    @cached_property
    def _pairs(self) -> Counts:
        training = _shared_credit(self.training)
        if training.nnz == 0:
            raise InputError(
                f"no {self.kind.group} holds two {self.kind.many} that are kept: no pairs"
            )
        cut = self.validation
        return Counts(
            self.items,
            training,
            None,
            PlainWeighting(),
            self.tokens,
            self.settings,
            validation=None if cut is None else _credit_of(cut),
            kind=self.kind,
        )

    @cached_property
    def known_rows(self) -> csr_array:
        """What may be counted when choosing is over: training and validation, 1 for each item."""
        return held_by_name(replace(self, held_out=None))[1]

    def write(self, folder: Path) -> None:
        """Put the rows into an open run folder; the names of the items are written apart."""
        item_files.Rows(
            self.rows,
            None if self.validation is None else self.validation.rows,
            None if self.held_out is None else self.held_out.rows,
            self.items.distinct,
            self.tokens,
            self.settings,
            self.kind.name,
        ).write(folder)
        item_files.RowCells(self.training, *_matrices(self.validation, self.held_out)).write(folder)

    @classmethod
    def read(cls, run: Run, items: Vocabulary) -> "Baskets | None":
        """The rows of a run folder; None where it has none."""
        names = optional_file(item_files.Rows, run)
        if names is None:
            return None
        cells = item_files.RowCells.read(run, names, len(items.words))
        kind = stored_kind(names.kind, run.folder / item_files.Rows.file)
        vocabulary = Vocabulary(items.words, items.counts, names.distinct)
        sides: Any = (
            (names.validation, cells.validation_contexts, cells.validation_targets),
            (names.held_out, cells.held_out_contexts, cells.held_out_targets),
        )
        cuts = [None if side[0] is None else Cut(*side) for side in sides]
        parts = names.tokens, names.settings, kind
        return cls(vocabulary, names.training, cells.training, cuts[0], cuts[1], *parts)

    @classmethod
    def load(cls, folder: str | Path) -> "Baskets":
        """Read back the baskets of a run folder; CorruptFileError where a byte differs."""
        from exact2vec.counts.counts import stored_names

        run = run_folder.open_run(Path(folder))
        found = cls.read(run, stored_names(run)[0])
        if found is None:
            raise InputError(f"{folder} holds no baskets: train with --kind baskets or table")
        return found

    def __repr__(self) -> str:
        parts = (("validation", self.validation), ("held out", self.held_out))
        said = ", ".join(
            f"{name}: {'none' if cut is None else f'{len(cut):,} {self.kind.groups}'}"
            for name, cut in parts
        )
        size = f"{len(self.rows):,} {self.kind.groups}, {self.kind.number(len(self.items.words))}"
        return f"Baskets({size}, {self.training.nnz:,} entries, {said})"

    def _repr_html_(self) -> str:
        rows = entry_rows(self.kind, self.tokens, len(self.items.words))
        return html_table(["Baskets", ""], rows)


def held_by_name(baskets: Baskets) -> tuple[dict[str, int], csr_array]:
    """All that baskets hold of each name, in whatever part: numbers of the names, names × items.

    A row stands once, also where its items are in several parts.
    """
    cuts = [cut for cut in (baskets.validation, baskets.held_out) if cut is not None]
    names = [*baskets.rows, *(name for cut in cuts for _ in range(2) for name in cut.rows)]
    sides = [side for cut in cuts for side in (cut.contexts, cut.targets)]
    number: dict[str, int] = {}
    rows = np.array([number.setdefault(name, len(number)) for name in names], np.int64)
    cells = vstack([baskets.training, *sides]).tocoo()
    shape = len(number), len(baskets.items.words)
    held = csr_array((np.ones(cells.nnz), (rows[cells.row], cells.col)), shape=shape)
    held.sum_duplicates()
    held.data[:] = 1  # one that stands in several parts
    return number, held


def has_baskets(folder: str | Path) -> bool:
    """Whether a run folder holds rows of items."""
    return is_stored(item_files.Rows, run_folder.open_run(Path(folder)))


def _matrices(*cuts: Cut | None) -> list[csr_array | None]:
    return [
        matrix
        for cut in cuts
        for matrix in ((None, None) if cut is None else (cut.contexts, cut.targets))
    ]


def _shared_credit(rows: csr_array) -> csr_array:
    """Σ over rows of ω_w ω_i / Σ_{j≠w} ω_j for i ≠ w."""
    others = _sums_of_others(rows)
    share = np.divide(rows.data, others, out=np.zeros(rows.nnz), where=others > 0)
    targets = csr_array((share, rows.indices, rows.indptr), shape=rows.shape)
    return _without_diagonal(csr_array(rows.T) @ targets)


def _sums_of_others(rows: csr_array) -> NDArray[np.float64]:
    """Σ_{j≠w} ω_j of each cell w: the largest of a row is left out of its own sum, not subtracted.

    So nothing cancels where it outweighs the others.
    """
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    order = np.lexsort((rows.data, row))
    largest = order[np.append(np.diff(row[order]) != 0, True)] if len(row) else order
    rest = rows.data.copy()
    rest[largest] = 0
    sums = np.bincount(row, rest, rows.shape[0])
    others = sums[row] + rows.data[largest][np.searchsorted(row[largest], row)] - rows.data
    others[largest] = sums[row[largest]]
    return np.asarray(others)


def _credit_of(cut: Cut) -> csr_array:
    """Σ over rows of ω_w ω_i / Σ_j ω_j, for targets w and items i, j of the context."""
    sums = np.asarray(cut.contexts.sum(axis=1)).ravel()
    share = cut.targets.data / np.repeat(sums, np.diff(cut.targets.indptr))
    targets = csr_array((share, cut.targets.indices, cut.targets.indptr), shape=cut.targets.shape)
    return _without_diagonal(csr_array(cut.contexts.T) @ targets)


def _without_diagonal(pairs: Any) -> csr_array:
    """The matrix in sorted rows, without its diagonal and zeros."""
    found = csr_array(pairs)
    found.sort_indices()
    rows = np.repeat(np.arange(found.shape[0], dtype=found.indices.dtype), np.diff(found.indptr))
    found.data[rows == found.indices] = 0
    found.eliminate_zeros()
    return found
