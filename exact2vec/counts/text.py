"""From files, folders and stdin to tokens, streamed.

No buffer grows with the text or with a line.
"""

import codecs
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from exact2vec.counts.decoding import Decoder
from exact2vec.counts.impressions import Impressions
from exact2vec.counts.input_files import InputFiles, InputNotes
from exact2vec.counts.markup import markup_of
from exact2vec.counts.words import between_words, normal_form, tokenizer
from exact2vec.errors import InputError, UsageError
from exact2vec.options import checked
from exact2vec.storage.files import (
    Digesting,
    Readable,
    ReadFile,
    Reading,
    decompressed,
    input_errors_named,
)

PYTHON_DOCS = "python-docs"
STDIN = "-"


class Piece(NamedTuple):
    """Some tokens of a document, and whether the document ends with them."""

    tokens: list[str]
    ends_document: bool


class Stretch(NamedTuple):
    """Some text of the file `name`, and whether its document ends with it.

    `document` says what a line end means: with "line" each ends a document, with "paragraph" a
    blank line does, with "file" none.
    """

    text: str
    document: str
    ends_document: bool
    name: str = PYTHON_DOCS


class Text:
    """Tokens of files, folders, stdin ("-") or "python-docs".

    They are read anew by each `for piece in text`.

    >>> [piece.tokens for piece in Text("python-docs")][0][:3]
    ['the', 'assert', 'statement']

    After a reading, `left_out` says what was not read: files, bytes. `doubts` says what looks like
    a mistake: markup, words that are not parted, files that changed. `notes` are these and advice.
    `files` holds the name, the size in bytes and the SHA-256 of each file.
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
        self.between_tokens = between_words if tokens == "words" and regex is None else str.isspace
        self.document = document
        self.encoding = known_encoding(encoding)
        self.errors = errors
        self.advice: list[str] = []
        self.left_out: list[str] = []
        self.doubts: list[str] = []
        self.unsegmented: str | None = None
        self._read = Reading()
        if not inputs or "" in self.inputs:
            raise UsageError(
                "nothing to read: name a file, a folder, - for stdin, or python-docs"
                + "; an empty name came" * bool(inputs)
            )

    def __iter__(self) -> Iterator[Piece]:
        blank, name, number = True, "", 0
        for stretch in self.stretches():
            if stretch.name != name:
                name, number = stretch.name, 0
            *ended, rest = stretch.text.split("\n")
            for line in ended:
                number += 1
                blank = blank and self._is_blank(line)
                yield Piece(
                    self._tokens_of(line, name, number),
                    stretch.document == "line" or (blank and stretch.document == "paragraph"),
                )
                blank = True
            blank = (blank and self._is_blank(rest)) or stretch.ends_document
            yield Piece(self._tokens_of(rest, name, number + 1), stretch.ends_document)

    def _is_blank(self, line: str) -> bool:
        """Whether nothing of a line is seen: signs that words are read without are not there."""
        if self.tokens == "words" and not line.isascii():
            line = normal_form(line)
        return not line.strip()

    def _tokens_of(self, line: str, name: str, number: int) -> list[str]:
        try:
            return self.tokenize(line)
        except InputError as error:
            raise InputError(f"{name}, line {number:,}: {error}") from error

    @property
    def notes(self) -> list[str]:
        """What a user should hear of the last reading."""
        return list(self.heard.all)

    @property
    def heard(self) -> InputNotes:
        """The `notes` by kind."""
        return InputNotes(tuple(self.left_out), tuple(self.doubts), tuple(self.advice))

    @property
    def files(self) -> list[ReadFile]:
        """What the last reading read, to its end."""
        return self._read.files

    def stretches(self) -> Iterator[Stretch]:
        """The text in stretches of about a MB that end between tokens."""
        files = InputFiles()
        self.advice, self.left_out, self.doubts = files.notes, files.left_out, []
        self._read, self.seen = Reading(), Impressions()
        for name in self.inputs:
            if name == PYTHON_DOCS:
                from exact2vec.counts.python_docs import documents

                yield from (Stretch(text, "file", True) for text in documents())
            elif name == STDIN:
                with input_errors_named("stdin"):
                    yield from self._of_file(standard_input(), "stdin")
            else:
                for path in files.of(Path(name)):
                    with input_errors_named(str(path)), open(path, "rb", buffering=0) as file:
                        yield from self._of_file(Digesting(file), str(path))
        self._say_what_was_seen()

    def _of_file(self, file: Digesting, name: str) -> Iterator[Stretch]:
        with decompressed(file) as stream:
            yield from self._stretches(stream, name)
        self._read.add(name, file)

    def _say_what_was_seen(self) -> None:
        if self.tokens is not None and (unsegmented := self.seen.unsegmented()) is not None:
            self.unsegmented = unsegmented
            self.doubts.append(unsegmented)
        marked_up = any(" looks like " in doubt for doubt in self.doubts)
        if self.tokens == "words" and not marked_up and (joined := self.seen.joined()) is not None:
            self.doubts.append(joined)
        if self.document == "line" and (wrapped := self.seen.wrapped()) is not None:
            self.advice.append(wrapped)
        self.doubts += [*self._read.changed, *self._read.doubled]

    def _stretches(self, stream: Readable, name: str) -> Iterator[Stretch]:
        decoder = Decoder(self.encoding, self.errors, name)
        begun = False
        for text in _whole_tokens(decoder.texts(stream), self.between_tokens):
            self.seen.add(text)
            if not begun and (markup := markup_of(text)) is not None:
                self.doubts.append(f"{name} looks like {markup}")
            begun = True
            yield Stretch(text, self.document, False, name)
        yield Stretch("", self.document, True, name)
        self.left_out += decoder.left_out
        self.advice += decoder.notes


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


def standard_input() -> Digesting:
    """The bytes of stdin; UsageError where it is closed or a terminal."""
    if sys.stdin is None:
        raise UsageError("stdin is closed: name a file to read")
    if sys.stdin.isatty():
        raise UsageError("stdin is a terminal: name a file to read, or pipe text into the command")
    stream: Any = sys.stdin.buffer
    return Digesting(stream)


def known_encoding(encoding: str) -> str:
    """The name of an encoding; UsageError for an unknown one."""
    try:
        if codecs.lookup(encoding)._is_text_encoding:
            return codecs.lookup(encoding).name
    except LookupError:
        pass
    raise UsageError(f"encoding {encoding!r} is unknown; utf-8, utf-16 and latin-1 are usual")
