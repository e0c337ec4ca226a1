"""Rows of items in parts: those that train, questions that choose, and those that report.

gowalla: the public split of LightGCN; all items are ranked but those of training. The others: the
last tenth of the baskets, items of at least five training baskets, one target a basket drawn by a
hash. A part of the training rows chooses: 2 % of gowalla's, 10 % of the others', a fifth of whose
items is asked for.
"""

import ast
import gzip
import hashlib
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from exact2vec.counts.python_docs import LEFT_OUT
from exact2vec.train.item_training import item_times
from exact2vec.vectors.ranking import Questions

INNER = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Data:
    """Training rows, the questions that choose, and those that report; k of the measures."""

    name: str
    kind: str
    baskets: csr_array
    chooses: Questions
    fitted: csr_array
    reports: Questions
    k: int


def key(*parts: object) -> int:
    """A number drawn by a hash."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "little")


def matrix(rows: list[list[int]], items: int) -> csr_array:
    """Rows of item numbers as a matrix of ones."""
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.array([item for row in rows for item in sorted(row)], np.int32)
    return csr_array((np.ones(len(columns)), columns, starts), shape=(len(rows), items))


def rows_of(baskets: csr_array) -> list[list[int]]:
    """The other way round."""
    return [row.tolist() for row in np.split(baskets.indices, baskets.indptr[1:-1])]


def parted(name: str, kind: str, rows: list[list[int]], items: int, reports: Questions) -> Data:
    """The rows, of which a share drawn by a hash chooses, a fifth of its items asked for."""
    share, k = (0.02, 20) if kind == "table" else (0.1, 10)
    fitted, contexts, targets = [], [], []
    for number, row in enumerate(rows):
        if len(row) < 2 or key("chooses", number) % 10_000 >= share * 10_000:
            fitted.append(row)
            continue
        order = sorted(row, key=lambda item: key("asked", number, item))
        asked = max(1, round(0.2 * len(row)))
        targets.append(order[:asked])
        contexts.append(order[asked:])
    chooses = Questions(matrix(contexts, items), matrix(targets, items))
    return Data(name, kind, matrix(rows, items), chooses, matrix(fitted, items), reports, k)


def gowalla(folder: Path) -> Data:
    """The split as published; items of more users first, then by number."""
    stored = np.load(folder / "gowalla.npz")
    parts = [
        csr_array(
            (
                np.ones(len(stored[f"{part}_indices"])),
                stored[f"{part}_indices"],
                stored[f"{part}_indptr"],
            ),
            shape=tuple(stored["shape"]),
        )
        for part in ("train", "test")
    ]
    order = np.argsort(-item_times(parts[0]), kind="stable")
    training, test = (csr_array(part[:, order]) for part in parts)
    for part in (training, test):
        part.sort_indices()
    return parted("gowalla", "table", rows_of(training), len(order), Questions(training, test))


def leave_one_out(name: str, lines: list[str]) -> Data:
    """The last tenth of the baskets, in the order of the file, asked for one item each."""
    baskets = [set(line.split()) for line in lines]
    cut = len(baskets) * 9 // 10
    times = Counter(item for basket in baskets[:cut] for item in basket)
    kept = sorted((item for item in times if times[item] >= 5), key=lambda one: (-times[one], one))
    place = {item: number for number, item in enumerate(kept)}
    rows = [sorted(place[item] for item in basket if item in place) for basket in baskets]
    contexts, targets = [], []
    for number, row in enumerate(rows[cut:]):
        if len(row) > 1:
            target = min(row, key=lambda item: key("target", number, kept[item]))
            targets.append([target])
            contexts.append([item for item in row if item != target])
    asked = Questions(matrix(contexts, len(kept)), matrix(targets, len(kept)))
    return parted(name, "baskets", [row for row in rows[:cut] if row], len(kept), asked)


def retail(folder: Path) -> Data:
    text = gzip.decompress((folder / "online_retail.txt.gz").read_bytes()).decode()
    return leave_one_out("retail", text.splitlines())


def groceries(folder: Path) -> Data:
    return leave_one_out("groceries", (folder / "groceries.txt").read_text().splitlines())


def python_calls(folder: Path) -> Data:
    """A basket is what one function of Python's standard library calls, by name.

    `a.b.join(…)` calls `join`. What a function inside it calls is that one's. The functions of the
    library without its tests stand in an order drawn by a hash of where they are.
    """
    library = Path(sysconfig.get_paths()["stdlib"])
    found = []
    for path in sorted(library.rglob("*.py")):
        inside = path.relative_to(library)
        if not LEFT_OUT.intersection(inside.parts):
            for number, names in enumerate(called_names(path)):
                found.append((key("function", inside.as_posix(), number), sorted(names)))
    return leave_one_out("python", [" ".join(names) for _, names in sorted(found)])


def called_names(path: Path) -> Iterator[set[str]]:
    """The names that each function of a file calls."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # the library carries a few files that are wrong on purpose
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            calls = [one.func for one in _within(node) if isinstance(one, ast.Call)]
            names = {one.id for one in calls if isinstance(one, ast.Name)}
            yield names | {one.attr for one in calls if isinstance(one, ast.Attribute)}


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one, without those of functions and classes in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, INNER):
            yield child
            yield from _within(child)


READERS: dict[str, Callable[[Path], Data]] = {
    "gowalla": gowalla,
    "retail": retail,
    "groceries": groceries,
    "python": python_calls,
}
