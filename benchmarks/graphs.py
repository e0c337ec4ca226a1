"""Labels of nodes from embeddings of graphs: exact2vec beside DeepWalk, NetMF and ProNE.

    python benchmarks/graphs.py run ../shared/data benchmarks/results/graphs.jsonl [GRAPH [METHOD]]
    python benchmarks/graphs.py table

D = 128. One-vs-rest logistic regression (logistic.py) on rows of length 1, C = 1, at 50 and 90 % of
the nodes; the same ten splits for every method, a labelled node without edges is a row of zeros.
A line of the results has the F1 of each split, and the CPU seconds of the embedding. `chosen` takes
hops and readout by three-fold cross-validation within the training labels of each split. `settings`
has other hops and epochs than the default.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import graph_peers
import logistic
import numpy as np
import raw
from numpy.typing import NDArray

import exact2vec as e2v
from exact2vec.counts.walks import transitions
from exact2vec.options.edges import EDGE_TRAINING
from exact2vec.vectors.embedding import nearest_rotation
from exact2vec.vectors.label_scores import Labels, as_many_labels, f1_scores, share_score

GRAPHS = ("cora", "citeseer", "ppi")
DIM, SEED, SPLITS = 128, 1, 10
SHARES = (0.5, 0.9)
PEERS = {"ProNE": graph_peers.prone, "NetMF": graph_peers.netmf, "DeepWalk": graph_peers.deepwalk}
HOPS = (1, 2, 5, 10)
SETTINGS = [(hops, epochs) for hops in (5, 10) for epochs in (5, 2)]
RESULTS = raw.RESULTS / "graphs.jsonl"
PAGE = raw.HERE.parent / "docs" / "measured.md"
FOLDS = 3


def counts_of(data: Path, graph: str, **how: Any) -> e2v.Counts:
    return e2v.count_edges(data / f"graphs/{graph}.edges.tsv", **how)


def exact(
    data: Path, graph: str, how: dict[str, Any], **changed: Any
) -> tuple[Any, Any, dict[str, float]]:
    """Counts, made in this way, vectors, and CPU seconds."""
    began = time.process_time()
    counts = counts_of(data, graph, **how)
    counted = time.process_time()
    *_, last = e2v.fit(counts, vector_size=DIM, seed=SEED, **(EDGE_TRAINING | changed))
    vectors = e2v.Vectors.from_state(last.state, counts)
    vectors.matrix()
    return counts, vectors, {"counts": counted - began, "training": time.process_time() - counted}


def readouts(counts: Any, vectors: Any) -> dict[str, NDArray[Any]]:
    """The embedding, and what it is made of."""
    x, u = (side.astype(np.float64) for side in (vectors.inputs, vectors.outputs))
    rotation = nearest_rotation(u.T @ x)
    spoken = transitions(counts.edges) @ (u + x @ rotation.T)
    return {"embedding": vectors.matrix(), "s": x + u @ rotation, "P·o": spoken}


def labelled_rows(rows: NDArray[Any], names: list[str], labels: Labels) -> NDArray[np.float64]:
    """A row of length 1 for each labelled node, zeros where it has no edges."""
    place = {name: number for number, name in enumerate(names)}
    at = np.array([place.get(node, -1) for node in labels.nodes])
    found = np.zeros((len(at), rows.shape[1]))
    found[at >= 0] = rows[at[at >= 0]]
    return graph_peers.unit(found)


def measured(rows: NDArray[Any], labels: Labels) -> dict[str, Any]:
    """Micro and macro F1 of each split, by share."""
    scores = [share_score(rows, labels.has, share, SPLITS, SEED, logistic.fit) for share in SHARES]
    return {
        f"{share:g}": {"micro": score.micro_of_splits, "macro": score.macro_of_splits}
        for share, score in zip(SHARES, scores, strict=True)
    }


def chosen(candidates: dict[str, NDArray[Any]], labels: Labels) -> dict[str, Any]:
    """The same for the candidate that cross-validation within each split's labels takes."""
    found: dict[str, Any] = {}
    for share in SHARES:
        lists: dict[str, list[Any]] = {"micro": [], "macro": [], "taken": []}
        for split in range(SPLITS):
            order = np.random.default_rng([SEED, split]).permutation(len(labels.nodes))
            trained, tested = np.split(order, [round(share * len(order))])
            name = max(candidates, key=lambda one: validated(candidates[one], labels, trained))
            rows = candidates[name]
            scores = logistic.fit(rows[trained], labels.has[trained], rows[tested])
            given = as_many_labels(scores, labels.has[tested])
            micro, macro = f1_scores(given, labels.has[tested])
            lists = {
                "micro": [*lists["micro"], micro],
                "macro": [*lists["macro"], macro],
                "taken": [*lists["taken"], name],
            }
        found[f"{share:g}"] = lists
    return found


def validated(rows: NDArray[Any], labels: Labels, trained: NDArray[Any]) -> float:
    """Micro F1 over three parts of some nodes, each judged by the others."""
    total = 0.0
    for fold in range(FOLDS):
        out = trained[fold::FOLDS]
        kept = np.setdiff1d(trained, out)
        scores = logistic.fit(rows[kept], labels.has[kept], rows[out])
        total += f1_scores(as_many_labels(scores, labels.has[out]), labels.has[out])[0]
    return total / FOLDS


