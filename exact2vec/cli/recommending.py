"""The command that recommends: for a basket on the command line, or for all of a file."""

from pathlib import Path
from typing import Any

import click

from exact2vec.cli.inputs import refuse_flags_of_files
from exact2vec.cli.support import (
    FORCE,
    JSON,
    announce_compilation,
    emit,
    main,
    options,
    tell,
)
from exact2vec.errors import UsageError
from exact2vec.options import OPTIONS

FROM_FLAGS = ("group_by", "item", "weight", "separator", "encoding", "errors")


@main.command()
@click.argument("run")
@click.argument("items", nargs=-1, metavar="[ITEM…]")
@click.option(
    "--from",
    "source",
    metavar="FILE",
    help="baskets to recommend for: one a line, or a table with --group-by and --item",
)
@click.option(
    "-o",
    "--output",
    metavar="OUT.{parquet,csv,jsonl}",
    help="with --from: the file to write, a line of row, rank, item, p for each recommendation; "
    "in csv, a name that a spreadsheet would run (=, +, -, @), or that begins with ', gets a ' "
    "before it",
)
@click.option(
    "-n", "--topn", default=10, show_default=True, type=click.IntRange(1), help="how many items"
)
@click.option(
    "--include-seen", is_flag=True, help="items of the basket too, which p is then shared with"
)
@click.option(
    "--new-items",
    is_flag=True,
    help="rank items too that no row held, but that the --features of the training describe",
)
@options([OPTIONS[name] for name in FROM_FLAGS])
@FORCE
@JSON
def recommend(
    run: str,
    items: tuple[str, ...],
    source: str | None,
    output: str | None,
    topn: int,
    include_seen: bool,
    new_items: bool,
    force: bool,
    as_json: bool,
    **form: Any,
) -> None:
    """What comes next in a basket of ITEMs: p in per cent and nats, and because of which items.

    A new basket or user needs no training. Items that RUN does not know are said and left out.
    Examples: exact2vec recommend runs/shop tea milk;
    exact2vec recommend runs/shop --from orders.csv --group-by order --item item -o next.csv
    """
    if bool(items) == (source is not None) or (source is None) != (output is None):
        raise UsageError(
            "name ITEMs, or give a file of baskets and where to write: --from FILE -o OUT.csv"
        )
    if source is None:
        refuse_flags_of_files(FROM_FLAGS, "files of --from")
    announce_compilation(tell)
    from exact2vec.cli import recommendations
    from exact2vec.vectors.vectors import load

    if output is not None:
        recommendations.check_output(Path(output), force=force)
    recommender = load(run).recommending(new_items=new_items)
    if source is not None and output is not None:
        for line in recommendations.for_file(
            recommender, source, form, Path(output), topn, exclude_seen=not include_seen
        ):
            tell(line)
        return
    answer = recommendations.for_basket(recommender, items, topn, exclude_seen=not include_seen)
    for line in answer.notes:
        tell(line)
    emit(answer.data if as_json else None, answer.table)
