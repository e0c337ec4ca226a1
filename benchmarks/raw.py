"""Raw results, a JSON object a line, and the tables that docs make of them.

Each line has the machine and the commit it was measured on.
"""

import gzip
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

Row = dict[str, Any]

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def read(results: Path) -> list[Row]:
    """The lines of a result file; none where there is no file."""
    return (
        [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    )


def append(results: Path, row: Row) -> None:
    """Add a line, with the `machine`, and show it."""
    whole = row | {"machine": machine()}
    with open(results, "a") as file:
        file.write(json.dumps(whole) + "\n")
    print(whole, flush=True)


def machine() -> Row:
    """Processor, cores, load, versions and commit."""
    import torch

    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, text=True, capture_output=True
    ).stdout.strip()
    return {
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit,
    }


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between <!-- name --> and <!-- /name --> in a page."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page} has no {begin} … {end}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def unpacked_wiki(data: Path, scratch: Path) -> Path:
    """wiki.txt, unpacked once."""
    text = scratch / "wiki.txt"
    if not text.exists():
        text.write_bytes(gzip.decompress((data / "text/wiki.txt.gz").read_bytes()))
    return text
