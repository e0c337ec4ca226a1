"""progress.json, by which a training goes on: read whole, and refused where it is damaged."""

import re
from pathlib import Path
from typing import Any

from exact2vec.errors import CorruptFileError
from exact2vec.storage.encoding import is_count, is_number, json_value
from exact2vec.storage.opened import OpenedFiles, is_plain_name, opened_folder
from exact2vec.storage.run_folder import FORMAT, PROGRESS, manifest_digest

SHA256 = re.compile("[0-9a-f]{64}")
CHECKPOINTS = ({"last", "good"}, set[str]())
PARTS = {"format", "replaces", "files", "checkpoints", "history", "times"}


def checkpoint_name(step: int) -> str:
    """The file of the arrays that are written behind a step."""
    return f"checkpoint-{step}.safetensors"


def read_progress(folder: Path) -> dict[str, Any]:
    """What progress.json says; CorruptFileError where it is not as it was written.

    What its numbers mean to the training is for `train` to check.
    """
    path = folder / PROGRESS
    with opened_folder(folder) as handle:
        data = OpenedFiles(folder, handle, [PROGRESS]).bytes(PROGRESS)
    try:
        stored: dict[str, Any] = json_value(data)
        signed = stored.pop("sha256") == manifest_digest(stored)
        if not (signed and set(stored) == PARTS):
            raise ValueError("not as written")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CorruptFileError(f"{path} is damaged: it is not what was written") from error
    if stored["format"] != FORMAT:
        raise CorruptFileError(
            f"{path}: format {stored['format']!r} is unknown; this exact2vec goes on with {FORMAT}"
        )
    if (wrong := _wrong_part(stored)) is not None:
        raise CorruptFileError(f"{path} is damaged: {wrong} is not what was written")
    return stored


def _wrong_part(stored: dict[str, Any]) -> str | None:
    checks = {
        "replaces": lambda one: one is None or (isinstance(one, str) and is_plain_name(one)),
        "files": _are_files,
        "checkpoints": _are_checkpoints,
        "history": _are_rows,
        "times": _are_rows,
    }
    return next((name for name, is_right in checks.items() if not is_right(stored[name])), None)


def _are_files(files: Any) -> bool:
    return isinstance(files, dict) and all(
        is_plain_name(name) and _is_digest(digest) for name, digest in files.items()
    )


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and SHA256.fullmatch(value) is not None


def _are_checkpoints(checkpoints: Any) -> bool:
    return (
        isinstance(checkpoints, dict)
        and set(checkpoints) in CHECKPOINTS
        and all(_is_checkpoint(one) for one in checkpoints.values())
    )


def _is_checkpoint(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and _is_digest(one.get("sha256"))
        and is_count(one.get("step"))
        and one.get("file") == checkpoint_name(one["step"])
        and is_number(one.get("epoch"))
    )


def _are_rows(rows: Any) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, dict) and is_count(row.get("step")) for row in rows
    )
