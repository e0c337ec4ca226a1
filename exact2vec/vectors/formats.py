"""Files that other tools read: word2vec text and binary."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exact2vec.errors import InputError, UsageError
from exact2vec.storage.files import text_lines
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
