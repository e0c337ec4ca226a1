"""Files that are added to a finished run: noted before, so that none stays which is not of it.

`adding.json` holds their SHA-256. By it a file that a killed command had written, and that the
manifest does not list, is told from one of the same name that somebody put there.
"""

import contextlib
import hashlib
import os
from collections.abc import Collection
from pathlib import Path

from exact2vec.errors import Exact2VecError
from exact2vec.storage.encoding import json_bytes, json_value
from exact2vec.storage.opened import OpenedFiles, is_plain_name, opened_folder
from exact2vec.storage.writing import write_whole

ADDING = "adding.json"  # while a file is added


def note_additions(folder: Path, digests: dict[str, str]) -> None:
    """Say which files are going to be written, by their SHA-256."""
    write_whole(folder / ADDING, json_bytes(digests))


def left_additions(folder: Path, listed: Collection[str]) -> list[str]:
    """Files that a command was adding, and that the manifest does not list.

    Only where they are as they were written: others belong to somebody else.
    """
    if not os.path.lexists(folder / ADDING):
        return []
    with contextlib.suppress(Exact2VecError, ValueError), opened_folder(folder) as handle:
        noted = json_value(OpenedFiles(folder, handle, [ADDING]).bytes(ADDING))
        unlisted = {*noted} - {*listed} if isinstance(noted, dict) else set()
        names = sorted(filter(is_plain_name, unlisted))
        opened = OpenedFiles(folder, handle, names)
        return [name for name in names if _digest(opened, name) == noted[name]]
    return []


def _digest(opened: OpenedFiles, name: str) -> str | None:
    with contextlib.suppress(Exact2VecError):
        return hashlib.sha256(opened.bytes(name)).hexdigest()
    return None
