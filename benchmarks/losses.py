"""The losses by themselves: seconds, memory, first call and accuracy, ours beside torch's.

    python benchmarks/losses.py benchmarks/results/losses.jsonl [--before REV] [--only PART …]
    python benchmarks/losses.py benchmarks/results/losses.jsonl --device cuda

Seconds are of one process with two threads. In every turn each contestant runs once, and every
turn starts with another one; a ratio is the median of the ratios within a turn. `--before` puts
the package of an earlier commit beside today's, in the same turns. Writes a line a measurement,
with every turn. Of all lines of benchmarks/results/losses.jsonl it makes the tables of
docs/torch.md; other files of results leave the page alone.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import accuracy
import before
import losses_table
import numpy as np
import raw
import torch
import torch.nn.functional as F
from losses_processes import first_calls, memory
from raw import Row
from torch import Tensor

import exact2vec as e2v

TURNS = 9
THREADS = 2
REST = 0.03  # seconds, after which torch's threads no longer wait in a busy loop
DOCS = Path(__file__).parents[1] / "docs" / "torch.md"
DENSE = {(64, 10): 200, (8192, 1000): 1, (8, 21, 128, 128): 1}  # calls in a turn
DENSE_KINDS = ("index", "smoothing", "probabilities", "nll of log_softmax")
LINEAR = ((2048, 128, 32000), (1024, 768, 32000))
LINEAR_KINDS = ("index", "smoothing", "probabilities", "dense counts")
SMALL = ((1024, 64, 98), (8192, 128, 256))
CHUNKED = torch.nn.LinearCrossEntropyOptions
table = losses_table.table

Step = Callable[[], Any]


# One turn after the other -----------------------------------------------------------------------


def measured(
    steps: dict[str, Step], calls: int = 1, wait: Step = lambda: None, rest: float = 0.0
) -> Row:
    """Seconds and seconds of CPU of a call of every step, in every turn; a first turn warms up.

    Before each there is a `rest`, in seconds.
    """
    turns: dict[str, list[float]] = {name: [] for name in steps}
    cpu: dict[str, list[float]] = {name: [] for name in steps}
    names = list(steps)
    for turn in range(TURNS + 1):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            wait()
            time.sleep(rest)
            began, began_cpu = time.perf_counter(), time.process_time()
            for _ in range(calls):
                steps[name]()
            wait()
            if turn:
                turns[name].append((time.perf_counter() - began) / calls)
                cpu[name].append((time.process_time() - began_cpu) / calls)
    return {"calls": calls, "turns": turns, "cpu_turns": cpu}


def trained(loss: Callable[..., Tensor], *leaves: Tensor) -> Step:
    """A step that computes the loss of the leaves and their gradients."""

    def step() -> None:
        for leaf in leaves:
            leaf.grad = None
        loss(*leaves).backward()  # type: ignore[no-untyped-call]

    return step


# Given scores -----------------------------------------------------------------------------------


def dense_loss(kind: str, target: Tensor, losses: Any) -> Callable[[Tensor], Tensor]:
    """The loss of scores by a package (or torch.nn.functional)."""
    if kind == "nll of log_softmax":
        return lambda scores: losses.nll_loss(losses.log_softmax(scores, dim=1), target)
    smoothing = accuracy.SMOOTHING if kind == "smoothing" else 0.0
    return lambda scores: losses.cross_entropy(scores, target, label_smoothing=smoothing)


def dense(packages: dict[str, Any]) -> Iterator[Row]:
    """As in a model: torch's threads have just been at work, and wait in a busy loop for more."""
    for (shape, calls), kind in itertools.product(DENSE.items(), DENSE_KINDS):
        yield dense_row("dense", shape, kind, packages, calls=calls)


def dense_rested(packages: dict[str, Any]) -> Iterator[Row]:
    """Each contestant by itself: the threads of the one before are asleep."""
    for shape, kind in itertools.product(list(DENSE)[1:], DENSE_KINDS):
        yield dense_row("dense, rested", shape, kind, packages, rest=REST)


def dense_row(
    part: str, shape: tuple[int, ...], kind: str, packages: dict[str, Any], **how: Any
) -> Row:
    torch.manual_seed(0)
    scores = torch.randn(shape, requires_grad=True)
    target = torch.randint(shape[1], (shape[0], *shape[2:]))
    if kind == "probabilities":
        target = torch.randn(shape).softmax(1)
    contestants = packages | {"torch": F}
    steps = {
        name: trained(dense_loss(kind, target, losses), scores)
        for name, losses in contestants.items()
    }
    return {"part": part, "shape": shape, "target": kind, **measured(steps, **how)}


# Inputs times outputs ---------------------------------------------------------------------------


