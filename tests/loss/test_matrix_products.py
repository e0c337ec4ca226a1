"""The products of a tile, by both libraries that torch carries."""

import pytest
import torch
from torch.testing import assert_close

from exact2vec.loss.engine import matrix_products
from exact2vec.loss.engine.matrix_products import (
    add_columns_by_columns,
    columns_by_columns,
    onednn_is_faster,
    rows_by_columns,
    rows_by_rows,
)

ROUNDING = {"rtol": 1e-5, "atol": 1e-4}
SHAPES = [(256, 1024, 104), (5, 64, 8), (1, 1, 1), (0, 64, 8), (5, 0, 8)]


@pytest.fixture(params=[False, True], ids=["MKL", "oneDNN"])
def _library(request, monkeypatch):
    monkeypatch.setattr(matrix_products, "onednn_is_faster", lambda: request.param)


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize(("rows", "words", "dim"), SHAPES)
def test_each_product_is_that_of_float64(rows, words, dim):
    inputs, outputs, tile = random(rows, dim), random(words, dim), random(rows, words)
    scores = rows_by_rows(inputs, outputs, torch.empty(rows, words))
    assert_close(scores.double(), inputs.double() @ outputs.double().T, **ROUNDING)
    assert_close(
        rows_by_columns(tile, outputs).double(), tile.double() @ outputs.double(), **ROUNDING
    )
    of_outputs = columns_by_columns(tile, inputs)
    assert of_outputs.is_contiguous()
    assert_close(of_outputs.double(), tile.double().T @ inputs.double(), **ROUNDING)
    into = torch.ones(words, dim)
    add_columns_by_columns(into, tile, inputs)
    assert_close(into, of_outputs + 1, **ROUNDING)


@pytest.mark.usefixtures("_library")
def test_scores_lie_where_they_should_and_wide_ones_stay_wide():
    buffer = torch.zeros(4 * 64 + 1)
    out = buffer[1:].view(4, 64)
    assert rows_by_rows(random(4, 8), random(64, 8), out) is out
    assert buffer[0] == 0
    assert torch.equal(buffer[1:], out.flatten())
    wide = random(4, 64).double()
    assert rows_by_columns(wide, random(64, 8).double()).dtype == torch.float64


def test_the_library_goes_by_the_processor(monkeypatch):
    def said(capability, vendor):
        onednn_is_faster.cache_clear()
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
        monkeypatch.setattr(matrix_products, "processor_vendor", lambda: vendor)
        return onednn_is_faster()

    try:
        carried = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
        assert said("AVX512", "AuthenticAMD") == carried
        assert not said("AVX512", "GenuineIntel")
        assert not said("AVX512", "")
        assert not said("AVX2", "AuthenticAMD")
    finally:
        onednn_is_faster.cache_clear()
