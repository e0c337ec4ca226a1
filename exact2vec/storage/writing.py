"""Whole-or-nothing writes of single files."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

from exact2vec.errors import ResourceError
from exact2vec.storage import disk

PIECE = 1 << 24  # bytes written by one call
UNFINISHED = re.compile(r"\.(.+)\.[0-9a-f]{8}\.part", re.DOTALL)
Pieces = Sequence[bytes | memoryview]
_noted: ContextVar[dict[Path, str] | None] = ContextVar("noted", default=None)


def write_whole(path: Path, data: bytes | Pieces) -> None:
    """Replace `path` whole or leave it as it was: a killed run never leaves half a file.

    Where `path` is a link it stays one, and what it leads to is replaced. A file that is replaced
    hands on its permissions, a new one has those of the umask.
    """
    pieces = [data] if isinstance(data, bytes) else data
    with failure_named(path):
        target = Path(os.path.realpath(path))
        _write_beside(target, pieces)
        sync_folder(target.parent)
    if (noted := _noted.get()) is not None:
        noted[path] = digest_of(pieces)


@contextlib.contextmanager
def digests_noted() -> Iterator[dict[Path, str]]:
    """The SHA-256 of every file that this thread writes meanwhile."""
    noted: dict[Path, str] = {}
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


def digest_of(pieces: Pieces) -> str:
    """The SHA-256 of bytes that follow each other, in hex."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _write_beside(path: Path, pieces: Pieces) -> None:
    part, mode = unfinished_name(path), permissions(path)
    handle = disk.open_new(part, 0o666 if mode is None else 0o600)
    try:
        disk.lock(handle)
        if mode is not None:
            disk.change_mode(handle, mode)
        for piece in pieces:
            _write_all(handle, piece)
        disk.sync(handle)
        disk.rename(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.unlink(part)
        raise
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[disk.write(handle, rest[:PIECE]) :]


def unfinished_name(path: Path) -> Path:
    """A name beside `path` for what will take its place."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def permissions(path: Path) -> int | None:
    """The permissions of a file or folder, None where there is none.

    OSError for a device or a pipe, in whose place nothing is put.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is neither a file nor a folder", str(path))
    return stat.S_IMODE(mode)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        disk.sync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def failure_named(path: Path) -> Iterator[None]:
    """Turn what the system says of a write into a ResourceError that names `path`."""
    try:
        yield
    except ResourceError:
        raise
    except OSError as error:
        why = error.strerror or str(error)
        raise ResourceError(
            f"{path} cannot be written: {why}; make room or mend it, or write elsewhere"
        ) from error
