"""The error of a loss in units of the last place, and a search for the scores where it is worst.

    python benchmarks/accuracy.py            prints the worst found of every kind of target

Truth is float64 of the scores as given, in a form that loses nothing to cancellation. With m the
largest score and K = Σ e^(z_k − m) over all classes but one of the largest,

    −log p_w = (m − z_w) + log1p K,      p_w = e^(z_w − m) / (1 + K)

A row asks for t: its loss is Σ t_w (−log p_w), its gradient T·p − t with T = Σ t. The unit of a
loss is the last place of its true value. That of a gradient is the last place of the larger of
T·p and t; where the target is an index, it is the last place of the true gradient itself. Values
that are not normal numbers of the dtype are left out.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

SMOOTHING = 0.1
COUNTS = ("dense counts", "CSR counts")
LOG_SOFTMAX = ("log_softmax", "nll of log_softmax")
KINDS = ("index", "smoothing", "probabilities", *COUNTS, *LOG_SOFTMAX)
LINEAR_KINDS = KINDS[:5]
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
SIZES = (2, 3, 1000, 250_000)
# powers of two, so that the gradient handed in is exact in every dtype; about 65,536 and 1e-20
UPSTREAM = {
    torch.float32: (1.0, 2.0**16, 2.0**-66),
    torch.bfloat16: (1.0, 2.0**16, 2.0**-66),
    torch.float16: (1.0, 2.0**11, 2.0**-10),
}


@dataclass(frozen=True)
class Problem:
    """Scores (N, V), what is asked of them, and the gradient that is handed in."""

    kind: str
    scores: Tensor
    target: Tensor
    weight: Tensor | None = None
    upstream: float = 1.0
    reduction: str = "none"
    family: str = ""

    def part(self, rows: Tensor) -> "Problem":
        """These rows alone."""
        return replace(self, scores=self.scores[rows], target=self.target[rows])

    def indexed(self) -> bool:
        return self.kind in ("index", "smoothing", "nll of log_softmax")

    def strict(self) -> bool:
        """Whether a gradient is judged by its own last place."""
        return self.kind == "index"


@dataclass(frozen=True)
class Worst:
    """The largest error found, in units of the last place, and the problem it was found at."""

    ulps: float
    where: str

    def worse(self, other: "Worst") -> "Worst":
        return other if other.ulps > self.ulps else self


NOTHING = Worst(0.0, "")


# Truth ------------------------------------------------------------------------------------------


def asked(problem: Problem) -> Tensor:
    """t (N, V) in float64: how much of each class every row asks for."""
    n, v = problem.scores.shape
    weight = torch.ones(v).double() if problem.weight is None else problem.weight.double()
    if problem.kind == "log_softmax":  # as it is handed in, which may be below the normal numbers
        given = problem.upstream * problem.target.to(problem.scores.dtype)
        return given.double() / problem.upstream
    if not problem.indexed():
        return problem.target.double() * weight
    own = torch.zeros(n, v).double().scatter(1, problem.target[:, None], 1.0)
    if problem.kind != "smoothing":
        return own * weight
    return ((1 - SMOOTHING) * own + SMOOTHING / v) * weight


def divisor(problem: Problem) -> Tensor | float:
    """What "mean" divides by: Σ of the weights of the targets, Σ of counts, or N."""
    if problem.indexed():
        ones = torch.ones(problem.scores.shape[1])
        return (ones if problem.weight is None else problem.weight).double()[problem.target].sum()
    return asked(problem).sum() if problem.kind in COUNTS else float(len(problem.scores))


@dataclass(frozen=True)
class Truth:
    """Loss of each row or of all, −log p, the gradient, and the number whose last place counts."""

    loss: Tensor
    nll: Tensor
    gradient: Tensor
    size: Tensor


def truth(problem: Problem) -> Truth:
    z, t = problem.scores.double(), asked(problem)
    largest, top = z.max(1, keepdim=True)
    e = (z - largest).exp()
    rest = e.scatter(1, top, 0.0).sum(1, keepdim=True)
    nll, total = (largest - z) + rest.log1p(), t.sum(1, keepdim=True)
    expected = total * (e / (1 + rest))
    loss, gradient = torch.where(t > 0, t * nll, 0).sum(1), expected - t
    size = torch.maximum(expected, t)
    if problem.strict():
        own = problem.target[:, None]
        sure = torch.where(own == top, -total * rest / (1 + rest), gradient.gather(1, own))
        gradient = gradient.scatter(1, own, sure)
        size = gradient.abs()
    if problem.reduction != "none":
        loss = loss.sum()
    scale: Tensor | float = problem.upstream
    if problem.reduction == "mean":
        loss, scale = loss / divisor(problem), scale / divisor(problem)
    return Truth(loss, nll, gradient * scale, size * scale)


def ulps(found: Tensor, true: Tensor, size: Tensor | None = None) -> Tensor:
    """|found − true| in units of the last place of `size`; 0 where it is no normal number."""
    info = torch.finfo(found.dtype)
    size = true.abs() if size is None else size
    normal = (size >= info.tiny) & (size <= info.max)
    exponent = torch.frexp(size.clamp(info.tiny, info.max)).exponent
    unit = info.eps * torch.exp2(exponent.double() - 1)
    error = (found.double() - true).abs() / unit
    return torch.where(normal, error.nan_to_num(torch.inf), 0.0)


# What is judged ---------------------------------------------------------------------------------


def computed(losses: Any, problem: Problem, linear: bool = False) -> tuple[Tensor, Tensor]:
    """The loss by a module with cross_entropy, …, and the gradient at the scores.

    Where `linear`, the inputs are the unit matrix and the outputs the scores, transposed: every
    product is exact, and the gradient of the outputs is that of the scores.
    """
    scores = problem.scores.detach().clone().requires_grad_()
    if problem.kind in LOG_SOFTMAX:
        loss = losses.log_softmax(scores, dim=1)
        given = -problem.upstream * problem.target.to(loss.dtype) if loss.dim() > 1 else loss
        if problem.kind == "nll of log_softmax":
            loss = losses.nll_loss(loss, problem.target, reduction=problem.reduction)
            given = torch.full_like(loss, problem.upstream)
    else:
        loss = _cross_entropy(losses, problem, scores, linear)
        given = torch.full_like(loss, problem.upstream)
    loss.backward(given)
    assert scores.grad is not None
    return loss.detach(), scores.grad


def _cross_entropy(losses: Any, problem: Problem, scores: Tensor, linear: bool) -> Tensor:
    how: dict[str, Any] = {"weight": problem.weight, "reduction": problem.reduction}
    if problem.kind in COUNTS:
        sparse = problem.kind == "CSR counts"
        how["counts"] = problem.target.to_sparse_csr() if sparse else problem.target
    else:
        how["target"] = problem.target
    if problem.kind == "smoothing":
        how["label_smoothing"] = SMOOTHING
    if linear:
        unit = torch.eye(len(scores), dtype=scores.dtype)
        loss: Tensor = losses.linear_cross_entropy(unit, scores.T.contiguous(), **how)
    else:
        loss = losses.cross_entropy(scores, **how)
    return loss


def errors(losses: Any, problem: Problem, linear: bool = False) -> tuple[Tensor, Tensor]:
    """Errors in units of the last place: of the loss of each row or of all, of each row's
    gradient."""
    (loss, gradient), true = computed(losses, problem, linear), truth(problem)
    if problem.kind == "log_softmax":
        return ulps(-loss, true.nll).amax(1), ulps(gradient, true.gradient, true.size).amax(1)
    return ulps(loss, true.loss), ulps(gradient, true.gradient, true.size).amax(1)


# Where to look ----------------------------------------------------------------------------------


def _normal(rows: int, words: int) -> Tensor:
    """σ = 1, 10, 20."""
    return torch.randn(rows, words) * torch.tensor([1.0, 10.0, 20.0])[torch.arange(rows) % 3, None]


def _far(rows: int, words: int) -> Tensor:
    """One class at 0 and the others 80 to 104 below, where float32 runs out of normal numbers."""
    gap = 80 + 24 * torch.rand(rows, 1)
    scores = -gap - torch.rand(rows, words) * 4 * (torch.rand(rows, 1) < 0.5)
    return scores.index_fill(1, torch.tensor([0]), 0.0)


def _levels(rows: int, words: int) -> Tensor:
    """Each class anywhere from 0 to 104 below the first."""
    scores = -104 * torch.rand(rows, words)
    return scores.index_fill(1, torch.tensor([0]), 0.0)


def _sixty(rows: int, words: int) -> Tensor:
    """±60 with a little noise."""
    noise = torch.randn(rows, words) * torch.tensor([0.0, 1e-3, 1.0])[torch.arange(rows) % 3, None]
    return 60.0 * torch.sign(torch.randn(rows, words)) + noise


def _ties(rows: int, words: int) -> Tensor:
    """Small whole numbers; in every other row apart by a few units of the last place."""
    near = torch.tensor([1.0, 2.0**-21])[torch.arange(rows) % 2, None]
    return 3 + torch.randint(-2, 3, (rows, words)) * near


def _offset(rows: int, words: int) -> Tensor:
    """Scores of σ = 3 around ±1000."""
    return torch.randn(rows, words) * 3 + 1000 * torch.sign(torch.randn(rows, 1))


FAMILIES = {
    "σ of 1 to 20": _normal,
    "gap of 80 to 104": _far,
    "all gaps": _levels,
    "±60": _sixty,
    "ties": _ties,
    "offset of 1000": _offset,
}


def target_for(kind: str, scores: Tensor) -> Tensor:
    """Targets for these scores: half of the indices are the largest class; weights of classes are
    one class alone, a softmax of noise, or nearly the optimum."""
    n, v = scores.shape
    index = torch.where(torch.rand(n) < 0.5, scores.argmax(1), torch.randint(v, (n,)))
    if kind in ("index", "smoothing", "nll of log_softmax"):
        return index
    alone = torch.zeros(n, v).scatter(1, index[:, None], 1.0)
    noise = (3 * torch.randn(n, v)).softmax(1)
    near = scores.float().softmax(1)
    weights = torch.stack([alone, noise, near])[torch.arange(n) % 3, torch.arange(n)]
    if kind not in COUNTS:
        return weights.to(scores.dtype)
    most = 10.0 ** torch.randint(0, 16, (n, 1))
    return (weights * most).round() + alone


def directed(kind: str, dtype: torch.dtype, words: int, most_rows: int) -> Iterator[Problem]:
    """A problem of every family for each gradient handed in, every other one with class weights."""
    rows = max(1, min(most_rows, 300_000 // words))
    weights = itertools.cycle((None, None if kind in LOG_SOFTMAX else 2 * torch.rand(words)))
    for (name, family), upstream in itertools.product(FAMILIES.items(), UPSTREAM[dtype]):
        scores = family(rows, words).roll(int(torch.randint(words, ())), 1).to(dtype)
        weight = next(weights)
        yield Problem(
            kind,
            scores,
            target_for(kind, scores),
            None if weight is None else weight.to(dtype),
            upstream,
            family=f"{name}, V = {words}",
        )


def children(problem: Problem, parents: Tensor, count: int) -> Problem:
    """Each parent row and `count − 1` copies of it with scores moved by up to 1, or by 1e-7."""
    family = problem.part(parents.repeat(count))
    scores = family.scores.double()
    step = 10 ** (-7 + 7.5 * torch.rand(len(scores), 1).double()) * torch.randn_like(scores)
    step[: len(parents)] = 0
    moved = torch.where(torch.rand_like(scores) < 0.6, scores + step, scores)
    return replace(family, scores=moved.to(problem.scores.dtype))


def held(problem: Problem) -> Problem:
    """The problem with no finite score more than 86 below its row's largest.

    And with 0 for targets that are no normal number of float32 once a class weight multiplies
    them. Further down e^(z − m) and these products leave the normal numbers. The linear losses and
    the tiled engine do not look at them again in float64: docs/torch.md says where they end.
    """
    scores, target = problem.scores, problem.target
    least = scores.double().amax(dim=1, keepdim=True) - 86
    raised = scores.double().maximum(least).to(scores.dtype)
    if problem.weight is not None and not problem.indexed():
        small = asked(problem) < torch.finfo(torch.float32).tiny
        target = target.masked_fill(small, 0)
    return replace(problem, scores=torch.where(scores.isfinite(), raised, scores), target=target)


def climbed(losses: Any, problem: Problem, which: int, linear: bool, within: bool = False) -> Worst:
    """The worst error (0: loss, 1: gradient) after five generations from the 32 worst rows."""
    worst = NOTHING
    for _ in range(5):
        wrong = errors(losses, problem, linear)[which]
        worst = worst.worse(_worst_row(problem, wrong))
        if not len(wrong):
            break
        count = max(2, len(problem.scores) // 32)
        problem = children(problem, wrong.topk(min(32, len(wrong))).indices, count)
        problem = held(problem) if within else problem
    return worst


def _worst_row(problem: Problem, wrong: Tensor) -> Worst:
    if not float(wrong.amax()) > 0:
        return NOTHING
    row = int(wrong.argmax()) if wrong.dim() else 0
    what = f"{problem.family}, upstream {problem.upstream:.3g}"
    if problem.weight is not None:
        what += ", class weights"
    if problem.scores.shape[1] <= 3 and problem.reduction == "none":
        what += f", scores {problem.scores[row].tolist()}, target {problem.target[row].tolist()}"
        what += "" if problem.weight is None else f" x {problem.weight.tolist()}"
    return Worst(float(wrong.amax()), what)


def search(
    losses: Any,
    kind: str,
    dtype: torch.dtype,
    linear: bool = False,
    seed: int = 0,
    within: bool = False,
) -> tuple[Worst, Worst]:
    """The worst errors found of the loss and of its gradient, deterministic in `seed`.

    `within`: of problems as `held` makes them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        worst = [NOTHING, NOTHING]
        most_rows = 96 if linear else 1536
        for words in SIZES:
            for problem in directed(kind, dtype, words, most_rows):
                problem = held(problem) if within else problem
                for which, wrong in enumerate(errors(losses, problem, linear)):
                    worst[which] = worst[which].worse(_worst_row(problem, wrong))
                    if words <= 3 and problem.upstream > 1:
                        found = climbed(losses, problem, which, linear, within)
                        worst[which] = worst[which].worse(found)
    return worst[0], worst[1]


