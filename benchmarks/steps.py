"""Steps that training does not take, beside Adam: averages of the last iterates, and Muon.

    python benchmarks/steps.py ../shared/data benchmarks/results/steps.jsonl    trains, adds lines
    python benchmarks/steps.py                                                  the table

The texts are wiki.txt, its 10,000 most frequent words of at least 20, D = 100, and python-docs,
with the default prior. Measured is the exact held-out NLL at the end, in nats.

Muon (Jordan 2024) moves the outputs along M (MᵀM)^(−½), M their momentum, exactly by an
eigendecomposition. NorMuon also divides each row by the root of its own mean square (Li et al.
2025). Both are scaled to a mean square of 1 a number, as Adam's steps are; the bias stays with
Adam.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import raw
import torch
from torch import Tensor

import exact2vec as e2v
from exact2vec.errors import DivergedError
from exact2vec.loss.count_losses import BLOCK_ROWS, WeightedCounts, exact_losses
from exact2vec.loss.engine.cells import Outputs, Workspace
from exact2vec.parallel import Workers
from exact2vec.train.optimizers import Memory, Optimizers, Step, adam_in_place

RESULTS = raw.RESULTS / "steps.jsonl"
MOMENTUM, ROW_MEMORY = 0.9, 0.95
ADAM_RATE = 0.05  # the first rate of the biases
EPOCHS = (2, 4)
MUON_RATES = (0.005, 0.01, 0.02, 0.05)
AVERAGES = (
    (0.05, 1 / 6),
    (0.05, 1 / 3),
    (0.08, 1 / 3),
)  # first rate, share of the steps that is averaged


def held_out_nll(counts: e2v.Counts, inputs: Tensor, outputs: Outputs) -> float:
    """The exact held-out NLL of these vectors, nats."""
    assert counts.held_out is not None
    counted = [WeightedCounts(counts.weigh(counts.held_out))]
    with Workers() as workers:
        workspace = Workspace.of(workers, BLOCK_ROWS, len(counts.words))
        unigram = torch.from_numpy(counts.unigram)
        return exact_losses(inputs, outputs, counted, unigram.log(), workspace)[0].nll


def averaged(counts: e2v.Counts, epochs: int, rate: float, share: float) -> float:
    """The held-out NLL of the mean of the vectors after each of the last `share` of the steps."""
    sums: list[Tensor] = []
    number = 0
    for record in e2v.fit(counts, epochs=epochs, exact_every=0, rate=rate):
        state = record.state
        if record.steps > record.step > (1 - share) * record.steps:
            rows = state.inputs.double(), state.output_rows.double()
            sums = [a + b for a, b in zip(sums, rows, strict=True)] if sums else list(rows)
            number += 1
    inputs, output_rows = ((total / number).float() for total in sums)
    return held_out_nll(counts, inputs, Outputs(output_rows, inputs.shape[1]))


@dataclass(frozen=True)
class Muon:
    """Output vectors of `dim` numbers by Muon, by NorMuon where `by_row`; biases by Adam.

    `rate` is the first one. It remembers the momentum, Adam's squares, and mean squares of rows.
    """

    rate: float
    by_row: bool
    dim: int = 100

    def init(self, rows: Tensor) -> Memory:
        return torch.zeros_like(rows), torch.zeros_like(rows), rows.new_zeros(len(rows), 1)

    def step(self, rows: Tensor, gradient: Tensor, memory: Memory, step: Step) -> None:
        momentum, square, _ = memory
        vectors, adam_rate = rows[:, : self.dim].clone(), ADAM_RATE * step.rate / self.rate
        arrays = (one.numpy() for one in (rows, momentum.clone(), square, gradient))
        adam_in_place(*arrays, step.scale, step.number, adam_rate)
        rows[:, : self.dim] = vectors
        momentum.mul_(MOMENTUM).add_(gradient, alpha=(1 - MOMENTUM) * step.scale)

    def finish(self, outputs: Outputs, memory: Memory, step: Step) -> None:
        momentum, _, squares = memory
        vectors = momentum[:, : self.dim].double()
        values, basis = torch.linalg.eigh(vectors.T @ vectors)
        moved = vectors @ (basis / values.clamp_min(1e-12 * values.max()).sqrt() @ basis.T)
        if self.by_row:
            means = moved.square().mean(dim=1, keepdim=True)
            squares.mul_(ROW_MEMORY).add_((1 - ROW_MEMORY) * means)
            moved /= (squares / (1 - ROW_MEMORY**step.number)).sqrt().clamp_min(1e-12)
        outputs.vectors.sub_((step.rate * moved / moved.square().mean().sqrt()).float())


def muon(counts: e2v.Counts, epochs: int, rate: float, *, by_row: bool) -> float:
    """The held-out NLL with the outputs stepped by Muon (by NorMuon where `by_row`)."""
    optimizers = Optimizers(outputs=Muon(rate, by_row))
    records = e2v.fit(counts, epochs=epochs, exact_every=0, rate=rate, optimizers=optimizers)
    *_, last = records
    assert last.held_out is not None
    return last.held_out.nll


def runs(counts: e2v.Counts) -> Iterator[tuple[str, int, Callable[[], float]]]:
    """(what, epochs, how) of every run."""
    for epochs in EPOCHS:

        def plain(epochs: int = epochs) -> float:
            *_, last = e2v.fit(counts, epochs=epochs, exact_every=0)
            return last.held_out.nll  # type: ignore[union-attr]

        yield "Adam", epochs, plain
        for rate, share in AVERAGES:
            yield (
                f"Adam, rate {rate:g}, mean of the last {share:.2f}",
                epochs,
                lambda e=epochs, r=rate, s=share: averaged(counts, e, r, s),
            )  # type: ignore[misc]
        for rate in MUON_RATES:
            for by_row in (False, True):
                name = f"{'NorMuon' if by_row else 'Muon'}, rate {rate:g}"
                yield name, epochs, lambda e=epochs, r=rate, b=by_row: muon(counts, e, r, by_row=b)  # type: ignore[misc]


def table(rows: list[dict[str, Any]]) -> str:
    """Held-out NLL of each way less that of Adam, in nats."""
    problems = list(dict.fromkeys((row["problem"], row["epochs"]) for row in rows))
    lines = [
        "| steps | " + " | ".join(f"{name}, {epochs} epochs" for name, epochs in problems) + " |",
        "|---" * (len(problems) + 1) + "|",
    ]
    found = {(row["steps"], row["problem"], row["epochs"]): row["held_out_nll"] for row in rows}
    for steps in dict.fromkeys(row["steps"] for row in rows):
        cells = []
        for problem in problems:
            value = found.get((steps, *problem), np.nan)
            cells.append(
                f"{value:.4f}" if steps == "Adam" else f"{value - found['Adam', *problem]:+.4f}"
            )
        lines.append(f"| {steps} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(data: Path, results: Path) -> None:
    problems = {
        "python-docs": lambda: e2v.count_text(e2v.Text("python-docs"), min_count=5, held_out=0.1),
        "wiki 10,000 words": lambda: e2v.count_text(
            e2v.Text(data / "text" / "wiki.txt.gz"), min_count=20, max_vocab=10_000
        ),
    }
    for problem, counted in problems.items():
        for steps, epochs, how in runs(counted()):
            try:
                nll = how()
            except DivergedError:
                nll = float("nan")
            row = {"problem": problem, "steps": steps, "epochs": epochs, "held_out_nll": nll}
            raw.append(results, row)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    print(table(raw.read(RESULTS)))
