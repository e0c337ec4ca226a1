"""Tables for notebooks, as HTML with every cell escaped; and numbers as JSON can say them."""

import html
import math
from collections.abc import Sequence
from typing import Any


def html_table(
    header: Sequence[object], rows: Sequence[Sequence[object]], *, caption: str = ""
) -> str:
    """An HTML table, its cells to the right, digits of one width.

    >>> print(html_table(["word"], [["<b>"]]).replace("><t", ">\\n<t", 2))
    <table style="text-align: right; font-variant-numeric: tabular-nums">
    <thead>
    <tr><th>word</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>
    """
    named = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    table = '<table style="text-align: right; font-variant-numeric: tabular-nums">'
    return f"{table}{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def finite(data: Any) -> Any:
    """`data` as JSON can say it: None for what is infinite or not a number.

    >>> finite({"nll": (1.5, float("nan"))})
    {'nll': [1.5, None]}
    """
    if isinstance(data, dict):
        return {str(key): finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
