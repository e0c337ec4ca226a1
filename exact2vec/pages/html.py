"""One HTML file from the parts in pages/page.

No request leaves it, and only the scripts it was written with can run.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact2vec.counts.kinds import TEXT, Kind
from exact2vec.display import finite

PARTS = Path(__file__).parent / "page"


def page(
    template: str,
    *,
    styles: Sequence[str],
    scripts: Sequence[str | Path],
    data: Any,
    connect: str = "'none'",
    kind: Kind = TEXT,
) -> bytes:
    """The file `template` with {{styles}}, {{scripts}}, {{data}} and {{policy}} filled in, UTF-8.

    The Content-Security-Policy names each script by its SHA-256. So what a word might smuggle in
    does not run, and nothing is loaded. `connect` is where the page may send requests. The nouns of
    `kind` stand for {{one}}, {{many}} and {{Many}}, and in its scripts as `kind` of the data.
    """
    nouns = {"one": kind.one, "many": kind.many}
    stored = json_text({**data, "kind": nouns})
    sources = [_script(PARTS / script) for script in scripts]
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
        for source in sources
    )
    parts = {
        "policy": f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'",
        "styles": "".join(
            f"<style>{(PARTS / style).read_text('utf-8')}</style>" for style in styles
        ),
        "data": f'<script type="application/json" id="data">{stored}</script>',
        "scripts": "".join(f"<script>{source}</script>" for source in sources),
        "Many": kind.many.capitalize(),
        **nouns,
    }
    text = (PARTS / template).read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], text).encode()


def json_text(data: Any) -> str:
    """JSON in ASCII that cannot end its script element: `<` is written \\u003c.

    What is not finite is null.

    >>> json_text({"word": "</script>", "nll": float("nan")})
    '{"word":"\\\\u003c/script>","nll":null}'
    """
    return json.dumps(finite(data), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def packed_array(array: NDArray[Any]) -> dict[str, Any]:
    """An array for a page: little-endian bytes in base64.

    Its kind is named as JavaScript names its typed arrays.
    """
    kind = {
        "float32": "Float32Array",
        "float64": "Float64Array",
        "int32": "Int32Array",
        "int16": "Int16Array",
    }[array.dtype.name]
    return {
        "kind": kind,
        "base64": base64.b64encode(
            np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        ).decode(),
    }


def _script(path: Path) -> str:
    """A script as the browser will hash it.

    One that could end its own element, or that the parser would change, is a mistake of ours.
    """
    source = path.read_text("utf-8")
    for sign in ("</script", "<!--", "\r", "\0"):
        if sign in source:
            raise ValueError(
                f"{path.name} holds {sign!r}, which cannot stand in an HTML script element"
            )
    return source
