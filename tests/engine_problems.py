"""Problems that every engine must solve: awkward scores, and each kind of target."""

import itertools

import pytest
import torch

from exact2vec.loss import formulas, targets

MARKS = [
    pytest.mark.filterwarnings("ignore:Sparse"),
    pytest.mark.usefixtures("small_strips", "one_thread"),
]
NAMES = ["reference", "tiled", "compiled"]
KINDS = ["index", "probabilities", "counts", "csr", "coo"]
SETTINGS = [(weighted, smoothing) for weighted in (False, True) for smoothing in (0.0, 0.2)]
SCALES = [None, 0.3]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
SHAPES = [(7, 11, 1), (3, 5, 4), (1, 2, 1), (6, 1, 1), (9, 37, 1)]  # (outer, words, inner)
LINEAR = [(7, 3, 11), (13, 2, 1), (23, 4, 37)]  # (rows, dim, words)
PLACES = [  # a kind of target and a shape that has it: sparse counts have two dimensions
    (kind, shape)
    for kind, shape in itertools.product(KINDS, SHAPES)
    if kind not in ("csr", "coo") or shape[2] == 1
]


def close(found, expected, dtype=torch.float64, least=0.0):
    """Equal to some units in the last place of `dtype`, of the largest number or of `least`."""
    assert found.dtype == expected.dtype or not found.is_floating_point()
    assert found.shape == expected.shape
    size = max(least, expected.double().abs().max().item() if expected.numel() else 0.0)
    units = 64 if dtype in (torch.float64, torch.float32) else 2
    wide = (found.double(), expected.double())
    torch.testing.assert_close(*wide, rtol=0, atol=units * torch.finfo(dtype).eps * size + 1e-30)


def awkward(shape, dtype, seed=3):
    """Scores with a mean that is not zero, and counts: a row of nothing, a word never counted."""
    torch.manual_seed(seed)
    outer, words, inner = shape
    rows = outer * inner
    scores = ((torch.randn(shape) + 0.7) * 3).to(dtype)
    y = torch.randint(words, (rows,))
    counts = torch.poisson(torch.rand(rows, words) * 1.5)
    if rows > 2:
        y[2], counts[2] = -100, 0
    if words > 1:
        counts[:, 1] = 0
        y = y.where(y != 1, 0)
    counts[0, 0] += 2
    return scores, y, counts, (torch.rand(words) + 0.25).to(dtype)


def in_middle(rows, shape):
    """(row, words) as (outer, words, inner)."""
    outer, words, inner = shape
    return rows.reshape(outer, inner, words).movedim(-1, 1).contiguous()


def targets_of(kind, shape, problem, weighted, smoothing):
    _scores, y, counts, weight = problem
    weight = weight if weighted else None
    if kind == "index":
        return targets.of_indices(y, shape[1], weight, -100, smoothing)
    if kind == "probabilities":
        q = counts / counts.sum(dim=1, keepdim=True).clamp_min(1)
        return targets.of_probabilities(
            in_middle(q.to(weight_type(problem)), shape), weight, smoothing
        )
    if kind == "counts":
        return targets.of_counts(
            in_middle(counts.to(weight_type(problem)), shape), weight, smoothing
        )
    sparse = counts.double().to_sparse_csr() if kind == "csr" else counts.double().to_sparse()
    return targets.of_counts(sparse, weight, smoothing)


def one_hot_targets(kind, counts):
    """Targets of counts that are one word a row, of each kind without weights or smoothing."""
    if kind == "index":
        return targets.of_indices(counts.argmax(dim=1), counts.shape[1], None, -100, 0.0)
    if kind == "probabilities":
        return targets.of_probabilities(counts[:, :, None], None, 0.0)
    return targets.of_counts(
        counts.to_sparse_csr() if kind == "csr" else counts[:, :, None], None, 0.0
    )


def weight_type(problem):
    return problem[3].dtype


def by_formula(rows, matrix, scale):
    """formulas.py in float64, where the rows that count nothing lose nothing."""
    nll = formulas.target_nll(rows, matrix)
    return nll if scale is None else nll.sum() * scale


def direction_for(loss):
    return torch.linspace(0.5, 2, loss.numel(), dtype=loss.dtype).reshape(loss.shape)


def gradients_of(loss, leaves):
    return torch.autograd.grad((loss * direction_for(loss)).sum(), leaves)


def linear_problem(rows, dim, words, dtype):
    problem = awkward((rows, words, 1), dtype)
    torch.manual_seed(rows)
    leaves = [torch.randn(rows, dim) + 0.3, torch.randn(words, dim) - 0.2, torch.randn(words)]
    return problem, [leaf.to(dtype) for leaf in leaves]


def ulps(found, true):
    info = torch.finfo(found.dtype)
    unit = info.eps * 2.0 ** torch.floor(torch.log2(true.abs().clamp_min(info.tiny)))
    return float(((found.double() - true).abs() / unit)[true.abs() >= info.tiny].max())
