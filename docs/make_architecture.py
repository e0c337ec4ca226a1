"""The house as a picture, made from the imports of the package.

python docs/make_architecture.py > docs/see/house.svg

A box is a folder of exact2vec, or a file that lies beside the folders. An arrow goes from a box to
each that it imports from; arrows that follow from others are left out. Boxes stand above all that
they import.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parents[1] / "exact2vec"
WIDTH, HEIGHT = 124, 38  # of a box
ACROSS, DOWN, MARGIN = 36, 44, 20  # between boxes, between levels, around all
Place = tuple[float, float]


def rooms() -> list[str]:
    """Folders and files of the house, in the order of the alphabet."""
    folders = {path.parent.name for path in HOUSE.glob("*/__init__.py")}
    files = {path.stem for path in HOUSE.glob("*.py")} - {"__init__", "__main__"}
    return sorted(folders | files)


def files_of(room: str) -> list[Path]:
    """The Python files of a room."""
    return sorted((HOUSE / room).rglob("*.py")) or [HOUSE / f"{room}.py"]


def imported_modules(file: Path) -> Iterator[str]:
    """The dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports() -> dict[str, set[str]]:
    """For each room the other rooms that it imports from."""
    names = set(rooms())
    found: dict[str, set[str]] = {room: set() for room in names}
    for room in names:
        for file in files_of(room):
            for module in imported_modules(file):
                first, _, rest = module.partition(".")
                if first == "exact2vec":
                    found[room] |= {rest.partition(".")[0]} & names - {room}
    return found


def without_detours(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows from which all others follow: none from A to C where there are A → B → C."""
    reached: dict[str, set[str]] = {}

    def all_below(room: str) -> set[str]:
        if room not in reached:
            reached[room] = set().union(*({one} | all_below(one) for one in graph[room]))
        return reached[room]

    return {
        room: below - set().union(*(all_below(one) for one in below))
        for room, below in graph.items()
    }


def levels(graph: dict[str, set[str]]) -> list[list[str]]:
    """The rooms of each level, the lowest first: a room stands above all that it imports."""
    level: dict[str, int] = {}
    while len(level) < len(graph):
        ready = {room for room in graph if room not in level and graph[room] <= set(level)}
        if not ready:
            raise ValueError(f"these import each other: {sorted(set(graph) - set(level))}")
        level |= {room: max((level[one] + 1 for one in graph[room]), default=0) for room in ready}
    return [
        sorted(room for room in level if level[room] == number)
        for number in range(max(level.values()) + 1)
    ]


def places(stories: list[list[str]]) -> dict[str, Place]:
    """The upper left corner of each box; levels are centred."""
    widest = max(map(len, stories))
    found = {}
    for number, story in enumerate(reversed(stories)):
        indent = (widest - len(story)) * (WIDTH + ACROSS) / 2
        for column, room in enumerate(story):
            x = MARGIN + indent + column * (WIDTH + ACROSS)
            found[room] = x, MARGIN + number * (HEIGHT + DOWN)
    return found


def box(room: str, place: Place) -> str:
    """A room: a folder or a file."""
    x, y = place
    folder = (HOUSE / room).is_dir()
    kind, name = ("folder", f"{room}/") if folder else ("file", f"{room}.py")
    return (
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>\n'
        f'<text x="{x + WIDTH / 2:g}" y="{y + HEIGHT / 2 + 5:g}">{name}</text>'
    )


def arrow(above: Place, below: Place) -> str:
    """From the lower edge of one box to the upper edge of another."""
    x, y = above[0] + WIDTH / 2, above[1] + HEIGHT
    to_x, to_y = below[0] + WIDTH / 2, below[1] - 3
    bend = (to_y - y) / 2
    return (
        f'<path d="M{x:g} {y:g} C{x:g} {y + bend:g} {to_x:g} {to_y - bend:g} {to_x:g} {to_y:g}"/>'
    )


HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">
<title>The rooms of exact2vec, each above those that it imports from</title>
<style>
rect {{ stroke: #5f6368 }} .folder {{ fill: #e3eef8 }} .file {{ fill: #f6f3ea }}
path {{ fill: none; stroke: #5f6368; stroke-width: 1.2; marker-end: url(#head) }}
text {{ font-family: sans-serif; font-size: 14px; text-anchor: middle; fill: #1b1d20 }}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7"
orient="auto"><path d="M0 0 L8 4 L0 8 z" style="fill: #5f6368; stroke: none"/></marker></defs>
<rect width="100%" height="100%" style="fill: #ffffff; stroke: none"/>"""


def picture() -> str:
    """The SVG."""
    graph = imports()
    stories = levels(graph)
    at = places(stories)
    width = MARGIN + max(x for x, _ in at.values()) + WIDTH
    height = MARGIN + max(y for _, y in at.values()) + HEIGHT
    shown = without_detours(graph)
    arrows = [arrow(at[room], at[one]) for room in sorted(shown) for one in sorted(shown[room])]
    boxes = [box(room, at[room]) for room in sorted(at)]
    return "\n".join([HEAD.format(width=width, height=height), *arrows, *boxes, "</svg>\n"])


if __name__ == "__main__":
    sys.stdout.write(picture())
