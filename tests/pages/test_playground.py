"""The playground shows the lecture's numbers, and of every number its line of Python."""

import contextlib
import io

import numpy as np
import pytest
from page_reading import address, number, until

import exact2vec as e2v

LOSSES = [
    1.463282,
    0.931978,
    0.609584,
    0.426553,
    0.319112,
    0.251568,
    0.206199,
    0.174011,
    0.150153,
    0.131842,
]
FIRST_WEIGHTS = [
    -1.0,
    -0.615738,
    -0.312625,
    -0.084413,
    0.089209,
    0.225812,
    0.337022,
    0.430186,
    0.510042,
    0.579754,
    0.641514,
]


def steps(page):
    rows = page.locator("#stepTable tbody tr").all()
    return [[number(cell) for cell in row.locator("th, td").all_inner_texts()] for row in rows]


def test_ten_clicks_on_step_are_the_lecture(visit, site):
    page = visit(address(site / "play" / "index.html"))
    for _ in range(10):
        page.get_by_role("button", name="Step", exact=True).click()
    found = steps(page)
    assert [row[0] for row in found] == list(range(11))
    assert [row[1] for row in found[:10]] == LOSSES
    assert [row[2] for row in found] == FIRST_WEIGHTS
    assert found[-1][2:] == [0.641514, -1.441514]
    drawn = page.locator("#weights polyline").all()
    assert [len(line.get_attribute("points").split()) for line in drawn] == [11, 11]


def test_back_in_time_run_and_rate(visit, site):
    page = visit(address(site / "play" / "index.html"))
    page.get_by_role("button", name="10 steps").click()
    page.get_by_role("button", name="Back").click()
    assert page.locator("#at").inner_text() == "step 9 of 10"
    assert page.locator("#rowLoss").inner_text() == f"{LOSSES[9]:.4f}"
    page.get_by_role("button", name="Run", exact=True).click()
    until(page, "Number(document.getElementById('time').max) >= 14")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="To the start").click()
    assert page.locator("#rowLoss").inner_text() == f"{LOSSES[0]:.4f}"
    page.locator("#rate").fill("0.25")
    page.locator("#rate").press("Enter")
    page.get_by_role("button", name="10 steps").click()
    assert [row[1] for row in steps(page)[:10]] == pytest.approx(
        e2v.descend([-1, 0.2], 0, rate=0.25).losses, abs=5e-7
    )


def test_the_keyboard_is_enough(visit, site):
    page = visit(address(site / "play" / "index.html"))
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "step":
            break
    for _ in range(10):
        page.keyboard.press("Enter")
    assert [row[1] for row in steps(page)[:10]] == LOSSES
    page.get_by_label("score of class 0, slider").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_label("score of class 0", exact=True).input_value() == "0.7"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_the_address_is_the_state(visit, site):
    page = visit(address(site / "play" / "index.html"))
    page.get_by_role("button", name="Lecture: three scores").click()
    page.get_by_label("score of class 1", exact=True).fill("1.5")
    page.get_by_label("score of class 1", exact=True).press("Enter")
    page.get_by_role("button", name="counts", exact=True).click()
    page.get_by_role("button", name="10 steps").click()
    page.get_by_role("button", name="Back").click()
    page.get_by_label("target of row 3").select_option("1")
    seen, url = page.locator("main").inner_text(), page.url
    other = visit(url)
    assert other.locator("main").inner_text() == seen
    assert "z=-1,1.5,0.1" in url
    for wrong in (
        "z=1,nan",
        "t=7",
        "steps=-1",
        "batch=1,2;3",
        "rate=",
        "z=" + "1," * 50,
        "n=0,0",
        "steps=1e9",
        "%",
    ):
        page = visit(address(site / "play" / "index.html") + "#" + wrong)
        assert page.locator("#rowLoss").inner_text() == "1.4633"


