"""Every page in a browser: its policy, its contrast, and narrow windows."""

import re

import pytest
from page_reading import address, until


@pytest.mark.parametrize("name", ["play/index.html", "words/index.html", "report.html"])
def test_the_policy_runs_nothing_that_was_not_written(browser, site, name):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', (site / name).read_text())[1]
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert policy.startswith("default-src 'none'")
    assert "connect-src 'none'" in policy
    page = browser.new_page()
    page.goto(address(site / name))
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
def test_text_stands_out_from_what_is_behind_it(visit, site, name, scheme):
    page = visit(address(site / name), color_scheme=scheme)
    page.wait_for_timeout(300)
    found = page.evaluate(CONTRAST)
    assert len(found) > 100
    assert [one for one in found if one[0] < 4.5] == []


@pytest.mark.parametrize("width", [360, 800])
@pytest.mark.parametrize("name", ["words/index.html", "report.html"])
def test_a_narrow_window_does_not_scroll_sideways(visit, site, name, width):
    page = visit(address(site / name), viewport={"width": width, "height": 740})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
