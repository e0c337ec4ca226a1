"""Pages of items speak of items, also where the browser writes; features colour their map."""

import re

import pytest
from page_reading import SEARCH, address, until
from scipy.sparse import csr_array

import exact2vec as e2v
from exact2vec.pages.explorer import explorer, write_folder
from exact2vec.pages.report import report

WORD = re.compile(r"\b(words?|documents?|tokens?|texts?)\b", re.IGNORECASE)
BASKETS = [["tea", "milk", "bun"], ["ale", "rye", "nuts"], ["tea", "bun"], ["ale", "nuts"]] * 30
SPOKEN = """() => [...document.querySelectorAll('body, body *')].flatMap((element) => [
  ...[...element.childNodes].filter((node) => node.nodeType === 3
    && !element.closest('script, style')).map((node) => node.textContent),
  ...['aria-label', 'title', 'alt', 'placeholder'].map((name) => element.getAttribute(name) || ''),
]).join(' | ')"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("items") / "run"
    known = csr_array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 0]])
    features = e2v.Features(known, ["tea", "milk", "bun", "ale", "rye", "nuts"], ["mild", "<b>hot"])
    baskets = e2v.count_baskets(BASKETS, held_out=0.1, validation=0.1)
    model = e2v.Exact2Vec(vector_size=3, epochs=2).fit(baskets, features=features)
    model.save(folder, provenance={"command": ["exact2vec", "train", "--kind", "baskets"]})
    return folder


def test_no_word_stands_in_the_pages_of_items(run):
    out = report(run)
    for page in (out.read_bytes(), explorer(run)):
        text = re.sub(rb"(?s)<(script|style).*?</\1>|<[^>]*>", b" ", page).decode()
        assert not WORD.findall(text)
        assert "item " in text


def test_the_pages_of_text_speak_of_words(tmp_path):
    e2v.Exact2Vec(vector_size=2, epochs=1, held_out=0).fit([["a", "b"]] * 9).save(tmp_path / "run")
    text = report(tmp_path / "run").read_text()
    assert "Over all words of" in text
    assert "{{" not in re.sub(r"(?s)<script.*?</script>", "", text)


@pytest.mark.parametrize("name", ["report.html", "explored/index.html"])
def test_no_word_is_spoken_in_the_browser(visit, run, name):
    folder = run.parent
    path = report(run, output=folder / name, force=True) if "report" in name else None
    path = path or write_folder(folder / "explored", run, force=True)
    page = visit(address(path))
    until(page, "document.querySelectorAll('.mapFrame canvas').length === 1")
    page.wait_for_timeout(500)
    page.evaluate(SEARCH, "no such thing")
    said = page.evaluate(SPOKEN)
    assert "is not among the 6 items" in said
    page.evaluate(SEARCH, "tea")
    said += page.evaluate(SPOKEN)
    assert not WORD.findall(said.replace("document.", "")), WORD.findall(said)


@pytest.mark.parametrize("name", ["report.html", "explored/index.html"])
def test_features_colour_the_map_and_the_loss_can(visit, run, name):
    folder = run.parent
    path = report(run, output=folder / name, force=True) if "report" in name else None
    path = path or write_folder(folder / "explored", run, force=True)
    page = visit(address(path))
    legend = "document.querySelector('#mapBox .legend')"
    until(page, f"{legend} !== null")
    assert page.evaluate(f"{legend}.innerText").split("\n") == ["mild", "<b>hot", "none of them"]
    assert page.evaluate("document.querySelector('#mapBox .scale')") is None
    page.select_option("#mapBox select", "loss [nats]")
    assert page.evaluate(legend) is None
    assert page.evaluate("document.querySelector('#mapBox .scale').innerText").startswith("loss")
