"""What the tests of the engines share."""

import importlib

import pytest
import torch
from engine_problems import NAMES

from exact2vec.loss.engine import strips


@pytest.fixture(params=NAMES)
def engine(request):
    return importlib.import_module(f"exact2vec.loss.engine.{request.param}")


@pytest.fixture
def small_strips(monkeypatch):
    """Some rows of these problems are a strip of their own, some lie in one that is not full."""
    monkeypatch.setattr(strips, "CPU_SCORES", 40)


@pytest.fixture(scope="module")
def one_thread():
    """Tensors of these sizes are faster so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
