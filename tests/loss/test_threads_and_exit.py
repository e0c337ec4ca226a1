"""No bit depends on the number of threads, and no interpreter hangs or complains when it ends."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import exact2vec as e2v

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
MANY = 10_000_003
SIZES = [(dtype, rows) for dtype in DTYPES for rows in (100_003, 1_000_003)]
SIZES += [pytest.param(DTYPES[0], MANY, marks=pytest.mark.soak)]
SIZES += [pytest.param(dtype, MANY, marks=pytest.mark.fuzz) for dtype in DTYPES[1:]]
TWO = {
    "index": lambda z, y, how: e2v.cross_entropy(z, y, reduction=how),
    "weights": lambda z, y, how: e2v.cross_entropy(
        z, y, torch.tensor([0.3, 1.7]).to(z.dtype), reduction=how
    ),
    "smoothing": lambda z, y, how: e2v.cross_entropy(z, y, reduction=how, label_smoothing=0.1),
    "probabilities": lambda z, y, how: e2v.cross_entropy(
        z, torch.stack([y, 1 - y], 1).to(z.dtype), reduction=how
    ),
    "counts": lambda z, y, how: e2v.cross_entropy(
        z, counts=torch.stack([y, 3 - y], 1).to(z.dtype), reduction=how
    ),
    "nll_loss": lambda z, y, how: e2v.nll_loss(e2v.log_softmax(z, dim=1), y, reduction=how),
    "nll_loss, weights": lambda z, y, how: e2v.nll_loss(
        e2v.log_softmax(z, dim=1), y, torch.tensor([0.3, 1.7]).to(z.dtype), reduction=how
    ),
}
REDUCTIONS = ["mean", "sum", "none"]


@pytest.fixture
def thread_counts():
    """Numbers of threads to compare; torch's own is put back."""
    before = torch.get_num_threads()
    yield (1, 2, 3)
    torch.set_num_threads(before)


def values(loss, leaves):
    """The loss and its gradients, of a loss for each row or of one for all."""
    found = loss(*leaves)
    return [found.detach(), *torch.autograd.grad(found, leaves, torch.ones_like(found))]


def same_bits(loss, leaves, thread_counts):
    every = []
    for threads in thread_counts:
        torch.set_num_threads(threads)
        every.append(values(loss, leaves))
    return all(
        torch.equal(a, b) for other in every[1:] for a, b in zip(every[0], other, strict=True)
    )


@pytest.mark.parametrize(("dtype", "rows"), SIZES, ids=str)
@pytest.mark.parametrize("kind", TWO)
def test_no_bit_depends_on_threads(kind, dtype, rows, thread_counts):
    torch.manual_seed(0)
    scores = (4 * torch.randn(rows, 2)).to(dtype).requires_grad_()
    target = torch.randint(2, (rows,))
    for how in REDUCTIONS:
        assert same_bits(lambda z, how=how: TWO[kind](z, target, how), [scores], thread_counts), how


@pytest.mark.parametrize(("dtype", "rows"), SIZES, ids=str)
def test_no_bit_of_the_linear_loss_depends_on_threads(dtype, rows, thread_counts):
    torch.manual_seed(0)
    inputs = torch.randn(rows, 3).to(dtype).requires_grad_()
    outputs = torch.randn(5, 3).to(dtype).requires_grad_()
    bias = torch.randn(5).to(dtype).requires_grad_()
    target = torch.randint(5, (rows,))
    for how in REDUCTIONS if rows < MANY else ["mean"]:

        def loss(x, u, b, how=how):
            return e2v.linear_cross_entropy(x, u, target, linear_bias=b, reduction=how)

        assert same_bits(loss, [inputs, outputs, bias], thread_counts), how


def test_no_bit_depends_on_threads_where_classes_are_many(thread_counts):
    """A large block first: linear algebra on a worker must keep to one thread ever after."""
    torch.set_num_threads(3)
    wide = torch.randn(100_003, 3, requires_grad=True)
    e2v.linear_cross_entropy(
        wide, torch.randn(5, 3), torch.zeros(100_003).long(), rows=50_000
    ).backward()
    torch.manual_seed(0)
    inputs = torch.randn(300, 20, requires_grad=True)
    outputs = torch.randn(5003, 20, requires_grad=True)
    target = torch.randint(5003, (300,))
    assert same_bits(
        lambda x, u: e2v.linear_cross_entropy(x, u, target), [inputs, outputs], thread_counts
    )