@pytest.mark.parametrize("counted", [False, True])
def test_every_number_has_the_line_of_python_that_gives_it(visit, site, counted):
    page = visit(
        address(site / "play" / "index.html") + "#z=-1,2.3,0.1&t=2&n=6,0,1.5&steps=3&at=2&rate=0.7"
    )
    if counted:
        page.get_by_role("button", name="counts", exact=True).click()
        page.get_by_role("button", name="10 steps").click()
    shown = page.eval_on_selector_all(
        "button.number", "all => all.map(one => [one.textContent, one.dataset.line])"
    )
    assert len(shown) > 50
    for text, line in shown:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(line, {})
        digits = len(text.split(".")[1]) if "e" not in text else 12
        assert float(printed.getvalue()) == pytest.approx(
            number(text), abs=0.51 * 10**-digits, rel=6e-3 if "e" in text else 0
        ), line
    page.locator("button.number").first.click()
    assert page.locator("#notice code").inner_text() == shown[0][1]


def test_cells_name_their_formula_and_numbers_align(visit, site):
    page = visit(address(site / "play" / "index.html") + "#z=-1,2.3,0.1&t=0")
    titles = page.eval_on_selector_all(
        "#rowTable tbody tr:first-child td button",
        "all => all.map(one => [one.title, one.textContent])",
    )
    assert titles[2] == ["p = exp / Σ exp = 0.0369 / 1.1477", "0.0321"]
    for title, text in titles[:1] + titles[2:]:
        formula = title.split(" = ")[-1].replace("− −", "+ ").replace("−", "-")
        assert eval(formula) == pytest.approx(number(text), abs=2e-4), title
    page.get_by_role("button", name="10 steps").click()
    edges = page.eval_on_selector_all(
        "#stepTable tbody td:nth-child(2) button",
        "all => all.map(one => one.getBoundingClientRect().right)",
    )
    assert len(edges) == 11
    assert len(set(edges)) == 1
    assert (
        page.evaluate(
            "getComputedStyle(document.querySelector('#stepTable td')).fontVariantNumeric"
        )
        == "tabular-nums"
    )


def test_the_batch_is_the_mean_of_its_rows(visit, site):
    page = visit(address(site / "play" / "index.html"))
    assert page.locator("#batchTable tbody button.number").all_inner_texts() == [
        "3.4377",
        "0.1377",
        "2.3377",
        "3.4377",
    ]
    assert page.locator("#batchLoss").inner_text() == "2.3377"
    page.get_by_role("button", name="Drop the last").click()
    page.get_by_label("score of row 1, class 1").fill("5")
    page.get_by_label("score of row 1, class 1").press("Enter")
    losses = [
        e2v.explain([-1, 2.3, 0.1], 0).loss,
        e2v.explain([-1, 5, 0.1], 1).loss,
        e2v.explain([-1, 2.3, 0.1], 2).loss,
    ]
    assert number(page.locator("#batchLoss").inner_text()) == pytest.approx(
        np.mean(losses), abs=5e-5
    )


def test_counts_have_a_floor_that_training_reaches(visit, site):
    page = visit(address(site / "play" / "index.html"))
    page.get_by_role("button", name="Counts 6, 3, 1").click()
    q = np.array([6, 3, 1]) / 10

    def split():
        return [number(text) for text in page.locator("#split button").all_inner_texts()]

    p = np.array(e2v.explain([-1, 0.2, 0.5]).probabilities)
    assert split() == pytest.approx(
        [-(q * np.log(p)).sum(), -(q * np.log(q)).sum(), (q * np.log(q / p)).sum()], abs=5e-5
    )
    for _ in range(12):
        page.get_by_role("button", name="10 steps").click()
    loss, floor, excess = split()
    assert loss == pytest.approx(floor, abs=2e-4)
    assert 0 <= excess < 1e-4


def test_classes_can_be_added_and_dropped(visit, site):
    page = visit(address(site / "play" / "index.html"))
    for _ in range(12):
        page.get_by_label("one class more").click()
    assert page.locator("#rowTable tbody tr").count() == 12
    for _ in range(12):
        page.get_by_label("one class fewer").click()
    assert page.locator("#rowTable tbody tr").count() == 1
    assert page.locator("#rowLoss").inner_text() == "0.0000"
