"""Which engine serves which tensors."""

import pytest
import torch
from engine_problems import MARKS
from processes import output_of

import exact2vec
from exact2vec.loss import targets

pytestmark = MARKS


def indexed(scores, y):
    from exact2vec.loss.engine import engine_of

    t = targets.of_indices(y, scores.shape[1], None, -100, 0.0)
    return engine_of(scores).target_nll(scores[:, :, None], t, 1.0)


def products(x, u, y):
    from exact2vec.loss.engine import engine_of

    t = targets.of_indices(y, len(u), None, -100, 0.0)
    return engine_of(x, u).linear_nll(x, u, None, t, 1.0, 3)


def plainly(x, u, y):
    return torch.nn.functional.cross_entropy((x @ u.T).double(), y, reduction="sum")


class Sub(torch.Tensor):
    """A subclass of tensors."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, in its jvp
def test_one_derivative_of_torch_func_is_tiled_and_others_are_formulas():
    from exact2vec.loss.engine import engine_of

    x, u, y = torch.randn(7, 3), torch.randn(11, 3), torch.randint(11, (7,))
    names = []

    def named(x):
        names.append(engine_of(x).NAME)
        return products(x, u, y)

    for ours, theirs in ((named, lambda x: plainly(x, u, y)),):
        torch.testing.assert_close(torch.func.grad(ours)(x), torch.func.grad(theirs)(x))
        torch.testing.assert_close(torch.func.hessian(ours)(x), torch.func.hessian(theirs)(x))
        twice = [
            torch.func.grad(lambda x, f=f: torch.func.grad(f)(x).square().sum())(x)
            for f in (ours, theirs)
        ]
        torch.testing.assert_close(*twice)
        leaf = x.clone().requires_grad_()
        mixed = [
            torch.autograd.grad(torch.func.grad(f)(leaf).square().sum(), leaf)[0]
            for f in (ours, theirs)
        ]
        torch.testing.assert_close(*mixed)
        several = [torch.func.vmap(f)(torch.stack([x, 2 * x])) for f in (ours, theirs)]
        torch.testing.assert_close(*several)
    assert names == ["tiled", "reference", "reference", "tiled", "reference"]
    assert engine_of(x.as_subclass(Sub)).NAME == engine_of(x.to("meta")).NAME == "tiled"


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_target_that_is_no_class_is_an_error_at_run_time(wrong):
    z, y = torch.tensor([[0.0, 1, 2], [3.0, 1, 0]]), torch.tensor([0, wrong])
    calls = [
        lambda: torch.func.grad(lambda z: indexed(z, y))(z),
        lambda: torch.func.vmap(indexed)(z[None], y[None]),
        lambda: torch.func.vmap(lambda z: indexed(z, y))(z[None]),
        lambda: indexed(z, y.as_subclass(Sub)),
        lambda: torch.func.grad(lambda z: products(z, torch.eye(3), y))(z),
        lambda: targets.of_indices(y, 3, torch.ones(3), -100, 0.1),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="out of bounds"):
            call()


COMPILED = """
import torch
from exact2vec.loss import targets
from exact2vec.loss.engine import engine_of

def linear(x, u, y):
    t = targets.of_indices(y, len(u), None, -100, 0.1)
    return engine_of(x, u).linear_nll(x, u, None, t, 1.0, 3)

def given(z, u, y):
    t = targets.of_indices(y, z.shape[1], None, -100, 0.1)
    return engine_of(z).target_nll(z[:, :, None], t, 1.0)

def plain(x, u, y):
    nll = torch.nn.functional.cross_entropy
    return nll((x @ u.T).double(), y, reduction="sum", label_smoothing=0.1)

x, u, y, graphs = torch.randn(7, 3), torch.randn(11, 3), torch.randint(11, (7,)), []

def backend(graph, _inputs):
    graphs.append([str(node.target) for node in graph.graph.nodes])
    return graph

torch.compile(linear, backend=backend, fullgraph=True)(x, u, y)
assert len(graphs) == 1, graphs
assert sum("exact2vec.linear_nll" in target for target in graphs[0]) == 1, graphs
leaves = [x.requires_grad_(), u.requires_grad_()]
expected = torch.autograd.grad(plain(x, u, y), leaves)
for call in (linear, lambda x, u, y: given(x @ u.T, u, y)):
    torch._dynamo.reset()
    compiled = torch.compile(call, backend="aot_eager", fullgraph=True)
    loss = compiled(x, u, y)
    torch.testing.assert_close(loss, plain(x, u, y), rtol=1e-5, atol=0)
    torch.testing.assert_close(torch.autograd.grad(loss, leaves), expected)
    try:
        compiled(x, u, y - 20)
    except RuntimeError as error:
        assert "out of bounds" in str(error), error
    else:
        raise AssertionError("a negative target was taken for a class")
"""


def test_a_compiler_takes_the_linear_loss_whole():
    """One graph, with the loss as one operator in it: what it holds is the operator's block.

    In a process of its own: a compiler does not read the types that are checked here.
    """
    output_of("-W", "ignore", "-c", COMPILED)


@pytest.mark.parametrize("name", ["log_softmax", "target_nll", "linear_nll"])
def test_an_error_says_which_engine_it_came_from(monkeypatch, name):
    def full(*_given):
        raise RuntimeError("not enough memory")

    from exact2vec.loss.engine import compiled

    monkeypatch.setattr(compiled, name, full)
    x, y = torch.zeros(2, 3), torch.tensor([0, 1])
    calls = {
        "log_softmax": lambda: exact2vec.log_softmax(x, dim=1),
        "target_nll": lambda: exact2vec.cross_entropy(x, y),
        "linear_nll": lambda: exact2vec.linear_cross_entropy(x, torch.zeros(4, 3), y),
    }
    with pytest.raises(RuntimeError, match="not enough memory") as error:
        calls[name]()
    assert "engine 'compiled'" in error.value.__notes__[0]
