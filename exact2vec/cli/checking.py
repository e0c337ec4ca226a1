"""The command that checks: the bytes of a run, or data before it is trained on."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exact2vec.cli import forecasting
from exact2vec.cli.inputs import is_given, names_run_folder
from exact2vec.cli.kinds import read_input
from exact2vec.cli.request import Request
from exact2vec.cli.support import (
    announce_compilation,
    emit,
    folder_named,
    main,
    option_values,
    printable,
    tell,
)
from exact2vec.cli.training_flags import of_training
from exact2vec.errors import ResourceError
from exact2vec.machine import give_back_large_arrays
from exact2vec.options import (
    COUNTING,
    EDGES,
    ITEM_MODEL,
    ITEMS,
    READING,
    TRAINING,
    validation_share,
)

if TYPE_CHECKING:
    from exact2vec.counts.text import Text
    from exact2vec.counts.vocabulary import TokenCounts, Vocabulary

MIN_COUNTS = (1, 2, 5, 10, 20, 50, 100)
SAMPLED = 100_000_000  # characters of text that are counted, at most
SHOWN = 5  # groups of words that look alike
EVERY_FLAG = [
    *("kind", "subwords", "features", "directed", "nodes"),
    *(option.name for option in READING + COUNTING + ITEMS + ITEM_MODEL + EDGES + TRAINING),
]


@main.command()
@click.argument("inputs", nargs=-1, required=True, metavar="RUN|INPUT…")
@click.option("--clean", is_flag=True, help="delete what killed commands left beside RUN and in it")
@of_training
def check(
    inputs: tuple[str, ...],
    clean: bool,
    kind: str | None,
    subwords: dict[str, int],
    features: str | None,
    **given: Any,
) -> None:
    """Verify the SHA-256 of every file of RUN, or look over INPUT as train would read it.

    Of INPUT it prints what training would take, words and tokens at several --min-count, words
    that look alike, and what would be skipped. It takes the flags of train, and trains nothing;
    of large text it counts the first 100 million characters.

    Examples: exact2vec check runs/python-docs;  exact2vec check corpus.txt --vector-size 300
    """
    if clean:
        inputs = tuple(run for run in inputs if cleaned(run))
        if not inputs:
            return
    if any(map(is_in_progress, inputs)) or (
        names_run_folder(inputs) and not any(map(is_given, EVERY_FLAG))
    ):
        for run in inputs:
            verify(run)
        return
    give_back_large_arrays()
    announce_compilation(tell)
    from exact2vec.counts.feature_files import read_features

    given |= {"min_n": 3, "max_n": None, "anyway": False} | subwords
    request = Request(inputs, given, tell, False)
    known = read_features(features) if features else None
    if names_run_folder(inputs) or kind not in (None, "text"):
        look_over_data(kind, request, known)
        return
    look_over_text(request, known)


def cleaned(run: str) -> bool:
    """Whether there is a run to verify, when what killed commands left of it is deleted."""
    from exact2vec.storage.leftovers import clean

    folder = folder_named(run)
    for path, became in clean(folder).items():
        tell(f"{path}: {became}")
    if is_in_progress(run):
        tell(f"{run} holds a training that has not ended: exact2vec train --resume {run}")
        return False
    return folder.exists()


def is_in_progress(run: str) -> bool:
    """Whether it is the folder of a training that has not ended."""
    from exact2vec.storage.run_folder import PROGRESS, is_run_folder

    return os.path.isfile(Path(run) / PROGRESS) and not is_run_folder(Path(run))


def verify(run: str) -> None:
    """The files of a run folder, each as it was written."""
    from exact2vec.storage import run_folder

    for name, size in run_folder.open_run(Path(run)).check():
        click.echo(f"{size:>12,} bytes  {printable(name)}")
    tell(f"{run}: every file is as it was written")


def look_over_data(kind: str | None, request: Request, known: Any) -> None:
    """What is said of data while it is counted, and the forecast."""
    try:
        data = read_input(kind, request)
    except ResourceError as error:
        tell(f"train would refuse this: {error}")
        return
    say_forecast(data, request, known)


def say_forecast(data: Any, request: Request, known: Any) -> None:
    """The forecast of counts, and whether train would refuse them."""
    request.given["anyway"] = True
    forecasting.announce(data, request, known)
    try:
        request.given["anyway"] = False
        forecasting.announce(data, request, known, quiet=True)
    except ResourceError as error:
        tell(f"train would refuse this: {error}")


def look_over_text(request: Request, known: Any) -> None:
    """Words, tokens, look-alikes and the forecast of text."""
    from exact2vec.cli import messages
    from exact2vec.counts.counting import count_text
    from exact2vec.counts.text import Text

    given = request.given
    text = Text(*request.inputs, **option_values(READING, given))
    given["validation"] = validation_share(given["validation"], given["epochs"])
    some = sample_of(text, request)

    def look(tokens: "TokenCounts", vocabulary: "Vocabulary") -> None:
        show_words(tokens, vocabulary, given["min_count"])
        forecasting.refuse_words(request)(tokens, vocabulary)

    try:
        counted = option_values(COUNTING, given)
        counts = count_text(some, threads=given["threads"], look=look, **counted)
    except ResourceError as error:
        tell(f"train would refuse this: {error}")
        return
    for line in [*some.notes, *messages.opening(counts)]:
        tell(line)
    if some is text:
        say_forecast(counts, request, known)


def sample_of(text: "Text", request: Request) -> "Text":
    """The text, or where it is large its beginning; then the forecast is the rough one."""
    from exact2vec.forecast.rough import FirstOf, text_files, unpacked_share

    files = text_files(text.inputs)
    if files is None:
        return text
    size = sum(file.stat().st_size for file in files) * unpacked_share(files[0])
    if size <= SAMPLED:
        return text
    tell(
        f"a sample: the first {SAMPLED / 1e6:.0f} million characters of about {size / 1e6:.0f} "
        "million bytes; all below is of it, but the forecast"
    )
    forecasting.say_roughly(text, request)
    return FirstOf(text, SAMPLED)


def show_words(tokens: "TokenCounts", vocabulary: "Vocabulary", min_count: int) -> None:
    """How many words several --min-count keep, and words of the vocabulary that look alike."""
    from exact2vec.counts.look_alikes import look_alikes

    table = [["min-count", "words", "out of vocabulary"]]
    for least in sorted({*MIN_COUNTS, min_count}):
        words, share = tokens.out_of_vocabulary(least)
        mark = " (chosen)" if least == min_count else ""
        table.append([f"{least}{mark}", f"{words:,}", f"{100 * share:.2f} %"])
    emit(None, table)
    for what, groups in look_alikes(vocabulary.words).items():
        if groups:
            shown = "; ".join(", ".join(map(repr, group)) for group in groups[:SHOWN])
            more = f" and {len(groups) - SHOWN:,} more" if len(groups) > SHOWN else ""
            click.echo(f"words that differ in {what} alone: {printable(shown)}{more}")
