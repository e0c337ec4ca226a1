"""The corpus that every Python carries: its documentation, about 318,000 words."""

import ast
import inspect
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from exact2vec.errors import InputError

LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test"}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def documents() -> Iterator[str]:
    """Each topic of pydoc, then each docstring of the public modules of the standard library.

    Each stands once, in order of path. The modules are parsed, never imported. Raises InputError
    where this Python carries no library sources.
    """
    library = Path(sysconfig.get_paths()["stdlib"])
    topics = library / "pydoc_data" / "topics.py"
    if not topics.is_file():
        raise InputError(f"this Python carries no documentation: {topics} is missing")
    yield from _topics(topics)
    seen: set[str] = set()
    for path in sorted(library.rglob("*.py")):
        if _public(path.relative_to(library)):
            for text in _docstrings(path):
                if text not in seen:
                    seen.add(text)
                    yield text


def _topics(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.Assign):
            yield from (text for _, text in sorted(ast.literal_eval(node.value).items()))


def _docstrings(path: Path) -> list[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # the library carries a few files that are wrong on purpose
        return []
    texts = (
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, DOCUMENTED)
    )
    return [inspect.cleandoc(text) for text in texts if text]


def _public(path: Path) -> bool:
    private = any(part.startswith("_") and not part.startswith("__") for part in path.parts)
    return not private and not LEFT_OUT.intersection(path.parts)
