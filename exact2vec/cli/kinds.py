"""The one table of the kinds of INPUT: how each is read, and which flags it takes."""

from typing import Any

from exact2vec.cli.edges import EDGE_DEFAULTS, EDGE_FLAGS, edge_counts
from exact2vec.cli.inputs import (
    InputKind,
    is_given,
    names_run_folder,
    stored_counts,
    stored_kind_of_rows,
    text_counts,
)
from exact2vec.cli.item_inputs import BASKETS, TABLE
from exact2vec.cli.request import Request
from exact2vec.errors import UsageError
from exact2vec.options import COUNTING, EDGES, ITEM_MODEL, ITEMS, READING

TEXT_FLAGS = tuple(option.name for option in READING + COUNTING)
KINDS: dict[str, InputKind] = {
    "text": InputKind(text_counts, TEXT_FLAGS),
    "baskets": BASKETS,
    "table": TABLE,
    "edges": InputKind(edge_counts, EDGE_FLAGS, EDGE_DEFAULTS),
    "counts": InputKind(stored_counts, ()),
}
DATA_FLAGS = READING + COUNTING + ITEMS + ITEM_MODEL + EDGES
COLUMNS = "only a table has named columns"
WHY = {  # a flag is of some kinds alone
    "tokens": "only text is cut into tokens; names of items are taken as they stand",
    "regex": "only text is cut into tokens; names of items are taken as they stand",
    "document": "only text has documents; a basket is a line or a row",
    "window": "only text has an order; all items of a row are near each other",
    **dict.fromkeys(("min_count", "max_vocab"), "every node of a graph is kept"),
    "sample": "only text is subsampled",
    "rare": "only words below --min-count are folded in",
    "group_by": COLUMNS,
    "item": COLUMNS,
    "weight": COLUMNS,
    "time": COLUMNS,
    "separator": "text is cut into tokens, see --tokens",
    "held_out_by": "of text, whole documents are held out",
    "model": "only rows of items ask what comes next",
    "validate": "only rows of items ask what comes next",
    **dict.fromkeys(
        ("hops", "source", "target", "whole_cells", "most_cells", "directed", "nodes"),
        "only edges make walks from node to node",
    ),
    "target_share": "only rows of items are cut into context and target",
}


def read_input(kind: str | None, request: Request) -> Any:
    """What `Exact2Vec.fit` takes, of INPUT of this kind; UsageError for flags of other kinds.

    Where no kind is named, a folder with a manifest holds counts, and all else is text.
    """
    stored = names_run_folder(request.inputs)
    if stored and kind not in (None, "counts"):
        raise UsageError(f"{request.inputs[0]} holds counts: leave out --kind {kind}")
    kind = kind or ("counts" if stored else "text")
    refuse_flags_of_others(kind, request)
    defaults = KINDS[stored_kind_of_rows(request.inputs) if stored else kind].defaults
    request.given.update({name: value for name, value in defaults.items() if not is_given(name)})
    return KINDS[kind].read(request)


def flag_of(name: str) -> str:
    """How a flag is typed."""
    return "--" + name.replace("_", "-")


def refuse_flags_of_others(kind: str, request: Request) -> None:
    """UsageError for a given flag that this kind does not take, with the reason."""
    flags = KINDS[kind].flags
    names = *(option.name for option in DATA_FLAGS), "directed", "nodes"
    strange = [name for name in names if is_given(name) and name not in flags]
    if not strange:
        return
    if kind == "counts":
        raise UsageError(
            f"{' '.join(request.inputs)} holds counts, which were made with options of their own: "
            f"leave out {', '.join(map(flag_of, strange))}"
        )
    kinds = " or ".join(name for name, other in KINDS.items() if strange[0] in other.flags)
    raise UsageError(
        f"{flag_of(strange[0])} goes with --kind {kinds}, not with {kind}: {WHY[strange[0]]}"
    )
