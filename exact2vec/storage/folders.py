"""Folders that are written beside their place: held by one command, and put there whole."""

import contextlib
import errno
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from exact2vec.errors import UsageError
from exact2vec.storage import disk
from exact2vec.storage.writing import permissions, sync_folder, unfinished_name

NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[int]:
    """A handle of an existing folder, which no other command can hold meanwhile.

    UsageError where another one holds it.
    """
    handle = hold(folder)
    try:
        yield handle
    finally:
        os.close(handle)


def hold(folder: Path) -> int:
    """The handle of `held`; who takes it closes it. The system does where a process ends."""
    while True:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        if not disk.lock(handle):
            os.close(handle)
            raise UsageError(
                f"{folder} is being written by another command; wait until it ends, "
                "or name another folder"
            )
        if is_at(folder, handle):
            return handle
        os.close(handle)


def is_at(folder: Path, handle: int) -> bool:
    """Whether the folder of a handle still has this name."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.stat(folder), os.fstat(handle))
    return False


def is_held(path: Path) -> bool:
    """Whether another command is writing a file or folder."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return not disk.lock(handle)
    finally:
        os.close(handle)


def make_folders(folder: Path) -> None:
    """Make a folder, and those that it is to stand in, where they are not there."""
    if not folder.is_dir():
        make_folders(folder.parent)
        with contextlib.suppress(FileExistsError):
            disk.make_folder(folder)


@contextlib.contextmanager
def parents_made(folder: Path) -> Iterator[None]:
    """The folders that `folder` is to stand in; those that stay empty are gone at the end."""
    missing = [path for path in folder.parents if not path.exists()]
    make_folders(folder.parent)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            for path in missing:
                disk.remove_folder(path)


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, held; whatever is left of it at the end is deleted."""
    with parents_made(folder):
        part, mode = unfinished_name(folder), permissions(folder)
        disk.make_folder(part, 0o777 if mode is None else 0o700)
        with held(part) as handle:
            try:
                if mode is not None:
                    disk.change_mode(part, mode)
                yield part
            finally:
                if is_at(part, handle):  # not where it is in its place, and the old one lies here
                    delete_folder(part)


def put_in_place(part: Path, folder: Path, *, force: bool) -> Path | None:
    """Give `part` the name of `folder`; the result is where the folder of before now lies, if any.

    Without `force` only an empty folder is replaced, else OSError. At every instant one of the two
    has the name, or, where the system cannot exchange names, the old one lies beside it for a
    moment. The names are not yet on the disk.
    """
    old = None
    sync_folder(part)
    if force and folder.is_dir() and any(folder.iterdir()):
        keep_modes(folder, part)
        old = _exchanged(part, folder)
    else:
        disk.rename(part, folder)
    return old


def keep_modes(old: Path, new: Path) -> None:
    """Files keep the permissions of those that they replace."""
    for path in sorted(new.iterdir()):
        mode = permissions(old / path.name)
        if mode is not None and mode != permissions(path):
            disk.change_mode(path, mode)


def _exchanged(part: Path, folder: Path) -> Path:
    try:
        disk.exchange(part, folder)
    except OSError as error:
        if error.errno not in NO_EXCHANGE:
            raise
    else:
        return part
    away = unfinished_name(folder)
    disk.rename(folder, away)
    try:
        disk.rename(part, folder)
    except BaseException:
        disk.rename(away, folder)
        raise
    return away


def delete_folder(folder: Path, names: Collection[str] | None = None) -> None:
    """Delete a folder with the files in it, or with those `names` of them.

    What cannot be deleted stays: the next command names it.
    """
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            if names is None or path.name in names:
                disk.unlink(path)
        disk.remove_folder(folder)
