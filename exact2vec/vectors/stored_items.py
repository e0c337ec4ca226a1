"""The model of what comes next in a run folder: its parts as they are written and read."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.counts import unigram
from exact2vec.counts.credit import CreditRule
from exact2vec.storage import schema
from exact2vec.storage.next_item_files import NextItemArrays, NextItems
from exact2vec.storage.run_folder import Run
from exact2vec.storage.stored_file import optional_file
from exact2vec.vectors.composed_items import Composed
from exact2vec.vectors.item_model import ItemModel
from exact2vec.vectors.item_parts import ItemPart, Mixture, Popularity, softmax_table


@dataclass(frozen=True)
class NextItemParts:
    """What a model of what comes next is made of, beside credit counts and vectors.

    `counting` are the numbers that the credit was shared by, `rule` those of p(w | i). With `table`
    the mixture is backed off to the vectors, p(w | i) = softmax of b + x_i·u. `chosen` says what
    was tried.
    """

    counting: CreditRule
    rule: CreditRule
    table: bool
    shares: dict[str, float]
    composed: Composed | None
    baskets_with: NDArray[np.int64]
    chosen: dict[str, Any] = field(default_factory=dict)

    def model(self, counts: csr_array, vectors: Callable[[], tuple[Any, Any, Any]]) -> ItemModel:
        """The model over these credit counts; `vectors` gives inputs, outputs and biases."""
        popularity = unigram(self.baskets_with.astype(np.float64))
        table = softmax_table(*vectors()) if self.table else None
        mixture = Mixture(counts, self.rule, popularity, self.baskets_with, table)
        parts: dict[str, ItemPart] = {"popularity": Popularity(popularity), "mixture": mixture}
        if self.composed is not None:
            parts["composed"] = self.composed
        names = [name for name in parts if self.shares.get(name, 0) > 0]
        shares = tuple(self.shares[name] for name in names)
        return ItemModel(tuple(parts[name] for name in names), shares, self.chosen)

    def write(self, folder: Path) -> None:
        """Put the parts into an open run folder."""
        one = self.composed
        numbers = None
        if one is not None:
            numbers = {"by_direction": one.by_direction, "temperature": one.temperature}
        NextItems(
            asdict(self.counting), asdict(self.rule), self.table, self.shares, numbers, self.chosen
        ).write(folder)
        arrays = (one.inputs, one.outputs, one.bias, one.item_weights) if one else ()
        NextItemArrays(self.baskets_with, *arrays).write(folder)

    @classmethod
    def read(cls, run: Run, items: int) -> "NextItemParts | None":
        """Those of a run folder; None where it has none."""
        stored = optional_file(NextItems, run)
        if stored is None:
            return None
        arrays = NextItemArrays.read(run, items, composed=stored.composed is not None)
        composed = None
        if stored.composed is not None:
            made: Any = (arrays.inputs, arrays.outputs, arrays.bias, arrays.item_weights)
            composed = Composed(*made, **stored.composed)
        rules = CreditRule(**stored.counting), CreditRule(**stored.rule)
        table, shares, times = stored.table, stored.shares, arrays.baskets_with
        return cls(*rules, table, shares, composed, times, stored.chosen)


def stored_model(run: Run, vectors: Any) -> ItemModel:
    """The model of a run folder, with the counts that it holds and its `Vectors`."""
    items = len(vectors.inputs)
    parts = NextItemParts.read(run, items)
    assert parts is not None
    counts = schema.Cells.read(run, (items, items), None).training
    return parts.model(counts, lambda: (vectors.inputs, vectors.outputs, vectors.bias))
