"""Progress and small tables, for terminals and notebooks; numbers as JSON can say them."""

import contextlib
import html
import importlib
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from rich.progress import Progress


@runtime_checkable
class MeasuredLosses(Protocol):
    """Losses in nats per pair; those with a standard error are estimates."""

    @property
    def nll(self) -> float: ...
    @property
    def standard_error(self) -> float | None: ...
    @property
    def unigram(self) -> float: ...
    @property
    def floor(self) -> float: ...


@runtime_checkable
class ProgressRecord(Protocol):
    """What is shown of a step of training; `training` is None where nothing was measured."""

    @property
    def step(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def epoch(self) -> float: ...
    @property
    def training(self) -> MeasuredLosses | None: ...
    @property
    def held_out(self) -> MeasuredLosses | None: ...
    @property
    def validation(self) -> MeasuredLosses | None: ...


Shown = TypeVar("Shown", bound=ProgressRecord)
Item = TypeVar("Item")


def html_table(
    header: Sequence[object], rows: Sequence[Sequence[object]], *, caption: str = ""
) -> str:
    """An HTML table, its cells to the right, digits of one width.

    >>> print(html_table(["word"], [["<b>"]]).replace("><t", ">\\n<t", 2))
    <table style="text-align: right; font-variant-numeric: tabular-nums">
    <thead>
    <tr><th>word</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>
    """
    named = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    table = '<table style="text-align: right; font-variant-numeric: tabular-nums">'
    return f"{table}{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def finite(data: Any) -> Any:
    """`data` as JSON can say it: None for what is infinite or not a number.

    >>> finite({"nll": (1.5, float("nan"))})
    {'nll': [1.5, None]}
    """
    if isinstance(data, dict):
        return {str(key): finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


HISTORY_COLUMNS = {
    "nll": "NLL",
    "held_out_nll": "held-out NLL",
    "excess": "excess",
    "held_out_excess": "held-out excess",
    "objective": "objective",
}


class History(list[dict[str, Any]]):
    """One dict a measured record, as in history.jsonl: losses in nats a pair."""

    def _repr_html_(self) -> str:
        columns = [
            name for name in HISTORY_COLUMNS if any(row.get(name) is not None for row in self)
        ]
        rows = [
            [f"{row['epoch']:g}", *(_history_cell(row, name) for name in columns)] for row in self
        ]
        return html_table(
            ["epoch", *(HISTORY_COLUMNS[name] for name in columns)],
            rows,
            caption="nats a pair; ≈ is an estimate with its standard error",
        )


def _history_cell(row: dict[str, Any], name: str) -> str:
    value, error = row.get(name), row.get(f"{name}_standard_error")
    if value is None:
        return "none"
    return (
        f"{value:.4f}"
        if error is None and row.get("exact", True)
        else f"≈ {value:.3f}" + (f" ± {error:.3f}" if error is not None else "")
    )


@contextlib.contextmanager
def spinner(what: str, *, quiet: bool = False) -> Iterator[None]:
    """A sign of life on a terminal, for work whose end is not known."""
    if quiet or not _cursor_moves():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def timed(
    items: Sequence[Item], sizes: Sequence[float], what: str, *, quiet: bool = False
) -> Iterator[Item]:
    """The same items, with the time that is left for them, told by their sizes.

    On a terminal by a bar; elsewhere, where it is more than a minute, by a line after the first.
    """
    if quiet or sys.stderr is None:
        yield from items
    elif _cursor_moves():
        yield from _timed_by_bar(items, sizes, what)
    else:
        began = time.monotonic()
        for number, item in enumerate(items):
            if number == 1:
                left = (time.monotonic() - began) * sum(sizes[1:]) / sizes[0]
                if left > 60:
                    print(f"{what}: about {math.ceil(left / 60)} min", file=sys.stderr, flush=True)
            yield item


def _timed_by_bar(items: Sequence[Item], sizes: Sequence[float], what: str) -> Iterator[Item]:
    """A bar that is gone at the end."""
    with _progress() as progress:
        task = progress.add_task(what, total=sum(sizes))
        for item, size in zip(items, sizes, strict=True):
            yield item
            progress.advance(task, size)


def _progress() -> "Progress":
    """A bar on stderr, with what is done and the time that is left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def terminal_progress(
    records: Iterable[Shown], words: int, *, quiet: bool = False
) -> Iterator[Shown]:
    """The same records, shown on stderr as they pass."""
    if quiet or sys.stderr is None:
        yield from records
    elif _cursor_moves():
        yield from _terminal_bar(records, words)
    else:
        for record in records:
            if record.training is not None:
                print(record_line(record, words), file=sys.stderr, flush=True)
            yield record


def in_notebook() -> bool:
    """Whether this is a notebook's kernel, which shows HTML.

    IPython is asked only where it is loaded already.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and getattr(shell, "kernel", None) is not None


def notebook_bar(records: Iterable[Shown]) -> Iterator[Shown]:
    """The same records, with a bar below the cell that runs."""
    notebook: Any = importlib.import_module("IPython.display")
    place = notebook.DisplayHandle()
    place.display(notebook.HTML(_bar_html(None)))
    last = -1
    for record in records:
        done = 50 * record.step // max(record.steps, 1)
        if record.training is not None or done > last:
            place.update(notebook.HTML(_bar_html(record)))
            last = done
        yield record


def _bar_html(record: ProgressRecord | None) -> str:
    if record is None:
        return "<progress></progress> counted; the spectral start"
    measured = (("nll", record.training), ("held-out", record.held_out))
    loss = "".join(f"  {name}{_mean(losses)}" for name, losses in measured if losses)
    bar = f'<progress value="{record.step}" max="{max(record.steps, 1)}"></progress>'
    return f"{bar} epoch {record.epoch:.2f}{loss}"


def record_line(record: ProgressRecord, words: int) -> str:
    """The losses of a record in one line; an estimate is `nll≈ … ± …`.

    `epoch 2/4  nll 7.8157  held-out 7.8567  unigram 8.3200  floor 6.1000  ln V 10.40`
    """
    training = record.training
    if training is None:
        return _epoch(record)
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


def _epoch(record: ProgressRecord) -> str:
    epochs = round(record.steps * record.epoch / record.step) if record.step else None
    return f"epoch {record.epoch:g}/{epochs}" if epochs else f"epoch {record.epoch:g}"


def _mean(losses: MeasuredLosses) -> str:
    return (
        f" {losses.nll:.4f}"
        if losses.standard_error is None
        else f"≈ {losses.nll:.3f} ± {losses.standard_error:.3f}"
    )


def _cursor_moves() -> bool:
    """Whether stderr is a terminal whose cursor may be moved.

    A dumb one is not, nor is one where NO_COLOR asks for plain text.
    """
    return (
        sys.stderr is not None
        and sys.stderr.isatty()
        and os.environ.get("TERM") not in ("dumb", "unknown")
        and not os.environ.get("NO_COLOR")
    )


def _terminal_bar(records: Iterable[Shown], words: int) -> Iterator[Shown]:
    """A bar that is gone at the end, and above it a printed line a measured record.

    So neither cuts the other off at 80 columns.
    """
    with _progress() as progress:
        task = progress.add_task("start", total=None)
        for record in records:
            if record.training is not None:
                progress.console.print(
                    record_line(record, words), markup=False, highlight=False, soft_wrap=True
                )
            description = f"epoch {math.ceil(record.epoch)}" if record.step else "first pass"
            progress.update(
                task, total=max(record.steps, 1), completed=record.step, description=description
            )
            yield record
