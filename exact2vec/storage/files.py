"""Reading of files that may be compressed."""

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from exact2vec.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
READ_BYTES = 1 << 20


@runtime_checkable
class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int = -1, /) -> bytes: ...


@contextlib.contextmanager
def open_decompressed(path: Path) -> Iterator[Readable]:
    """Open a plain, gzip or zstd file, told apart by its first bytes and not by its name.

    Raises InputError for a missing or unreadable file, and for a compressed one that is cut off
    or fails its checksum.
    """
    with input_errors_named(str(path)), open(path, "rb") as file, decompressed(file) as plain:
        yield plain


@contextlib.contextmanager
def decompressed(file: io.BufferedReader) -> Iterator[Readable]:
    """`file` itself, or a reader of what it compresses."""
    magic = file.peek(4)[:4]
    if magic.startswith(GZIP_MAGIC):
        with gzip.GzipFile(fileobj=file) as plain:
            yield plain
    elif magic == ZSTD_MAGIC:
        with io.BufferedReader(_ZstdFile(file)) as plain:
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


class _ZstdFile(io.RawIOBase):
    """Every frame of a zstd file; EOFError where the last one is cut off.

    The library's own reader ends silently there.
    """

    def __init__(self, file: Readable) -> None:
        try:
            import zstandard
        except ImportError as error:
            raise InputError(
                "this file is zstd-compressed: pip install 'exact2vec[zst]', or unpack it first"
            ) from error
        self._library = zstandard
        self._file = file
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._plain = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._plain:
            packed = self._frame.unused_data or self._file.read(READ_BYTES)
            if self._frame.eof and packed:
                self._frame = self._library.ZstdDecompressor().decompressobj()
            if not packed:
                if self._frame.eof:
                    return 0
                raise EOFError("the last frame has no end")
            try:
                self._plain = self._frame.decompress(packed)
            except self._library.ZstdError as error:
                raise EOFError(str(error)) from error
        taken = self._plain[: len(buffer)]
        buffer[: len(taken)] = taken
        self._plain = self._plain[len(taken) :]
        return len(taken)


def text_lines(path: Path) -> list[str]:
    """The lines of a small text file in UTF-8, compressed or not; a byte order mark is no text.

    InputError names the first byte that is not UTF-8.
    """
    with open_decompressed(path) as file:
        data = file.read()
    try:
        return data.decode().removeprefix("\ufeff").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {data[error.start]:#04x} at offset {error.start:,} is not UTF-8"
        ) from error
