"""What a kind of INPUT is read with, and the readers of text and of stored counts."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from exact2vec.cli import forecasting
from exact2vec.cli.request import Request
from exact2vec.cli.support import option_values
from exact2vec.display import spinner
from exact2vec.errors import UsageError
from exact2vec.options import COUNTING, OPTIONS, READING, validation_share


@dataclass(frozen=True)
class InputKind:
    """A kind of INPUT: `read` gives what `Exact2Vec.fit` takes, and says what it read.

    It takes the flags named in `flags`, beside those of training. `defaults` are the values of
    flags that are not given, where they are others than those of the table of options.
    """

    read: Callable[[Request], Any]
    flags: tuple[str, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)


def is_given(flag: str) -> bool:
    """Whether a flag of the present command stands on the command line."""
    context = click.get_current_context()
    source = context.get_parameter_source(flag)
    none_of_many = context.params.get(flag) == ()  # of which click 8.2 says the command line
    return source is not None and source is not ParameterSource.DEFAULT and not none_of_many


def refuse_flags_of_files(names: Iterable[str], files: str) -> None:
    """UsageError for flags that say how files are read, where there are none."""
    if given := [OPTIONS[name].flag for name in names if is_given(name)]:
        raise UsageError(f"{', '.join(given)} say how {files} are read; there are none here")


def text_counts(request: Request) -> Any:
    """The Counts of text files, folders, stdin or python-docs."""
    from exact2vec.cli import messages
    from exact2vec.counts.counting import count_text
    from exact2vec.counts.text import Text

    given = request.given
    text = Text(*(request.inputs or ("-",)), **option_values(READING, given))
    given["validation"] = validation_share(given["validation"], given["epochs"])
    forecasting.say_roughly(text, request)
    with spinner("reading and counting", quiet=request.quiet):
        counts = count_text(
            text,
            threads=given["threads"],
            look=forecasting.refuse_words(request),
            **option_values(COUNTING, given),
        )
    request.say_notes(text.heard)
    for line in messages.opening(counts):
        request.say(line)
    return counts


def stored_counts(request: Request) -> Any:
    """The Counts of a folder that Counts.save or train wrote, or its Baskets."""
    from exact2vec.cli import item_messages, messages
    from exact2vec.counts.baskets import Baskets, has_baskets
    from exact2vec.counts.counts import Counts

    if len(request.inputs) != 1:
        raise UsageError(
            f"a folder of counts is trained on alone; got {len(request.inputs)} inputs"
        )
    folder = request.inputs[0]
    if has_baskets(folder):
        baskets = Baskets.load(folder)
        for line in item_messages.opening(baskets):
            request.say(line)
        return baskets
    counts = Counts.load(folder)
    for line in messages.opening(counts):
        request.say(line)
    return counts


def stored_kind_of_rows(inputs: tuple[str, ...]) -> str:
    """The kind of the rows of items in a run folder, "counts" where it has none.

    A training on them has the defaults of that kind.
    """
    from exact2vec.counts.baskets import Baskets, has_baskets

    if len(inputs) != 1 or not has_baskets(inputs[0]):
        return "counts"
    return Baskets.load(inputs[0]).kind.name


def names_run_folder(inputs: tuple[str, ...]) -> bool:
    """Whether one of INPUT is a folder of counts or a run."""
    from exact2vec.storage.run_folder import is_run_folder

    return any(is_run_folder(Path(name)) for name in inputs)
