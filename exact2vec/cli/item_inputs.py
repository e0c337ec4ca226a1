"""The readers of baskets and tables, and what they say of what they read."""

from typing import Any

from exact2vec.cli.inputs import InputKind
from exact2vec.cli.request import Request
from exact2vec.display import spinner
from exact2vec.options.items import PAIR_TRAINING

SHARED = (
    *("encoding", "errors", "separator", "min_count", "max_vocab"),
    *("held_out", "validation", "held_out_by", "target_share"),
    *("model", "validate"),
)
DEFAULTS = {"validation": 0.02, **PAIR_TRAINING}


def basket_rows(request: Request) -> Any:
    """The Baskets of files with a basket a line, or of stdin."""
    from exact2vec.counts.entries import line_entries

    with spinner("reading and counting", quiet=request.quiet):
        entries = line_entries(request.inputs or ("-",), _form(request))
        return _counted(request, entries)


def table_rows(request: Request) -> Any:
    """The Baskets of tables in long form: csv, tsv, JSON lines or parquet."""
    from exact2vec.counts.entries import file_entries, table_columns

    columns = table_columns(**request.values("group_by", "item", "weight", "time"))
    with spinner("reading and counting", quiet=request.quiet):
        entries = file_entries(request.inputs or ("-",), columns, _form(request))
        return _counted(request, entries)


def _form(request: Request) -> Any:
    from exact2vec.counts.table_files import Form, separator_of

    given = request.given
    return Form(separator_of(given["separator"]), given["encoding"], given["errors"])


def _counted(request: Request, entries: Any) -> Any:
    from exact2vec.cli.item_messages import opening
    from exact2vec.counts.basket_counting import baskets_of
    from exact2vec.counts.row_parts import Shares

    given = request.values("held_out", "validation", "held_out_by", "target_share")
    least = request.values("min_count", "max_vocab")
    baskets = baskets_of(entries, Shares(*given.values()), **least)
    request.say_notes(entries.notes)
    for line in opening(baskets):
        request.say(line)
    return baskets


BASKETS = InputKind(basket_rows, SHARED, DEFAULTS)
TABLE = InputKind(table_rows, (*SHARED, "group_by", "item", "weight", "time"), DEFAULTS)
