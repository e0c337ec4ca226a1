"""The progress of a training: a line a measured record.

On a terminal one bar with the time left stands below them.
"""

import contextlib
import importlib
import math
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from exact2vec.loss.count_losses import Losses
from exact2vec.train.fit import Record


@contextlib.contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[None]:
    """A sign of life on a terminal, for work whose end is not known."""
    if quiet or not _moves():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def shown(records: Iterable[Record], words: int, *, quiet: bool = False) -> Iterator[Record]:
    """The same records, shown on stderr as they pass."""
    if quiet or sys.stderr is None:
        yield from records
    elif _moves():
        yield from _bar(records, words)
    else:
        for record in records:
            if record.training is not None:
                print(line(record, words), file=sys.stderr, flush=True)
            yield record


def in_notebook() -> bool:
    """Whether this is a notebook's kernel, which shows HTML.

    IPython is asked only where it is loaded already.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and getattr(shell, "kernel", None) is not None


def notebook_bar(records: Iterable[Record]) -> Iterator[Record]:
    """The same records, with a bar below the cell that runs."""
    notebook: Any = importlib.import_module("IPython.display")
    shown = notebook.DisplayHandle()
    shown.display(notebook.HTML(_bar_html(None)))
    last = -1
    for record in records:
        done = 50 * record.step // max(record.steps, 1)
        if record.training is not None or done > last:
            shown.update(notebook.HTML(_bar_html(record)))
            last = done
        yield record


def _bar_html(record: Record | None) -> str:
    if record is None:
        return "<progress></progress> counted; the spectral start"
    measured = (("nll", record.training), ("held-out", record.held_out))
    loss = "".join(f"  {name}{_mean(losses)}" for name, losses in measured if losses)
    bar = f'<progress value="{record.step}" max="{max(record.steps, 1)}"></progress>'
    return f"{bar} epoch {record.epoch:.2f}{loss}"


def line(record: Record, words: int) -> str:
    """The losses of a record in one line; an estimate is `nll≈ … ± …`.

    `epoch 2/4  nll 7.8157  held-out 7.8567  unigram 8.3200  floor 6.1000  ln V 10.40`
    """
    training = record.losses
    parts = [
        _epoch(record),
        f"nll{_mean(training)}",
        f"held-out{_mean(record.held_out)}" if record.held_out else "held-out none",
        *([f"validation{_mean(record.validation)}"] if record.validation else []),
        f"unigram {training.unigram:.4f}",
        f"floor {training.floor:.4f}",
        f"ln V {math.log(words):.2f}",
    ]
    return "  ".join(parts)


def _epoch(record: Record) -> str:
    epochs = round(record.steps * record.epoch / record.step) if record.step else None
    return f"epoch {record.epoch:g}/{epochs}" if epochs else f"epoch {record.epoch:g}"


def _mean(losses: Losses) -> str:
    return (
        f" {losses.nll:.4f}"
        if losses.standard_error is None
        else f"≈ {losses.nll:.3f} ± {losses.standard_error:.3f}"
    )


def _moves() -> bool:
    """Whether stderr is a terminal whose cursor may be moved.

    A dumb one is not, nor is one where NO_COLOR asks for plain text.
    """
    return (
        sys.stderr is not None
        and sys.stderr.isatty()
        and os.environ.get("TERM") not in ("dumb", "unknown")
        and not os.environ.get("NO_COLOR")
    )


def _bar(records: Iterable[Record], words: int) -> Iterator[Record]:
    """A bar that is gone at the end, and above it a printed line a measured record.

    So neither cuts the other off at 80 columns.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("start", total=None)
        for record in records:
            if record.training is not None:
                progress.console.print(
                    line(record, words), markup=False, highlight=False, soft_wrap=True
                )
            description = f"epoch {math.ceil(record.epoch)}" if record.step else "first pass"
            progress.update(
                task, total=max(record.steps, 1), completed=record.step, description=description
            )
            yield record
