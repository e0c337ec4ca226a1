"""Figures for paper and notebook: data in, matplotlib Figure out.

`save` writes svg, png or pdf by suffix.
"""

import functools
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exact2vec.errors import UsageError
from exact2vec.loss.explain import Descent, Explanation
from exact2vec.storage.run_folder import check_page
from exact2vec.storage.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")
# Okabe and Ito 2008: told apart with any colour vision; each line has its own dashes too
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#007A5A", "#8030E0", "#5F6368"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
DASHES = ("-", "--", "-.", ":")
LOOK: dict[Any, Any] = {
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E6EA",
    "axes.axisbelow": True,
    "axes.titlesize": 11.5,
    "axes.edgecolor": GREY,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "exact2vec",
    "figure.dpi": 110,
}


def log_curve(p: ArrayLike | None = None, *, mark: Sequence[float] = ()) -> "Figure":
    """p against log p, and p against the loss −log p in nats.

    `p` are the points of the curves, by default 500 from 1e-7 to 0.9. `mark` are probabilities
    that are drawn on the second curve.

    >>> from exact2vec.pages.figures import log_curve
    >>> x, y = log_curve().axes[1].lines[0].get_data()
    >>> len(x), bool((y == -np.log(x)).all())
    (500, True)
    """
    p = np.linspace(1e-7, 0.9, 500) if p is None else np.asarray(p, np.float64)
    figure, (left, right) = _panels(2)
    for axes, sign, name in ((left, 1.0, "log p"), (right, -1.0, "−log p")):
        axes.plot(p, sign * np.log(p), color=BLUE)
        axes.set(xlabel="p", ylabel=f"{name}  [nats]", title=name)
    for number, share in enumerate(mark):
        right.plot([share], [-np.log(share)], "o", color=ORANGE)
        right.annotate(
            f"class {number}", (share, -np.log(share)), (7, 5), textcoords="offset points"
        )
    return figure


def loss_figure(found: Explanation | Descent | None, target: int | None = None) -> "Figure":
    """What `exact2vec loss --figure` draws: the steps of a Descent, otherwise −log p.

    The classes of an Explanation are marked on it.
    """
    if isinstance(found, Descent):
        return steps(found.losses, found.weights, target or 0)
    return log_curve(mark=found.probabilities if found else ())


def steps(losses: Sequence[float], weights: ArrayLike, target: int) -> "Figure":
    """Gradient descent in two panels.

    They show the loss before each step (nats), and every weight before each step and after the
    last.
    """
    path = np.asarray(weights, np.float64)
    figure, (left, right) = _panels(2)
    left.plot(range(len(losses)), losses, "o-", color=BLUE, markersize=4)
    left.set(xlabel="step", ylabel="−log p of the target  [nats]", title="Loss")
    for number, values in enumerate(path.T):
        name = f"class {number}" + (" (target)" if number == target else "")
        right.plot(
            range(len(path)),
            values,
            "o" + _dash(number),
            color=_colour(number),
            markersize=4,
            label=name,
        )
    right.set(xlabel="step", ylabel="weight", title="Weights")
    right.legend()
    return figure


def training_curve(
    history: Sequence[Mapping[str, Any]], baselines: Mapping[str, float]
) -> "Figure":
    """Training and held-out NLL after each pass, nats a pair; a bar is a standard error.

    `history` are rows of history.jsonl. `baselines` maps a label such as "unigram", "ln V" or
    "floor" to the nats a pair of a horizontal line.
    """
    from matplotlib.ticker import MaxNLocator

    figure, (axes,) = _panels(1)
    for number, (name, column) in enumerate((("training", "nll"), ("held-out", "held_out_nll"))):
        rows = [row for row in history if row.get(column) is not None]
        if rows:
            errors = [row.get(f"{column}_standard_error") or 0.0 for row in rows]
            x, y = [row["epoch"] for row in rows], [row[column] for row in rows]
            axes.errorbar(
                x,
                y,
                errors,
                fmt="o" + _dash(number),
                color=_colour(number),
                markersize=5,
                label=name,
            )
    for number, (name, value) in enumerate(baselines.items()):
        axes.axhline(
            value,
            color=GREY,
            linewidth=1.2,
            linestyle=DASHES[(number + 1) % len(DASHES)],
            label=f"{name} {value:.3f}",
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="NLL  [nats a pair]", title="The exact loss after each pass")
    axes.legend(fontsize=9)
    return figure


