"""What comes next, beside popularity, item-kNN, EASE, ALS, BPR and item2vec.

    python benchmarks/items.py ../shared/data benchmarks/results/items.jsonl gowalla retail
    python benchmarks/items.py ../shared/data OUT.jsonl retail:ALS,mixture,100:2,3
    python benchmarks/items.py table

Rows and questions are those of item_data.py, the other methods those of item_peers.py. Behind a
colon stand the models that are run, a number being the size of the composed part, and behind
another the seeds. The part that chooses has set every setting. A line has the measures with 95 %
intervals over rows, and what the model takes: CPU seconds beside seconds.
"""

import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import raw
from item_data import READERS, Data
from item_peers import PEERS, SEEDS, Model, clock
from scipy.sparse import csr_array

from exact2vec.counts.counts import Counts
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
from exact2vec.vectors.item_parts import Mixture, softmax_table
from exact2vec.vectors.ranking import Questions, Ranked, Scorer, mean_of_rows, ranked

SCORES_ONLY = ("item-kNN", "EASE", "ALS", "BPR", "item2vec")  # they give no probabilities
COMPOSED = {"retail": (100,), "groceries": (32,), "python": (32,), "gowalla": (64, 128, 256)}


def ours(data: Data, workers: Workers, size: int | None, seed: int) -> Iterator[Model]:
    """The mixture alone, and with the composed part of `size` numbers; the embedding alone."""
    preset = PRESETS[data.kind]
    composed = replace(preset.composed, vector_size=size or 0, seed=seed)
    training = {**PAIR_TRAINING, "seed": seed}
    model = "all" if size else "mixture"
    settings = replace(preset, model=model, composed=composed, training=training)
    with clock() as spent:
        plan = plan_items(data.fitted, data.chooses, settings, workers=workers)
        whole, table = finished(data, plan, training, workers)
    if size:
        name = f"mixture and composed, D = {size}"
        yield Model(name, said(plan) | asdict(composed), whole.probabilities, spent)
        return
    seeded = said(plan) | {"seed": seed}
    mixture = mixture_of(whole)
    yield Model("mixture", seeded, ItemModel((mixture,), (1.0,)).probabilities, spent)
    if table is not None:
        alone = replace(mixture, table=table, counts=csr_array(table.shape))
        of_table = {"size": OPTIONS["vector_size"].default, "seed": seed}
        yield Model("embedding", of_table, ItemModel((alone,), (1.0,)).probabilities, spent)


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


def finished(
    data: Data, plan: Plan, training: dict[str, Any], workers: Workers
) -> tuple[ItemModel, Any]:
    """The model of all training rows, and the embedding's probabilities where they fit."""
    counts = counted(data, plan, workers)
    vectors: list[Any] = []
    if table_fits(len(counts.words)):
        *_, last = fit(counts, exact_every=0, **training)
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


def misplaced(calibrated: list[list[float]]) -> float:
    """The share of the probability that would have to move to another half of a decade of p.

    Half of Σ n |mean p − share that was asked for| / Σ n · mean p over the halves of decades.
    """
    p, happened, n = np.array(calibrated).T
    return float((n * np.abs(p - happened)).sum() / (2 * (n * p).sum()))


def line(data: Data, model: Model, found: Ranked) -> Any:
    """A raw line."""
    measures = {
        what: {"value": one.value, "interval": one.interval, "n": one.n}
        for what, one in found.measures().items()
        if what != "nll" or model.name not in SCORES_ONLY
    }
    return {
        "data": data.name,
        "rows": data.baskets.shape[0],
        "items": data.baskets.shape[1],
        "pairs": data.baskets.nnz,
        "model": model.name,
        "settings": model.settings,
        "measures": measures,
        "coverage": found.coverage,
        **model.spent,
    }


def models(data: Data, names: list[str], seeds: list[int], workers: Workers) -> Iterator[Model]:
    """Those of these names with these seeds; EASE comes first in any case."""
    for name in ["EASE", *(one for one in names if one != "EASE")]:
        if name in PEERS:
            yield from PEERS[name](data, workers, seeds)
            continue
        size = None if name == "mixture" else int(name)
        for seed in seeds:
            yield from ours(data, workers, size, seed)


