import numpy as np
import pytest
import torch

from exact2vec.train import row_schedule
from exact2vec.train.optimizers import (
    DAMPING,
    adam_in_place,
    adam_update,
    input_step,
    inverse_metric,
    output_rate,
)
from exact2vec.train.problem import row_weights
from exact2vec.train.schedule import Schedule


def test_adam_is_torchs_and_the_compiled_one_its_twin():
    torch.manual_seed(0)
    parameter = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    ours, mean, square = (
        parameter.detach().clone(),
        torch.zeros(4, 3).double(),
        torch.zeros(4, 3).double(),
    )
    compiled = [tensor.float() for tensor in (ours, mean, square)]
    adam = torch.optim.Adam([parameter], lr=0.1, betas=(0.9, 0.95))
    for step in range(1, 6):
        parameter.grad = torch.randn(4, 3, dtype=torch.float64)
        direction, mean, square = adam_update(parameter.grad, mean, square, step)
        ours -= 0.1 * direction
        adam_in_place(
            *(tensor.numpy() for tensor in compiled),
            (4 * parameter.grad).float().numpy(),
            0.25,
            step,
            0.1,
        )
        adam.step()
        torch.testing.assert_close(ours, parameter.detach())
        for fast, plain in zip(compiled, (ours, mean, square), strict=True):
            torch.testing.assert_close(fast.double(), plain, rtol=2e-5, atol=2e-6)


def test_adam_leaves_alone_what_has_no_gradient():
    value = np.full((1, 2), 3, np.float32)
    adam_in_place(
        value,
        np.zeros((1, 2), np.float32),
        np.zeros((1, 2), np.float32),
        np.zeros((1, 2), np.float32),
        1.0,
        1,
        0.1,
    )
    assert value.tolist() == [[3, 3]]


def test_the_input_step_is_newtons_where_the_metric_is_the_hessian():
    torch.manual_seed(0)
    outputs, share = torch.randn(9, 3).double(), torch.rand(9).double()
    moment = (outputs * share[:, None]).T @ outputs
    damped = moment + DAMPING * torch.linalg.eigvalsh(moment).mean() * torch.eye(3).double()
    inverse = inverse_metric(moment)
    torch.testing.assert_close(inverse @ damped, torch.eye(3).double())
    wanted = torch.tensor([[0.1, -0.2, 0.3], [0, 0, 0]]).double()
    torch.testing.assert_close(input_step(wanted @ damped, inverse, 1.0, 100.0), wanted)
    clipped = input_step(1e6 * wanted @ damped, inverse, 1.0, 2.0)
    assert clipped[0].norm().item() == pytest.approx(1.0)
    torch.testing.assert_close(clipped[0] / clipped[0].norm(), wanted[0] / wanted[0].norm())


def test_rows_weigh_one_on_average_over_the_pairs():
    totals = torch.tensor([1.0, 0.0, 16.0, 81.0]).double()
    weights = row_weights(totals, 0.75)
    assert weights[1] == 0
    assert (weights * totals).sum().item() == pytest.approx(98)
    assert (weights[0] / weights[2]).item() == pytest.approx(16**0.25)
    assert row_weights(totals, 1.0)[[0, 2, 3]].tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("power", [400.0, 1e308, 2**63, 2**70])
def test_a_power_beyond_all_bounds_leaves_the_most_frequent_row(power):
    totals = torch.tensor([1.0, 0.0, 16.0, 81.0]).double()
    assert row_weights(totals, power).tolist() == pytest.approx([0, 0, 0, 98 / 81])


def test_the_rate_falls_from_one_to_a_tenth():
    schedule = Schedule((5, 10))
    shares = [schedule.rate_share(step) for step in range(11)]
    assert (shares[0], shares[10]) == (1.0, pytest.approx(0.1))
    assert np.diff(shares) == pytest.approx([-0.09] * 10)
    assert schedule.with_validation(5, 1.0) == schedule
    assert [schedule.is_exact(step, every) for every in (0, 1, 2) for step in (5, 10)] == [
        False,
        True,
        True,
        True,
        False,
        True,
    ]


def test_an_end_is_chosen_one_epoch_after_the_loss_has_not_fallen_for_two():
    schedule = Schedule((5, 10, 15, 20, 25), fixed=False)
    for step, nll in ((5, 7.5), (10, 7.6)):
        assert schedule.is_exact(step, 0)
        schedule = schedule.with_validation(step, nll)
        assert (schedule.steps, schedule.fixed) == (25, False)
    before = schedule.rate_share(15)
    schedule = schedule.with_validation(15, 7.6)
    assert (schedule.steps, schedule.fixed) == (20, True)
    assert [schedule.rate_share(step) for step in (15, 20)] == pytest.approx([before, 0.1])
    assert schedule.with_validation(20, 9.0) == schedule


def test_a_loss_that_falls_to_the_last_epoch_ends_there():
    for nll in ((2.0, 1.0, 0.5), (2.0, 3.0, 4.0)):
        schedule = Schedule((5, 10, 15), fixed=False)
        for step, value in zip((5, 10, 15), nll, strict=True):
            schedule = schedule.with_validation(step, value)
        assert schedule.steps == 15


def test_one_epoch_without_a_new_low_is_forgiven():
    schedule = (
        Schedule((5, 10, 15, 20, 25), fixed=False)
        .with_validation(5, 2.0)
        .with_validation(10, 2.1)
        .with_validation(15, 1.9)
        .with_validation(20, 2.0)
    )
    assert not schedule.fixed


@pytest.mark.parametrize("size", [1, 3, 63, 64, 100, 1000])
def test_two_epochs_visit_every_row_and_the_weights_add_up(size):
    totals = np.concatenate(
        [np.random.default_rng(0).integers(1, 100, size), np.zeros(5, np.int64)]
    ).astype(float)
    seen, visits = np.zeros(size + 5), np.zeros(size + 5)
    blocks = list(row_schedule.visits(totals, 2, 30, 1))
    for block in blocks:
        assert 0 < len(block.contexts) <= 30
        assert len(set(block.contexts)) == len(block.contexts)
        seen[block.contexts] += block.weights
        visits[block.contexts] += 1
    np.testing.assert_array_equal(seen, np.where(totals > 0, 2 * row_schedule.PARTS, 0))
    epochs = [block.position.epoch for block in blocks]
    assert epochs[-1] == 2
    assert epochs == sorted(epochs)
    for done in (3, len(blocks) - 1):
        left = row_schedule.visits(totals, 2, 30, 1, start=blocks[done - 1].position)
        for one, other in zip(left, blocks[done:], strict=True):
            assert one.position == other.position
            np.testing.assert_array_equal(one.contexts, other.contexts)
    if size >= row_schedule.FEW_ROWS:
        assert visits.sum() == pytest.approx(
            2 * size, abs=3 * row_schedule.turns(row_schedule.FREQUENT)
        )
        assert totals[visits == 6].min() >= totals[visits == 1].max()


def test_longer_vectors_take_shorter_steps():
    assert output_rate(0.05, 2) == output_rate(0.05, 100) == 0.05
    assert output_rate(0.05, 400) == pytest.approx(0.025)
