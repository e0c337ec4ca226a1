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
