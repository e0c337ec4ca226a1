"""Recommendations as tables and files."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from exact2vec.cli.messages import Answer
from exact2vec.counts.asked_rows import asked_rows
from exact2vec.counts.baskets import Baskets
from exact2vec.counts.entries import Entries, file_entries, line_entries, table_columns
from exact2vec.counts.table_files import Form, separator_of
from exact2vec.errors import UsageError
from exact2vec.storage.run_folder import Run, check_page
from exact2vec.storage.writing import write_whole
from exact2vec.vectors.item_evaluation import ItemEvaluation, evaluate_items
from exact2vec.vectors.recommend import Basket, Recommender
from exact2vec.vectors.vectors import load

COLUMNS = ("row", "rank", "item", "p")
ENDINGS = (".csv", ".jsonl", ".parquet")
SOME_NAMES = 5
FORMULAS = tuple("=+-@\u2212\uff1d\uff0b\uff0d\uff20")  # a spreadsheet runs what begins so


def for_basket(
    recommender: Recommender, items: Sequence[str], topn: int, *, exclude_seen: bool
) -> Answer:
    """The most probable next items of one basket, with the items that they are because of."""
    basket, names = recommender.basket(items), recommender.names
    contexts = recommender.contexts([items])
    (found,) = recommender.recommend(contexts, topn, exclude_seen=exclude_seen)
    data: list[dict[str, Any]] = []
    for item, p in found:
        because = [
            {"item": names[source], "share": share}
            for source, share in recommender.because(basket.items, item)
        ]
        nats = -math.log(p) if p > 0 else math.inf
        data.append({"item": names[item], "p": p, "nats": nats, "because": because})
    rows = [
        [
            row["item"],
            f"{100 * row['p']:.4g}",
            f"{row['nats']:.4f}",
            ", ".join(f"{one['item']} {100 * one['share']:.0f} %" for one in row["because"]),
        ]
        for row in data
    ]
    notes = [*said(basket, len(names)), *fewer(len(found), topn)]
    return Answer(data, [["item", "percent", "nats", "because of"], *rows], notes)


def said(basket: Basket, size: int) -> list[str]:
    """What is to be said of a basket: names that are unknown, and those that stand twice."""
    notes = []
    if basket.unknown:
        notes.append(f"not among the {size:,} items, left out: {', '.join(basket.unknown)}")
    if not basket.items:
        notes.append("nothing of the basket is known: this is the popularity")
    if basket.doubled:
        notes.append(f"named twice, counted once: {', '.join(basket.doubled)}")
    return notes


def fewer(found: int, topn: int) -> list[str]:
    """What is to be said where there are fewer items than were asked for."""
    if found >= topn:
        return []
    return [f"{topn} items were asked for; {found} are left outside the basket"]


def for_file(
    recommender: Recommender,
    source: str,
    form: dict[str, Any],
    output: Path,
    topn: int,
    *,
    exclude_seen: bool,
) -> Iterator[str]:
    """Write the recommendations for every row of a file; what is to be said of them."""
    entries = _entries((source,), form)
    yield from entries.notes.all
    contexts = _contexts(recommender, entries)
    found = recommender.recommend(contexts, topn, exclude_seen=exclude_seen)
    lines = [
        (entries.rows[row], rank, recommender.names[item], p)
        for row, of_row in enumerate(found)
        for rank, (item, p) in enumerate(of_row, start=1)
    ]
    write_whole(output, WRITERS[output.suffix](lines))
    unknown = [name for name in entries.items if name not in recommender.places]
    if unknown:
        some = ", ".join(unknown[:SOME_NAMES]) + ", …" * (len(unknown) > SOME_NAMES)
        yield f"{len(unknown):,} items are not known and say nothing: {some}"
    empty = int((np.diff(contexts.indptr) == 0).sum())
    if empty:
        yield f"{empty:,} rows hold nothing that is known: theirs is the popularity"
    yield f"{output}: {len(lines):,} recommendations for {len(entries.rows):,} rows"


def ranking(
    run: Run, files: Sequence[str], form: dict[str, Any], threads: int | None
) -> tuple[ItemEvaluation, list[str]] | None:
    """How well a run recommends items of its held-out rows, or of files; what is to be said.

    None where it recommends nothing, or nothing is held out and no file given.
    """
    recommender = load(run).recommender
    if recommender is None:
        return None
    baskets, notes = Baskets.load(run.folder), list[str]()
    if files:
        entries = _entries(files, form)
        asked = asked_rows(baskets, entries)
        baskets, notes = replace(baskets, held_out=asked.cut), [*entries.notes.all, *asked.notes()]
    if baskets.held_out is None or not baskets.held_out.targets.nnz:
        return None
    return evaluate_items(recommender.model, baskets, threads=threads), notes


def measures_table(found: ItemEvaluation) -> list[list[str]]:
    """A line a model, a column a measure; 95 % intervals behind the values."""
    names = list(found.measures["model"])
    rows = [["rows asked", *names, "coverage"]]
    for model, measures in found.measures.items():
        cells = [
            f"{one.value:.4f} ({one.interval[0]:.4f}–{one.interval[1]:.4f})" if one else "none"
            for one in map(measures.get, names)
        ]
        rows.append([model, *cells, f"{found.coverage[model]:.3f}"])
    return rows


def measures_said(found: ItemEvaluation) -> str:
    """What the table is of."""
    return (
        f"{found.targets:,} targets of {found.rows:,} rows, among the items outside their "
        "contexts; nll in nats a target, which has no floor; equal scores: items of more rows "
        "first, then by name"
    )


def check_output(output: Path, *, force: bool) -> None:
    """Refuse a file that could not be written, or whose kind is unknown, before any work."""
    if output.suffix not in ENDINGS:
        raise UsageError(f"-o must end in {', '.join(ENDINGS)}; got {str(output)!r}")
    check_page(output, force=force)


def _entries(sources: Sequence[str], form: dict[str, Any]) -> Entries:
    group_by, item = form["group_by"], form["item"]
    how = Form(separator_of(form["separator"]), form["encoding"], form["errors"])
    if group_by is None and item is None:
        return line_entries(sources, how)
    return file_entries(sources, table_columns(group_by, item, form["weight"]), how)


def _contexts(recommender: Recommender, entries: Entries) -> csr_array:
    """The known items of each row, each once."""
    place = np.array([recommender.places.get(name, -1) for name in entries.items], np.int64)
    items = place[entries.item] if len(place) else np.empty(0, np.int64)
    known = items >= 0
    if entries.weights is not None:  # a returned item, as in training, is not in the basket
        known &= entries.weights > 0
    shape = (len(entries.rows), len(recommender.names))
    cells = np.unique(entries.row[known].astype(np.int64) * shape[1] + items[known])
    rows, columns = np.divmod(cells, shape[1])
    return csr_array((np.ones(len(cells)), (rows, columns)), shape=shape)


Line = tuple[str, int, str, float]


def _csv(lines: Sequence[Line]) -> bytes:
    text = io.StringIO()
    rows = [(_inert(row), rank, _inert(item), p) for row, rank, item, p in lines]
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    return text.getvalue().encode()


def _inert(name: str) -> str:
    """A name behind a ' where a spreadsheet would run it as a formula.

    One that begins with a ' gets another: who takes one away from each such has the names.
    """
    begins = name.lstrip().startswith(FORMULAS) or name[:1] in ("'", "\t", "\r", "\n")
    return f"'{name}" if begins else name


def _jsonl(lines: Sequence[Line]) -> bytes:
    rows = (json.dumps(dict(zip(COLUMNS, line, strict=True)), ensure_ascii=False) for line in lines)
    return "".join(f"{row}\n" for row in rows).encode()


def _parquet(lines: Sequence[Line]) -> bytes:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            "writing .parquet needs pyarrow: pip install 'exact2vec[parquet]', or name a .csv"
        ) from error
    columns = list(zip(*lines, strict=True)) or [()] * len(COLUMNS)
    table = pyarrow.table(dict(zip(COLUMNS, columns, strict=True)))
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    written: bytes = sink.getvalue().to_pybytes()
    return written


WRITERS = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
