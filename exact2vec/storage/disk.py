"""The operations that change files and folders. Whatever the package writes goes through here.

So a test can fail or stop each of them: it puts a function of its own in the place of `before`.
"""

import ctypes
import errno
import fcntl
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
EXCHANGE = 2  # RENAME_EXCHANGE of renameat2
HERE = -100  # AT_FDCWD
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


def before(operation: str, *arguments: object) -> None:
    """Called before each operation with its name and arguments; it does nothing."""


def _operation(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """`function`, announced by `before`, and done again where a signal cut it short."""

    @functools.wraps(function)
    def announced(*arguments: Given.args, **named: Given.kwargs) -> Result:
        while True:
            try:
                before(function.__name__, *arguments)
                return function(*arguments, **named)
            except InterruptedError:
                continue

    return announced


@_operation
def open_new(path: Path, mode: int = 0o666) -> int:
    """A handle of a new file. The umask takes from `mode`; nothing that exists is opened."""
    return os.open(path, NEW_FILE, mode)


@_operation
def write(handle: int, data: memoryview) -> int:
    """How many of the bytes were written."""
    return os.write(handle, data)


@_operation
def sync(handle: int) -> None:
    """Put the content of a file, or the names in a folder, on the disk."""
    os.fsync(handle)


@_operation
def rename(old: Path, new: Path) -> None:
    """Give a file or folder another name; a file, or an empty folder, of that name is replaced."""
    os.replace(old, new)


@_operation
def exchange(one: Path, other: Path) -> None:
    """Swap two names at once.

    OSError with ENOSYS, EINVAL or ENOTSUP where the system or the file system has no such call.
    """
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(one))
    if call(HERE, os.fsencode(one), HERE, os.fsencode(other), EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))


@_operation
def make_folder(path: Path, mode: int = 0o777) -> None:
    """A new folder; the umask takes from `mode`."""
    os.mkdir(path, mode)


@_operation
def unlink(path: Path) -> None:
    """Take a file away."""
    os.unlink(path)


@_operation
def remove_folder(path: Path) -> None:
    """Take an empty folder away."""
    os.rmdir(path)


@_operation
def change_mode(path: Path | int, mode: int) -> None:
    """Set the permissions of a file, a folder or a handle."""
    os.chmod(path, mode)


def lock(handle: int) -> bool:
    """Whether a file or folder is now ours until the handle is closed or the process ends.

    False where another handle has it. Where the file system has no locks, it is true.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        return error.errno in NO_LOCKS
    return True
