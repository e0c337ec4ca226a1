"""What killed commands left beside a run and in it: to be named, and to be deleted.

Where names cannot be exchanged, a command that is killed between two renames leaves the only copy
of a run under such a name. That one is never deleted: it gets its name back.
"""

import contextlib
import os
import re
from pathlib import Path

from exact2vec.errors import CorruptFileError, Exact2VecError
from exact2vec.storage import disk
from exact2vec.storage.folders import delete_folder, is_held
from exact2vec.storage.run_folder import (
    has_checkpoints,
    is_run_folder,
    left_in_run,
    open_run,
)
from exact2vec.storage.writing import UNFINISHED, failure_named, sync_folder

BESIDE = re.compile(r"(.+)\.new(-\d+)?", re.DOTALL)  # a training whose place a run has


def leftovers(path: Path) -> list[Path]:
    """What killed commands left of writing `path`, beside it or, where it is a folder, in it."""
    found = [one for one in _entries(path.parent) if _unfinished(one) == path.name]
    found += [one for one in _entries(path) if _unfinished(one)]
    return [*dict.fromkeys([*(one for one in found if not is_held(one)), *_of_progress(path)])]


def only_copies(folder: Path) -> list[Path]:
    """The leftovers that are runs where `folder` is none: they stepped aside, or were to come."""
    if is_run_folder(folder):
        return []
    return [path for path in leftovers(folder) if is_run_folder(path) and not path.is_symlink()]


def trainings_beside(folder: Path) -> list[Path]:
    """Trainings that were to replace a run and have not ended."""
    return [
        path
        for path in _entries(folder.parent)
        if (found := BESIDE.fullmatch(path.name))
        and found[1] == folder.name
        and has_checkpoints(path)
    ]


def clean(folder: Path) -> dict[Path, str]:
    """Delete what no command needs; the result says of each what became of it."""
    done = _restored(folder)
    kept = only_copies(folder)
    for path in leftovers(folder):
        if path in kept:
            done[path] = f"kept, for {folder} is no run; mv {path} {folder} makes it that"
            continue
        with contextlib.suppress(OSError):
            is_folder = path.is_dir() and not path.is_symlink()
            delete_folder(path) if is_folder else disk.unlink(path)
        done[path] = "could not be deleted" if os.path.lexists(path) else "deleted"
    return done


def _restored(folder: Path) -> dict[Path, str]:
    """The only copy of a run gets its name back, where it is whole and alone."""
    whole = only_copies(folder)
    if len(whole) != 1 or folder.exists():
        return {}
    with contextlib.suppress(CorruptFileError), failure_named(folder):
        open_run(whole[0]).check()
        disk.rename(whole[0], folder)
        sync_folder(folder.parent)
        return {whole[0]: f"is {folder} again"}
    return {}


def _of_progress(folder: Path) -> list[Path]:
    """The files in a finished run that only its training needed, or that it does not list.

    None where the run has yet to take the place of another.
    """
    if not is_run_folder(folder) or is_held(folder):
        return []
    if BESIDE.fullmatch(folder.name) and has_checkpoints(folder):
        return []
    with contextlib.suppress(Exact2VecError, OSError):
        return [folder / name for name in left_in_run(folder)]
    return []


def _entries(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _unfinished(path: Path) -> str | None:
    """The name that a file or folder was to get."""
    found = UNFINISHED.fullmatch(path.name)
    return found[1] if found else None