def wanted(kind: str, rows: int, words: int) -> Row:
    """The target of a linear loss, as its arguments."""
    if kind == "probabilities":
        return {"target": torch.randn(rows, words).softmax(1)}
    if kind == "dense counts":
        return {"counts": torch.poisson(torch.full((rows, words), 0.01))}
    smoothing = {"label_smoothing": accuracy.SMOOTHING} if kind == "smoothing" else {}
    return {"target": torch.randint(words, (rows,)), **smoothing}


def ours_linear(losses: Any, asked: Row) -> Callable[[Tensor, Tensor], Tensor]:
    def loss(inputs: Tensor, outputs: Tensor) -> Tensor:
        found: Tensor = losses.linear_cross_entropy(inputs, outputs, **asked)
        return found

    return loss


def eager(asked: Row) -> Callable[[Tensor, Tensor], Tensor]:
    """torch's cross_entropy of all scores; of counts, their sum by way of probabilities."""
    counts = asked.get("counts")
    if counts is None:
        return lambda inputs, outputs: F.cross_entropy(F.linear(inputs, outputs), **asked)
    return lambda inputs, outputs: (
        F.cross_entropy(F.linear(inputs, outputs), counts, reduction="sum") / counts.sum()
    )


def torch_linear(kind: str, asked: Row) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """torch's ways: eager, its linear loss as called plainly, and the options that cut chunks."""
    found = {"eager": eager(asked)}
    if kind != "dense counts":
        found["plain"] = partial(F.linear_cross_entropy, **asked)
    if kind == "index":
        for name, options in {
            "chunked": CHUNKED(),
            "chunked 256": CHUNKED(batch_chunk_size=256, chunking_method=None),
        }.items():
            found[name] = partial(F.linear_cross_entropy, **asked, options=options)
    return found


def products(inputs: Tensor, outputs: Tensor) -> Step:
    """The three products that no exact linear loss can do without."""
    x, u = inputs.detach(), outputs.detach()

    def step() -> None:
        scores = x @ u.T
        _ = scores @ u
        _ = scores.T @ x

    return step


def linear_row(part: str, size: tuple[int, int, int], kind: str, packages: Row) -> Row:
    torch.manual_seed(0)
    rows, dim, words = size
    inputs = torch.randn(rows, dim, requires_grad=True)
    outputs = (torch.randn(words, dim) * 0.1).requires_grad_()
    asked = wanted(kind, rows, words)
    losses = {name: ours_linear(package, asked) for name, package in packages.items()}
    if part == "linear":
        losses |= torch_linear(kind, asked)
    else:
        losses["eager"] = eager(asked)
    steps = {name: trained(loss, inputs, outputs) for name, loss in losses.items()}
    if (part, kind) == ("linear", "index"):
        steps["products"] = products(inputs, outputs)
    return {"part": part, "shape": size, "target": kind, **measured(steps)}


def linear(packages: Row) -> Iterator[Row]:
    for size, kind in itertools.product(LINEAR, LINEAR_KINDS):
        yield linear_row("linear", size, kind, packages)


def small(packages: Row) -> Iterator[Row]:
    for size, kind in itertools.product(SMALL, LINEAR_KINDS[:3]):
        yield linear_row("small", size, kind, packages)


def tiled(packages: Row) -> Iterator[Row]:
    """The engine of other devices, forced to serve the CPU."""
    try:
        from exact2vec.loss.engine import forced
        from exact2vec.loss.engine import tiled as engine
    except ImportError:
        print("tiled: this version has no such engine")
        return
    with forced(engine):
        for kind in LINEAR_KINDS:
            yield linear_row("tiled", LINEAR[0], kind, {"ours": packages["ours"]})


# Accuracy ---------------------------------------------------------------------------------------