def measured(data: Data, names: list[str], seeds: list[int]) -> Iterator[dict[str, Any]]:
    """The raw lines of these models."""
    of_ease = None
    with Workers(available_threads()) as workers:
        for model in models(data, names, seeds, workers):
            found = ranked(model.scorer, data.reports.contexts, data.reports.targets, data.k)
            row = line(data, model, found)
            if model.name == "EASE":
                of_ease = found
                if "EASE" not in names:
                    continue
            elif of_ease is not None:
                row["above EASE"] = above(found, of_ease)
            if model.name not in SCORES_ONLY and data.kind == "baskets":
                row["calibration"] = calibration(model.scorer, data.reports)
            yield row


def above(found: Ranked, other: Ranked) -> dict[str, Any]:
    """The means of the differences row by row, with their 95 % intervals."""
    pairs = {
        "hit": found.hit - other.hit,
        "mrr": found.reciprocal - other.reciprocal,
    }
    return {what: asdict(mean_of_rows(one, np.ones(len(one)))) for what, one in pairs.items()}


def main(folder: Path, output: Path, asked: list[str]) -> None:
    for one in asked:
        name, names, seeds = [*one.split(":"), "", ""][:3]
        data = READERS[name](folder / "items")
        listed = names.split(",") if names else [*PEERS, "mixture", *map(str, COMPOSED[name])]
        few = SEEDS[:1] if name == "gowalla" else SEEDS
        for row in measured(data, listed, [int(seed) for seed in seeds.split(",") if seed] or few):
            raw.append(output, row)


def table(rows: list[dict[str, Any]]) -> str:
    """docs/measured.md's table: a line a model, of several seeds the mean, lowest and highest."""
    lines = [
        "| data | model | recall@k | ndcg@k | MRR | NLL | misplaced | coverage | CPU seconds |",
        "|---" * 9 + "|",
    ]
    for data in dict.fromkeys(row["data"] for row in rows):
        here = [row for row in rows if row["data"] == data]
        for model in sorted(dict.fromkeys(row["model"] for row in here), key=place):
            cells = cells_of([row for row in here if row["model"] == model])
            lines.append("| " + " | ".join([data, model, *cells]) + " |")
    return "\n".join(lines)


def place(model: str) -> int:
    """Peers first, in their order; then ours, the larger ones later."""
    others = [*PEERS, "mixture", "embedding"]
    return others.index(model) if model in others else len(others) + int(model.split("= ")[1])


def cells_of(rows: list[dict[str, Any]]) -> list[str]:
    """The cells of one model, whose rows differ by the seed alone."""
    k = 20 if rows[0]["data"] == "gowalla" else 10
    wanted = ((f"recall@{k}", 4), (f"ndcg@{k}", 4), ("mrr", 4), ("nll", 3))
    measures = [row["measures"] for row in rows]
    cells = [
        mean_and_range([one[what]["value"] for one in measures if what in one], digits)
        for what, digits in wanted
    ]
    apart = [misplaced(row["calibration"]) for row in rows if "calibration" in row]
    coverage = mean_and_range([row["coverage"] for row in rows], 3)
    seconds = sum(row["cpu_seconds"] for row in rows) / len(rows)
    return [*cells, mean_and_range(apart, 3), coverage, f"{seconds:.0f}"]


def mean_and_range(values: list[float], digits: int) -> str:
    """The mean of the seeds, with the lowest and the highest where they differ."""
    if not values:
        return "none"
    numbers = min(values), sum(values) / len(values), max(values)
    low, mean, high = (f"{one:.{digits}f}" for one in numbers)
    return mean if low == high else f"{mean} ({low} to {high})"


if __name__ == "__main__" and sys.argv[1] == "table":
    page = Path(__file__).parents[1] / "docs/measured.md"
    raw.put(page, "items", table(raw.read(raw.RESULTS / "items.jsonl")))
elif __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or list(READERS))
