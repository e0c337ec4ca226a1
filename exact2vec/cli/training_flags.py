"""The flags that say what is counted and how it is trained: those of train, and of check INPUT."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from exact2vec.cli.kinds import KINDS
from exact2vec.cli.support import options
from exact2vec.options import COUNTING, EDGES, ITEM_MODEL, ITEMS, READING, TRAINING, subword_lengths

Command = TypeVar("Command", bound=Callable[..., Any])
SUBWORDS_HELP = (
    "character n-grams of these lengths describe a word; no: none  "
    "[default: 3-6 for words, no for --tokens space and --regex]"
)
DIRECTED_HELP = (
    "edges: keep their direction, rows are sources and columns targets; otherwise an edge goes "
    "both ways"
)
FLAGS = (
    click.option(
        "--kind",
        type=click.Choice(list(KINDS)),
        help="what INPUT holds  [default: text; counts where INPUT is a folder of counts]",
    ),
    options(READING + COUNTING + ITEMS + ITEM_MODEL + EDGES + TRAINING),
    click.option("--directed", is_flag=True, help=DIRECTED_HELP),
    click.option(
        "--nodes", metavar="FILE", help="edges: names of nodes, one a line, which may have none"
    ),
    click.option(
        "--subwords",
        metavar="MIN-MAX",
        callback=lambda _, __, given: subword_lengths(given),
        help=SUBWORDS_HELP,
    ),
    click.option(
        "--features",
        metavar="FILE",
        help="what is known of rows beside their counts: "
        ".csv or .parquet of row, feature, value, or .npz",
    ),
)


def of_training(command: Command) -> Command:
    """The command with these flags."""
    for flag in reversed(FLAGS):
        command = flag(command)
    return command
