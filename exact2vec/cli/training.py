"""The command that trains."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from exact2vec.cli.forecasting import ANYWAY, announce, announce_pairs
from exact2vec.cli.inputs import is_given
from exact2vec.cli.kinds import read_input
from exact2vec.cli.request import Request
from exact2vec.cli.support import (
    FORCE,
    QUIET,
    announce_compilation,
    folder_named,
    main,
    option_values,
    silent,
    tell,
)
from exact2vec.cli.training_flags import of_training
from exact2vec.errors import UsageError
from exact2vec.machine import give_back_large_arrays
from exact2vec.options import COUNTING, ITEM_MODEL, TRAINING


@main.command()
@click.argument("inputs", nargs=-1, metavar="INPUT…")
@click.option("-o", "--output", metavar="RUN", help="the run folder to write")
@click.option(
    "--resume",
    metavar="RUN",
    help="go on with a training that was interrupted; with --threads, -q and --checkpoint-minutes "
    "alone",
)
@of_training
@click.option(
    "--checkpoint-minutes",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="write a checkpoint this often, and behind each epoch; 0: behind each step",
)
@ANYWAY
@FORCE
@QUIET
def train(
    inputs: tuple[str, ...],
    output: str | None,
    resume: str | None,
    kind: str | None,
    checkpoint_minutes: float,
    subwords: dict[str, int],
    features: str | None,
    force: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Count, start, fit, and write everything to RUN.

    INPUT: text files (plain, .gz, .zst), folders, - for stdin, python-docs, or one folder that
    Counts.save or train wrote, whose counts are trained on. With --kind baskets each line is a
    basket of items; with --kind table a csv, tsv, JSON lines or parquet has an item a line.
    Examples: exact2vec train corpus.txt -o runs/corpus;
    exact2vec train orders.csv --kind table --group-by user --item item -o runs/orders
    """
    give_back_large_arrays()
    say = silent if quiet else tell
    if resume is not None:
        refuse_other_flags()
        announce_compilation(say)
        if not resume:
            raise UsageError("name the run folder to go on with: --resume RUN; an empty name came")
        resume_training(
            folder_named(resume), checkpoint_minutes, given["threads"], say, quiet=quiet
        )
        return
    if not output:
        raise UsageError("name the run folder to write with -o RUN, or go on with --resume RUN")
    given |= {"min_n": 3, "max_n": None} | subwords
    refuse_what_contradicts(given, features)
    if not inputs and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError(
            "nothing to read: name a file, a folder or python-docs, or pipe text into the command"
        )
    announce_compilation(say)
    from exact2vec.cli.stopping import stopping
    from exact2vec.storage.unfinished import begun

    with stopping() as asking, begun(folder_named(output), force=force) as run:
        from exact2vec.cli.run_in_progress import Training
        from exact2vec.counts.feature_files import read_features
        from exact2vec.estimator import Exact2Vec
        from exact2vec.storage.files import recorded_files

        files = click.get_current_context().with_resource(recorded_files())
        known = read_features(features) if features else None
        request = Request(inputs, given, say, quiet)
        data = read_input(kind, request)
        announce_pairs(data, request)
        model = Exact2Vec(**option_values(COUNTING + ITEM_MODEL + TRAINING, given))
        counts, command = model.count(data, say), ["exact2vec", *sys.argv[1:]]
        announce(counts, request, known)
        left_out = request.left_out
        provenance = {"inputs": list(inputs), "files": files, "command": command}
        provenance |= {"left_out": left_out} if left_out else {}
        how = checkpoint_minutes, asking, say, quiet, left_out
        Training(run, model, counts, known, provenance, *how).begin()


def resume_training(
    folder: Path, minutes: float, threads: Any, say: Callable[[str], None], *, quiet: bool
) -> None:
    """Go on with the training in a folder, to its end."""
    from exact2vec.cli.stopping import stopping
    from exact2vec.storage.unfinished import gone_on_with

    with stopping() as asking, gone_on_with(folder) as run:
        from exact2vec.cli import run_in_progress
        from exact2vec.counts.counts import Counts

        if run.ended:
            say(f"{run.settle()}: its training had ended")
            return
        stored = run.run()
        counts, provenance = Counts.load(stored), run_in_progress.stored_provenance(run)
        model = run_in_progress.stored_model(run, threads)
        known = run_in_progress.stored_features(run)
        how = minutes, asking, say, quiet, provenance.get("left_out", [])
        run_in_progress.Training(run, model, counts, known, provenance, *how).go_on()


def refuse_other_flags() -> None:
    """UsageError for flags beside --resume that the training has from its start."""
    context = click.get_current_context()
    flags = {param.name: _flag_of(param) for param in context.command.params}
    changed = [
        flags[name]
        for name in context.params
        if name not in ("resume", "threads", "quiet", "checkpoint_minutes") and is_given(name)
    ]
    if changed:
        raise UsageError(
            f"--resume goes on with the options that the training began with: "
            f"leave out {', '.join(changed)}"
        )


def _flag_of(param: click.Parameter) -> str:
    return "INPUT" if isinstance(param, click.Argument) else param.opts[-1]


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
