"""The losses by themselves: accuracy in ulps, speed, extra memory and the price of the checks, beside torch's, in one run.

    python benchmarks/losses.py benchmarks/results/losses.jsonl [how many of SIZES, all by default]

Truth is the log1p form in float64 of the scores as stored. Seconds are medians of turns, one function after the other in each; a ratio is
the median of the ratios within a turn, with its least and greatest. Writes a line a measurement, with every turn.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import raw
import torch
import torch.nn.functional as F

import exact2vec as e2v
from exact2vec.loss import checks

REPEATS = 3
SIZES = [(2048, 128, 32000), (2048, 768, 32000), (1024, 128, 200000)]
DOCS = Path(__file__).parents[1] / "docs" / "torch.md"


def truth(scores: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and gradient of each row in float64: S = Σ_{i≠y} exp(z_i − z_y), shifted where it overflows."""
    z = scores.double()
    d = (z - z.gather(1, target[:, None])).scatter(1, target[:, None], -torch.inf)
    m = d.amax(1).clamp_min(0)
    e = (d - m[:, None]).exp()
    s, own = e.sum(1), (-m).exp()
    loss = torch.where(m > 0, m + (s + own).log(), s.log1p())
    return loss, (e / (s + own)[:, None]).scatter(1, target[:, None], -(s / (s + own))[:, None])


def ulps(found: torch.Tensor, true: torch.Tensor, least: float) -> float:
    """The largest error in units of the last place of found's format, where |true| ≥ `least`."""
    info = torch.finfo(found.dtype)
    unit = info.eps * 2.0 ** torch.floor(torch.log2(true.abs().clamp_min(info.tiny)))
    error = (found.double() - true).abs() / unit
    return float(error[true.abs() >= max(least, info.tiny)].amax())


