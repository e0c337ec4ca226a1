"""Kinds of data, and what each is called: the nouns that messages and pages use."""

from dataclasses import dataclass
from pathlib import Path

from exact2vec.errors import CorruptFileError


@dataclass(frozen=True)
class Kind:
    """A kind of data by `name`. It is counted in `groups`, and its vectors are of `many` names.

    >>> BASKETS.number(1), BASKETS.number(3786), TEXT.number(2)
    ('1 item', '3,786 items', '2 words')
    """

    name: str
    one: str
    many: str
    group: str
    groups: str

    def number(self, size: int) -> str:
        """So many names, in words."""
        return f"{size:,} {self.one if size == 1 else self.many}"


TEXT = Kind("text", "word", "words", "document", "documents")
BASKETS = Kind("baskets", "item", "items", "basket", "baskets")
TABLE = Kind("table", "item", "items", "row", "rows")
EDGES = Kind("edges", "node", "nodes", "edge", "edges")
COUNTS = Kind("counts", "name", "names", "row", "rows")
ROWS_OF_ITEMS = (BASKETS, TABLE)  # their held-out part is of whole rows, not of pairs
KINDS = {kind.name: kind for kind in (TEXT, BASKETS, TABLE, EDGES, COUNTS)}


def stored_kind(name: str, path: Path) -> Kind:
    """The kind that a file holds the name of; CorruptFileError for an unknown one."""
    if name not in KINDS:
        raise CorruptFileError(
            f"{path}: kind {name!r} is unknown; this exact2vec knows {', '.join(KINDS)}"
        )
    return KINDS[name]


EDGE_TITLES = {  # what the numbers in settings["read"] of a graph are of
    "edges_read": "edges read",
    "comments": "lines dropped: comments",
    "doubled": "edges doubled and added up",
    "loops": "edges dropped: loops",
    "without_weight": "edges dropped: the weight is 0",
    "training": "edges for training",
    "validation": "edges for validation",
    "held_out": "edges held out",
    "held_out_without_nodes": "held-out edges with an end that is not trained on",
    "validation_without_nodes": "validation edges with an end that is not trained on",
    "isolated": "nodes without edges: no vector",
    "components": "components",
    "largest_component": "nodes in the largest component",
    "cut": "times chance, below which cells stand as a background (0: no cell)",
}


def entry_titles(kind: Kind) -> dict[str, str]:
    """What the numbers in `tokens` are of."""
    one, many, group, groups = kind.one, kind.many, kind.group, kind.groups
    return {
        "read": "entries read",
        "rows_read": f"{groups} read",
        "distinct": f"distinct {many}",
        "training": "entries for training",
        "validation": "entries for validation",
        "held_out": "entries held out",
        "rows_training": f"{groups} for training",
        "rows_validation": f"{groups} for validation",
        "rows_held_out": f"{groups} held out",
        "dropped_doubled": f"entries dropped: the {one} stands in the {group} already",
        "dropped_missing": "entries dropped: the weight is missing",
        "dropped_negative": "entries dropped: the weight is negative",
        "dropped_zero": "entries dropped: the weight is 0",
        "dropped_training": "entries dropped for training: below min-count or beyond max-vocab",
        "dropped_validation": f"entries dropped for validation: not among the {many}",
        "dropped_held_out": f"entries dropped of those held out: not among the {many}",
        "dropped_uncut": f"entries dropped: the {group} cannot be cut into context and target",
        "rows_of_one": f"{groups} for training with one {one} kept: no pair",
        "rows_uncut": f"{groups} not cut: fewer than two {many} of them are kept",
        "rows_empty": f"{groups} without {many} that are kept",
    }


def entry_rows(kind: Kind, tokens: dict[str, int], kept: int) -> list[tuple[str, str]]:
    """What was read of rows of items and where every entry went, as (what, number)."""
    there = [
        (title, f"{tokens[name]:,}")
        for name, title in entry_titles(kind).items()
        if tokens.get(name)
    ]
    return [*there, (f"{kind.many} kept", f"{kept:,} of {tokens['distinct']:,}")]
