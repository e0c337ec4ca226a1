"""The command that trains."""

import sys
from pathlib import Path
from typing import Any

import click

from exact2vec.cli.inputs import Request, is_given
from exact2vec.cli.kinds import KINDS, read_input
from exact2vec.cli.support import (
    FORCE,
    QUIET,
    announce_compilation,
    fail,
    main,
    option_values,
    options,
    silent,
    tell,
)
from exact2vec.display import terminal_progress
from exact2vec.errors import DivergedError, UsageError
from exact2vec.options import COUNTING, ITEMS, READING, TRAINING, subword_lengths

SUBWORDS_HELP = (
    "character n-grams of these lengths describe a word; no: none  "
    "[default: 3-6 for words, no for --tokens space and --regex]"
)


@main.command()
@click.argument("inputs", nargs=-1, metavar="INPUT…")
@click.option("-o", "--output", required=True, metavar="RUN", help="the run folder to write")
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    help="what INPUT holds  [default: text; counts where INPUT is a folder of counts]",
)
@options(READING + COUNTING + ITEMS + TRAINING)
@click.option(
    "--subwords",
    metavar="MIN-MAX",
    callback=lambda _, __, given: subword_lengths(given),
    help=SUBWORDS_HELP,
)
@click.option(
    "--features",
    metavar="FILE",
    help="what is known of rows beside their counts: "
    ".csv or .parquet of row, feature, value, or .npz",
)
@FORCE
@QUIET
def train(
    inputs: tuple[str, ...],
    output: str,
    kind: str | None,
    subwords: dict[str, int],
    features: str | None,
    force: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Count, start, fit, and write everything to RUN.

    INPUT: text files (plain, .gz, .zst), folders, - for stdin, python-docs, or one folder that
    Counts.save or train wrote, whose counts are trained on.
    Example: exact2vec train corpus.txt -o runs/corpus
    """
    from exact2vec.storage import run_folder, schema

    folder = Path(output)
    run_folder.check_output(folder, force=force)
    given |= {"min_n": 3, "max_n": None} | subwords
    refuse_what_contradicts(given, features)
    if not inputs and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError(
            "nothing to read: name a file, a folder or python-docs, or pipe text into the command"
        )
    say = silent if quiet else tell
    announce_compilation(say)
    from exact2vec.cli import messages
    from exact2vec.counts.feature_files import read_features
    from exact2vec.estimator import Exact2Vec
    from exact2vec.pages.report import QUICK_CELLS
    from exact2vec.storage.files import recorded_files

    files = click.get_current_context().with_resource(recorded_files())
    known = read_features(features) if features else None
    request = Request(inputs, given, say, quiet)
    data = read_input(kind, request)
    model = Exact2Vec(**option_values(COUNTING + TRAINING, given))
    command = ["exact2vec", *sys.argv[1:]]
    provenance = {"inputs": list(inputs), "files": files, "command": command}
    try:
        model.fit(
            data,
            features=known,
            listen=lambda records: terminal_progress(
                records, len(model.counts_.words), quiet=quiet
            ),
        )
    except (DivergedError, KeyboardInterrupt) as error:
        if hasattr(model, "wv"):
            model.save(folder, force=force, provenance=provenance)
            why = str(error) if isinstance(error, DivergedError) else "interrupted"
            fail(
                f"{why}; {output} holds the last good vectors, of epoch {model.last_.epoch:g}",
                getattr(error, "exit_code", 130),
            )
        raise
    counts = model.counts_
    quick = counts.square and counts.training.nnz <= QUICK_CELLS
    model.save(folder, force=force, provenance=provenance, report=quick)
    for line in messages.closing(model.wv, model.last_, output):
        say(line)
    for line in request.left_out:
        say(f"left out: {line}")
    page = folder / schema.Report.file
    if counts.square:
        say(f"     open {page} in a browser" if quick else f"     exact2vec report {output}")


def refuse_what_contradicts(given: dict[str, Any], features: str | None) -> None:
    """UsageError for flags of train that do not go together."""
    if given["prior"] is None and (given["max_n"] or features or given["rare"]):
        raise UsageError(
            "--subwords, --features and --rare need a prior: "
            "leave out --prior no, or leave them out"
        )
    if is_given("max_epochs") and given["epochs"] != "auto":
        raise UsageError(
            "--max-epochs is the limit of --epochs auto; with a number of epochs leave it out"
        )
    if given["rare"] and not given["prior"][0]:
        raise UsageError(
            "--rare needs a --prior whose first strength is above 0: "
            "it pulls the words that are contexts only"
        )
