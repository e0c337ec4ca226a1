"""From the bytes of a file to text, with what was replaced, dropped or no text on the way."""

import codecs
import io
import threading
from collections.abc import Iterator

from exact2vec.counts.recognition import HEAD_BYTES, refuse_other_than_text
from exact2vec.errors import InputError
from exact2vec.storage import files

MARK = "\ufeff"  # a byte order mark is no text, wherever it stands


class Decoder:
    """Decodes a file to text with \\n for every line end, and counts what is not text.

    `left_out` and `notes` say it after a reading. An InputError names the offset of a byte that is
    not text.
    """

    def __init__(self, encoding: str, errors: str, name: str) -> None:
        self.encoding, self.errors, self.name = encoding, errors, name
        self.bad_bytes = self.replaced = self.inner_marks = 0

    def texts(self, stream: files.Readable) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self.encoding)(COUNTED.get(self.errors, self.errors))
        newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
        offset, first = 0, True
        for data in self._blocks(stream):
            pending = len(decoder.getstate()[0])
            text = self._decoded(newlines, data, offset - pending)
            offset += len(data)
            if first and text:
                first = False
                text = text.removeprefix(MARK)
            if MARK in text:
                self.inner_marks += text.count(MARK)
                text = text.replace(MARK, "")
            if text:
                yield text
        if not offset:
            raise InputError(f"{self.name} is empty (0 bytes)")

    @property
    def left_out(self) -> list[str]:
        """Bytes that were dropped."""
        if self.errors != "ignore" or not self.bad_bytes:
            return []
        return [f"{self.name}: {self.bad_bytes:,} bytes that are not {self.encoding} were dropped"]

    @property
    def notes(self) -> list[str]:
        """Bytes that were replaced, and byte order marks within the text."""
        said = []
        if self.errors == "replace" and self.replaced:
            said.append(
                f"{self.name}: {self.replaced:,} characters U+FFFD stand for bytes that are not "
                f"{self.encoding}"
            )
        if self.inner_marks:
            said.append(
                f"{self.name}: {self.inner_marks:,} byte order marks within the text are no text "
                "and were dropped (files that were joined?)"
            )
        return said

    def _blocks(self, stream: files.Readable) -> Iterator[bytes]:
        """What is read, a block at a time; the last one is empty.

        The first HEAD_BYTES of them are looked at together.
        """
        head: list[bytes] = []
        while not head or (head[-1] and sum(map(len, head)) < HEAD_BYTES):
            head.append(self._read(stream))
        refuse_other_than_text(b"".join(head)[:HEAD_BYTES], self.name, self.encoding)
        yield from head
        data = head[-1]
        while data:
            data = self._read(stream)
            yield data

    def _read(self, stream: files.Readable) -> bytes:
        with files.input_errors_named(self.name):
            return stream.read(files.READ_BYTES)

    def _decoded(self, decoder: io.IncrementalNewlineDecoder, data: bytes, offset: int) -> str:
        """`data` decoded; `offset` is the place of the first byte that is not decoded yet."""
        before = _tally.bytes, _tally.times
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise InputError(
                f"{self.name}: byte {byte:#04x} at offset {offset + error.start:,} is not "
                f"{self.encoding} ({error.reason}); use --encoding, or --errors replace"
            ) from error
        except UnicodeError as error:
            raise InputError(
                f"{self.name} is not {self.encoding} ({error}); use another --encoding"
            ) from error
        self.bad_bytes += _tally.bytes - before[0]
        self.replaced += _tally.times - before[1]
        return text


class _Tally(threading.local):
    """What the decoders of a thread met that is not text."""

    bytes = times = 0


_tally = _Tally()


def _count(error: UnicodeError) -> None:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    _tally.bytes += error.end - error.start
    _tally.times += 1


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    _count(error)
    return codecs.replace_errors(error)


def _ignore(error: UnicodeError) -> tuple[str | bytes, int]:
    _count(error)
    return codecs.ignore_errors(error)


COUNTED = {"replace": "exact2vec.replace", "ignore": "exact2vec.ignore"}
codecs.register_error(COUNTED["replace"], _replace)
codecs.register_error(COUNTED["ignore"], _ignore)
