"""Where a run comes from: the versions and the machine that made it."""

import platform
from typing import Any

import numpy as np
import torch

from exact2vec import __version__


def origin_of(provenance: dict[str, Any] | None) -> dict[str, Any]:
    """What provenance.json holds: versions, machine, and whatever else is said of the origin."""
    return {"versions": versions(), "machine": platform.machine(), **(provenance or {})}


def versions() -> dict[str, str]:
    """The versions that the numbers of a run may depend on."""
    return {
        "exact2vec": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
