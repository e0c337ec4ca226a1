"""Text that holds more than text: JSON, XML, tables. It is read as it stands, and said."""

import json
import re
from collections import Counter

SAMPLE = 65_536  # characters of a file that are looked at
TAG = re.compile(
    r"</?(?!(?:unk|s|eos|bos|pad|num|mask)>)[A-Za-z][\w:.-]{0,40}(?:\s[^<>]{0,400})?/?>"
    r"|<!--|<\?xml|<!DOCTYPE",
    re.I,
)
CLOSING = re.compile(r"^</|/>$|^<[?!]")
WIKI = re.compile(r"\[\[[^\[\]\n]{1,200}\]\]|\{\{[^{}\n]{1,200}\}\}")
LATEX = re.compile(r"\\(?:documentclass|usepackage|begin|section|item|cite|ref)\b")
FEWEST_LINES = 5
COUNTED = "are counted as words; take the text out first"
TABLES = ", or see --kind where it is a table of items"


def markup_of(text: str) -> str | None:
    """What the beginning of a file looks like, and what of it is counted as words; None for text.

    >>> markup_of('{"id": 1, "text": "one"}\\n{"id": 2, "text": "two"}\\n')[:50]
    'JSON lines: its keys are counted as words; take th'
    >>> markup_of("A plain line, < 80 characters.\\nAnd more.\\n")
    """
    text = text[:SAMPLE]
    lines = [line for line in text.splitlines()[:-1] or [text] if line.strip()][:200]
    return _json(text, lines) or _tags(text, lines) or _table(lines)


def _json(text: str, lines: list[str]) -> str | None:
    objects = [_object(line) for line in lines]
    if lines and all(one is not None for one in objects):
        sizes: Counter[str] = Counter()
        for one in objects:
            for key, value in (one or {}).items():
                sizes[key] += len(value) if isinstance(value, str) else 0
        longest = max(sizes, key=sizes.__getitem__, default="text")
        return f"JSON lines: its keys {COUNTED}, such as jq -r '.{longest}'{TABLES}"
    if re.match(r'\s*(?:\{\s*"[^"\n]*"\s*:|\[\s*(?:"|\{\s*"|\[\s*["\d\[-]))', text):
        return f"JSON: its keys {COUNTED}, such as with jq"
    return None


def _object(line: str) -> dict[str, object] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _tags(text: str, lines: list[str]) -> str | None:
    for what, pattern, parts in (
        ("XML or HTML", TAG, "tags and attributes"),
        ("wiki markup", WIKI, "links and templates"),
        ("LaTeX", LATEX, "commands"),
    ):
        found = [match[0] for match in pattern.finditer(text)]
        closed = pattern is not TAG or any(CLOSING.search(one) for one in found)
        if closed and len(found) >= 2 and len(found) > 0.2 * len(lines):
            return f"{what}: its {parts} {COUNTED}"
    return None


def _table(lines: list[str]) -> str | None:
    if len(lines) < FEWEST_LINES:
        return None
    for what, sign, fewest in (("TSV", "\t", 1), ("CSV", ",", 2), ("CSV", ";", 2)):
        counts = [re.sub(r'"[^"]*"', "", line).count(sign) for line in lines]
        if min(counts) >= fewest and counts.count(counts[0]) > 0.95 * len(counts):
            columns = f"{what} of {counts[0] + 1} columns"
            return f"{columns}: its header and all columns {COUNTED}{TABLES}"
    return None
