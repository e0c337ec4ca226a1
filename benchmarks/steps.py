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
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import raw
import torch

import exact2vec as e2v
from exact2vec.errors import DivergedError
from exact2vec.loss.engine.cells import Outputs
from exact2vec.train import fit as fitting

RESULTS = raw.RESULTS / "steps.jsonl"
MOMENTUM, ROW_MEMORY = 0.9, 0.95
EPOCHS = (2, 4)
MUON_RATES = (0.005, 0.01, 0.02, 0.05)
AVERAGES = (
    (0.05, 1 / 6),
    (0.05, 1 / 3),
    (0.08, 1 / 3),
)  # first rate, share of the steps that is averaged


def averaged(counts: e2v.Counts, epochs: int, rate: float, share: float) -> float:
    """The held-out NLL of the mean of the vectors after each of the last `share` of the steps."""
    found: list[Any] = []

    def measured(problem: Any, record: Any, *, exact: bool) -> Any:
        if record.step == record.steps and found:
            total, number = found
            mean = fitting.replace(
                record.state,
                inputs=(total[0] / number).float(),
                output_rows=(total[1] / number).float(),
            )
            record = fitting.replace(record, state=mean)
        return original(problem, record, exact=exact)

    original = fitting.Problem.measured
    with mock.patch.object(fitting.Problem, "measured", measured):
        for record in fitting.fit(counts, epochs=epochs, exact_every=0, rate=rate):
            rows = record.state.inputs, record.state.output_rows
            if record.steps > record.step > (1 - share) * record.steps:
                total, number = found or (
                    [torch.zeros_like(tensor, dtype=torch.float64) for tensor in rows],
                    0,
                )
                for sums, tensor in zip(total, rows, strict=True):
                    sums += tensor
                found[:] = total, number + 1
    assert record.held_out is not None
    return record.held_out.nll


def muon(counts: e2v.Counts, epochs: int, rate: float, *, by_row: bool) -> float:
    """The held-out NLL with the outputs stepped by Muon (by NorMuon where `by_row`)."""
    adam, step = fitting.adam_in_place, fitting.step
    squares = torch.zeros(len(counts.words), 1)

    def momentum_and_bias(
        value: Any,
        mean: Any,
        square: Any,
        gradient: Any,
        scale: float,
        number: int,
        step_rate: float,
    ) -> None:
        before = value.copy()
        adam(value, mean.copy(), square, gradient, scale, number, 0.05 * step_rate / rate)
        value[:, :-LAST] = before[:, :-LAST]
        mean *= MOMENTUM
        mean += (1 - MOMENTUM) * scale * gradient

    def stepped(
        state: Any, block: Any, cells: Any, problem: Any, step_rate: float, input_rate: float
    ) -> Any:
        found = step(state, block, cells, problem, step_rate, input_rate)
        dim = len(state.inverse_metric)
        momentum = state.output_mean[:, :dim].double()
        values, basis = torch.linalg.eigh(momentum.T @ momentum)
        moved = momentum @ (basis / values.clamp_min(1e-12 * values.max()).sqrt() @ basis.T)
        if by_row:
            squares.mul_(ROW_MEMORY).add_(
                (1 - ROW_MEMORY) * moved.square().mean(dim=1, keepdim=True)
            )
            moved /= (squares / (1 - ROW_MEMORY ** (state.step + 1))).sqrt().clamp_min(1e-12)
        found.output_rows[:, :dim] -= (step_rate * moved / moved.square().mean().sqrt()).float()
        return found

    LAST = Outputs.of(torch.zeros(1, 100), torch.zeros(1)).rows.shape[1] - 100
    with (
        mock.patch.object(fitting, "adam_in_place", momentum_and_bias),
        mock.patch.object(fitting, "step", stepped),
    ):
        *_, last = fitting.fit(counts, epochs=epochs, exact_every=0, rate=rate)
    assert last.held_out is not None
    return last.held_out.nll


def runs(counts: e2v.Counts) -> Iterator[tuple[str, int, Callable[[], float]]]:
    """(what, epochs, how) of every run."""
    for epochs in EPOCHS:

        def plain(epochs: int = epochs) -> float:
            *_, last = fitting.fit(counts, epochs=epochs, exact_every=0)
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
