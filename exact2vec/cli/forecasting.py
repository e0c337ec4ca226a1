"""What train says of memory and time before the work, and what it refuses."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from exact2vec.cli.request import Request
    from exact2vec.counts.text import Text
    from exact2vec.counts.vocabulary import TokenCounts, Vocabulary
    from exact2vec.forecast.forecast import Forecast
    from exact2vec.forecast.shapes import Shapes

ANYWAY = click.option(
    "--anyway",
    is_flag=True,
    help="train even where the forecast says that there is not enough memory",
)
LARGE = 30_000_000  # bytes of files that take a while to count, so that a rough forecast helps
SLOWLY = 0.7  # power of the share of the words
TEXT_FLAGS = "a larger --min-count or a smaller --vector-size"
ITEM_FLAGS = "a larger --min-count, or --max-vocab"
OTHER_FLAGS = "fewer rows and columns, or a smaller --vector-size"
SHAPE_FLAGS = (
    *("min_n", "max_n", "epochs", "max_epochs", "vector_size"),
    *("prior", "block_rows", "exact_every", "threads"),
)


def say_roughly(text: "Text", request: "Request") -> None:
    """Of text in large files: about how much there is, and what it will take, before it is read."""
    from exact2vec.forecast.rough import rough_sizes, text_files

    files = text_files(text.inputs)
    if files is None or sum(file.stat().st_size for file in files) < LARGE:
        return
    sizes = rough_sizes(text)
    if sizes is None:
        return
    given = request.given
    words = sizes.words(given["min_count"], given["max_vocab"])
    shapes = shapes_of_words(sizes.times(words), request)
    counted = _counted(shapes)
    request.say(
        f"roughly, from the size of the files: {_short(sizes.tokens)} tokens, "
        f"{_short(words)} words kept of {_short(sizes.distinct)}; {foreseen(shapes, counted)}"
    )


def foreseen(shapes: "Shapes", counted: float) -> str:
    """About how much memory and time a training will take, whose counts hold these bytes."""
    from exact2vec.forecast.forecast import forecast

    found = forecast(shapes)
    gigabytes = (found.held + counted + found.more) / 1e9
    return f"about {gigabytes:.1f} GB and {duration(found.total.wall)} after counting"


def refuse_words(request: "Request") -> Callable[["TokenCounts", "Vocabulary"], None]:
    """What looks at the words of a text before their pairs are counted; see `count_text`."""

    def look(tokens: "TokenCounts", vocabulary: "Vocabulary") -> None:
        from exact2vec import machine
        from exact2vec.forecast import memory

        if request.given["anyway"]:
            return
        shapes = shapes_of_words(vocabulary.counts, request, words=vocabulary.words)
        kept = int(vocabulary.counts.sum())

        def needed(words: int) -> float:
            some = scaled(shapes, words)
            counting = memory.counting_bytes(kept, some.cells, some.words)
            return max(counting, _counted(some) + memory.peak(some))

        size = len(vocabulary.words)
        held = machine.resident_bytes()
        machine.refuse_what_cannot_fit(needed(size), held, TEXT_FLAGS, smaller=needed, words=size)

    return look


def announce_pairs(data: Any, request: "Request", *, quiet: bool | None = None) -> None:
    """What choosing the mixture of Baskets will hold; ResourceError where that cannot be had."""
    from exact2vec import machine
    from exact2vec.counts.baskets import Baskets
    from exact2vec.forecast.pairs import pairing_bytes
    from exact2vec.train.item_training import PRESETS

    if not isinstance(data, Baskets):
        return
    needed = pairing_bytes(data.training, rounds=PRESETS[data.kind.name].rounds > 0)
    held = machine.resident_bytes()
    if not request.given["anyway"]:
        machine.refuse_what_cannot_fit(needed, held, ITEM_FLAGS)
    if not (request.quiet if quiet is None else quiet):
        request.say(f"forecast: {(held + needed) / 1e9:.2f} GB while pairs are counted")


def announce(data: Any, request: "Request", features: Any, *, quiet: bool | None = None) -> None:
    """The forecast of counts; ResourceError where they cannot be trained on with what is left."""
    from exact2vec import machine
    from exact2vec.counts.counts import Counts
    from exact2vec.forecast import memory
    from exact2vec.forecast.forecast import forecast
    from exact2vec.forecast.shapes import shapes_of
    from exact2vec.pages.report import QUICK_CELLS

    if not isinstance(data, Counts):
        announce_pairs(data, request, quiet=quiet)
        return
    chosen = {name: request.given[name] for name in SHAPE_FLAGS}
    quick = data.square and data.training.nnz <= QUICK_CELLS
    shapes = shapes_of(data, features=features, report=quick, **chosen)
    if not request.given["anyway"]:
        text = "read" in data.tokens
        machine.refuse_what_cannot_fit(
            memory.peak(shapes),
            machine.resident_bytes(),
            TEXT_FLAGS if text else OTHER_FLAGS,
            smaller=(lambda words: memory.peak(scaled(shapes, words))) if text else None,
            words=len(data.words),
        )
    if not (request.quiet if quiet is None else quiet):
        request.say(forecast_line(forecast(shapes)))


def forecast_line(found: "Forecast") -> str:
    """`forecast: 1.2 GB at the peak, 34 s to the end (losses 15 s, steps 12 s, …)`."""
    longest = sorted(found.seconds, key=lambda stage: -stage.seconds.wall)
    parts = [f"{one.name} {duration(one.seconds.wall)}" for one in longest[:3]]
    return (
        f"forecast: {found.peak / 1e9:.2f} GB at the peak, {duration(found.total.wall)} to the "
        f"end ({', '.join(parts)})"
    )


def shapes_of_words(times: Any, request: "Request", *, words: list[str] | None = None) -> "Shapes":
    """The Shapes of text whose words stand `times` often, before their pairs are counted."""
    from exact2vec.counts.ngram_sizes import NONE
    from exact2vec.forecast.rough import expected_cells, expected_features
    from exact2vec.forecast.shapes import Shapes
    from exact2vec.options import available_threads
    from exact2vec.train.problem import DEFAULT_MAX_N

    given, size = request.given, len(times)
    longest = given["max_n"]
    if longest is None:
        longest = DEFAULT_MAX_N if given["tokens"] == "words" and not given["regex"] else 0
    described = given["prior"] and longest
    features = expected_features(words, size, given["min_n"], longest) if described else NONE
    cells = expected_cells(times, given["window"])
    kept_out = given["held_out"] + given["validation"]
    return Shapes(
        size,
        size,
        cells,
        given["vector_size"],
        given["max_epochs"] if given["epochs"] == "auto" else given["epochs"],
        other_cells=round(min(1.0, 2 * kept_out) * cells),
        other_parts=(given["held_out"] > 0) + (given["validation"] > 0),
        inputs=features,
        outputs=features,
        prior=bool(given["prior"]),
        exact_every=given["exact_every"],
        chosen=given["epochs"] == "auto",
        block_rows=given["block_rows"],
        threads=given["threads"] or available_threads(),
    )


def scaled(shapes: "Shapes", words: int) -> "Shapes":
    """The same with fewer words; features and cells fall more slowly than these."""
    from exact2vec.counts.ngram_sizes import FeatureSizes

    share = words / max(1, shapes.words)
    slowly = share**SLOWLY
    inputs, outputs = (
        FeatureSizes(
            round(slowly * side.features),
            round(share * side.cells),
            round(share * side.spelled),
            round(slowly * side.distinct),
        )
        for side in (shapes.inputs, shapes.outputs)
    )
    return replace(
        shapes,
        contexts=max(1, words),
        words=max(1, words),
        cells=round(slowly * shapes.cells),
        other_cells=round(slowly * shapes.other_cells),
        inputs=inputs,
        outputs=outputs,
    )


def _counted(shapes: "Shapes") -> float:
    """Bytes of the counts, once the tokens are let go."""
    from exact2vec.forecast import memory

    return memory.counts_bytes(shapes.cells + shapes.other_cells, shapes.words)


def duration(seconds: float) -> str:
    """
    >>> duration(0.2), duration(75), duration(600), duration(90_000)
    ('1 s', '75 s', '10 min', '25 h')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.0f} h"


def _short(number: float) -> str:
    for power, unit in ((9, " G"), (6, " M"), (3, " k")):
        if number >= 10**power:
            return f"{number / 10**power:.3g}{unit}"
    return f"{number:.0f}"
