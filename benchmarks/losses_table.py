"""The tables of docs/torch.md, a pure function of the raw lines of losses.py."""

import statistics
from collections.abc import Callable, Iterable
from typing import Any

Row = dict[str, Any]

HEADS = {
    "before": "the version before",
    "torch": "torch",
    "products": "three products",
    "eager": "eager",
    "plain": "`F.linear_cross_entropy`, plain",
    "chunked": "with `options=LinearCrossEntropyOptions()`",
    "chunked 256": "with `batch_chunk_size=256, chunking_method=None`",
    "compiled": "torch.compile",
}


def ratio(row: Row, other: str) -> str:
    """Ours over the other's in the same turn: median (least–greatest)."""
    if other not in row["turns"]:
        return "–"
    pairs = zip(row["turns"]["ours"], row["turns"][other], strict=True)
    found = [ours / theirs for ours, theirs in pairs]
    return f"{statistics.median(found):.2f} ({min(found):.2f}–{max(found):.2f})"


def seconds(turns: list[float]) -> str:
    """A median with three digits, in seconds."""
    return f"{statistics.median(turns):.3g}"


def shape(row: Row) -> str:
    return ", ".join(map(str, row["shape"]))


def summary(row: Row) -> str:
    """A measurement in a line."""
    what = [
        str(row.get(key)) for key in ("part", "shape", "target", "dtype", "words") if key in row
    ]
    if "turns" not in row:
        return " ".join(
            [*what, str({key: row[key] for key in row if key not in ("part", "shape")})]
        )
    numbers = [f"{name} {seconds(turns)}" for name, turns in row["turns"].items()]
    return " ".join([*what, "|", ", ".join(numbers), "|", ratio(row, list(row["turns"])[-1])])


def lines(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """A table of Markdown."""
    head = list(head)
    every = [head, ["---"] * len(head), *map(list, rows)]
    return ["| " + " | ".join(row) + " |" for row in every]


def section(caption: str, table_lines: list[str]) -> list[str]:
    return [caption, "", *table_lines, ""]


def speed(rows: list[Row], caption: str) -> list[str]:
    """Our seconds, of the clock and of the CPU, and the ratios to everyone beside us."""
    others = [name for name in HEADS if any(name in row["turns"] for row in rows)]
    head = ["scores or N, D, V", "target", "ours, s", "CPU, s", *(HEADS[name] for name in others)]
    body = [
        [
            shape(row),
            row["target"],
            seconds(row["turns"]["ours"]),
            seconds(row["cpu_turns"]["ours"]),
            *(ratio(row, other) for other in others),
        ]
        for row in rows
    ]
    return section(caption, lines(head, body))


def memory(rows: list[Row]) -> list[str]:
    names = [n for n in ("ours", "tiled", "before") if any(n in row for row in rows)]
    heads = {"ours": "ours", "tiled": "engine `tiled`", "before": HEADS["before"]}
    body = [
        [row["target"], *(f"{row[n]['rows']:.0f}" if n in row else "–" for n in names)]
        for row in rows
    ]
    caption = (
        f"Extra peak of memory of the linear loss (N, D, V = {shape(rows[0])}) beyond arguments "
        "and gradients, in rows of V float32 numbers:"
    )
    return section(caption, lines(["target", *(heads[n] for n in names)], body))


def first(rows: list[Row]) -> list[str]:
    names = [n for n in ("ours", "before") if any(n in row["turns"] for row in rows)]
    head = ["first call", *("ours, s" if n == "ours" else f"{HEADS[n]}, s" for n in names)]
    body = [[row["target"], *(seconds(row["turns"][n]) for n in names)] for row in rows]
    caption = "The first loss and gradient of a process that has imported torch, cache warm:"
    return section(caption, lines(head, body))


def accuracy(rows: list[Row]) -> list[str]:
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["dtype"].removeprefix("torch."), row["words"]), []).append(row)
    body = []
    for (dtype, words), these in groups.items():

        def worst(who: str, what: str, these: list[Row] = these) -> float:
            return float(max(row[who][what] for row in these))

        cells = [f"{worst('ours', w):.3g} / {worst('torch', w):.3g}" for w in ULPS]
        zeros = f"{worst('ours', 'losses_of_0'):.1%} / {worst('torch', 'losses_of_0'):.1%}"
        body.append([dtype, str(words), *cells, zeros])
    head = [
        "scores",
        "V",
        "largest error of the loss, ulp: ours / torch's",
        "of the gradient: ours / torch's",
        "losses rounded to 0: ours / torch's",
    ]
    caption = "Random scores of σ = 1, 5, 10 and 20, half of the targets the largest class:"
    return section(caption, lines(head, body))


ULPS = ("loss_ulps", "gradient_ulps")


def search(rows: list[Row]) -> list[str]:
    body = [
        [
            "linear" if row["linear"] else "dense",
            row["target"],
            row["dtype"].removeprefix("torch."),
            *(f"{row[f'{what}_ulps']:.3g} ({family(row[f'{what}_where'])})" for what in WHAT),
        ]
        for row in rows
    ]
    caption = (
        "The largest errors that a search finds (benchmarks/accuracy.py), in units of the last "
        "place wherever the true value is a normal number, and the family of scores they were "
        "found in:"
    )
    return section(caption, lines(["loss", "target", "scores", "loss, ulp", "gradient, ulp"], body))


WHAT = ("loss", "gradient")


def family(where: str) -> str:
    """The family of scores and V, without the scores themselves."""
    return ", ".join(where.split(", ")[:2]) or "none"


def device(rows: list[Row]) -> list[str]:
    cards = ", ".join(dict.fromkeys(row["card"] for row in rows))
    return speed(rows, f"On an accelerator ({cards}), forward and backward:")


def captioned(caption: str) -> Callable[[list[Row]], list[str]]:
    return lambda rows: speed(rows, caption)


SECTIONS: dict[str, Callable[[list[Row]], list[str]]] = {
    "accuracy": accuracy,
    "search": search,
    "dense": captioned(
        "Losses of given scores, forward and backward, float32, two threads: our seconds, and our "
        "time over the others' in the same turn, median (least–greatest):"
    ),
    "dense, rested": captioned(
        "The same, each contestant 30 ms after the one before, when torch's threads are asleep and "
        "leave both cores to it:"
    ),
    "linear": captioned("The linear loss, likewise:"),
    "small": captioned("The linear loss with few classes, likewise:"),
    "tiled": captioned("The linear loss by the engine `tiled`, forced to serve the CPU, likewise:"),
    "memory": memory,
    "first call": first,
    "device": device,
}


def table(rows: list[Row]) -> str:
    """The text between the marks of docs/torch.md."""
    text: list[str] = []
    for part, made in SECTIONS.items():
        these = [row for row in rows if row.get("part") == part]
        text += made(these) if these else []
    return "\n".join(text).strip()
