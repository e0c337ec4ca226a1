"""Tables for notebooks: rows of text as HTML, every cell escaped."""

import html
from collections.abc import Sequence


def html_table(header: Sequence[object], rows: Sequence[Sequence[object]], *, caption: str = "") -> str:
    """An HTML table with aligned numbers.

    >>> html_table(["word"], [["<b>"]])
    '<table style="font-variant-numeric: tabular-nums"><thead><tr><th>word</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    named = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table style="font-variant-numeric: tabular-nums">{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
