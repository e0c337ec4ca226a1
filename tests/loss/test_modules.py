"""The modules show what they are made of, and each part does to the number what is said of it."""

import pytest
import torch

import exact2vec as e2v
from exact2vec.loss.modules import MEANINGS

SCORES = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).log_softmax(1)
INDEX = torch.tensor([0, 1, 2, 0])
MODULES = {
    "NLLLoss": lambda **more: e2v.NLLLoss(**more),
    "CrossEntropyLoss": lambda **more: e2v.CrossEntropyLoss(**more),
    "LinearCrossEntropyLoss": lambda **more: e2v.LinearCrossEntropyLoss(3, 3, **more),
}


def public_attributes(module):
    """What dir() lists of it that is neither private nor callable, without every module's own."""
    names = {name for name in dir(module) if not name.startswith("_")}
    return {name for name in names if not callable(getattr(module, name))}


@pytest.mark.parametrize("name", MODULES)
def test_the_table_has_torchs_attributes(name):
    ours = MODULES[name]()
    theirs = getattr(torch.nn, name)(*((3, 3) if "Linear" in name else ()))
    torchs = public_attributes(theirs) - public_attributes(torch.nn.Module()) | {"training"}
    assert {"weight", "reduction", "ignore_index", "training"} <= torchs
    assert torchs <= set(ours.attributes())
    assert set(ours.attributes()) - torchs <= {"dim", "rows", "in_features", "linear"}
    own = public_attributes(ours) - public_attributes(torch.nn.Module())
    assert own - {"formula", "expects"} <= set(ours.attributes())


@pytest.mark.parametrize("name", MODULES)
def test_a_notebook_shows_each_attribute_with_its_value_and_meaning(name):
    module = MODULES[name](weight=torch.tensor([0.5, 1, 2.25]), ignore_index=2)
    page = module._repr_html_()
    assert page.count("<tr>") == 1 + len(module.attributes())
    for attribute, value in {"weight": "0.5, 1, 2.25", "ignore_index": "2"}.items():
        row = page[page.index(f"<td>{attribute}</td>") :].split("</tr>")[0]
        assert value in row
        assert MEANINGS[attribute] in row
    assert "divisor: Σ w_y" in page


def test_a_long_weight_is_cut():
    assert e2v.NLLLoss(torch.ones(9)).attributes()["weight"] == "9 classes: 1, 1, 1, 1, 1, 1, …"


@pytest.mark.parametrize("name", MODULES)
def test_repr_is_a_line_with_what_is_not_as_usual(name):
    assert "\n" not in repr(MODULES[name]())
    assert "ignore_index" not in repr(MODULES[name]())
    assert "ignore_index=0" in repr(MODULES[name](ignore_index=0))
    if name != "NLLLoss":
        assert "label_smoothing=0.1" in repr(MODULES[name](label_smoothing=0.1))
    assert "weight of 3 classes" in repr(MODULES[name](weight=torch.ones(3)))
    assert repr(e2v.CrossEntropyLoss(dim=0)).endswith("dim=0)")


@pytest.mark.parametrize(
    ("settings", "by_hand"),
    [
        ({}, lambda rows: rows.sum() / 4),
        ({"reduction": "sum"}, lambda rows: rows.sum()),
        ({"reduction": "none"}, lambda rows: rows),
        ({"ignore_index": 0}, lambda rows: (rows[1] + rows[2]) / 2),
        ({"weight": [3.0, 1, 2]}, lambda rows: (rows * torch.tensor([3.0, 1, 2, 3])).sum() / 9),
    ],
    ids=lambda value: "" if callable(value) else str(value),
)
@pytest.mark.parametrize("name", ["NLLLoss", "CrossEntropyLoss"])
def test_attributes_do_to_the_number_what_the_table_says(name, settings, by_hand):
    settings = {k: torch.tensor(v) if k == "weight" else v for k, v in settings.items()}
    module = MODULES[name](**settings)
    rows = -SCORES[range(4), INDEX]
    torch.testing.assert_close(module(SCORES, INDEX), by_hand(rows))
    torch.testing.assert_close(module.eval()(SCORES, INDEX), module.train()(SCORES, INDEX))


def test_smoothing_dim_and_rows_do_what_the_table_says():
    share = e2v.CrossEntropyLoss(label_smoothing=0.3)(SCORES, INDEX)
    expected = -(0.7 * SCORES[range(4), INDEX] + 0.3 * SCORES.mean(1)).mean()
    torch.testing.assert_close(share, expected)
    torch.testing.assert_close(
        e2v.CrossEntropyLoss(dim=0)(SCORES.T, INDEX), e2v.CrossEntropyLoss()(SCORES, INDEX)
    )
    linear = e2v.LinearCrossEntropyLoss(3, 5)
    again = e2v.LinearCrossEntropyLoss(3, 5, rows=1)
    again.load_state_dict(linear.state_dict())
    torch.testing.assert_close(again(SCORES, INDEX), linear(SCORES, INDEX))


def test_modules_say_their_divisor():
    assert "divisor: Σ w_y over the kept targets" in repr(e2v.CrossEntropyLoss(torch.ones(3)))
    assert "divisor: 1 (the sum)" in e2v.NLLLoss(reduction="sum").describe()
    assert "divisor" in e2v.LinearCrossEntropyLoss(2, 3, rows=1).describe()
    assert (e2v.CrossEntropyLoss().terms(SCORES, INDEX).entropy == 0).all()
