"""What comes next, beside popularity, item-kNN and EASE: quality, likelihood and time.

    python benchmarks/items.py ../shared/data benchmarks/results/items.jsonl gowalla retail
    python benchmarks/items.py table

gowalla: the public split of LightGCN; all items are ranked but those of training. retail and
groceries: the last tenth of the baskets, items of at least five training baskets, one target a
basket drawn by a hash. A part of the training rows chooses every setting, of peers too: 2 % of
gowalla's, 10 % of the others', a fifth of whose items is asked for. A line has the measures with
95 % intervals over rows, and what the model takes: CPU seconds beside seconds.
"""

import gzip
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import raw
from scipy.sparse import csr_array

from exact2vec.counts.counts import Counts, unigram
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.options import OPTIONS, available_threads
from exact2vec.options.items import PAIR_TRAINING
from exact2vec.parallel import Workers
from exact2vec.train.fit import fit
from exact2vec.train.item_training import (
    PRESETS,
    Plan,
    item_counts,
    item_parts,
    item_times,
    plan_items,
    table_fits,
)
from exact2vec.vectors.item_model import ItemModel
from exact2vec.vectors.item_neighbours import ItemNeighbours, choose_neighbours, pair_counts
from exact2vec.vectors.item_parts import Mixture, Popularity, softmax_table
from exact2vec.vectors.ranking import Questions, Ranked, Scorer, mean_of_rows, ranked

