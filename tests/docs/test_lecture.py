"""The lecture's notebook: made of its script, executed, its outputs what it prints.

What the training prints is tested by its properties.
"""

import base64
import importlib.util
import re
from pathlib import Path

import pytest
from processes import output_of

nbformat = pytest.importorskip("nbformat", reason="pip install nbclient ipykernel")
pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")

DOCS = Path(__file__).parents[2] / "docs"
MADE_BY = "run: python docs/make_lecture.py"


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("make_lecture", DOCS / "make_lecture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(DOCS / "lecture.ipynb", as_version=4)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    output = tmp_path_factory.mktemp("lecture") / "lecture.ipynb"
    output_of(DOCS / "make_lecture.py", output)
    return nbformat.read(output, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell):
    return "".join(
        output.text
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )


def pictures(cell):
    return [
        base64.b64decode(output.data["image/png"])
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]


def test_the_notebook_is_made_of_its_script(make, committed):
    made = make.notebook((DOCS / "lecture.py").read_text("utf-8"))
    assert [(cell.cell_type, cell.source) for cell in committed.cells] == [
        (cell.cell_type, cell.source) for cell in made.cells
    ], MADE_BY
    assert all(cell.execution_count for cell in code(committed)), MADE_BY
    nbformat.validate(committed)


def test_the_lectures_numbers_are_printed_again_to_the_last_digit(committed, executed):
    place = next(
        number for number, cell in enumerate(code(committed)) if "count_text" in cell.source
    )
    assert place >= 12
    for before, now in zip(code(committed)[:place], code(executed)[:place], strict=True):
        assert re.sub(r"\d\.\d{7,}", "…", printed(before)) == re.sub(
            r"\d\.\d{7,}", "…", printed(now)
        ), f"{before.source}\n{MADE_BY}"
        assert len(pictures(before)) == len(pictures(now))
    everything = "".join(map(printed, code(executed)))
    for number in (
        "3.4377",
        "0.1377",
        "2.3377",
        "1.463282",
        "0.131842",
        "0.641514",
        "-1.441514",
        "does not require grad",
    ):
        assert number in everything


def test_what_depends_on_the_text_has_the_properties_that_are_told(executed):
    everything = "".join(map(printed, code(executed)))
    loss, floor, excess = map(
        float, re.search(r"loss (\S+) = floor (\S+) \+ excess (\S+)", everything).groups()
    )
    assert loss == pytest.approx(floor + excess, abs=2e-4)
    assert 0 < excess < loss
    neighbours = re.search(r"^server +(.*)$", everything, re.MULTILINE)[1].split(", ")
    assert {"client", "request", "serve", "localhost", "response"} & set(neighbours)
    shown = "".join(
        output.data.get("text/html", "")
        for cell in code(executed)
        for output in cell.outputs
        if "data" in output
    )
    assert "<progress" in shown
    assert "held-out NLL" in shown


def test_the_figures_are_seen(committed, executed):
    for notebook in (committed, executed):
        seen = [picture for cell in code(notebook) for picture in pictures(cell)]
        assert len(seen) == 5
        assert all(picture.startswith(b"\x89PNG") and len(picture) > 8_000 for picture in seen)
