"""The one table of options: name, default, range and help.

The command line, the Python functions, the documentation and the tests all read it.
"""

import inspect
import os
import re
import textwrap
from collections.abc import Callable
from typing import TypeVar

from exact2vec.errors import UsageError
from exact2vec.options.edges import EDGES
from exact2vec.options.items import ITEM_MODEL, ITEMS
from exact2vec.options.option import (
    Option,
    Value,
    passes,
    strengths,
    subword_lengths,
)

__all__ = [
    "EDGES",
    "ITEMS",
    "ITEM_MODEL",
    "Option",
    "Value",
    "passes",
    "strengths",
    "subword_lengths",
]

Documented = TypeVar("Documented", bound=Callable[..., object])


WHICH_VECTORS = ("embedding", "sum", "inputs", "outputs", "composed")


def strengths_of_new_rows(given: Value) -> tuple[float, float]:
    """Two strengths, the first above 0.

    Without a first strength, a row that is folded in has no optimum of its own.

    >>> strengths_of_new_rows("150,500")
    (150.0, 500.0)
    """
    found = OPTIONS["prior"].parse(given, "prior")
    if not isinstance(found, tuple) or not found[0]:
        raise UsageError(
            "the prior of new rows must be two numbers, the first above 0, such as 150,500; "
            f"got {given!r}"
        )
    return found[0], found[1]


READING = (
    Option(
        "tokens",
        "words",
        str,
        "how text becomes tokens: lower-cased words, or split at white space",
        choices=("words", "space"),
    ),
    Option(
        "regex",
        None,
        str,
        "a pattern whose matches, within white space, are the tokens (instead of --tokens)",
    ),
    Option(
        "document",
        "line",
        str,
        "what a document is: windows do not cross it, and it is held out whole",
        choices=("line", "paragraph", "file"),
    ),
    Option("encoding", "utf-8", str, "the encoding of the text"),
    Option(
        "errors",
        "strict",
        str,
        "bytes that are not text: an error, U+FFFD (counted), or nothing",
        choices=("strict", "replace", "ignore"),
    ),
)
COUNTING = (
    Option(
        "window",
        5,
        int,
        "pairs are words at most this far apart, weighted (window + 1 - distance) / window",
        least=1,
        below=10_001,
    ),
    Option(
        "min_count",
        5,
        int,
        "words counted less often in the training part are dropped, and windows close up over "
        "them; items that fewer training rows hold are dropped",
        least=1,
    ),
    Option(
        "max_vocab",
        None,
        int,
        "keep at most this many words, the most frequent (ties in order of spelling)",
        least=2,
    ),
    Option(
        "sample",
        1e-3,
        float,
        "frequent words weigh as if subsampled, in expectation; 0 is off (windows do not widen)",
        least=0,
        below=float("inf"),
    ),
    Option(
        "held_out",
        0.02,
        float,
        "share of the documents, or rows of items, that is held out, drawn by a hash of its "
        "tokens; 0 is none",
        least=0,
        below=1,
    ),
    Option(
        "validation",
        0.0,
        float,
        "share kept for validation as well: its NLL decides when --epochs auto stops (which makes "
        "it 0.02, as baskets and tables do)",
        least=0,
        below=1,
    ),
    Option(
        "rare",
        None,
        int,
        "words counted at least this often but below --min-count are contexts only: "
        "they get an input vector by fold-in",
        least=1,
    ),
)
TRAINING = (
    Option("vector_size", 100, int, "numbers in a vector", least=1),
    Option(
        "epochs",
        2,
        passes,
        "passes over all rows, of which the frequent are visited more often; 0 writes the start; "
        "auto goes on until the NLL of --validation stops falling",
        least=0,
    ),
    Option("max_epochs", 20, int, "with --epochs auto: at most this many", least=1),
    Option(
        "rate",
        0.05,
        float,
        "the first learning rate of the outputs (beyond D = 100 times √(100/D)); falls to a tenth",
        least=0,
        below=float("inf"),
    ),
    Option(
        "row_power",
        0.75,
        float,
        "what is minimised weighs contexts as their counts to this power; 1 is the plain NLL",
        least=0,
        below=float("inf"),
    ),
    Option(
        "prior",
        (150.0, 500.0),
        strengths,
        "shrinkage of inputs and outputs, in weighted pairs of window 5: a row of N pairs keeps "
        "about N / (N + strength) of what it learned; no: none",
    ),
    Option("min_n", 3, int, "the shortest character n-gram of a word", least=1),
    Option(
        "max_n",
        None,
        int,
        "the longest character n-gram of a word; 0 is no n-grams; "
        "by default 6 for words and 0 for other tokens",
        least=0,
    ),
    Option(
        "block_rows",
        256,
        int,
        "rows of one step; also the rows of scores held in memory at once",
        least=1,
    ),
    Option(
        "exact_every",
        None,
        int,
        "passes from one exact loss to the next; 0: at the start and the end only; between them "
        "stands an estimate, marked as such. By default every pass where a sweep is below "
        "5e10 flops, otherwise the start and the end",
        least=0,
    ),
    Option("seed", 1, int, "seed of the start and of the order of the rows", least=0),
    Option(
        "threads",
        None,
        int,
        "worker threads; by default the cores this process may use. Results do not depend on it",
        least=1,
        below=4097,
    ),
)


def available_threads() -> int:
    """The cores this process may use: the default of `threads`."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def validation_share(validation: float, epochs: int | str) -> float:
    """The share kept for validation: 0.02 where epochs are "auto" and none was given."""
    return validation or (0.02 if epochs == "auto" else 0.0)


OPTIONS = {
    option.name: option for option in READING + COUNTING + ITEMS + ITEM_MODEL + EDGES + TRAINING
}


def checked(**given: Value) -> dict[str, Value]:
    """`given`, each value checked against its option.

    >>> checked(window=5)
    {'window': 5}
    >>> checked(vector_size=0)
    Traceback (most recent call last):
    exact2vec.errors.UsageError: vector_size must be an integer of at least 1; got 0
    """
    for name, value in given.items():
        if isinstance(value, str) and OPTIONS[name].kind not in (str, strengths, passes):
            raise OPTIONS[name].refusal(value)
    return {name: OPTIONS[name].parse(value) for name, value in given.items()}


def documented(**others: str) -> Callable[[Documented], Documented]:
    """Puts a line for each argument behind a docstring: from the table, or from `others`."""

    def with_arguments(function: Documented) -> Documented:
        names = list(inspect.signature(function).parameters)
        lines = [_argument(name, others) for name in names if name != "self"]
        function.__doc__ = f"{inspect.getdoc(function)}\n\nArguments:\n" + "\n".join(lines) + "\n"
        return function

    return with_arguments


def _argument(name: str, others: dict[str, str]) -> str:
    """A line of documentation: what the argument is, its range and its default."""
    text = others.get(name)
    if text is None:
        option = OPTIONS[name]
        said = re.sub(r"--([a-z-]+)", lambda flag: flag[1].replace("-", "_"), option.help)
        text = f"{said} ({option.wanted}); default {option.default!r}"
    body = f"{name}: {text}"
    return textwrap.fill(body, 96, initial_indent="    ", subsequent_indent="        ")
