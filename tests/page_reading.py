"""What the tests read on a page in a browser, and how they ask it."""

SEARCH = """word => {
  document.getElementById('word').value = word;
  document.getElementById('search').requestSubmit();
}"""


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