# The end of an interpreter ----------------------------------------------------------------------

PREPARED = """
import os, sys, threading, time, warnings
import torch
import exact2vec as e2v
torch.manual_seed(0)
scores, target = torch.randn(400, 1000), torch.randint(1000, (400,))
inputs, outputs = torch.randn(400, 16), torch.randn(3000, 16)
def losses():
    z, x, u = (one.clone().requires_grad_() for one in (scores, inputs, outputs))
    dense, linear = e2v.cross_entropy(z, target), e2v.linear_cross_entropy(x, u, target)
    (dense + linear + e2v.nll_loss(e2v.log_softmax(z, dim=1), target)).backward()
    return f"{dense.item():.4f} {linear.item():.4f}"
"""
# A child uses one thread of torch's own, as the workers of a DataLoader do: those of OpenMP do not
# survive a fork.
FORK = """
sys.stdout.flush()
child = os.fork()
if not child:
    torch.set_num_threads(1)
    print(losses())
    sys.exit()
_, status = os.waitpid(child, 0)
assert status == 0, status
"""
THREAD = """
def late():
    time.sleep(.5)
    print(losses(), flush=True)
threading.Thread(target=late, daemon={daemon}).start()
"""
BUSY = """
def busy():
    while True:
        losses()
threading.Thread(target=busy, daemon=True).start()
time.sleep({seconds})
"""
FIRST = "print(losses(), flush=True)\n"
SCRIPTS = {
    "a loss, and the end": (FIRST, 1),
    "after a fork": (FIRST + FORK, 2),
    "first in the child of a fork": (FORK, 1),
    "two forks": (FIRST + FORK + FORK, 3),
    "in the child and again in the parent": (FIRST + FORK + FIRST, 3),
    "a thread that outlives the main one": (FIRST + THREAD.format(daemon=False), 2),
    "the first loss of all, in such a thread": (THREAD.format(daemon=False), 1),
    "a daemon that never gets to it": (FIRST + THREAD.format(daemon=True), 1),
    "at exit": ("import atexit\natexit.register(lambda: print(losses()))\n" + FIRST, 2),
    "first of all at exit": ("import atexit\natexit.register(lambda: print(losses()))\n", 1),
    "a loss in a thread that has ended": (
        "one = threading.Thread(target=losses)\none.start()\none.join()\n" + FIRST,
        1,
    ),
}


def run(script):
    """The script's process, where it ends in time."""
    return subprocess.run(
        [sys.executable, "-c", PREPARED + script],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(e2v.__file__).parents[1],
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_interpreter_ends_in_peace(name):
    script, times = SCRIPTS[name]
    done = run(script)
    assert done.stderr == ""
    assert done.returncode == 0
    printed = done.stdout.splitlines()
    assert len(printed) == times
    assert len(set(printed)) == 1


# What a daemon inside any torch operation makes of the end of an interpreter, with torch's own
# losses as with ours; beyond that there is nothing to hear.
ABORTED = "terminate called without an active exception\n"


@pytest.mark.parametrize("seconds", [0.05, 0.3])
def test_a_daemon_that_is_at_work_does_not_disturb_the_end(seconds):
    done = run(FIRST + BUSY.format(seconds=seconds))
    assert done.stderr in ("", ABORTED)
    assert len(done.stdout.splitlines()) == 1


def test_training_follows_a_first_loss_in_inference_mode():
    code = """
import torch, exact2vec as e2v
with torch.inference_mode():
    kept = torch.tensor([0, 1, 2, 0])
    e2v.cross_entropy(torch.zeros(4, 3), kept)
x = torch.zeros(4, 3, requires_grad=True)
for y in (kept.clone(), kept, torch.tensor([0, 9, 1, 9, 2, 9, 0, 9])[::2]):
    e2v.cross_entropy(x, y).backward()
    e2v.nll_loss(e2v.log_softmax(x, dim=1), y).backward()
    e2v.linear_cross_entropy(x, torch.eye(3), y).backward()
print(round(x.grad.sum().item(), 3))
"""
    printed = subprocess.check_output([sys.executable, "-W", "ignore", "-c", code], text=True)
    assert printed.strip() in ("0.0", "-0.0")