def frequency_bands(
    bands: Sequence[str], nll: Mapping[str, Sequence[float | None]], one: str = "word"
) -> "Figure":
    """NLL (nats a pair) by how often a name was counted, which is `one` of a kind.

    There is one line for each name of `nll`, with one place for each band. A value is None where
    the band has no pairs.
    """
    figure, (axes,) = _panels(1)
    for number, (name, values) in enumerate(nll.items()):
        numbers = [np.nan if value is None else value for value in values]
        axes.plot(
            range(len(bands)),
            numbers,
            "o" + _dash(number),
            color=_colour(number),
            markersize=5,
            label=name,
        )
    axes.set_xticks(range(len(bands)), bands, rotation=30, ha="right")
    axes.set(
        xlabel=f"times the {one} was counted",
        ylabel="NLL  [nats a pair]",
        title="Loss by frequency",
    )
    axes.legend(fontsize=9)
    return figure


def word_map(
    points: ArrayLike,
    words: Sequence[str],
    colour: Sequence[float] | None = None,
    *,
    labels: int = 60,
    colour_name: str = "",
) -> "Figure":
    """Words at their two coordinates, coloured by a number each (`colour`).

    The first `labels` words that find room are written out.
    """
    from matplotlib.patheffects import withStroke

    x, y = np.asarray(points, np.float64).T
    figure, (axes,) = _panels(1, height=5.6)
    dots = axes.scatter(
        x,
        y,
        s=8,
        c=BLUE if colour is None else np.asarray(colour),
        cmap="cividis",
        linewidths=0,
        alpha=0.6,
    )
    if colour is not None:
        figure.colorbar(dots, ax=axes, label=colour_name)
    for place in _with_room(x, y, words, labels):
        written = words[place].replace("$", r"\$")
        text = axes.annotate(
            written, (x[place], y[place]), fontsize=8.5, xytext=(3, -3), textcoords="offset points"
        )
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    axes.set(xlabel="first principal axis", ylabel="second", title="A map of the vectors")
    return figure


def _with_room(
    x: NDArray[np.float64], y: NDArray[np.float64], words: Sequence[str], most: int
) -> list[int]:
    """The first places whose words are not written over another, on a page of 62 × 40 signs."""
    width, height = np.ptp(x) / 62 or 1.0, np.ptp(y) / 40 or 1.0
    found: list[tuple[float, float, float]] = []
    places: list[int] = []
    for place, word in enumerate(words):
        left, right = x[place], x[place] + width * (len(word) + 1)
        if len(places) < most and all(
            abs(y[place] - other) > height or left > end or right < start
            for start, end, other in found
        ):
            found.append((left, right, y[place]))
            places.append(place)
    return places


def save(figure: "Figure", path: str | Path, *, force: bool = False) -> None:
    """Write svg, png or pdf by suffix: the same bytes for the same figure.

    UsageError for another suffix, or for a file that exists without `force`.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path}: a figure is written as {', '.join(SUFFIXES)}; got the suffix {path.suffix!r}"
        )
    check_page(path, force=force)
    write_whole(path, _bytes(figure, path.suffix.lower()[1:]))


def _bytes(figure: "Figure", kind: str) -> bytes:
    import matplotlib

    data = io.BytesIO()
    with matplotlib.rc_context(LOOK):
        figure.savefig(
            data,
            format=kind,
            metadata={"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[kind],
        )
    return data.getvalue()


@functools.cache
def _drawing() -> "type[Figure]":
    """A Figure of its own, outside pyplot: there is nothing to close, and a notebook shows it."""
    from matplotlib.figure import Figure

    class Drawing(Figure):
        def _repr_png_(self) -> bytes:
            return _bytes(self, "png")

    return Drawing


def _panels(number: int, *, height: float = 3.4) -> "tuple[Figure, list[Axes]]":
    import matplotlib

    with matplotlib.rc_context(LOOK):
        figure = _drawing()(
            figsize=(4.4 * number if number > 1 else 6.4, height), layout="constrained"
        )
        return figure, list(figure.subplots(1, number, squeeze=False)[0])


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _dash(number: int) -> str:
    return (
        DASHES[number // len(COLOURS) % len(DASHES)] if number >= len(COLOURS) else DASHES[number]
    )
