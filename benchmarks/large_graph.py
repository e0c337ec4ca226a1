"""A graph of 50,000 nodes and ten million edges, from its file to a run, and its labels judged.

    python benchmarks/large_graph.py run benchmarks/results/large_graph.jsonl [NODES EDGES]
    python benchmarks/large_graph.py table

The graph is made: degrees fall as a power law, and half of the edges of a node stay within its one
of 50 communities, which are its label. Each command runs in a process of its own. A line of the
results has its seconds, its largest resident memory, and what it said before the work.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import raw
from numpy.typing import NDArray

NODES, EDGES, COMMUNITIES, WITHIN = 50_000, 10_000_000, 50, 0.5
TAIL, LARGEST = 2.0, 30  # the power of the degrees' tail; the largest degree, in means
SEED, DRAWS = 1, 4  # at least so many, so that few edges are drawn twice
RESULTS = raw.RESULTS / "large_graph.jsonl"
MEASURED = raw.HERE.parent / "docs" / "measured.md"
SAID = ("walks: ", "forecast: ", "cells below")
Ends = NDArray[np.int64]


def made(nodes: int, edges: int) -> tuple[Ends, Ends]:
    """Each edge once, as keys one · nodes + other with one < other; the community of each node."""
    random = np.random.default_rng(SEED)
    degrees = 1 + random.pareto(TAIL, nodes)
    degrees = np.minimum(degrees, LARGEST * degrees.mean())
    community = np.sort(random.integers(0, COMMUNITIES, nodes))
    keys: Ends = np.empty(0, np.int64)
    for one, other in _drawn(random, degrees, community, edges // DRAWS):
        new = np.minimum(one, other) * nodes + np.maximum(one, other)
        keys = np.union1d(keys, new[one != other])
        if len(keys) >= edges:
            return random.permutation(keys)[:edges], community
    raise AssertionError


def _drawn(
    random: np.random.Generator, degrees: NDArray[np.float64], community: Ends, size: int
) -> Iterator[tuple[Ends, Ends]]:
    """Pairs of nodes by their degrees, of which a part stays within a community."""
    sums = np.append(0, np.cumsum(degrees))
    first = np.searchsorted(community, np.arange(COMMUNITIES + 1))
    low, high = sums[first[:-1]], sums[first[1:]]
    while True:
        one, other = (_nodes(sums, random.random(size) * sums[-1]) for _ in range(2))
        stays = np.flatnonzero(random.random(size) < WITHIN)
        here = community[one[stays]]
        spread = random.random(len(stays)) * (high - low)[here]
        other[stays] = _nodes(sums, low[here] + spread)
        yield one, other


def _nodes(sums: NDArray[np.float64], places: NDArray[np.float64]) -> Ends:
    return np.minimum(np.searchsorted(sums, places, side="right") - 1, len(sums) - 2)


def write(folder: Path, nodes: int, edges: int) -> None:
    """edges.tsv and labels.tsv."""
    keys, community = made(nodes, edges)
    with open(folder / "edges.tsv", "w") as file:
        for start in range(0, len(keys), 1_000_000):
            ends = divmod(keys[start : start + 1_000_000], nodes)
            pairs = zip(*(side.tolist() for side in ends), strict=True)
            file.write("".join([f"n{one}\tn{other}\n" for one, other in pairs]))
    labels = enumerate(community.tolist())
    (folder / "labels.tsv").write_text("".join(f"n{node}\tc{label}\n" for node, label in labels))


def measured(*command: str | Path) -> dict[str, Any]:
    """Seconds of the clock and of the processors, peak bytes, and both outputs of a command."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as talk:
        process = subprocess.Popen(
            [sys.executable, "-m", "exact2vec", *map(str, command)], stdout=out, stderr=talk
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        for file in (out, talk):
            file.seek(0)
        shown, said = out.read(), talk.read()
    if status:
        raise RuntimeError(f"exit code {os.waitstatus_to_exitcode(status)}: {said[-2000:]}")
    return {
        "wall_seconds": wall,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": used.ru_maxrss * 1024,
        "said": [line for line in said.splitlines() if line.startswith(SAID)],
        "shown": shown,
    }


def run(results: Path, nodes: int, edges: int) -> None:
    """A line for training, and one for judging labels."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder, graph = Path(name), {"nodes": nodes, "edges": edges}
        write(folder, nodes, edges)
        hops = "--kind", "edges", "--hops", "2"
        found = measured("train", folder / "edges.tsv", *hops, "-o", folder / "run")
        del found["shown"]
        raw.append(results, graph | {"command": "train --kind edges --hops 2"} | found)
        found = measured("evaluate", folder / "run", "--labels", folder / "labels.tsv", "--json")
        (labels,) = json.loads(found.pop("shown"))["labels"].values()
        micro = {f"{score['trained']:g}": score["micro"] for score in labels["scores"]}
        raw.append(results, graph | {"command": "evaluate --labels", "micro": micro} | found)


def table(rows: list[dict[str, Any]]) -> str:
    """What was forecast of the whole training, and what each command took."""
    lines = ["| command | nodes | edges | minutes | CPU minutes | peak GB | forecast GB |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in rows:
        cells = [f"`{row['command']}`", f"{row['nodes']:,}", f"{row['edges']:,}"]
        cells += [f"{row[name] / 60:.1f}" for name in ("wall_seconds", "cpu_seconds")]
        cells += [f"{row['peak_bytes'] / 1e9:.1f}", forecast(row["said"])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def forecast(said: list[str]) -> str:
    """The largest number of gigabytes that was forecast."""
    found = [float(number) for number in re.findall(r"([\d.]+) GB", " ".join(said))]
    return f"{max(found):.1f}" if found else ""


if __name__ == "__main__":
    if sys.argv[1] == "table":
        raw.put(MEASURED, "large graph", table(raw.read(RESULTS)))
    else:
        sizes = [int(size) for size in sys.argv[3:5]] or [NODES, EDGES]
        run(Path(sys.argv[2]), *sizes)
