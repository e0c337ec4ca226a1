"""Two spectral starts: weighted positive PMI, and the first-order solution of the exact loss.

    python benchmarks/start.py ../shared/data benchmarks/results/start.jsonl

Around u = 0 the loss is minimised, to first order, by products (n − N_c p) / (N_c p). Weighted as
the loss weighs them they are S = (n − N_c p)/√(N_c p), whose eigenvectors give x and u when the
weights are divided out.

Each start is tried at several scales (what multiplies the products), the positive PMI at several
weights too. It is judged by its own exact held-out NLL, and by that after one and two epochs, on
10,000 words with D = 50.
"""

import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import raw
import torch
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, eigsh

SCALES = (0.25, 0.5, 1.0, 1.4)


def first_order(counts: csr_array, rank: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """x and u of the largest eigenpairs of n / √(N_c N_w) − √(N_c N_w) / N.

    They are divided by √(N_c / N); no row is longer than ten mean rows.
    """
    totals = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    root = np.sqrt(np.maximum(totals, 1e-9))
    total = totals.sum()
    rows = np.repeat(np.arange(len(totals)), np.diff(counts.indptr))
    weighted = csr_array(
        (counts.data / root[rows] / root[counts.indices], counts.indices, counts.indptr),
        shape=counts.shape,
    )
    operator = LinearOperator(
        counts.shape,
        matvec=lambda vector: weighted @ vector - root * (root @ vector) / total,
        dtype=np.float64,
    )
    values, vectors = eigsh(operator, k=rank, which="LM", v0=np.ones(len(totals)), tol=1e-3)
    inputs = vectors * np.sqrt(scale * np.abs(values)) / (root / np.sqrt(total))[:, None]
    length = np.linalg.norm(inputs, axis=1, keepdims=True)
    inputs *= np.minimum(
        1, 10 * np.average(length[:, 0], weights=totals) / np.maximum(length, 1e-12)
    )
    return inputs, inputs * np.sign(values)


def table(rows: list[dict[str, Any]]) -> str:
    """Held-out NLL of each start, and after one and two epochs from it, in nats a pair."""
    lines = ["| start | scale | weights to the power | 0 epochs | 1 | 2 |", "|---" * 6 + "|"]
    for row in rows:
        power = f"{row['weight_power']:g}" if "weight_power" in row else ""
        losses = " | ".join(f"{row[f'held_out_nll_{epochs}']:.3f}" for epochs in (0, 1, 2))
        lines.append(f"| {row['start']} | {row['scale']:g} | {power} | {losses} |")
    return "\n".join(lines)


def main(data: Path, results: Path) -> None:
    from exact2vec import Text, count_text, fit
    from exact2vec.parallel import Workers
    from exact2vec.train import fit as training
    from exact2vec.train import spectral_start as start

    counts = count_text(Text(data / "text/wiki.txt.gz"), min_count=20, max_vocab=10_000)
    weighted, spectral_start = counts.weigh(counts.training), start.spectral_start
    bias = torch.from_numpy(np.log(counts.unigram).astype(np.float32))
    starts: list[tuple[dict[str, Any], Any]] = []
    for scale in SCALES:
        vectors = [
            torch.from_numpy(array.astype(np.float32)) for array in first_order(weighted, 50, scale)
        ]
        starts.append(({"start": "first order", "scale": scale}, start.Start(*vectors, bias)))
        for power in (0.0, 0.25, 0.5):
            with (
                patch.object(start, "STRETCH", scale),
                patch.object(start, "WEIGHT_POWER", power),
                Workers() as workers,
            ):
                starts.append(
                    (
                        {"start": "positive PMI", "scale": scale, "weight_power": power},
                        spectral_start(weighted, 50, seed=1, workers=workers),
                    )
                )
    for what, found in starts:
        row = dict(what)
        for epochs in (1, 2):
            copies = start.Start(*(tensor.clone() for tensor in found))
            with patch.object(training, "spectral_start", lambda *_, copies=copies, **__: copies):
                records = [
                    record
                    for record in fit(counts, vector_size=50, epochs=epochs, exact_every=0)
                    if record.held_out
                ]
            row |= {
                "held_out_nll_0": records[0].held_out.nll,
                f"held_out_nll_{epochs}": records[-1].held_out.nll,
            }  # type: ignore[union-attr]
        raw.append(results, row)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
