"""What the formulas say, against plain loops, autograd and finite differences."""

import by_hand
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from exact2vec.counts.counting import count_text
from exact2vec.errors import UsageError
from exact2vec.loss import tiles, tiles_cpu
from exact2vec.loss.explain import descend, explain
from exact2vec.loss.formulas import count_nll, entropy_floor, excess_terms, log_softmax
from exact2vec.loss.sweep import estimate, sweep
from exact2vec.loss.workers import Workers
from exact2vec.train.updates import adam_update


def awkward(contexts, words, dim=6, seed=1):
    """Away from the origin, one word never counted, rows of very different size."""
    torch.manual_seed(seed)
    inputs, outputs, bias = (
        torch.randn(contexts, dim) + 0.5,
        torch.randn(words, dim) - 0.2,
        torch.randn(words) * 2 + 1,
    )
    counts = torch.randint(0, 4, (contexts, words)).float() * torch.rand(
        contexts, 1
    ) * 100 + torch.rand(contexts, words)
    if words > 1:
        counts[:, words // 2] = 0
    return inputs.double(), outputs.double(), bias.double(), counts.double()


SIZES = [(1, 1), (3, 2), (5, 7), (11, 13), (4, 29)]


@pytest.mark.parametrize("sizes", SIZES)
def test_each_is_its_formula(sizes):
    problem = awkward(*sizes)
    lists = [value.tolist() for value in problem]
    assert count_nll(*problem).item() == pytest.approx(
        by_hand.count_nll(*lists), rel=1e-12, abs=1e-12
    )
    assert entropy_floor(problem[3]).item() == pytest.approx(
        by_hand.entropy_floor(lists[3]), rel=1e-12, abs=1e-12
    )


WAYS = {
    "torch": (tiles.TiledNLL, torch.float64, 1e-12),
    "compiled": (tiles_cpu.CompiledNLL, torch.float32, 3e-5),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tile", [1, 2, 5, 2048])
@pytest.mark.parametrize("sizes", SIZES)
def test_tiles_are_the_formulas(monkeypatch, sizes, tile, way):
    make, dtype, rel = WAYS[way]
    monkeypatch.setattr(tiles, "TILE_WORDS", tile)
    inputs, outputs, bias, dense = (value.to(dtype).double() for value in awkward(*sizes))
    leaves = [value.clone().requires_grad_() for value in (inputs, outputs, bias)]
    weights = torch.linspace(0.5, 2, sizes[0]).double()
    loss = count_nll(*leaves, dense)
    (count_nll(*leaves, dense * weights[:, None]) * (dense * weights[:, None]).sum()).backward()
    counts = tiles.WeightedCounts(csr_array(dense.to(dtype).numpy()))
    rows = tiles.rows_of(inputs, 1.0).to(dtype), tiles.rows_of(outputs, bias).to(dtype)
    d_outputs = torch.full_like(rows[1], torch.nan)
    with Workers(2) as workers:
        tiled = make(workers, sizes[1], sizes[0], *([dtype] if dtype == torch.float64 else []))
        (found,) = sweep(
            tiled, *rows, [counts], torch.zeros(sizes[1]).double(), row_weights=weights
        )
        d_inputs = tiled.gradients(
            rows[0],
            rows[1],
            np.arange(sizes[0]),
            counts,
            weights,
            lambda words, gradient: d_outputs[words].copy_(gradient),
        )
        cells = tiled.cell_nll(*rows, csr_array(dense.to(dtype).numpy()))
    lists = [value.tolist() for value in (inputs, outputs, bias, dense)]
    assert found.nll == pytest.approx(loss.item(), rel=rel, abs=rel)
    assert found.floor == pytest.approx(by_hand.entropy_floor(lists[3]), rel=rel, abs=rel)
    assert found.excess == pytest.approx(by_hand.excess(*lists), rel=1e3 * rel, abs=rel)
    row_nll = (dense * (-log_softmax(inputs @ outputs.T + bias))).sum(dim=1)
    assert found.objective == pytest.approx(
        float((weights * row_nll).sum()) / counts.total, rel=rel, abs=rel
    )
    assert (cells * dense.numpy()[dense.numpy() > 0]).sum() / counts.total == pytest.approx(
        loss.item(), rel=rel, abs=rel
    )
    gradients = d_inputs[:, :6], d_outputs[:, :6], d_outputs[:, 6]
    for got, leaf in zip(gradients, leaves, strict=True):
        torch.testing.assert_close(
            got.double(), leaf.grad, rtol=10 * rel, atol=rel * float(dense.sum())
        )
    assert not d_outputs[:, 7:].any()


def test_a_row_has_a_last_number_and_zeros():
    rows = tiles.rows_of(torch.ones(2, 6), torch.tensor([5.0, 7.0]))
    assert rows.tolist() == [[1, 1, 1, 1, 1, 1, 5, 0], [1, 1, 1, 1, 1, 1, 7, 0]]
    assert tiles.rows_of(torch.ones(2, 8), 1.0).shape == (2, 16)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 1.0]))