RIDGES = (20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
SCORES_ONLY = ("item-kNN", "EASE")  # they give no probabilities
MOST_OF_EASE = 9000  # items whose V × V matrix is inverted
COMPOSED = {"retail": (100,), "groceries": (32,), "gowalla": (64, 128, 256)}


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


READERS: dict[str, Callable[[Path], Data]] = {
    "gowalla": gowalla,
    "retail": retail,
    "groceries": groceries,
}


def ease(baskets: csr_array, ridge: float) -> Scorer:
    """Scores X·B, B = I − P / diag P, P = (XᵀX + ridge · I)⁻¹. Source: Steck 2019."""
    gram = (baskets.T @ baskets).toarray()
    gram[np.diag_indices_from(gram)] += ridge
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return lambda contexts: np.asarray(contexts @ weights)


def chosen_ridge(data: Data) -> float:
    """The ridge of the largest recall on the part that chooses."""
    asked = data.chooses.contexts, data.chooses.targets

    def recall(ridge: float) -> float:
        return float(ranked(ease(data.fitted, ridge), *asked, data.k).recall.mean())

    return max(RIDGES, key=recall)


@contextmanager
def clock() -> Iterator[dict[str, float]]:
    """Seconds and CPU seconds of what is inside."""
    spent: dict[str, float] = {}
    began, cpu = time.perf_counter(), time.process_time()
    yield spent
    spent["seconds"] = round(time.perf_counter() - began, 1)
    spent["cpu_seconds"] = round(time.process_time() - cpu, 1)


def popularity_of(baskets: csr_array) -> Any:
    return unigram(item_times(baskets).astype(np.float64))


def peers(data: Data, workers: Workers) -> Iterator[tuple[str, Any, Scorer, dict[str, float]]]:
    """(name, settings, scorer, time) of each peer; choosing is part of its time."""
    with clock() as spent:
        scorer = Popularity(popularity_of(data.baskets)).probabilities
    yield "popularity", {}, scorer, spent
    with clock() as spent:
        rule = choose_neighbours(data.fitted, data.chooses, data.k, workers=workers)
        pairs = pair_counts(data.baskets, shared=rule.shared, workers=workers)
        scorer = ItemNeighbours.of_pairs(pairs, item_times(data.baskets), rule).scores
        del pairs
    yield "item-kNN", asdict(rule), scorer, spent
    if data.baskets.shape[1] <= MOST_OF_EASE:
        with clock() as spent:
            ridge = chosen_ridge(data)
            scorer = ease(data.baskets, ridge)
        yield "EASE", {"ridge": ridge}, scorer, spent


def ours(
    data: Data, workers: Workers, size: int | None
) -> Iterator[tuple[str, Any, Scorer, dict[str, float]]]:
    """The mixture alone, and with the composed part of `size` numbers; the embedding alone."""
    settings = PRESETS[data.kind]
    composed = replace(settings.composed, vector_size=size or 0)
    model = "all" if size else "mixture"
    with clock() as spent:
        plan = plan_items(
            data.fitted,
            data.chooses,
            replace(settings, model=model, composed=composed),
            workers=workers,
        )
        whole, table = finished(data, plan, workers)
    if size is None:
        yield "mixture", said(plan), ItemModel((mixture_of(whole),), (1.0,)).probabilities, spent
        if table is not None:
            alone = replace(mixture_of(whole), table=table, counts=csr_array(table.shape))
            yield "embedding", {"size": OPTIONS["vector_size"].default}, alone_scorer(alone), spent
    else:
        name = f"mixture and composed, D = {size}"
        yield name, said(plan) | asdict(composed), whole.probabilities, spent


def alone_scorer(mixture: Mixture) -> Scorer:
    return ItemModel((mixture,), (1.0,)).probabilities


def mixture_of(model: ItemModel) -> Mixture:
    assert model.mixture is not None
    return model.mixture


def said(plan: Plan) -> dict[str, Any]:
    """The plan in a raw line."""
    parts = {part.name: {"nll": part.nll, "seconds": round(part.seconds, 1)} for part in plan.parts}
    chosen = {"counting": asdict(plan.counting), "rule": asdict(plan.rule), "table": plan.table}
    return chosen | {"shares": plan.shares, "validation": plan.nll, "parts": parts}


def counted(data: Data, plan: Plan, workers: Workers) -> Counts:
    """The credit counts of all training rows."""
    names = [str(item) for item in range(data.baskets.shape[1])]
    return item_counts(data.baskets, Vocabulary(names, item_times(data.baskets)), plan, workers)


def finished(data: Data, plan: Plan, workers: Workers) -> tuple[ItemModel, Any]:
    """The model of all training rows, and the embedding's probabilities where they fit."""
    counts = counted(data, plan, workers)
    vectors: list[Any] = []
    if table_fits(len(counts.words)):
        *_, last = fit(counts, exact_every=0, **PAIR_TRAINING)
        state = last.state
        vectors = [one.numpy() for one in (state.inputs, state.outputs, state.bias)]
    model = item_parts(data.baskets, plan).model(counts.training, lambda: vectors)
    return model, softmax_table(*vectors) if vectors else None


def calibration(scorer: Scorer, asked: Questions) -> list[list[float]]:
    """[mean p, share that was asked for, n] of the items outside, by halves of a decade of p."""
    edges = 10.0 ** np.arange(-7, 0.5, 0.5)
    sums = np.zeros((3, len(edges) + 1))
    for start in range(0, min(4000, asked.contexts.shape[0]), 200):
        rows = slice(start, min(start + 200, asked.contexts.shape[0]))
        p = scorer(asked.contexts[rows])
        targets = np.diff(asked.targets[rows].indptr)
        p, happened = p[targets == 1], asked.targets[rows][np.flatnonzero(targets == 1)].toarray()
        if not len(p):
            continue
        place = np.searchsorted(edges, p[p > 0])
        for number, values in enumerate((p[p > 0], happened[p > 0] != 0, np.ones(len(place)))):
            sums[number] += np.bincount(place, values, len(edges) + 1)
    return [[float(of_p / n), float(of_targets / n), int(n)] for of_p, of_targets, n in sums.T if n]


def line(data: Data, name: str, settings: Any, found: Ranked, spent: dict[str, float]) -> Any:
    """A raw line."""
    measures = {
        what: {"value": one.value, "interval": one.interval, "n": one.n}
        for what, one in found.measures().items()
        if what != "nll" or name not in SCORES_ONLY
    }
    return {
        "data": data.name,
        "rows": data.baskets.shape[0],
        "items": data.baskets.shape[1],
        "pairs": data.baskets.nnz,
        "model": name,
        "settings": settings,
        "measures": measures,
        "coverage": found.coverage,
        **spent,
    }


def main(folder: Path, output: Path, names: list[str]) -> None:
    for name in names:
        name, _, sizes = name.partition(":")
        data = READERS[name](folder / "items")
        composed = [int(size) for size in sizes.split(",")] if sizes else COMPOSED[name]
        asked, of_ease = (data.reports.contexts, data.reports.targets), None
        with Workers(available_threads()) as workers:
            models = [peers(data, workers)] if not sizes else []
            models += [ours(data, workers, size) for size in ([None] if not sizes else [])]
            models += [ours(data, workers, size) for size in composed]
            for which in models:
                for model, settings, scorer, spent in which:
                    found = ranked(scorer, *asked, data.k)
                    row = line(data, model, settings, found, spent)
                    of_ease = found if model == "EASE" else of_ease
                    if of_ease is not None and model != "EASE":
                        row["above EASE"] = {
                            what: asdict(mean_of_rows(one - other, np.ones(len(one))))
                            for what, one, other in (
                                ("hit", found.hit, of_ease.hit),
                                ("mrr", found.reciprocal, of_ease.reciprocal),
                            )
                        }
                    if model not in SCORES_ONLY and data.kind == "baskets":
                        row["calibration"] = calibration(scorer, data.reports)
                    raw.append(output, row)


def table(rows: list[dict[str, Any]]) -> str:
    """docs/measured.md's table."""
    lines = [
        "| data | model | recall@k | ndcg@k | MRR | NLL | coverage | CPU seconds |",
        "|---" * 8 + "|",
    ]
    for row in rows:
        values = row["measures"]
        k = 20 if row["data"] == "gowalla" else 10
        nll = values.get("nll")
        cells = [
            row["data"],
            row["model"],
            f"{values[f'recall@{k}']['value']:.4f}",
            f"{values[f'ndcg@{k}']['value']:.4f}",
            f"{values['mrr']['value']:.4f}",
            f"{nll['value']:.3f}" if nll else "none",
            f"{row['coverage']:.3f}",
            f"{row['cpu_seconds']:.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__" and sys.argv[1] == "table":
    page = Path(__file__).parents[1] / "docs/measured.md"
    raw.put(page, "items", table(raw.read(raw.RESULTS / "items.jsonl")))
elif __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or list(READERS))
