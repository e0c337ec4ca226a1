"""Reading of files that may be compressed."""

import codecs
import contextlib
import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from exact2vec.errors import InputError
from exact2vec.storage.zstd import ZstdFile, is_zstd

GZIP_MAGIC = b"\x1f\x8b"
READ_BYTES = 1 << 20
WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
PACKED = (".gz", ".zst")
MAGIC_BYTES = 4  # tell how a file is compressed


@runtime_checkable
class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int = -1, /) -> bytes: ...


ReadFile = dict[str, str | int]  # its name, bytes and sha256
_recorded: ContextVar[list[ReadFile] | None] = ContextVar("recorded", default=None)


@contextlib.contextmanager
def recorded_files() -> Iterator[list[ReadFile]]:
    """A list that gets the name, the size and the SHA-256 of each file that is read meanwhile."""
    files: list[ReadFile] = []
    token = _recorded.set(files)
    try:
        yield files
    finally:
        _recorded.reset(token)


def record(name: str, file: "Digesting") -> ReadFile:
    """What was read of a file; it is noted where files are being recorded."""
    found: ReadFile = {"name": name, "bytes": file.bytes, "sha256": file.hexdigest()}
    files = _recorded.get()
    if files is not None and found not in files:
        files.append(found)
    return found


@dataclass
class Reading:
    """The files of a reading, and those that changed meanwhile."""

    files: list[ReadFile] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def add(self, name: str, file: "Digesting") -> None:
        """A file that was read to its end."""
        if (change := file.change()) is not None:
            self.changed.append(f"{name} changed while it was read: {change}")
        self.files.append(record(name, file))

    @property
    def doubled(self) -> list[str]:
        """A line for each file that holds what an earlier one does."""
        first: dict[object, ReadFile] = {}
        return [
            f"{file['name']} has the content of {same['name']}; both are counted"
            for file in self.files
            if (same := first.setdefault(file["sha256"], file)) is not file
        ]


class Digesting(io.RawIOBase):
    """A file that is read once, with the number and the SHA-256 of the bytes that came."""

    def __init__(self, file: io.RawIOBase | io.BufferedIOBase) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._before = _status(file) if file.seekable() and file.tell() == 0 else None
        self.bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer = memoryview(buffer)
        size = self._file.readinto(buffer) or 0
        while 0 < self.bytes + size < MAGIC_BYTES:  # a pipe may give less at once
            if not (more := self._file.readinto(buffer[size:]) or 0):
                break
            size += more
        self.bytes += size
        self._sha256.update(buffer[:size])
        return size

    def hexdigest(self) -> str:
        """The SHA-256 of what was read, in hex."""
        return self._sha256.hexdigest()

    def change(self) -> str | None:
        """What happened to a regular file since it was opened, None for nothing."""
        before, after = self._before, _status(self._file)
        if before is None or after is None:
            return None
        if before.st_size != after.st_size or self.bytes < before.st_size:
            return (
                f"{before.st_size:,} bytes when it was opened, {after.st_size:,} at the end, "
                f"{self.bytes:,} were read"
            )
        return "it was written to" if before.st_mtime_ns != after.st_mtime_ns else None


def _status(file: io.RawIOBase | io.BufferedIOBase) -> os.stat_result | None:
    """What the system says of a regular file."""
    try:
        found = os.fstat(file.fileno())
    except (OSError, io.UnsupportedOperation):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


@contextlib.contextmanager
def open_decompressed(path: Path, read: "Reading | None" = None) -> Iterator[Readable]:
    """Open a plain, gzip or zstd file, told apart by its first bytes and not by its name.

    `read`, if given, notes the file and what happened to it while it was read. Raises InputError
    for a missing or unreadable file, and for a compressed one that is cut off or fails its
    checksum.
    """
    with input_errors_named(str(path)), open(path, "rb", 0) as file:
        raw = Digesting(file)
        with decompressed(raw) as plain:
            yield plain
        (read or Reading()).add(str(path), raw)


@contextlib.contextmanager
def decompressed(raw: io.RawIOBase) -> Iterator[Readable]:
    """A buffered reader of `raw`, or of what it compresses."""
    file = io.BufferedReader(raw)
    magic = file.peek(MAGIC_BYTES)[:MAGIC_BYTES]
    if magic.startswith(GZIP_MAGIC):
        with gzip.GzipFile(fileobj=file) as plain:
            yield plain
    elif is_zstd(magic):
        with io.BufferedReader(ZstdFile(file)) as plain:
            yield plain
    else:
        yield file


@contextlib.contextmanager
def input_errors_named(name: str) -> Iterator[None]:
    """Turn what the system or a decompressor says of an input into one line that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{name}: there is no such file or folder") from error
    except PermissionError as error:
        raise InputError(f"{name}: no permission to read it") from error
    except IsADirectoryError as error:
        raise InputError(f"{name} is a folder, a file was wanted") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{name}: the compressed data is cut off or damaged ({error}); "
            "nothing was trained on the part"
        ) from error
    except OSError as error:
        raise InputError(f"{name[:80]} cannot be read: {error.strerror or error}") from error


def text_lines(path: Path) -> list[str]:
    """The lines of a small text file, as `whole_text` reads it."""
    return whole_text(path).splitlines()


def whole_text(path: Path) -> str:
    """A small text file, compressed or not, in UTF-8 or what its mark says.

    Byte order marks are no text, wherever they stand. InputError names the line of the first byte
    that is not text.
    """
    with open_decompressed(path) as file:
        data = file.read()
    wide = next((name for mark, name in WIDE_MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(wide).replace("\ufeff", "")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line:,}: byte {data[error.start]:#04x} at offset {error.start:,} is "
            f"not {wide.upper()}"
        ) from error
