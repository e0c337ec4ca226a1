"""What the pages show of a run.

It comes from the run's folder, or from memory while that is being written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from exact2vec.counts.baskets import Baskets
from exact2vec.counts.counts import Counts
from exact2vec.errors import InputError, UsageError
from exact2vec.pages.diagnostics import WordLosses, word_losses
from exact2vec.storage import run_folder, schema
from exact2vec.storage.stored_file import is_stored
from exact2vec.vectors.vectors import Vectors, load


@dataclass(frozen=True)
class RunView:
    """A trained run: `path` is how its user names it; the dicts are the files of the same names."""

    path: str
    vectors: Vectors
    counts: Counts
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    provenance: Mapping[str, Any]
    history: list[dict[str, Any]]
    times: list[dict[str, Any]]
    baskets: Baskets | None = None

    def __post_init__(self) -> None:
        if not self.vectors.square:
            raise UsageError(
                f"{self.path}: the pages show names beside the same names, and rows of this run "
                f"are not its columns ({self.vectors.axes.size}); "
                "ask exact2vec evaluate and neighbors"
            )

    @property
    def name(self) -> str:
        return Path(self.path).name

    @property
    def comparable(self) -> str:
        """Equal where losses compare: same vocabulary, weighting and held-out pairs.

        Training pairs count where none are held out; of items, with the rows that are.
        """
        if self.counts.held_out_digest is not None:
            return self.counts.held_out_digest
        rows = None if self.baskets is None else self.baskets.held_out_digest
        return repr((hash_of(self.counts), self.counts.weighting, rows))

    @property
    def baselines(self) -> dict[str, float]:
        """The lines beside the training curve, nats a pair."""
        return {
            "ln V": self.summary["ln_v"],
            "unigram": self.summary["training"]["unigram"],
            "floor": self.summary["training"]["floor"],
        }

    @cached_property
    def training_losses(self) -> WordLosses:
        return word_losses(self.vectors, self.counts, self.counts.training)

    @cached_property
    def held_out_losses(self) -> WordLosses | None:
        return (
            None
            if self.counts.held_out is None
            else word_losses(self.vectors, self.counts, self.counts.held_out)
        )


def stored_run(folder: str | Path) -> RunView:
    """Read a run folder.

    Raises InputError where it holds vectors or counts alone, CorruptFileError where a byte differs.
    """
    run = run_folder.open_run(folder)
    if not (is_stored(schema.Summary, run) and is_stored(schema.Cells, run)):
        raise InputError(
            f"{folder} is not a trained run with its counts: "
            "name a folder that exact2vec train wrote"
        )
    config, summary, provenance = (
        kind.read(run).values for kind in (schema.Config, schema.Summary, schema.Provenance)
    )
    history, times = (kind.read(run).rows for kind in (schema.History, schema.Times))
    vectors, counts = load(run), Counts.load(run)
    baskets = Baskets.read(run, vectors.vocabulary)
    files = config, summary, provenance, history, times
    return RunView(str(folder), vectors, counts, *files, baskets)


def hash_of(counts: Counts) -> str:
    """The SHA-256 of the training counts with their words."""
    import hashlib

    names = counts.words if counts.square else (counts.rows, counts.words)
    digest = hashlib.sha256(repr(names).encode("utf-8", "backslashreplace"))
    for array in (counts.training.indptr, counts.training.indices, counts.training.data):
        wide = np.float64 if array.dtype.kind == "f" else np.int64
        digest.update(np.ascontiguousarray(array, wide).tobytes())
    return digest.hexdigest()