def test_the_uncounted_mass_is_the_same_both_ways(seed, counted_share):
    """Two rows of exponentials, where the counted cells hold most of a sum.

    What they hold is not taken away from the sum.
    """
    random = np.random.default_rng(seed)
    scores = random.standard_normal((3, 17)).astype(np.float32)
    scores[:, 4] += 30 * counted_share
    block = tiles.WeightedCounts(
        csr_array(
            (random.random((3, 40)) < 0.4) * np.float32(1) + np.eye(3, 40, k=9, dtype=np.float32)
        )
    )
    block = block.block(np.arange(3))
    found = {}
    for way, (make, *_) in WAYS.items():
        with Workers(1) as workers:
            tiled = make(workers, 40, 3)
            place = torch.zeros(len(block.words))
            found[way] = (
                tiled._terms(torch.from_numpy(scores.copy()), slice(5, 22), [block], [place]),
                place,
            )
    for one, other in zip(
        found["torch"][0][:2] + tuple(found["torch"][0][2]),
        found["compiled"][0][:2] + tuple(found["compiled"][0][2]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=3e-7, atol=0)
    assert torch.equal(found["torch"][1], found["compiled"][1])


@given(st.floats(-86, 0, width=32))
def test_the_compiled_exponential_has_an_ulp_of_error(score):
    scores, largest, sums = np.array([[score, 0]], np.float32), np.zeros(1, np.float32), np.zeros(1)
    tiles_cpu._exponentials(scores, largest, sums)
    assert scores[0, 0] == pytest.approx(np.exp(np.float64(score)), rel=1.2e-7)
    assert sums[0] == np.float64(scores[0, 0]) + 1


def test_count_nll_passes_gradcheck():
    *parameters, counts = awkward(3, 5)
    assert torch.autograd.gradcheck(
        lambda *leaves: count_nll(*leaves, counts), [value.requires_grad_() for value in parameters]
    )


@pytest.mark.parametrize("make", [tiles.TiledNLL, tiles_cpu.CompiledNLL])
def test_blocks_with_hot_scores_stay_finite(monkeypatch, make):
    monkeypatch.setattr(tiles, "TILE_WORDS", 3)
    bias = torch.tensor([1e4, -1e4, 0, -3e38, 5, 6, 7])
    rows = tiles.rows_of(torch.ones(1, 1), 1.0), tiles.rows_of(torch.zeros(7, 1), bias)
    counts = tiles.WeightedCounts(csr_array(np.array([[1, 2, 3, 0, 1, 1, 1]], np.float32)))
    d_bias = torch.zeros(7)
    with Workers(1) as workers:
        tiled = make(workers, 7, 1)
        d_inputs = tiled.gradients(
            *rows,
            np.arange(1),
            counts,
            torch.ones(1).double(),
            lambda words, gradient: d_bias[words].copy_(gradient[:, 1]),
        )
        (losses,) = tiled.losses(*rows, np.arange(1), [counts])
    assert losses.nll.item() == pytest.approx(2 * 2e4 + 3 * 1e4 + 3 * 1e4 - 18)
    assert torch.isfinite(d_inputs[:, 0]).all()
    assert d_bias.tolist() == pytest.approx([8, -2, -3, 0, -1, -1, -1], abs=1e-30)


def test_the_estimate_is_unbiased_and_its_error_honest():
    inputs, outputs, bias, dense = (value.float() for value in awkward(200, 40))
    counts = tiles.WeightedCounts(csr_array(dense.numpy()))
    unigram = torch.zeros(40).double()
    rows = tiles.rows_of(inputs, 1.0), tiles.rows_of(outputs, bias)
    with Workers(1) as workers:
        tiled = tiles_cpu.CompiledNLL(workers, 40, 64)
        exact = sweep(tiled, *rows, [counts], unigram)[0]
        found = [
            estimate(tiled, *rows, [counts], unigram, share=0.2, seed=seed)[0]
            for seed in range(200)
        ]
    errors = np.array([one.nll - exact.nll for one in found])
    stated = np.mean([one.standard_error for one in found])
    assert abs(errors.mean()) < 4 * stated / np.sqrt(200)
    assert 0.8 < errors.std() / stated < 1.25
    assert exact.standard_error is None


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=9))
def test_log_softmax_is_a_distribution_whatever_the_scores(scores):
    log_p = log_softmax(torch.tensor(scores, dtype=torch.float64))
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert (log_p <= 0).all()


