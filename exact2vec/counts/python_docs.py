"""The corpus that every Python carries: its documentation, about 318,000 words."""

import ast
import inspect
import os
import sysconfig
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from exact2vec.errors import InputError

LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test"}
HOLDING = (ast.stmt, ast.excepthandler, ast.match_case)
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
    for path in sorted(_public_modules(library)):
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
        for node in _statements(tree)
        if isinstance(node, DOCUMENTED)
    )
    return [inspect.cleandoc(text) for text in texts if text]


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """A module and what stands in it, level by level; expressions are not looked into."""
    waiting: deque[ast.AST] = deque([tree])
    while waiting:
        node = waiting.popleft()
        yield node
        waiting.extend(one for one in ast.iter_child_nodes(node) if isinstance(one, HOLDING))


def _public_modules(library: Path) -> Iterator[Path]:
    """Folders of others' packages, which may be many, are not gone into."""
    for folder, inner, names in os.walk(library):
        inner[:] = filter(_public, inner)
        yield from (Path(folder, name) for name in names if name.endswith(".py") and _public(name))


def _public(name: str) -> bool:
    private = name.startswith("_") and not name.startswith("__")
    return not private and name not in LEFT_OUT
