"""Look at the pages in chromium and write docs/see/*.png.

python docs/make_screenshots.py RUN RUN2
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from exact2vec.pages.explorer import write_folder
from exact2vec.pages.report import report

SEEN = Path(__file__).parent / "see"
TYPICAL = """(() => {
  const order = document.getElementById('order');
  order.value = 'typical';
  order.dispatchEvent(new Event('change'));
  document.getElementById('word').value = 'server';
  document.getElementById('search').requestSubmit();
})()"""
TEN_STEPS = "document.getElementById('ten').click()"


def look(
    browser: Browser,
    path: Path,
    name: str,
    *,
    section: str = "",
    act: str = "",
    width: int = 1280,
    height: int = 1130,
    scheme: str = "light",
) -> None:
    """One picture of a window, at the top or at `section`, after `act`."""
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page.goto(path.as_uri())
    page.wait_for_timeout(400)
    page.evaluate(f"{act or 'null'}")
    if section:
        page.evaluate(f"document.getElementById('{section}').scrollIntoView()")
    page.wait_for_timeout(400)
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(128).save(
        SEEN / name, optimize=True
    )
    page.close()


def main(first: Path, second: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        SEEN.mkdir(exist_ok=True)
        explorer = write_folder(folder / "words", first)
        charts = report(first, second, output=folder / "report.html")
        playground = write_folder(folder / "playground")
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--disable-gpu"]
        )
        look(browser, playground, "playground.png", act=TEN_STEPS)
        look(browser, playground, "playground-dark.png", act=TEN_STEPS, scheme="dark")
        look(browser, playground, "playground-narrow.png", act=TEN_STEPS, width=400, height=1600)
        look(
            browser, explorer, "words.png", section="words", act=TYPICAL, height=900, scheme="dark"
        )
        look(browser, explorer, "map.png", section="map", height=860)
        look(browser, charts, "report.png", section="bandSection", height=1060)
        look(browser, charts, "report-dark.png", section="curveSection", scheme="dark")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