def accuracy(dtype: torch.dtype, words: int, sigma: float) -> dict[str, Any]:
    torch.manual_seed(0)
    rows = max(16, min(4096, 400_000 // words))
    scores = (torch.randn(rows, words) * sigma).to(dtype)
    target = torch.where(torch.rand(rows) < 0.5, scores.argmax(1), torch.randint(0, words, (rows,)))
    true, true_gradient = truth(scores, target)
    found: dict[str, Any] = {
        "kind": "accuracy",
        "dtype": str(dtype),
        "words": words,
        "sigma": sigma,
        "rows": rows,
    }
    for name, function in (("exact2vec", e2v.cross_entropy), ("torch", F.cross_entropy)):
        leaf = scores.clone().requires_grad_()
        loss = function(leaf, target, reduction="none")
        loss.sum().backward()
        assert leaf.grad is not None
        found[f"{name}_loss_ulps"] = ulps(loss.detach(), true, words * 1.2e-38)
        found[f"{name}_gradient_ulps"] = ulps(leaf.grad, true_gradient, 0)
        found[f"{name}_losses_of_0"] = float(
            ((loss == 0) & (true > words * torch.finfo(dtype).tiny)).double().mean()
        )
    return found


def timed(functions: dict[str, Any], repeats: int = REPEATS) -> dict[str, Any]:
    """The median seconds of each, and all of them, one function after the other in each turn; a first turn is not counted."""
    turns: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(repeats + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            if turn:
                turns[name].append(time.perf_counter() - began)
    return {
        **{f"{name}_seconds": statistics.median(values) for name, values in turns.items()},
        "turns": turns,
    }


def ratio(row: dict[str, Any], other: str, digits: int = 2) -> str:
    """Ours over the other's in the same turn: median (least–greatest)."""
    found = [
        ours / theirs
        for ours, theirs in zip(row["turns"]["exact2vec"], row["turns"][other], strict=True)
    ]
    return (
        f"{statistics.median(found):.{digits}f} ({min(found):.{digits}f}–{max(found):.{digits}f})"
    )


def linear(rows: int, dim: int, words: int, threads: int) -> dict[str, Any]:
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    x, u = torch.randn(rows, dim).requires_grad_(), (torch.randn(words, dim) * 0.1).requires_grad_()
    y = torch.randint(0, words, (rows,))
    chunked = torch.nn.LinearCrossEntropyOptions
    plain, plain_u = x.detach(), u.detach()

    def products() -> None:
        z = plain @ plain_u.T
        _ = z @ plain_u
        _ = z.T @ plain

    def run(loss: Any, **extra: Any) -> Any:
        def step() -> None:
            x.grad = u.grad = None
            loss(x, u, y, **extra).backward()

        return step

    few = max(1, round(0.02 * rows))
    found = timed(
        {
            "products": products,
            "eager": run(lambda x, u, y: F.cross_entropy(F.linear(x, u), y)),
            "torch_chunked": run(F.linear_cross_entropy, options=chunked()),
            "torch_chunked_256": run(
                F.linear_cross_entropy, options=chunked(batch_chunk_size=256, chunking_method=None)
            ),
            "exact2vec": run(e2v.linear_cross_entropy),
            "exact2vec_2_percent": run(e2v.linear_cross_entropy, rows=few),
        }
    )
    run(e2v.linear_cross_entropy)()
    assert x.grad is not None
    assert u.grad is not None
    import hashlib

    digest = hashlib.sha256(x.grad.numpy().tobytes() + u.grad.numpy().tobytes()).hexdigest()
    return {
        "kind": "linear",
        "rows": rows,
        "dim": dim,
        "words": words,
        "threads": threads,
        "few_rows": few,
        "gradients": digest,
        **found,
    }


def memory(rows: int, dim: int, words: int) -> dict[str, Any]:
    """Peak bytes beyond inputs and gradients, of a process of its own; the first call, at a small size, has paid for code and threads."""
    code = f"""
import torch, exact2vec as e2v
def peak(): return int([line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1]) * 1024
def resident(): return int([line for line in open('/proc/self/status') if line.startswith('VmRSS')][0].split()[1]) * 1024
def step(rows, words):
    x, u, y = torch.randn(rows, {dim}).requires_grad_(), torch.randn(words, {dim}).requires_grad_(), torch.randint(0, words, (rows,))
    before = resident()
    e2v.linear_cross_entropy(x, u, y).backward()
    return before
step(300, 3000)
before = step({rows}, {words})
print(peak() - before)
"""
    extra = int(subprocess.check_output([sys.executable, "-c", code], text=True)) - 4 * dim * (
        rows + words
    )
    return {
        "kind": "memory",
        "rows": rows,
        "dim": dim,
        "words": words,
        "extra_peak_bytes": extra,
        "rows_times_words": extra / 4 / words,
    }


def dense(rows: int, words: int, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    scores, target = torch.randn(rows, words).requires_grad_(), torch.randint(0, words, (rows,))

    def run(function: Any) -> Any:
        def step() -> None:
            scores.grad = None
            function(scores, target).backward()

        return step

    found = timed({"torch": run(F.cross_entropy), "exact2vec": run(e2v.cross_entropy)}, 11)
    return {"kind": "dense", "rows": rows, "words": words, "threads": threads, **found}


def check_cost(rows: int, words: int) -> dict[str, Any]:
    """Seconds of all checks of one cross_entropy, and their share of its forward pass."""
    scores, target = torch.randn(rows, words), torch.randint(0, words, (rows,))
    times = 2000 if rows * words < 10**6 else 50

    def look() -> None:
        checks.scores(scores, target)
        checks.class_dim(tuple(scores.shape), target, None)
        checks.weight(None, words, scores.dtype)
        checks.index_target(target, (rows,), tuple(scores.shape))
        if checks.looks(scores):
            checks.index_values(target, words, -100)
            checks.not_probabilities(scores)

    look()
    spans = []
    for _ in range(times):
        began = time.perf_counter()
        look()
        spans.append(time.perf_counter() - began)
    whole = timed({"loss": lambda: e2v.cross_entropy(scores, target)}, 5)["loss_seconds"]
    return {
        "kind": "checks",
        "rows": rows,
        "words": words,
        "check_seconds": statistics.median(spans),
        "loss_seconds": whole,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The lines of docs/torch.md, a pure function of the results."""
    of = {
        kind: [row for row in rows if row["kind"] == kind]
        for kind in ("accuracy", "linear", "memory", "dense", "checks")
    }
    lines = [
        "| scores | V | largest error of the loss, ulp: ours / torch's | of the gradient: ours / torch's | losses rounded to 0: ours / torch's |",
        "|---|---|---|---|---|",
    ]
    for dtype in dict.fromkeys(row["dtype"] for row in of["accuracy"]):
        for words in dict.fromkeys(row["words"] for row in of["accuracy"]):
            these = [
                row for row in of["accuracy"] if (row["dtype"], row["words"]) == (dtype, words)
            ]
            worst = {
                key: max(row[key] for row in these)
                for key in these[0]
                if key.startswith(("exact2vec", "torch"))
            }
            lines.append(
                f"| {dtype.removeprefix('torch.')} | {words} | {worst['exact2vec_loss_ulps']:.3g} / {worst['torch_loss_ulps']:.3g} "
                f"| {worst['exact2vec_gradient_ulps']:.3g} / {worst['torch_gradient_ulps']:.3g} "
                f"| {worst['exact2vec_losses_of_0']:.1%} / {worst['torch_losses_of_0']:.1%} |"
            )
    lines += [
        "",
        "Forward and backward of the linear loss, float32: our seconds, and our time over the others' in the same turn, median (least–greatest):",
        "",
        "| N, D, V | threads | ours, s | three products | eager | torch chunked | torch, chunks of 256 | ours, rows= 2 % of N |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in of["linear"]:
        others = ("products", "eager", "torch_chunked", "torch_chunked_256", "exact2vec_2_percent")
        lines.append(
            f"| {row['rows']}, {row['dim']}, {row['words']} | {row['threads']} | {row['exact2vec_seconds']:.2f} | "
            + " | ".join(ratio(row, other) for other in others)
            + " |"
        )
    same = all(
        a["gradients"] == b["gradients"]
        for a in of["linear"]
        for b in of["linear"]
        if (a["words"], a["dim"]) == (b["words"], b["dim"])
    )
    lines += [
        "",
        f"The gradients of 1 and 2 threads are {'the same bits' if same else 'DIFFERENT'}. Extra memory in rows of V scores: "
        + ", ".join(
            f"{row['rows_times_words']:.0f} (V = {row['words']}, D = {row['dim']})"
            for row in of["memory"]
        )
        + ".",
        "",
        "| dense cross_entropy | threads | ours, s | torch, s | ratio |",
        "|---|---|---|---|---|",
    ]
    for row in of["dense"]:
        lines.append(
            f"| {row['rows']} × {row['words']} | {row['threads']} | {row['exact2vec_seconds']:.3g} | {row['torch_seconds']:.3g} | {ratio(row, 'torch')} |"
        )
    lines += [
        "",
        "All checks of a call: "
        + ", ".join(
            f"{row['check_seconds'] * 1e6:.0f} µs at {row['rows']} × {row['words']} ({row['check_seconds'] / row['loss_seconds']:.2%} of the forward pass)"
            for row in of["checks"]
        )
        + ".",
    ]
    return "\n".join(lines)


def main(results: Path, sizes: int = len(SIZES)) -> None:
    machine = raw.machine() | {"numpy": np.__version__}
    rows = [
        accuracy(dtype, words, sigma)
        for dtype in (torch.float32, torch.bfloat16, torch.float16)
        for words in (2, 1000, 50000)
        for sigma in (1.0, 5.0, 10.0, 20.0)
    ]
    rows += [linear(*size, threads) for size in SIZES[:sizes] for threads in (1, 2)]
    rows += [memory(*size) for size in SIZES[:sizes]]
    rows += [
        dense(*size, threads)
        for size in ((2048, 32000), (8192, 1000), (512, 100), (64, 10))
        for threads in (1, 2)
    ]
    rows += [check_cost(*size) for size in ((64, 10), (2048, 32000), (64, 200000))]
    results.write_text("".join(json.dumps({**row, "machine": machine}) + "\n" for row in rows))
    raw.put(DOCS, "losses", table(rows))
    print(table(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
