"""The pages in a real browser.

They show the lecture's numbers and every number's line of Python. Hostile words do nothing, no
request is made, contrast is enough, and windows may be narrow.
"""

import contextlib
import io
import json
import math
import re
import shutil
import threading

import numpy as np
import pytest
from hostile import PLAIN, WORDS, model

import exact2vec as e2v
from exact2vec.pages.explorer import explorer, write_folder
from exact2vec.pages.report import report
from exact2vec.pages.serve import loopback_server
from exact2vec.vectors.vectors import Vectors

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip(
        "there is no chromium to look at pages with: apt-get install -y chromium",
        allow_module_level=True,
    )
sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    model().save(folder / "hostile")
    model(seed=2, epochs=3, prior=None).save(folder / "<b>other")
    write_folder(folder / "play")
    write_folder(folder / "words", folder / "hostile")
    report(folder / "hostile", folder / "<b>other", output=folder / "report.html")
    return folder


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Open an address.

    At the end of the test nothing may have been asked of a network, said in a dialog, thrown, or
    refused by the policy.
    """
    faults, pages = [], []

    def visit(address, allowed="file:///", **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        page = context.new_page()
        pages.append(context)
        page.on(
            "dialog", lambda dialog: (faults.append(f"dialog {dialog.message}"), dialog.dismiss())
        )
        page.on("pageerror", lambda error: faults.append(f"error {error}"))
        page.on(
            "console",
            lambda message: (
                faults.append(f"console {message.text}") if message.type == "error" else None
            ),
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((allowed, "data:"))
                else faults.append(f"request {request.url}")
            ),
        )
        page.goto(address)
        return page

    yield visit
    for context in pages:
        context.close()
    assert faults == []


def address(path):
    return path.as_uri()


def number(text):
    return float(text.replace("−", "-").replace(",", "").replace("∞", "inf"))


def until(page, expression):
    """Wait until it is true.

    Playwright's own wait_for_function needs the eval that the policy refuses.
    """
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


def steps(page):
    rows = page.locator("#stepTable tbody tr").all()
    return [[number(cell) for cell in row.locator("th, td").all_inner_texts()] for row in rows]


def test_ten_clicks_on_step_are_the_lecture(visit, folder):
    page = visit(address(folder / "play" / "index.html"))
    for _ in range(10):
        page.get_by_role("button", name="Step", exact=True).click()
    found = steps(page)
    assert [row[0] for row in found] == list(range(11))
    assert [row[1] for row in found[:10]] == LOSSES
    assert [row[2] for row in found] == FIRST_WEIGHTS
    assert found[-1][2:] == [0.641514, -1.441514]
    drawn = page.locator("#weights polyline").all()
    assert [len(line.get_attribute("points").split()) for line in drawn] == [11, 11]


def test_back_in_time_run_and_rate(visit, folder):
    page = visit(address(folder / "play" / "index.html"))
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


def test_the_keyboard_is_enough(visit, folder):
    page = visit(address(folder / "play" / "index.html"))
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


def test_the_address_is_the_state(visit, folder):
    page = visit(address(folder / "play" / "index.html"))
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
        page = visit(address(folder / "play" / "index.html") + "#" + wrong)
        assert page.locator("#rowLoss").inner_text() == "1.4633"


@pytest.mark.parametrize("counted", [False, True])
def test_every_number_has_the_line_of_python_that_gives_it(visit, folder, counted):
    page = visit(
        address(folder / "play" / "index.html")
        + "#z=-1,2.3,0.1&t=2&n=6,0,1.5&steps=3&at=2&rate=0.7"
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


def test_cells_name_their_formula_and_numbers_align(visit, folder):
    page = visit(address(folder / "play" / "index.html") + "#z=-1,2.3,0.1&t=0")
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


def test_the_batch_is_the_mean_of_its_rows(visit, folder):
    page = visit(address(folder / "play" / "index.html"))
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


def test_counts_have_a_floor_that_training_reaches(visit, folder):
    page = visit(address(folder / "play" / "index.html"))
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


def test_classes_can_be_added_and_dropped(visit, folder):
    page = visit(address(folder / "play" / "index.html"))
    for _ in range(12):
        page.get_by_label("one class more").click()
    assert page.locator("#rowTable tbody tr").count() == 12
    for _ in range(12):
        page.get_by_label("one class fewer").click()
    assert page.locator("#rowTable tbody tr").count() == 1
    assert page.locator("#rowLoss").inner_text() == "0.0000"


def test_words_of_a_run_are_computed_as_by_the_library(visit, folder):
    vectors, counts = e2v.load(folder / "hostile"), e2v.Counts.load(folder / "hostile")
    page = visit(address(folder / "words" / "index.html"))
    for word in ("sun", "<b>bold</b>", "__proto__"):
        page.locator("#word").fill(word)
        page.get_by_role("button", name="Show", exact=True).click()
        row = vectors.key_to_index[word]
        log_p = vectors.log_probabilities(word)
        k = counts.training[[row], :].toarray()[0]
        for near, percent, counted, nats, pairs in (
            line.locator("th, td").all_inner_texts()
            for line in page.locator("#wordTable tbody tr").all()
        ):
            place = (
                vectors.key_to_index[near]
                if near in vectors
                else next(vectors.key_to_index[one] for one in WORDS if one.split() == near.split())
            )
            assert number(percent) == pytest.approx(100 * math.exp(log_p[place]), abs=6e-4)
            assert number(nats) == pytest.approx(-log_p[place], abs=6e-5)
            assert number(counted) == pytest.approx(100 * k[place] / k.sum(), abs=6e-4)
            assert number(pairs) == pytest.approx(k[place] / counts.weighting.unit, abs=0.06)
        near = [number(cell) for cell in page.locator("#neighbourTable tbody td").all_inner_texts()]
        assert near == pytest.approx(
            [cosine for _, cosine in vectors.most_similar(word, topn=12)], abs=6e-5
        )
    line = page.locator("#neighbourTable button.number").first.get_attribute("data-line")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(line, {})
    assert float(printed.getvalue()) == pytest.approx(near[0], abs=6e-5)


def test_an_unseen_word_is_said_to_be_unseen(visit, folder):
    page = visit(address(folder / "words" / "index.html"))
    page.locator("#word").fill("mooon")
    page.keyboard.press("Enter")
    notice = page.locator("#wordNotice")
    assert '"mooon" is not among the 30 words; nearest spelling: moon' in notice.inner_text()
    notice.get_by_role("button", name="moon").click()
    assert page.locator("#wordName").inner_text() == "moon"


def scripts_and_images(page):
    return page.evaluate(
        "[document.scripts.length, document.images.length, "
        "document.querySelectorAll('b, i, a, iframe, object').length]"
    )


def test_hostile_words_are_text_in_the_explorer(visit, folder):
    assert set(e2v.load(folder / "hostile").index_to_key) == {*WORDS, *PLAIN}
    page = visit(address(folder / "words" / "index.html"))
    before = scripts_and_images(page)
    for word in WORDS:
        page.evaluate(
            SEARCH,
            word,
        )
        assert page.evaluate("document.getElementById('wordName').textContent") == word
    assert scripts_and_images(page) == before
    assert before[1] == 0


def test_hostile_words_and_names_are_text_in_the_report(visit, folder):
    page = visit(address(folder / "report.html"))
    page.wait_for_selector("#training .legendtext")
    assert (
        page.evaluate(
            "document.images.length + document.querySelectorAll('iframe, object, svg a').length"
        )
        == 0
    )
    listed = page.eval_on_selector_all(
        "#best .word, #worst .word", "all => all.map(one => one.textContent)"
    )
    assert set(listed) >= {
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "{{7*7}}",
    }
    legend = page.eval_on_selector_all(
        "#training .legendtext", "all => all.map(one => one.textContent)"
    )
    assert "<b>other: training" in legend
    for word in WORDS:
        page.evaluate(
            SEARCH,
            word,
        )
        assert (
            page.evaluate("document.querySelector('#neighbours th span').textContent")
            == f"near {word}"
        )
    assert page.evaluate("document.images.length") == 0


def test_the_charts_of_the_report_hold_the_runs(visit, folder):
    page = visit(address(folder / "report.html"))
    page.wait_for_selector("#calibration .legendtext")
    traces = page.evaluate(
        "document.getElementById('training').data.map(one => [one.name, one.x, one.y])"
    )
    histories = {
        name: [
            json.loads(line) for line in (folder / name / "history.jsonl").read_text().splitlines()
        ]
        for name in ("hostile", "<b>other")
    }
    assert [name for name, _, _ in traces] == [
        "hostile: training",
        "hostile: held-out",
        "&lt;b&gt;other: training",
        "&lt;b&gt;other: held-out",
    ]
    for (_, x, y), (name, column) in zip(
        traces,
        [(name, column) for name in histories for column in ("nll", "held_out_nll")],
        strict=True,
    ):
        assert x == [row["epoch"] for row in histories[name]]
        assert y == [row[column] for row in histories[name]]
    objective = [row.get("objective") for row in histories["hostile"]]
    assert page.locator("#objectiveBox").is_visible() == any(objective)
    if any(objective):
        assert page.evaluate("document.getElementById('objective').data[0].y") == objective
    assert page.locator("#settings b").all_inner_texts()[:3] == ["epochs", "2", "3"]
    bands = page.evaluate("document.getElementById('contextBands').data.map(one => one.name)")
    assert bands[::2] == [
        "hostile: training, κ 150, 500",
        "&lt;b&gt;other: training, no shrinkage",
        "unigram, held-out",
    ]
    page.locator("#run").select_option("1")
    assert page.locator("#neighbours tbody tr").count() == 8


@pytest.mark.parametrize("name", ["play/index.html", "words/index.html", "report.html"])
def test_the_policy_runs_nothing_that_was_not_written(browser, folder, name):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', (folder / name).read_text())[
        1
    ]
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert policy.startswith("default-src 'none'")
    assert "connect-src 'none'" in policy
    page = browser.new_page()
    page.goto(address(folder / name))
    page.evaluate(
        "document.addEventListener('securitypolicyviolation', "
        "event => { window.refused = event.violatedDirective; })"
    )
    page.evaluate(
        "() => { const smuggled = document.createElement('script'); "
        "smuggled.text = 'window.smuggled = 1'; document.body.append(smuggled); }"
    )
    until(page, "window.refused")
    assert page.evaluate("[window.smuggled, window.refused]") == [None, "script-src-elem"]
    page.close()


SEARCH = """word => {
  document.getElementById('word').value = word;
  document.getElementById('search').requestSubmit();
}"""
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => [r, g, b].map((v) => linear(v / 255))
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const isText = (node) => node.nodeType === 3 && node.textContent.trim();
    const own = [...element.childNodes].some(isText);
    if (!own && !element.matches("input")) continue;
    if (!element.getClientRects().length || element.closest("script, style, .modebar")) continue;
    const style = getComputedStyle(element), svg = element instanceof SVGElement;
    const shown = light(parse(svg ? style.fill : style.color));
    const [one, other] = [shown, light(behind(element))].sort((a, b) => b - a);
    found.push([
      (one + 0.05) / (other + 0.05), element.tagName, element.id,
      element.getAttribute("class"), element.textContent.slice(0, 30),
    ]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["words/index.html", "report.html"])
def test_text_stands_out_from_what_is_behind_it(visit, folder, name, scheme):
    page = visit(address(folder / name), color_scheme=scheme)
    page.wait_for_timeout(300)
    found = page.evaluate(CONTRAST)
    assert len(found) > 100
    assert [one for one in found if one[0] < 4.5] == []


@pytest.mark.parametrize("width", [360, 800])
@pytest.mark.parametrize("name", ["words/index.html", "report.html"])
def test_a_narrow_window_does_not_scroll_sideways(visit, folder, name, width):
    page = visit(address(folder / name), viewport={"width": width, "height": 740})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


class Composing(Vectors):
    """A run that gives a vector to a word it was not trained on, as runs with parts of words do."""

    def __init__(self, vectors):
        vars(self).update(vars(vectors))

    def __contains__(self, word):
        return word == "moonlet" or super().__contains__(word)

    def _untrained(self, word, which):
        if word == "moonlet":
            return self.vector("moon", which)
        return super()._untrained(word, which)


def test_served_the_explorer_composes_unseen_words(visit, folder):
    vectors = e2v.load(folder / "hostile")
    server = loopback_server(explorer(folder / "hostile", served=True), Composing(vectors), 8765)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        site = f"http://127.0.0.1:{server.server_port}/"
        page = visit(site, allowed=site)
        page.locator("#word").fill("moonlet")
        page.keyboard.press("Enter")
        until(page, "document.getElementById('wordName').textContent === 'moonlet (composed)'")
        assert "composed from its parts, never trained" in page.locator("#wordNotice").inner_text()
        assert page.locator("#neighbourTable tbody th").first.inner_text() == "moon"
        assert page.locator("#wordTable tbody tr").count() == 12
    finally:
        server.shutdown()
        server.server_close()
