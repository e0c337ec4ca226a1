"""The commands that draw: loss, report, explore."""

import json
from dataclasses import asdict
from typing import Any

import click

from exact2vec.cli.support import FORCE, JSON, MAP, main, tell
from exact2vec.display import finite
from exact2vec.errors import UsageError

LABELS = click.option(
    "--labels", metavar="FILE", help="lines of name TAB label, which colour the map"
)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("scores", nargs=-1, type=float, metavar="[SCORE…]")
@click.option("--target", type=int, help="the class whose loss and gradient to show")
@click.option(
    "--steps", type=click.IntRange(1, 100_000), help="steps of gradient descent on the scores"
)
@click.option("--rate", type=float, help="the step size of --steps  [default: 0.5]")
@click.option(
    "--figure",
    metavar="FILE",
    help="draw it (.svg, .png, .pdf): −log p with the classes on it, or the steps",
)
@FORCE
@JSON
def loss(
    scores: tuple[float, ...],
    target: int | None,
    steps: int | None,
    rate: float | None,
    figure: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Score, probability, −log p and gradient of each class; negative numbers need no --.

    Examples: exact2vec loss -1 2.3 .1 --target 0;  exact2vec loss --figure log.svg;
    exact2vec loss -1 .2 --target 0 --steps 10 --rate .5 --figure steps.svg
    """
    from exact2vec.loss.explain import descend, explain
    from exact2vec.pages import figures

    if not scores and (steps or target is not None or not figure):
        raise UsageError(
            "no scores: name some, such as exact2vec loss -1 2.3 .1; "
            "only --figure alone, the curve of −log p, needs none"
        )
    if steps and target is None:
        raise UsageError("--steps needs --target, the class whose loss falls")
    if rate is not None and not steps:
        raise UsageError("--rate is the step size of --steps: name how many steps")
    found: Any = None
    if steps and target is not None:
        found = descend(scores, target, steps=steps, rate=0.5 if rate is None else rate)
    elif scores:
        found = explain(scores, target)
    if figure:
        figures.save(figures.loss_figure(found, target), figure, force=force)
        tell(f"{figure}: written")
    if found:
        click.echo(json.dumps(finite(asdict(found))) if as_json else str(found))


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="RUN…")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="the page to write  [default: the first RUN with .html behind it]",
)
@MAP
@click.option(
    "--similarity", multiple=True, metavar="FILE", help="as in evaluate, with a 95 % interval"
)
@click.option(
    "--analogies", multiple=True, metavar="FILE", help="as in evaluate, with a 95 % interval"
)
@LABELS
@FORCE
def report(
    paths: tuple[str, ...],
    output: str | None,
    plane: str,
    similarity: tuple[str, ...],
    analogies: tuple[str, ...],
    labels: str | None,
    force: bool,
) -> None:
    """One offline HTML page of a run: curves, loss by frequency, calibration, words, map.

    Several runs are overlaid where they compare.
    Example: exact2vec report runs/python-docs
    """
    from exact2vec.pages.report import report as written

    judged: dict[str, Any] = {"similarity": similarity, "analogies": analogies, "labels": labels}
    out = written(*paths, output=output, force=force, plane=plane, **judged)
    tell(f"{out}: {out.stat().st_size / 1e6:.1f} MB; open it in a browser")


@main.command()
@click.argument("run", required=False)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    help="write FOLDER/index.html instead of serving it; it opens from disk and on any static host",
)
@click.option(
    "--port",
    default=8765,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="of 127.0.0.1; where it is in use, the next free one",
)
@MAP
@LABELS
@FORCE
def explore(
    run: str | None, output: str | None, port: int, plane: str, labels: str | None, force: bool
) -> None:
    """A page to play with the loss, and with RUN to look at its words.

    Nothing leaves this machine.
    Examples: exact2vec explore;  exact2vec explore runs/python-docs;
    exact2vec explore -o playground
    """
    from exact2vec.pages.explorer import explorer, write_folder

    if output:
        written = write_folder(output, run, force=force, plane=plane, labels=labels)
        tell(f"{written}: written; open it in a browser")
        return
    from exact2vec.pages.serve import serve
    from exact2vec.vectors.vectors import load

    page = explorer(run, served=True, plane=plane, labels=labels)
    serve(
        page,
        load(run) if run else None,
        port=port,
        ready=lambda address: tell(f"{address} (Ctrl-C stops it)"),
    )
