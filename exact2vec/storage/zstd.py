"""Reading of zstd files, a block at a time: bounded memory, whatever they hold.

The format is that of RFC 8878. Blocks are found here and unpacked by the library, which alone
would give all that a piece of input holds at once, and would end silently where a file is cut off.
"""

import io
from collections.abc import Iterator
from typing import Any

from exact2vec.errors import InputError

MAGIC = b"\x28\xb5\x2f\xfd"
LARGEST_BLOCK = 1 << 17  # bytes, packed or unpacked
SMALLEST_PACKED = 2  # bytes of a block that is packed, not stored or repeated
LARGEST_WINDOW = 1 << 31  # what `zstd --long=31` makes; touched as far as it is used
READ_BYTES = 1 << 17


def is_zstd(magic: bytes) -> bool:
    """Whether these first four bytes are of a frame, or of one that is to be skipped."""
    return magic == MAGIC or _is_skippable(magic)


def _is_skippable(magic: bytes) -> bool:
    return len(magic) == 4 and magic[1:] == b"\x2a\x4d\x18" and magic[0] >> 4 == 5


class ZstdFile(io.RawIOBase):
    """The content of every frame of a zstd file; EOFError where it is cut off or damaged."""

    def __init__(self, file: Any) -> None:
        self._contents = _contents(_Packed(file))
        self._plain = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._plain:
            if (plain := next(self._contents, None)) is None:
                return 0
            self._plain = plain
        taken = self._plain[: len(buffer)]
        buffer[: len(taken)] = taken
        self._plain = self._plain[len(taken) :]
        return len(taken)


class _Packed:
    """Bytes of a file, so many at a time."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._buffer, self._place = b"", 0

    def exactly(self, size: int) -> bytes:
        """The next `size` bytes; EOFError where there are fewer."""
        found = self._at_most(size)
        if len(found) < size:
            raise EOFError("the last frame has no end")
        return found

    def next_magic(self) -> bytes:
        """The next four bytes; none at the end of the file."""
        first = self._at_most(4)
        return first + self.exactly(4 - len(first)) if 0 < len(first) < 4 else first

    def skip(self, size: int) -> None:
        """Leave out the next `size` bytes."""
        while size:
            size -= len(self.exactly(min(size, READ_BYTES)))

    def _at_most(self, size: int) -> bytes:
        if len(self._buffer) - self._place < size:
            parts = [self._buffer[self._place :]]
            while (missing := size - sum(map(len, parts))) > 0:
                if not (more := self._file.read(max(missing, READ_BYTES))):
                    break
                parts.append(more)
            self._buffer, self._place = b"".join(parts), 0
        found = self._buffer[self._place : self._place + size]
        self._place += len(found)
        return found


def _contents(packed: _Packed) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError as error:
        raise InputError(
            "this file is zstd-compressed: pip install 'exact2vec[zst]', or unpack it first"
        ) from error
    while magic := packed.next_magic():
        if _is_skippable(magic):
            packed.skip(int.from_bytes(packed.exactly(4), "little"))
        elif magic != MAGIC:
            raise EOFError("there is something behind the last frame that is no frame")
        else:
            yield from _frame(packed, zstandard)


def _frame(packed: _Packed, library: Any) -> Iterator[bytes]:
    """The content of a frame, block by block: as much as its header says, where it does."""
    frame = library.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj()
    stated, size = library.CONTENTSIZE_UNKNOWN, 0
    try:
        for number, part in enumerate(_parts_of_frame(packed)):
            if number == 0:
                stated = library.get_frame_parameters(part).content_size
            plain = frame.decompress(part)
            size += len(plain)
            yield plain
    except library.ZstdError as error:
        raise EOFError(str(error)) from error
    if not frame.eof:
        raise EOFError("the last frame has no end")
    if stated not in (library.CONTENTSIZE_UNKNOWN, size):
        raise EOFError(f"a frame states {stated:,} bytes and holds {size:,}")


def _parts_of_frame(packed: _Packed) -> Iterator[bytes]:
    """A frame without its content checked: the header, then a block at a time (RFC 8878, 3.1.1)."""
    descriptor = packed.exactly(1)[0]
    single_segment, checksum = descriptor & 32, descriptor & 4
    size_bytes = (1 if single_segment else 0, 2, 4, 8)[descriptor >> 6]
    header = (0 if single_segment else 1) + (0, 1, 2, 4)[descriptor & 3] + size_bytes
    yield MAGIC + bytes([descriptor]) + packed.exactly(header)
    last = 0
    while not last:
        block = packed.exactly(3)
        fields = int.from_bytes(block, "little")
        last, kind, size = fields & 1, fields >> 1 & 3, fields >> 3
        if size > LARGEST_BLOCK or kind == 3 or (kind == 2 and size < SMALLEST_PACKED):
            raise EOFError("a block has a size that none has")
        yield block + packed.exactly(1 if kind == 1 else size)
    if checksum:
        yield packed.exactly(4)
