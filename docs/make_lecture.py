"""Make docs/lecture.ipynb of docs/lecture.py and execute it.

python docs/make_lecture.py [OUTPUT]
"""

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

DOCS = Path(__file__).parent


class Kernel(AsyncKernelManager):
    """A kernel that is spoken to through files, without a network port."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(transport="ipc", **settings)


def notebook(source: str) -> nbformat.NotebookNode:
    """The cells of a script, not executed.

    `# %%` begins a cell of code and `# %% [markdown]` one of text.
    """
    cells = []
    for number, (kind, body) in enumerate(
        re.findall(r"^# %%( \[markdown\])?\n(.*?)(?=^# %%|\Z)", source, re.MULTILINE | re.DOTALL)
    ):
        text = (
            re.sub(r"^# ?", "", body.strip(), flags=re.MULTILINE)
            if kind
            else re.sub(r"  # noqa: \w+", "", body.strip())
        )
        cell = nbformat.v4.new_markdown_cell(text) if kind else nbformat.v4.new_code_cell(text)
        cell["id"] = f"cell-{number}"
        cells.append(cell)
    kernel = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)


def executed(made: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The same notebook with its outputs, without times.

    Raises CellExecutionError where a cell fails.
    """
    NotebookClient(
        made, kernel_name="python3", kernel_manager_class=Kernel, timeout=300, record_timing=False
    ).execute()
    return made


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "lecture.ipynb"
    nbformat.write(executed(notebook((DOCS / "lecture.py").read_text("utf-8"))), output)
