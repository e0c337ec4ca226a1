"""The last digits: ulps against float64, offsets, ties, infinities; where torch 2.13 is wrong."""

import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import exact2vec as e2v

LIMITS = {torch.float32: 3.0, torch.bfloat16: 0.51, torch.float16: 0.51}


def truth(scores, target):
    """In float64: log1p Σ_{i≠y} exp(z_i − z_y) where y is the largest, lse − z_y elsewhere.

    And p_i, and −Σ_{i≠y} p_i for y.
    """
    z, y = scores.double(), target[:, None]
    small = (z - z.gather(1, y)).scatter(1, y, -torch.inf).exp().sum(1).log1p()
    loss = torch.where(
        z.gather(1, y).squeeze(1) == z.amax(1), small, z.logsumexp(1) - z.gather(1, y).squeeze(1)
    )
    others = z.softmax(1).scatter(1, y, 0.0)
    return loss, others.scatter(1, y, -others.sum(1, keepdim=True))


def ulps(found, true, least=0.0):
    info = torch.finfo(found.dtype)
    unit = info.eps * 2.0 ** torch.floor(torch.log2(true.abs().clamp_min(info.tiny)))
    error = ((found.double() - true).abs() / unit)[true.abs() >= max(least, info.tiny)]
    return float(error.max()) if len(error) else 0.0


@pytest.mark.parametrize("dtype", LIMITS, ids=str)
@pytest.mark.parametrize("words", [2, 3, 1000, 50000])
@pytest.mark.parametrize("sigma", [1, 10, 20])
def test_loss_and_gradient_are_right_to_the_last_digits(dtype, words, sigma):
    torch.manual_seed(0)
    rows = max(8, min(2000, 200_000 // words))
    scores = (torch.randn(rows, words) * sigma).to(dtype).requires_grad_()
    target = torch.where(torch.rand(rows) < 0.5, scores.argmax(1), torch.randint(0, words, (rows,)))
    loss = e2v.cross_entropy(scores, target, reduction="none")
    loss.sum().backward()
    true, gradient = truth(scores.detach(), target)
    assert ulps(loss.detach(), true, words * 1.2e-38) <= LIMITS[dtype]
    assert ulps(scores.grad, gradient) <= LIMITS[dtype]
    log_p = e2v.nll_loss(e2v.log_softmax(scores.detach(), dim=1), target, reduction="none")
    assert ulps(log_p, true, words * 1.2e-38) <= LIMITS[dtype]


def test_confident_losses_are_not_zero():
    scores = torch.zeros(1, 1000)
    scores[0, 7] = 23
    assert e2v.cross_entropy(scores, torch.tensor([7])).item() == pytest.approx(
        999 * torch.tensor(-23.0).double().exp().item(), rel=1e-6
    )
    scores = torch.tensor([[16.7, 0.0]], requires_grad=True)
    e2v.cross_entropy(scores, torch.tensor([0])).backward()
    assert scores.grad[0, 0] == pytest.approx(
        -torch.exp(-scores.detach().double()[0, 0]).item(), rel=1e-6
    )


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=9))
def test_an_offset_of_whole_numbers_changes_no_bit(scores):
    z = torch.tensor([scores], dtype=torch.float32)
    losses = [e2v.cross_entropy(z + offset, torch.tensor([0])) for offset in (0, 2.0**23)]
    assert torch.equal(*losses)
    counts = torch.arange(1.0, len(scores) + 1)[None]
    assert torch.equal(*[e2v.cross_entropy(z + offset, counts=counts) for offset in (0, 2.0**23)])


