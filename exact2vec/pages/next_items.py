"""What the report shows of the model of what comes next: its parts, and whether p is true."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from exact2vec.counts.baskets import Baskets
from exact2vec.pages.diagnostics import CALIBRATION_EDGES, CALIBRATION_ROWS, Calibration
from exact2vec.vectors.item_model import ItemModel, blocks
from exact2vec.vectors.vectors import Vectors


def next_item_parts(vectors: Vectors) -> list[dict[str, Any]]:
    """Name, share λ and validation NLL alone of each part that was tried; none of other runs.

    The NLL is None where nothing was kept for validation.
    """
    if vectors.recommender is None:
        return []
    model: ItemModel = vectors.recommender.model
    chosen = model.chosen.get("parts") or [
        {"name": part.name, "share": share, "nll": None}
        for part, share in zip(model.parts, model.shares, strict=True)
    ]
    return [dict(part) for part in chosen]


def next_item_calibration(
    vectors: Vectors, baskets: Baskets | None, *, rows: int = CALIBRATION_ROWS
) -> Calibration | None:
    """Predicted against asked for, over the items outside the contexts of held-out rows.

    Each target of a row is one draw, for which p of every item is predicted. Of more rows than
    `rows` every so-manieth is taken. None where nothing is held out.
    """
    cut = None if baskets is None else baskets.held_out
    if vectors.recommender is None or cut is None or not cut.targets.nnz:
        return None
    step = -(-cut.contexts.shape[0] // rows)
    contexts, targets = csr_array(cut.contexts[::step]), csr_array(cut.targets[::step])
    draws = np.diff(targets.indptr)
    sums = np.zeros((3, len(CALIBRATION_EDGES) + 1))
    for some in blocks(contexts):
        p = vectors.recommender.model.probabilities(contexts[some])
        outside = contexts[some].toarray() == 0
        asked = targets[some].toarray() != 0
        weight = np.broadcast_to(draws[some, None], p.shape)[outside]
        with np.errstate(divide="ignore"):
            place = np.digitize(np.log10(p[outside]), CALIBRATION_EDGES)
        for number, values in enumerate((weight * p[outside], asked[outside], weight)):
            sums[number] += np.bincount(place, values, sums.shape[1])
    return Calibration.of_sums(sums, float(draws.sum()), len(draws))
