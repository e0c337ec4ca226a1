"""exact2vec: embeddings trained with the exact softmax negative log-likelihood.

The public names are loaded when first used: importing exact2vec imports no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "log_softmax": "loss.functional",
    "nll_loss": "loss.functional",
    "cross_entropy": "loss.functional",
    "linear_cross_entropy": "loss.functional",
    "NLLLoss": "loss.modules",
    "CrossEntropyLoss": "loss.modules",
    "LinearCrossEntropyLoss": "loss.modules",
    "loss_terms": "loss.decomposition",
    "explain": "loss.explain",
    "descend": "loss.explain",
    "Text": "counts.text",
    "Counts": "counts.counts",
    "Baskets": "counts.baskets",
    "count_baskets": "counts.basket_counting",
    "count_edges": "counts.edge_counting",
    "count_text": "counts.counting",
    "count_tokens": "counts.counting",
    "Features": "counts.features",
    "RowCounts": "counts.features",
    "fit": "train.fit",
    "Vectors": "vectors.vectors",
    "load": "vectors.vectors",
    "evaluate": "vectors.evaluate",
    "report": "pages.report",
    "Exact2Vec": "estimator",
}
__all__ = [  # written out: type checkers read it
    "Baskets",
    "Counts",
    "CrossEntropyLoss",
    "Exact2Vec",
    "Features",
    "LinearCrossEntropyLoss",
    "NLLLoss",
    "RowCounts",
    "Text",
    "Vectors",
    "count_baskets",
    "count_edges",
    "count_text",
    "count_tokens",
    "cross_entropy",
    "descend",
    "evaluate",
    "explain",
    "fit",
    "linear_cross_entropy",
    "load",
    "log_softmax",
    "loss_terms",
    "nll_loss",
    "report",
]

if TYPE_CHECKING:
    from exact2vec.counts.basket_counting import count_baskets
    from exact2vec.counts.baskets import Baskets
    from exact2vec.counts.counting import count_text, count_tokens
    from exact2vec.counts.counts import Counts
    from exact2vec.counts.edge_counting import count_edges
    from exact2vec.counts.features import Features, RowCounts
    from exact2vec.counts.text import Text
    from exact2vec.estimator import Exact2Vec
    from exact2vec.loss.decomposition import loss_terms
    from exact2vec.loss.explain import descend, explain
    from exact2vec.loss.functional import (
        cross_entropy,
        linear_cross_entropy,
        log_softmax,
        nll_loss,
    )
    from exact2vec.loss.modules import CrossEntropyLoss, LinearCrossEntropyLoss, NLLLoss
    from exact2vec.pages.report import report
    from exact2vec.train.fit import fit
    from exact2vec.vectors.evaluate import evaluate
    from exact2vec.vectors.vectors import Vectors, load


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'exact2vec' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"exact2vec.{_HOME[name]}"), name)
    globals()[name] = found  # a loss is looked up in every step: the next time without this call
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