def test_log_softmax_keeps_its_digits_as_p_nears_1():
    log_p = log_softmax(torch.tensor([50.0, 0.0, 0.0], dtype=torch.float64))
    assert log_p[0].item() == pytest.approx(-2 * np.exp(-50), rel=1e-14)
    assert explain([50, 0, 0], 0).gradient[0] == pytest.approx(-2 * np.exp(-50), rel=1e-14)


@given(st.floats(-30, 30), st.floats(1e-30, 1))
def test_excess_terms_are_never_negative_and_are_their_formula(log_ratio, share):
    term = excess_terms(torch.tensor(log_ratio).double(), torch.tensor(share).double()).item()
    assert term >= 0
    assert term == pytest.approx(
        share * (log_ratio - 1 + np.exp(-log_ratio)), rel=1e-6, abs=share * 1e-15
    )


@given(
    st.lists(st.lists(st.integers(0, 5), max_size=25), min_size=1, max_size=6), st.integers(1, 6)
)
def test_windows_are_their_formula(documents, window):
    texts = [[f"w{number}" for number in document] for document in documents]
    expected = {word for text in texts for word in text}
    try:
        counts = count_text(texts, window=window, min_count=1, held_out=0)
    except ValueError as error:
        assert any(
            reason in str(error) for reason in ("no tokens", "no pairs", "nothing to predict")
        )
        return
    numbers = [[counts.words.index(word) for word in text] for text in texts]
    assert counts.training.toarray().tolist() == by_hand.window_counts(
        numbers, len(expected), window
    )
    np.testing.assert_allclose(counts.keep, by_hand.keep(counts.vocabulary.counts.tolist(), 1e-3))


def test_adam_is_its_formula():
    gradients = [0.3, -2.0, 1.1]
    mean = square = torch.zeros(1, dtype=torch.float64)
    for step, gradient in enumerate(gradients, start=1):
        direction, mean, square = adam_update(
            torch.tensor([gradient], dtype=torch.float64), mean, square, step
        )
    assert direction.item() == pytest.approx(by_hand.adam(gradients, 0.9, 0.95, 1e-8), rel=1e-12)


def test_the_numbers_of_the_lecture():
    shown = explain([-1, 2.3, 0.1], 0)
    assert [round(nll, 4) for nll in shown.nll] == [3.4377, 0.1377, 2.3377]
    assert shown.gradient == pytest.approx(
        [p - (place == 0) for place, p in enumerate(shown.probabilities)]
    )
    steps = descend([-1, 0.2], 0, steps=10, rate=0.5)
    assert (len(steps.losses), len(steps.weights)) == (10, 11)
    assert (round(steps.losses[0], 6), round(steps.losses[-1], 6)) == (1.463282, 0.131842)
    assert [round(weight, 6) for weight in steps.weights[-1]] == [0.641514, -1.441514]
    weights = torch.tensor([-1.0, 0.2], dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD([weights], lr=0.5)
    for loss in steps.losses:
        torchs = torch.nn.functional.cross_entropy(weights[None], torch.tensor([0]))
        assert loss == pytest.approx(torchs.item(), rel=1e-12)
        sgd.zero_grad()
        torchs.backward()
        sgd.step()
    assert weights.tolist() == pytest.approx(steps.weights[-1], rel=1e-12)


@pytest.mark.parametrize(
    ("scores", "target"), [([], None), ([1.0], 1), ([float("nan")], None), ([float("inf"), 1], 0)]
)
def test_scores_and_targets_out_of_range(scores, target):
    with pytest.raises(UsageError):
        explain(scores, target)
