"""Python in a process of its own, that finds this checkout."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def output_of(*arguments, folder=None):
    """What Python prints when it runs with these arguments in a folder."""
    command = [sys.executable, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
    assert result.returncode == 0, f"{arguments}\n{result.stderr[-3000:]}"
    return result.stdout