def grid(packages: Row) -> Iterator[Row]:
    """The worst errors on a fixed grid of random scores, beside torch's."""
    for dtype, words in itertools.product(accuracy.DTYPES, (2, 1000, 50_000)):
        for sigma in (1.0, 5.0, 10.0, 20.0):
            torch.manual_seed(0)
            rows = max(16, min(4096, 400_000 // words))
            scores = (torch.randn(rows, words) * sigma).to(dtype)
            problem = accuracy.Problem("index", scores, accuracy.target_for("index", scores))
            what = {"dtype": str(dtype), "words": words, "sigma": sigma, "rows": rows}
            for name, losses in (("ours", packages["ours"]), ("torch", F)):
                what[name] = judged(losses, problem)
            yield {"part": "accuracy", **what}


def judged(losses: Any, problem: accuracy.Problem) -> Row:
    """Worst errors in units of the last place, and the share of losses that are wrongly 0."""
    wrong, wrong_gradient = accuracy.errors(losses, problem)
    loss, true = accuracy.computed(losses, problem)[0], accuracy.truth(problem).loss
    lost = (loss == 0) & (true >= torch.finfo(loss.dtype).tiny)
    return {
        "loss_ulps": float(wrong.amax()),
        "gradient_ulps": float(wrong_gradient.amax()),
        "losses_of_0": float(lost.double().mean()),
    }


def searched(packages: Row) -> Iterator[Row]:
    """The worst errors that the search finds, for every kind of target."""
    each = [(False, kind) for kind in accuracy.KINDS]
    each += [(True, kind) for kind in accuracy.LINEAR_KINDS]
    for (is_linear, kind), dtype in itertools.product(each, accuracy.DTYPES):
        found = accuracy.search(packages["ours"], kind, dtype, is_linear)
        row: Row = {"part": "search", "linear": is_linear, "target": kind, "dtype": str(dtype)}
        for what, worst in zip(("loss", "gradient"), found, strict=True):
            row |= {f"{what}_ulps": worst.ulps, f"{what}_where": worst.where}
        yield row


# Another device ---------------------------------------------------------------------------------


def on_device(device: str, packages: Row) -> Iterator[Row]:
    """Ours, eager and torch.compile on an accelerator, linear and dense, with the card's name."""
    torch.set_default_device(device)
    card = torch.cuda.get_device_name() if device == "cuda" else device
    wait = torch.accelerator.synchronize
    for shape, kind in itertools.product(((8192, 1000), (2048, 32000)), DENSE_KINDS):
        scores = torch.randn(shape, requires_grad=True)
        target = torch.randint(shape[1], shape[:1])
        if kind == "probabilities":
            target = torch.randn(shape).softmax(1)
        theirs = dense_loss(kind, target, F)
        losses = {"ours": dense_loss(kind, target, packages["ours"]), "eager": theirs}
        losses["compiled"] = torch.compile(theirs)
        steps = {name: trained(loss, scores) for name, loss in losses.items()}
        row = {"part": "device", "card": card, "shape": shape, "target": kind}
        yield row | measured(steps, 5, wait)
    for size, kind in itertools.product(LINEAR, LINEAR_KINDS):
        yield {"part": "device", "card": card, **linear_on_device(size, kind, packages, wait)}


def linear_on_device(size: tuple[int, int, int], kind: str, packages: Row, wait: Step) -> Row:
    rows, dim, words = size
    inputs = torch.randn(rows, dim, requires_grad=True)
    outputs = (torch.randn(words, dim) * 0.1).requires_grad_()
    asked = wanted(kind, rows, words)
    losses = {"ours": ours_linear(packages["ours"], asked), "eager": eager(asked)}
    losses["compiled"] = torch.compile(losses["eager"])
    steps = {name: trained(loss, inputs, outputs) for name, loss in losses.items()}
    return {"shape": size, "target": kind, **measured(steps, 3, wait)}


# All of it --------------------------------------------------------------------------------------

PARTS = {
    "dense": dense,
    "dense, rested": dense_rested,
    "linear": linear,
    "small": small,
    "tiled": tiled,
    "memory": memory,
    "first call": first_calls,
    "accuracy": grid,
    "search": searched,
}


def write(results: Path, part: str, rows: list[Row]) -> None:
    """The lines of the other parts, and these."""
    kept = [row for row in raw.read(results) if row.get("part") not in (None, part)]
    results.write_text("".join(json.dumps(row) + "\n" for row in [*kept, *rows]))


def has(device: str) -> bool:
    """Whether torch has this accelerator here."""
    return torch.accelerator.is_available() and (
        torch.accelerator.current_accelerator() == torch.device(device)
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--before", metavar="REV", help="a commit whose package runs beside ours")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--device", default="cpu", help="cpu, or an accelerator: cuda, mps")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(THREADS)
    packages = {"ours": e2v}
    if given.before:
        packages["before"] = before.package_before(given.before)
    parts = {name: PARTS[name] for name in given.only}
    if given.device != "cpu":
        if not has(given.device):
            raise SystemExit(
                f"no such device: torch {torch.__version__} has no {given.device} here"
            )
        parts = {"device": partial(on_device, given.device)}
    machine = raw.machine() | {"numpy": np.__version__, "threads": THREADS, "before": given.before}
    for name, part in parts.items():
        rows = []
        for row in part(packages):
            rows.append({**row, "machine": machine})
            print(losses_table.summary(row), flush=True)
        write(given.results, name, rows)
    if given.results.resolve() == (raw.RESULTS / "losses.jsonl").resolve():
        raw.put(DOCS, "losses", table(raw.read(given.results)))


if __name__ == "__main__":
    main()
