"""What a fresh process shows of the losses: its peak of memory, and the seconds of a first call.

python benchmarks/losses_processes.py memory PACKAGE ENGINE TARGET N D V      prints bytes
python benchmarks/losses_processes.py first PACKAGE FUNCTION                  prints seconds
"""

import contextlib
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]

SIZE = (2048, 128, 32000)
KINDS = (
    "index",
    "smoothing",
    "probabilities",
    "dense counts",
    "CSR counts",
    "probabilities with gradient",
)
FUNCTIONS = ("cross_entropy", "linear_cross_entropy", "nll_loss of log_softmax")


# The parent -------------------------------------------------------------------------------------


def child(packages: dict[str, Any], *arguments: object) -> float | None:
    """The number that this file prints in a process of its own; None where it prints none."""
    places = [str(Path(package.__file__).parents[1]) for package in packages.values()]
    command = [sys.executable, "-W", "ignore", __file__, *map(str, arguments)]
    printed = subprocess.check_output(
        command, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    )
    return float(printed) if printed.strip() else None


def memory(packages: dict[str, Any]) -> Iterator[Row]:
    """The peak beyond what is given and returned, in bytes and in rows of V numbers."""
    chosen = [(name, package.__name__, "chosen") for name, package in packages.items()]
    for kind in KINDS:
        row: Row = {"part": "memory", "shape": SIZE, "target": kind}
        for name, package, engine in [*chosen, ("tiled", packages["ours"].__name__, "tiled")]:
            peak = child(packages, "memory", package, engine, kind, *SIZE)
            if peak is not None:
                row[name] = {"extra_peak_bytes": int(peak), "rows": peak / 4 / SIZE[2]}
        yield row


def first_calls(packages: dict[str, Any]) -> Iterator[Row]:
    """Seconds from an imported torch to a first loss and its gradient, from a warm cache."""
    for function in FUNCTIONS:
        turns: dict[str, list[float]] = {name: [] for name in packages}
        for turn in range(6):  # the first fills the cache
            for name, package in packages.items():
                seconds = child(packages, "first", package.__name__, function)
                if turn and seconds is not None:
                    turns[name].append(seconds)
        yield {"part": "first call", "target": function, "turns": turns}


# The child --------------------------------------------------------------------------------------


def forced_engine(package: str, engine: str) -> Any:
    """A context in which `engine` serves; None where the package has none."""
    if engine == "chosen":
        return contextlib.nullcontext()
    try:
        engines = importlib.import_module(f"{package}.loss.engine")
        return engines.forced(importlib.import_module(f"{package}.loss.engine.{engine}"))
    except ImportError:
        return None


def asked(kind: str, rows: int, words: int) -> Row:
    """The target of the linear loss, as its arguments."""
    import torch

    if kind.startswith("probabilities"):
        wanted = torch.rand(rows, words)
        return {"target": wanted.div_(wanted.sum(1, True)).requires_grad_("gradient" in kind)}
    if kind.endswith("counts"):
        counts = torch.poisson(torch.full((rows, words), 0.001))
        return {"counts": counts if kind == "dense counts" else counts.to_sparse_csr()}
    smoothing = {"label_smoothing": 0.1} if kind == "smoothing" else {}
    return {"target": torch.randint(words, (rows,)), **smoothing}


def status(key: str) -> int:
    """Bytes that the kernel states of this process: VmHWM, its peak, or VmRSS, now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


def extra_peak(package: str, kind: str, size: tuple[int, int, int]) -> int:
    """Bytes of one forward and backward at their peak, beyond arguments and gradients."""
    import torch

    losses, (rows, dim, words) = importlib.import_module(package), size
    inputs, outputs = torch.randn(rows, dim), torch.randn(words, dim)
    leaves = inputs.requires_grad_(), outputs.requires_grad_()
    how = asked(kind, rows, words)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = status("VmRSS")
    loss = losses.linear_cross_entropy(*leaves, **how)
    loss.backward()
    returned = 4 * dim * (rows + words) + ("gradient" in kind) * 4 * rows * words
    return status("VmHWM") - before - returned


def print_memory(package: str, engine: str, kind: str, *size: str) -> None:
    """A small call first pays for code and threads."""
    import torch

    torch.set_num_threads(2)
    context = forced_engine(package, engine)
    if context is not None:
        rows, dim, words = map(int, size)
        with context:
            extra_peak(package, kind, (300, dim, 3000))
            print(extra_peak(package, kind, (rows, dim, words)))


def print_first(package: str, function: str) -> None:
    import torch

    scores, target = torch.randn(64, 10, requires_grad=True), torch.randint(10, (64,))
    outputs = torch.randn(50, 10, requires_grad=True)
    torch.nn.functional.cross_entropy(scores, target).backward()  # type: ignore[no-untyped-call]
    began = time.perf_counter()
    losses = importlib.import_module(package)
    if function == "linear_cross_entropy":
        loss = losses.linear_cross_entropy(scores, outputs, target)
    elif function == "cross_entropy":
        loss = losses.cross_entropy(scores, target)
    else:
        loss = losses.nll_loss(losses.log_softmax(scores, dim=1), target)
    loss.backward()
    print(time.perf_counter() - began)


if __name__ == "__main__":
    if sys.argv[1] == "memory":
        print_memory(*sys.argv[2:])
    else:
        print_first(*sys.argv[2:])
