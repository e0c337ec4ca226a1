"""From files, folders and stdin to tokens, streamed.

No buffer grows with the text or with a line.
"""

import codecs
import contextlib
import functools
import io
import re
import stat
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from exact2vec.errors import InputError, UsageError
from exact2vec.options import checked
from exact2vec.storage.files import (
    READ_BYTES,
    Readable,
    decompressed,
    input_errors_named,
    open_decompressed,
)

PYTHON_DOCS = "python-docs"
STDIN = "-"
TEXT_SUFFIXES = ("", ".txt", ".text", ".md", ".rst", ".gz", ".zst")
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
PACKED = {
    "xz": (0, b"\xfd7zXZ\0"),
    "bzip2": (4, b"1AY&SY"),
    "a zip archive (docx, epub, odt)": (0, b"PK\x03\x04"),
    "PDF": (0, b"%PDF-"),
}
UTF32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


class Piece(NamedTuple):
    """Some tokens of a document, and whether the document ends with them."""

    tokens: list[str]
    ends_document: bool


class Stretch(NamedTuple):
    """Some text, and whether its document ends with it.

    `document` says what a line end means: with "line" each ends a document, with "paragraph" a
    blank line does, with "file" none.
    """

    text: str
    document: str
    ends_document: bool


class Text:
    """Tokens of files, folders, stdin ("-") or "python-docs".

    They are read anew by each `for piece in text`.

    >>> [piece.tokens for piece in Text("python-docs")][0][:3]
    ['the', 'assert', 'statement']

    After a reading, `notes` holds what a user should hear of it: files skipped, characters
    replaced, text that looks hard-wrapped.
    """

    def __init__(
        self,
        *inputs: str | Path,
        tokens: str = "words",
        regex: str | None = None,
        document: str = "line",
        encoding: str = "utf-8",
        errors: str = "strict",
    ) -> None:
        self.settings = checked(
            tokens=tokens, regex=regex, document=document, encoding=encoding, errors=errors
        )
        self.inputs = [str(one) for one in inputs]
        self.tokenize = tokenizer(tokens, regex)
        self.tokens = None if regex is not None else tokens
        self.between_tokens = _between_words if tokens == "words" and regex is None else str.isspace
        self.document = document
        self.encoding = _known_encoding(encoding)
        self.errors = errors
        self.notes: list[str] = []
        if not inputs or "" in self.inputs:
            raise UsageError(
                "nothing to read: name a file, a folder, - for stdin, or python-docs"
                + "; an empty name came" * bool(inputs)
            )

    def __iter__(self) -> Iterator[Piece]:
        blank = True
        for stretch in self.stretches():
            *ended, rest = stretch.text.split("\n")
            for line in ended:
                blank = blank and not line.strip()
                yield Piece(
                    self.tokenize(line),
                    stretch.document == "line" or (blank and stretch.document == "paragraph"),
                )
                blank = True
            blank = (blank and not rest.strip()) or stretch.ends_document
            yield Piece(self.tokenize(rest), stretch.ends_document)

    def stretches(self) -> Iterator[Stretch]:
        """The text in stretches of about a MB that end between tokens."""
        self.notes = []
        for name in self.inputs:
            if name == PYTHON_DOCS:
                from exact2vec.counts.python_docs import documents

                yield from (Stretch(text, "file", True) for text in documents())
            elif name == STDIN:
                with input_errors_named("stdin"), _stdin() as file, decompressed(file) as stream:
                    yield from self._stretches(stream, "stdin")
            else:
                for path in self._files(Path(name)):
                    with open_decompressed(path) as stream:
                        yield from self._stretches(stream, str(path))

    def _files(self, path: Path) -> list[Path]:
        if "\0" in str(path):
            raise InputError(f"{str(path)!r} is not a file name: it holds a NUL")
        with input_errors_named(str(path)):
            if not stat.S_ISDIR(path.stat().st_mode):
                return [path]
        found = sorted(
            file
            for file in path.rglob("*")
            if file.is_file() and not _hidden(file.relative_to(path))
        )
        text = [file for file in found if file.suffix.lower() in TEXT_SUFFIXES]
        if not text:
            raise InputError(
                f"{path}: a folder without text (wanted files ending in "
                f"{', '.join(TEXT_SUFFIXES[1:])}, or without an ending)"
            )
        empty = [file for file in text if not file.stat().st_size]
        for skipped, why in (
            (sorted({*found} - {*text}), "skipped, of other endings"),
            (empty, "skipped: empty (0 bytes)"),
        ):
            if skipped:
                names = ", ".join(file.name for file in skipped[:5]) + " …" * (len(skipped) > 5)
                files = f"{len(skipped)} file{'s' * (len(skipped) > 1)}"
                self.notes.append(f"{path}: {files} {why}: {names}")
        return [file for file in text if file not in empty] or text

    def _stretches(self, stream: Readable, name: str) -> Iterator[Stretch]:
        replaced = lines = characters = 0
        for text in _whole_tokens(self._decoded(stream, name), self.between_tokens):
            lines += text.count("\n")
            characters += len(text)
            if self.errors == "replace":
                replaced += text.count("\ufffd")
            yield Stretch(text, self.document, False)
        yield Stretch("", self.document, True)
        if replaced:
            self.notes.append(
                f"{name}: {replaced:,} characters U+FFFD stand for bytes that are not "
                f"{self.encoding}"
            )
        if self.document == "line" and lines >= 100 and characters < 91 * lines:
            self.notes.append(
                f"{name}: lines of {characters // lines - 1} characters on average look "
                "hard-wrapped; windows stop at each line: consider --document paragraph"
            )

    def _decoded(self, stream: Readable, name: str) -> Iterator[str]:
        """Decoded text with \\n for every line end.

        An InputError names the offset of a byte that is not text.
        """
        decoder = codecs.getincrementaldecoder(self.encoding)(self.errors)
        newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
        offset, first = 0, True
        while True:
            data = _read(stream, name)
            pending = len(decoder.getstate()[0])
            if first:
                _refuse_other_unicode(data, name, self.encoding)
            try:
                text = newlines.decode(data, final=not data)
            except UnicodeDecodeError as error:
                at = offset - pending + error.start
                byte = error.object[error.start]
                raise InputError(
                    f"{name}: byte {byte:#04x} at offset {at:,} is not {self.encoding} "
                    f"({error.reason}); use --encoding, or --errors replace"
                ) from error
            except UnicodeError as error:
                raise InputError(
                    f"{name} is not {self.encoding} ({error}); use another --encoding"
                ) from error
            offset += len(data)
            if first and text:
                first = False
                text = text.removeprefix("\ufeff")
            if text:
                yield text
            if not data:
                break
        if not offset:
            raise InputError(f"{name} is empty (0 bytes)")


