"""Decisions are short and whole, each dependency has its reason, and links lead somewhere."""

import re
import tomllib
from pathlib import Path

import embedding
import pytest
import raw

from exact2vec.vectors.embedding import EXPONENT, LEANING

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [page for page in [*PAGES, *ROOT.glob("docs/**/*.md")] if page.exists()]


def decisions():
    """(page, title, text) of each decision."""
    for page in sorted(DECISIONS.glob("*.md")):
        if page.name != "README.md":
            _, *sections = re.split(r"^## ", page.read_text(), flags=re.MULTILINE)
            for section in sections:
                title, _, text = section.partition("\n")
                yield page.name, title, text


EVERY = list(decisions())


def test_there_are_decisions_and_each_title_stands_once():
    assert len(EVERY) > 40
    assert len({title for _, title, _ in EVERY}) == len(EVERY)


@pytest.mark.parametrize(("page", "title", "text"), EVERY, ids=[title for _, title, _ in EVERY])
def test_a_decision_has_its_four_parts_in_150_words(page, title, text):
    leads = re.findall(r"^\*\*(\w+)\.\*\* \S", text, re.MULTILINE)
    assert leads == ["Question", "Choice", "Why", "Cost"], f"{page}: {title}"
    assert len(text.split()) <= 150, f"{page}: {title}"


def test_the_index_names_every_page():
    index = set(re.findall(r"\]\((\w+\.md)\)", (DECISIONS / "README.md").read_text()))
    assert index == {page.name for page in DECISIONS.glob("*.md")} - {"README.md"}


def test_every_dependency_has_its_reason_and_no_other():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[<>=~ ]", one)[0]: set() for one in project["dependencies"]}
    for extra, packages in project["optional-dependencies"].items():
        for one in packages:
            wanted.setdefault(re.split(r"[<>=~ ]", one)[0], set()).add(extra)
    core, extras = (DECISIONS / "dependencies.md").read_text().split("Extras and tools:")
    named = {name: set() for name in re.findall(r"^\| ([\w-]+) \| \w.*\|$", core, re.M)}
    del named["package"]
    assert named == {name: extra for name, extra in wanted.items() if not extra}
    tables = extras.partition("\n## ")[0]
    rows = re.findall(r"^\| ([\w-]+) \| ([\w, ]+) \| .+ \|$", tables, re.M)
    for name, extra in rows[1:]:
        assert wanted.pop(name) >= set(extra.split(", ")), name
    assert not {name for name, extra in wanted.items() if extra}


def test_lowest_versions_with_a_reason_are_those_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = {*project["dependencies"], *project["optional-dependencies"]["umap"]}
    page = (DECISIONS / "dependencies.md").read_text()
    rows = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \| .+ \|$", page, re.M)
    assert rows
    assert {f"{name}>={lowest}" for name, lowest in rows} <= allowed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_to_headings(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith("https://"):
            path, _, heading = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            if heading:
                titles = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
                slugs = [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in titles]
                assert heading in slugs, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sections_that_are_named_exist_in_measured(page):
    """*Name* before or after a link to measured.md is one of its headings."""
    titles = re.findall(r"^## (.*)$", (ROOT / "docs" / "measured.md").read_text(), re.M)
    named = re.findall(r"\*([^*]+)\* in \[measured", page.read_text())
    named += re.findall(r"measured\.md\), \*([^*]+)\*", page.read_text())
    for one in named:
        assert any(title.startswith(one) for title in titles), one


def test_what_is_said_of_the_embedding_and_of_two_epochs_is_what_was_measured():
    rows = [row for row in raw.read(raw.RESULTS / "embedding.jsonl") if row["n-grams"]]
    runs = {}
    for row in rows:
        run = runs.setdefault((row["million words"], row["dim"], row["epochs"]), {})
        run[row["which"], row["a"], row["p"]] = row
    assert len(runs) == 21
    above, known = dict.fromkeys(embedding.SETS, 0), dict.fromkeys(embedding.SETS, 0)
    for run in runs.values():
        ours, before = (
            run["embedding", LEANING, EXPONENT]["scores"],
            run["sum", None, None]["scores"],
        )
        for name in embedding.SETS:
            if ours[name][1] is not None:
                known[name] += 1
                above[name] += ours[name][1] > before[name][1]
    assert above == dict(zip(embedding.SETS, (16, 9, 8, 6, 21), strict=True))
    assert known["rg65"] == 12
    nll = {run: next(iter(rows.values()))["held_out_nll"] for run, rows in runs.items()}
    for size in ("0.2", "2", "16"):
        one, two, four = (nll[size, 100, epochs] for epochs in (1, 2, 4))
        assert one - two > two - four > 0
    assert nll["2", 300, 1] < nll["2", 300, 2] < nll["2", 300, 4]