def run_exact(data: Path, graph: str, labels: Labels) -> list[dict[str, Any]]:
    """A line for the default and each of its parts."""
    counts, vectors, seconds = exact(data, graph, {})
    return [
        {"method": f"exact, {name}", "seconds": seconds}
        | measured(labelled_rows(rows, counts.rows, labels), labels)
        for name, rows in readouts(counts, vectors).items()
    ]


def run_chosen(data: Path, graph: str, labels: Labels) -> list[dict[str, Any]]:
    """A line for hops and readout that are chosen within the training labels."""
    candidates, seconds = {}, {}
    for hops in HOPS:
        counts, vectors, taken = exact(data, graph, {"hops": hops})
        seconds[f"hops {hops}"] = sum(taken.values())
        for name, rows in readouts(counts, vectors).items():
            candidates[f"{name}, hops {hops}"] = labelled_rows(rows, counts.rows, labels)
    return [{"method": "exact, chosen", "seconds": seconds} | chosen(candidates, labels)]


def run_peer(name: str) -> Callable[[Path, str, Labels], list[dict[str, Any]]]:
    def run(data: Path, graph: str, labels: Labels) -> list[dict[str, Any]]:
        counts = counts_of(data, graph, hops=1)
        rows, seconds = PEERS[name](counts.edges, DIM, SEED)
        found = measured(labelled_rows(rows, counts.rows, labels), labels)
        return [{"method": name, "seconds": seconds} | found]

    return run


def run_settings(data: Path, graph: str, labels: Labels) -> list[dict[str, Any]]:
    """A line for each pair of hops and epochs."""
    lines = []
    for hops, epochs in SETTINGS:
        counts, vectors, seconds = exact(data, graph, {"hops": hops}, epochs=epochs)
        found = measured(labelled_rows(vectors.matrix(), counts.rows, labels), labels)
        line = {"method": "settings", "hops": hops, "epochs": epochs, "seconds": seconds}
        lines.append(line | found)
    return lines


METHODS = {
    "exact": run_exact,
    **{name: run_peer(name) for name in PEERS},
    "chosen": run_chosen,
    "settings": run_settings,
}


def run(data: Path, results: Path, graphs: list[str], methods: list[str]) -> None:
    for graph in graphs:
        labels = Labels.read(data / f"graphs/{graph}.labels.tsv")
        for method in methods:
            for line in METHODS[method](data, graph, labels):
                raw.append(results, {"graph": graph, "dim": DIM} | line)


def table(rows: list[dict[str, Any]]) -> str:
    """F1 in per cent; the difference of the default from the others, with its 95 % interval."""
    lines = ["| graph | method | micro F1, 50 % | 90 % | macro, 90 % | default less this, 90 % "]
    lines[0] += "| CPU seconds |"
    lines.append("|---|---|---|---|---|---|---|")
    for graph in GRAPHS:
        own = [row for row in rows if row["graph"] == graph and row["method"] != "settings"]
        default = next((row for row in own if row["method"] == "exact, embedding"), None)
        for row in own:
            half, most = row["0.5"]["micro"], row["0.9"]["micro"]
            cells = [graph, row["method"], shown(half), shown(most), shown(row["0.9"]["macro"])]
            cells.append("" if default in (None, row) else difference(default, row))
            cells.append(seconds_text(row))
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def seconds_text(row: dict[str, Any]) -> str:
    """Counts or walks, and training, where they are apart."""
    seconds = row["seconds"].values()
    return (
        " + ".join(f"{part:.1f}" for part in seconds) if len(seconds) < 3 else f"{sum(seconds):.1f}"
    )


def table_of_settings(rows: list[dict[str, Any]]) -> str:
    """Micro F1 with other hops and epochs."""
    lines = ["| graph | hops | epochs | micro F1, 50 % | 90 % | CPU seconds |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        if row["method"] == "settings":
            cells = [row["graph"], *(str(row[name]) for name in ("hops", "epochs"))]
            cells += [shown(row[share]["micro"]) for share in ("0.5", "0.9")]
            lines.append("| " + " | ".join([*cells, seconds_text(row)]) + " |")
    return "\n".join(lines)


def shown(scores: list[float]) -> str:
    error = np.std(scores, ddof=1) / np.sqrt(len(scores))
    return f"{100 * np.mean(scores):.2f} ± {100 * error:.2f}"


def difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The mean over the same splits, ± Student's interval."""
    from scipy.stats import t

    gaps = 100 * (np.array(one["0.9"]["micro"]) - other["0.9"]["micro"])
    wide = t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps))
    return f"{gaps.mean():+.2f} ± {wide:.2f}"


if __name__ == "__main__":
    if sys.argv[1] == "table":
        rows = raw.read(RESULTS)
        raw.put(PAGE, "graphs", table(rows))
        raw.put(PAGE, "graph settings", table_of_settings(rows))
    else:
        some = sys.argv[4:5] or list(GRAPHS), sys.argv[5:6] or list(METHODS)
        run(Path(sys.argv[2]), Path(sys.argv[3]), *some)