def search_means(losses: Any, kind: str, dtype: torch.dtype) -> tuple[Worst, Worst]:
    """The worst errors of the mean and sum over 10⁶ rows (V = 2 and 3) and of their gradients."""
    worst = [NOTHING, NOTHING]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for words, family in itertools.product((2, 3), ("σ of 1 to 20", "gap of 80 to 104")):
            scores = FAMILIES[family](10**6, words).to(dtype)
            for reduction in ("mean", "sum"):
                name = f"{reduction} over 10⁶ rows, {family}, V = {words}"
                target = target_for(kind, scores)
                problem = Problem(kind, scores, target, None, 1.0, reduction, name)
                for which, wrong in enumerate(errors(losses, problem)):
                    worst[which] = worst[which].worse(_worst_row(problem, wrong))
    return worst[0], worst[1]


def main() -> None:
    import exact2vec

    for linear, kinds in ((False, KINDS), (True, LINEAR_KINDS)):
        for kind, dtype in itertools.product(kinds, DTYPES):
            for what, worst in zip(
                ("loss", "gradient"), search(exact2vec, kind, dtype, linear), strict=True
            ):
                name = f"{'linear' if linear else 'dense'} {kind} {dtype} {what}"
                print(f"{name:50s} {worst.ulps:10.4g} {worst.where}", flush=True)


if __name__ == "__main__":
    main()
