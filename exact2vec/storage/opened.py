"""The files of one folder, opened together, so that no other folder of its name mixes in."""

import contextlib
import errno
import os
import stat
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

from exact2vec.errors import CorruptFileError, InputError

LARGEST = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # bytes of a file: the memory


@contextlib.contextmanager
def opened_folder(folder: Path) -> Iterator[int]:
    """A handle of a folder; InputError where there is none."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder}: there is no such run folder") from error
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    try:
        yield handle
    finally:
        os.close(handle)


class OpenedFiles:
    """Handles of the files of a folder; `missing` are the names without one.

    Only regular files are opened: no pipe, no device. They are closed with the last reference.
    """

    def __init__(self, folder: Path, handle: int, names: Iterable[str]) -> None:
        self.folder = folder
        self._handles: dict[str, int] = {}
        self._why: dict[str, OSError] = {}
        self._closed = weakref.finalize(self, _close, self._handles)
        for name in names:
            try:
                self._handles[name] = _open_regular(name, handle)
            except OSError as error:
                self._why[name] = error

    @property
    def missing(self) -> set[str]:
        """The files that are not there."""
        return {name for name, error in self._why.items() if error.errno == errno.ENOENT}

    def bytes(self, name: str, at_most: int = LARGEST) -> bytes:
        """The content of a file.

        InputError where it may not be read; CorruptFileError where it is missing, is no file, or
        is larger than `at_most` bytes.
        """
        path = self.folder / name
        if name in self._why:
            raise _named(path, self._why[name]) from self._why[name]
        handle = self._handles[name]
        size = os.fstat(handle).st_size
        if size > at_most:
            raise CorruptFileError(f"{path} has {size:,} bytes, {at_most:,} at most were expected")
        try:
            with open(os.dup(handle), "rb", buffering=0) as file:
                file.seek(0)
                return file.read(-1)
        except OSError as error:
            raise _named(path, error) from error


def is_plain_name(name: str) -> bool:
    """Whether it names a file of a folder, and nothing above or below it."""
    return Path(name).name == name and name not in ("", "..") and "\0" not in name


def _open_regular(name: str, folder: int) -> int:
    if not stat.S_ISREG(os.stat(name, dir_fd=folder).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no regular file")
    return handle


def _named(path: Path, error: OSError) -> CorruptFileError | InputError:
    if error.errno == errno.ENOENT:
        return CorruptFileError(f"{path} is missing; the run folder is not complete")
    if error.errno in (errno.EACCES, errno.EPERM):
        return InputError(f"{path}: no permission to read it")
    return CorruptFileError(f"{path} cannot be read: {error.strerror}")


def _close(handles: dict[str, int]) -> None:
    for handle in handles.values():
        os.close(handle)
