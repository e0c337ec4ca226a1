"""Make docs/lecture.ipynb of docs/lecture.py and execute it: python docs/make_lecture.py"""

import re
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

DOCS = Path(__file__).parent


def notebook(source: str) -> nbformat.NotebookNode:
    """The cells of a script in which `# %%` begins a cell of code and `# %% [markdown]` one of text, not executed."""
    cells = []
    for number, (kind, body) in enumerate(re.findall(r"^# %%( \[markdown\])?\n(.*?)(?=^# %%|\Z)", source, re.MULTILINE | re.DOTALL)):
        text = re.sub(r"^# ?", "", body.strip(), flags=re.MULTILINE) if kind else re.sub(r"  # noqa: \w+", "", body.strip())
        cell = nbformat.v4.new_markdown_cell(text) if kind else nbformat.v4.new_code_cell(text)
        cell["id"] = f"cell-{number}"
        cells.append(cell)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}, "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)


def executed(made: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The same notebook with its outputs; raises CellExecutionError where a cell fails. Times are not recorded."""
    manager = AsyncKernelManager(kernel_name="python3", transport="ipc")  # files, no network port
    NotebookClient(made, km=manager, timeout=300, record_timing=False).execute()
    return made


if __name__ == "__main__":
    nbformat.write(executed(notebook((DOCS / "lecture.py").read_text("utf-8"))), DOCS / "lecture.ipynb")