def _refuse_other_unicode(data: bytes, name: str, encoding: str) -> None:
    for marks, other in ((UTF32_MARKS, "utf-32"), (UTF16_MARKS, "utf-16")):
        if data.startswith(marks) and not encoding.startswith(("utf-16", "utf-32")):
            raise InputError(f"{name} looks like {other.upper()}; use --encoding {other}")
    for other, (place, mark) in PACKED.items():
        if data.startswith(mark, place):
            raise InputError(
                f"{name} looks like {other}, which is not read here; "
                "make plain text, .gz or .zst of it first"
            )
    for halves, other in ((data[1:4096:2], "utf-16-le"), (data[0:4096:2], "utf-16-be")):
        if halves.count(0) > len(halves) / 2 and not encoding.startswith(("utf-16", "utf-32")):
            raise InputError(
                f"{name} holds more NULs than text and looks like UTF-16 without a byte order "
                f"mark; use --encoding {other}"
            )


def _read(stream: Readable, name: str) -> bytes:
    with input_errors_named(name):
        return stream.read(READ_BYTES)


def _whole_tokens(chunks: Iterable[str], between_tokens: Callable[[str], bool]) -> Iterator[str]:
    """The chunks, each cut behind its last character between tokens.

    The rest comes with the next chunk.
    """
    unfinished: list[str] = []
    for chunk in chunks:
        head, tail = _cut(chunk, between_tokens)
        if head:
            yield "".join([*unfinished, head])
            unfinished.clear()
        if tail:
            unfinished.append(tail)
    if unfinished:
        yield "".join(unfinished)


def _cut(text: str, between_tokens: Callable[[str], bool]) -> tuple[str, str]:
    """`text` up to its last character between tokens, and the unfinished token behind it."""
    end = len(text)
    while end and not between_tokens(text[end - 1]):
        end -= 1
    return text[:end], text[end:]


def _between_words(sign: str) -> bool:
    """Whether text may be cut behind `sign` without a change of its words.

    It may not where the sign could take part in a word, or in how its neighbour is lower-cased.
    """
    return sign in ",;!?/|、。，；！？" or unicodedata.category(sign) in (
        "Zs",
        "Zl",
        "Zp",
        "Cc",
        "Ps",
        "Pe",
        "Pd",
        "Sc",
    )


def tokenizer(tokens: str = "words", regex: str | None = None) -> Callable[[str], list[str]]:
    """The function from text to tokens.

    "words" are lower-cased and in NFC: runs of letters with their combining marks, digits and
    inner apostrophes (’ becomes '). "space" is whatever white space parts, as it stands. With
    `regex`, tokens are its matches within white space, as they stand.

    >>> tokenizer()("Don’t PANIC: it's 42 o'clock_'")
    ["don't", 'panic', "it's", '42', "o'clock"]
    """
    if regex is not None:
        return _by_pattern(regex)
    return str.split if tokens == "space" else _words


def _by_pattern(regex: str) -> Callable[[str], list[str]]:
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise UsageError(f"regex {regex!r} is not a regular expression: {error}") from error
    return lambda text: [
        match[0] for stretch in text.split() for match in pattern.finditer(stretch) if match[0]
    ]


def normal_form(text: str) -> str:
    """`text` as its words are spelled: lower case, NFC, ’ as '."""
    text = text.lower()
    return text if text.isascii() else unicodedata.normalize("NFC", text).replace("’", "'")


_ascii_words = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*").findall


def _words(text: str) -> list[str]:
    text = normal_form(text)
    return _ascii_words(text) if text.isascii() else _any_words()(text.replace("_", " "))


@functools.cache
def _any_words() -> Callable[[str], list[Any]]:
    marks = "".join(
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)).startswith("M")
    )
    return re.compile(rf"\w[\w{marks}]*(?:'\w[\w{marks}]*)*").findall


@contextlib.contextmanager
def _stdin() -> Iterator[io.BufferedReader]:
    if sys.stdin is None:
        raise UsageError("stdin is closed: name a file to read")
    if sys.stdin.isatty():
        raise UsageError("stdin is a terminal: name a file to read, or pipe text into the command")
    file: Any = io.BufferedReader(sys.stdin.buffer)
    yield file
    file.detach()


def _known_encoding(encoding: str) -> str:
    try:
        if codecs.lookup(encoding)._is_text_encoding:
            return codecs.lookup(encoding).name
    except LookupError:
        pass
    raise UsageError(f"encoding {encoding!r} is unknown; utf-8, utf-16 and latin-1 are usual")


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
