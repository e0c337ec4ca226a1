"""Data and scripts in a page of HTML."""

import pytest

from exact2vec.pages.html import page


def test_a_script_that_could_end_its_element_is_a_mistake(tmp_path):
    (tmp_path / "bad.js").write_text("'</script>'")
    with pytest.raises(ValueError, match="cannot stand in an HTML script element"):
        page("report.html", styles=[], scripts=[tmp_path / "bad.js"], data={})
