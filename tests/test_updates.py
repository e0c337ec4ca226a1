import torch

from exact2vec.train.updates import adam_update, linear_rate, rms_update


def test_adam_is_torchs():
    torch.manual_seed(0)
    parameter = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    ours, mean, square = parameter.detach().clone(), torch.zeros(4, 3).double(), torch.zeros(4, 3).double()
    adam = torch.optim.Adam([parameter], lr=0.1, betas=(0.9, 0.95))
    for step in range(1, 6):
        parameter.grad = torch.randn(4, 3, dtype=torch.float64)
        direction, mean, square = adam_update(parameter.grad, mean, square, step)
        ours -= 0.1 * direction
        adam.step()
        torch.testing.assert_close(ours, parameter.detach())


def test_rms_by_hand():
    direction, square = rms_update(torch.tensor([[3.0, 4.0]]), torch.tensor([0.0]))
    assert square.tolist() == [12.5]
    torch.testing.assert_close(direction, torch.tensor([[3.0, 4.0]]) / 12.5**0.5)
    _, square = rms_update(torch.tensor([[0.0, 1.0]]), square)
    assert square.tolist() == [6.5]


def test_rate_falls_from_first_towards_a_hundredth():
    rates = [linear_rate(step, 10, first=0.01) for step in range(11)]
    assert rates[0] == 0.01
    assert abs(rates[10] - 1e-4) < 1e-12
    assert rates == sorted(rates, reverse=True)
