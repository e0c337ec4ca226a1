"""docs/choosing.md says what was measured."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tables_are_what_was_measured():
    spec = importlib.util.spec_from_file_location("rare", ROOT / "benchmarks" / "rare.py")
    rare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rare)
    rows, page = rare.read(ROOT / "benchmarks" / "results" / "rare.jsonl"), (ROOT / "docs" / "choosing.md").read_text()
    for part in (rare.sets_table(rows), rare.small_table(rows), rare.rare_lines(rows), rare.strengths_table(rows)):
        assert part in page, part
