"""Disks that fail or stop at a chosen operation."""

import contextlib
import errno
import os

from exact2vec.storage import disk

ERRORS = (errno.EIO, errno.ENOSPC, errno.EINVAL, errno.EACCES, errno.EINTR)


class Killed(BaseException):
    """The command is gone: nothing more is written, nothing tidied up."""


@contextlib.contextmanager
def counted():
    """A list of the operations done meanwhile: (name, arguments)."""
    done = []
    with _before(lambda *operation: done.append(operation)):
        yield done


@contextlib.contextmanager
def killed_at(number):
    """`Killed` is raised by the operation of this number, 0 is the first, and by all later ones.

    What the operation writes is half on the disk then.
    """
    done = []

    def stop(name, *arguments):
        done.append(name)
        if name == "write" and len(done) == number + 1:
            handle, data = arguments
            os.write(handle, data[: len(data) // 2])
        if len(done) > number:
            raise Killed

    with _before(stop):
        yield


@contextlib.contextmanager
def failing_at(number, error, *, ever=False):
    """The operation of this number fails with this error; with `ever` all later ones, too."""
    done = []

    def fail(name, *arguments):
        done.append(name)
        if len(done) == number + 1 or (ever and len(done) > number):
            raise OSError(error, os.strerror(error))

    with _before(fail):
        yield


@contextlib.contextmanager
def _before(function):
    usual = disk.before
    disk.before = function
    try:
        yield
    finally:
        disk.before = usual
