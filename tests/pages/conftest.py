"""The pages of two runs in a real browser, and three runs to report on."""

import shutil

import pytest
from hostile import model

from exact2vec.pages.explorer import write_folder
from exact2vec.pages.report import report

FLAGS = ["--disable-gpu", "--disable-quic", "--disable-sync"]  # beside Playwright's own


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    runs = tmp_path_factory.mktemp("report")
    model().save(runs / "one")
    model(epochs=3, seed=2).save(runs / "two")
    model(window=2).save(runs / "other")
    return runs


@pytest.fixture(scope="session")
def chromium():
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium to look at pages with: apt-get install -y chromium")
    return path


@pytest.fixture(scope="session")
def site(chromium, tmp_path_factory):
    site = tmp_path_factory.mktemp("pages")
    model().save(site / "hostile")
    model(seed=2, epochs=3, prior=None).save(site / "<b>other")
    write_folder(site / "play")
    write_folder(site / "words", site / "hostile")
    report(site / "hostile", site / "<b>other", output=site / "report.html")
    return site


@pytest.fixture(scope="module")
def browser(chromium):
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
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
