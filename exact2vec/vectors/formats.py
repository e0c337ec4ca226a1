"""Files that other tools read: word2vec text and binary."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exact2vec.errors import InputError, UsageError
from exact2vec.storage.files import text_lines, whole_text
from exact2vec.storage.run_folder import check_page
from exact2vec.storage.writing import write_whole
from exact2vec.vectors.queries import Which
from exact2vec.vectors.vectors import Vectors


def export(
    vectors: Vectors, path: str | Path, *, which: Which | None = None, words: Sequence[str] = ()
) -> int:
    """Write word2vec text (.vec, .txt) or binary (.bin); returns the number of words written.

    The numbers are float32, which gensim reads back bit for bit. `which` is the embedding by
    default; where rows are not columns it must be "inputs", of rows, or "outputs", of columns.
    `words` are written as well: those that were not trained as they are composed or folded in.

    Raises UnknownWordError for one of `words` that has no vector, and InputError for a word with
    white space, which the format cannot hold. Nothing is written then.
    """
    path, which = Path(path), which or "embedding"
    vectors.axes.check_which(which)
    if path.suffix not in WRITERS:
        raise UsageError(f"{path} must end in one of {', '.join(WRITERS)}")
    check_page(path, force=True)
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist")
    others = [word for word in dict.fromkeys(words) if word not in vectors.axes.places(which)]
    all_words = [*vectors.axes.names(which), *others]
    for word in all_words:
        if not word or any(sign in word for sign in " \n") or not _encodes(word):
            raise InputError(
                f"the {vectors.kind.one} {word!r} cannot be written to word2vec files: "
                "it is empty, no UTF-8, or holds a space or a line end"
            )
    matrix = np.stack([*vectors.matrix(which), *(vectors.vector(word, which) for word in others)])
    header = f"{len(all_words)} {vectors.vector_size}\n".encode()
    write_whole(path, header + WRITERS[path.suffix](all_words, matrix))
    return len(all_words)


def read_words(path: str | Path) -> list[str]:
    """The words of a file, one a line."""
    return [line.strip() for line in text_lines(Path(path)) if line.strip()]


def read_word2vec(path: str | Path) -> tuple[list[str], NDArray[np.float32]]:
    """The names and vectors of a file of word2vec text, plain or compressed, in its order.

    The first line may be the header: how many names, and how many numbers each. Where there is
    none, as in files of GloVe, the first line says how many numbers there are. A name may hold
    spaces where the header tells its numbers from it.

    Raises InputError with the line of a row that is too short, of a number that is none or not
    finite, of an empty name and of one that stands twice, and for a header that says otherwise.
    """
    every = enumerate(whole_text(Path(path)).split("\n"), start=1)
    lines = [(number, line.rstrip("\r ")) for number, line in every if line.strip()]
    if not lines:
        raise InputError(f"{path}: no vectors, the file holds only blank lines")
    stated, size = None, len(lines[0][1].split(" ")) - 1
    header = _HEADER.fullmatch(lines[0][1])
    if header and not (size == 1 < int(header[2]) and _has_two_fields(lines[1:])):
        stated, size = int(header[1]), int(header[2])
        lines = lines[1:]
    if stated is not None and stated != len(lines):
        raise InputError(
            f"{path}, line 1: the header says {stated:,} names, and {len(lines):,} follow; "
            "the file is cut off, or was put together"
        )
    for number, line in lines:
        if len(line) < 2 * size:  # too short: named before there is an array for it
            _named_row(line, size, f"{path}, line {number}")
    places: dict[str, int] = {}
    rows = np.empty((len(lines), size), np.float32)
    for place, (number, line) in enumerate(lines):
        name, rows[place] = _named_row(line, size, f"{path}, line {number}")
        if name in places:
            first = lines[places[name]][0]
            raise InputError(f"{path}, line {number}: {name[:60]!r} stands in line {first} already")
        places[name] = place
    return list(places), rows


_HEADER = re.compile(r"([0-9]{1,15}) ([0-9]{1,15})")


def _has_two_fields(lines: list[tuple[int, str]]) -> bool:
    """Whether the next line has one number: then what looks like a header is a row as well."""
    return bool(lines) and len(lines[0][1].split(" ")) == 2


def _named_row(line: str, size: int, where: str) -> tuple[str, NDArray[np.float32]]:
    """The name and the last `size` numbers of a line."""
    name, *numbers = line.rsplit(" ", size)
    if len(numbers) != size or not size:
        raise InputError(
            f"{where}: wanted a name and {size} numbers, got {len(numbers)}: {line[:60]!r}"
        )
    try:
        row = np.array([float(number) for number in numbers], np.float32)
    except ValueError as error:
        raise InputError(f"{where}: {str(error)[:80]}; wanted a name and {size} numbers") from error
    if not np.isfinite(row).all():
        raise InputError(f"{where}: numbers must be finite: {line[:60]!r}")
    if not name.strip():
        raise InputError(f"{where}: the name is empty: {line[:60]!r}")
    return name, row


def _encodes(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(words: list[str], matrix: np.ndarray) -> bytes:
    """Nine significant digits tell every float32 from its neighbours."""
    rows = (
        f"{word} {' '.join(f'{number:.9g}' for number in row)}\n"
        for word, row in zip(words, matrix.tolist(), strict=True)
    )
    return "".join(rows).encode()


def _binary(words: list[str], matrix: np.ndarray) -> bytes:
    rows = (
        f"{word} ".encode() + row.astype("<f4").tobytes() + b"\n"
        for word, row in zip(words, matrix, strict=True)
    )
    return b"".join(rows)


WRITERS = {".vec": _text, ".txt": _text, ".bin": _binary}