@given(
    st.lists(
        st.sampled_from([0.0, 1.0, -1.0, 3e38, -3e38, -torch.inf, 1e-40, 88.0, 5.0]),
        min_size=1,
        max_size=7,
    ),
    st.data(),
)
def test_extreme_scores(scores, data):
    place = data.draw(st.integers(0, len(scores) - 1))
    scores[place] = 2.0 if scores[place] == -torch.inf else scores[place]
    z = torch.tensor([scores, scores]).T.contiguous().T.requires_grad_()
    target = torch.tensor([place, place])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss = e2v.cross_entropy(z, target, reduction="none")
    true, gradient = truth(z.detach(), target)
    if true.float().isfinite().all():
        loss.sum().backward()
    torch.testing.assert_close(loss.detach(), true.float(), rtol=3e-7, atol=1e-37 * len(scores))
    if z.grad is not None:
        torch.testing.assert_close(z.grad, gradient.float(), rtol=4e-7, atol=1e-37 * len(scores))


def test_excess_is_never_negative():
    for seed in range(20):
        torch.manual_seed(seed)
        counts = torch.randint(1, 10**8, (3, 40)).double()
        scores = counts.log() + torch.randn(3, 1) + 1e-9 * torch.randn(3, 40)
        terms = e2v.loss_terms(scores, counts=counts)
        assert (terms.excess >= 0).all()
        torch.testing.assert_close(terms.nll, terms.entropy + terms.excess, rtol=1e-12, atol=0)
        torch.testing.assert_close(terms.log_sum_exp, scores.logsumexp(1))


@pytest.mark.filterwarnings("ignore")
def test_where_torch_is_wrong():
    half = torch.zeros(1, 70_000, dtype=torch.float16)
    assert e2v.log_softmax(half, dim=1)[0, 0].item() == pytest.approx(-11.156, abs=4e-3)
    many = torch.zeros(65_536, 2, dtype=torch.float16)
    assert e2v.cross_entropy(many, torch.zeros(65_536, dtype=torch.int8)).item() == pytest.approx(
        0.6931, abs=4e-4
    )
    scores = torch.tensor([[1.0, -torch.inf]], requires_grad=True)
    loss = e2v.cross_entropy(scores, torch.tensor([[1.0, 0.0]]))
    loss.backward()
    assert loss == 0
    assert scores.grad.isfinite().all()
    inputs, outputs = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    bias = torch.tensor([0, -torch.inf, 0, 0, 0])
    e2v.linear_cross_entropy(
        inputs, outputs, torch.tensor([0, -100, 2]), linear_bias=bias
    ).backward()
    assert inputs.grad.isfinite().all()
    assert (inputs.grad[1] == 0).all()
    x, u = torch.randn(300, 32).bfloat16(), torch.randn(5000, 32).bfloat16()
    target = torch.randint(0, 5000, (300,))
    exact = torch.nn.functional.cross_entropy(x.double() @ u.double().T, target)
    assert e2v.linear_cross_entropy(x, u, target).item() == pytest.approx(exact.item(), rel=2**-8)


@pytest.mark.filterwarnings("ignore")
def test_nothing_to_count():
    for shape in ((0, 3), (2, 0), (0, 0)):
        target = torch.empty(shape[0], dtype=torch.long).fill_(-100)
        assert e2v.cross_entropy(torch.zeros(shape), target).isnan()
        assert e2v.cross_entropy(torch.zeros(shape), target, reduction="sum") == 0
    scores = torch.zeros(2, 3, requires_grad=True)
    e2v.cross_entropy(scores, torch.tensor([-100, -100]), reduction="sum").backward()
    assert (scores.grad == 0).all()


@pytest.mark.filterwarnings("ignore")
@given(
    st.integers(1, 6),
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.float16]),
)
def test_expanded_and_strided_scores_are_their_copies(rows, words, expanded, dtype):
    base = torch.randn(
        1 if expanded else rows, 2 * words, generator=torch.Generator().manual_seed(rows + words)
    ).to(dtype)
    scores = base.expand(rows, -1)[:, ::2].detach().requires_grad_()
    target = torch.arange(rows) % words
    found = []
    for given_scores in (scores, scores.detach().clone().contiguous().requires_grad_()):
        loss = e2v.cross_entropy(given_scores, target)
        found.append((loss.detach(), *torch.autograd.grad(loss, given_scores)))
    assert all(map(torch.equal, *found))
    assert words > 1 or found[0][0] == 0
