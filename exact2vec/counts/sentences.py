"""Documents that come as Python objects, checked: a usual mistake is named with its cure."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any

from exact2vec.counts.text import Piece
from exact2vec.errors import InputError, InputWarning

MISSING = ("NAType", "NaTType")  # of pandas
Tokenizer = Callable[[str], list[str]]


def pieces_of(texts: Any, tokenize: Tokenizer | None = None) -> Iterator[Piece]:
    """Each text or list of tokens as one document, checked.

    With `tokenize`, a str is a document to be cut into tokens. Without, it is refused: a string
    given as a list of words is a usual mistake. Empty tokens are dropped, with a warning.
    """
    refuse_no_sentences(texts)
    return _pieces(texts, tokenize)


def refuse_no_sentences(texts: object) -> None:
    """TypeError for an object that can be iterated over, but whose items are no sentences."""
    if isinstance(texts, str):
        raise TypeError("got a string; did you mean [text.split()]?")
    if (why := _no_sentences(texts)) is not None:
        raise TypeError(f"got {why}")


def no_sentences_came(texts: Iterable[object]) -> InputError:
    """The error for documents of which there is none."""
    if isinstance(texts, Iterator):
        return InputError(
            "no sentences came: a generator can be read once; give a list, or an object with "
            "__iter__ that begins anew"
        )
    return InputError(f"no sentences came: the {type(texts).__name__} is empty")


def _pieces(texts: Iterable[object], tokenize: Tokenizer | None) -> Iterator[Piece]:
    number = empty = emptied = 0
    for number, text in enumerate(_told(texts), start=1):
        if isinstance(text, Piece):
            yield text
            continue
        tokens = _tokens_of(text, number, tokenize)
        kept = [token for token in tokens if token and not token.isspace()]
        if len(kept) < len(tokens):
            empty, emptied = empty + len(tokens) - len(kept), emptied + 1
        yield Piece(kept, True)
    if number == 0:
        raise no_sentences_came(texts)
    if empty:
        warnings.warn(
            f"{empty:,} empty tokens in {emptied:,} sentences were dropped: "
            "split a text with split(), not with split(' ')",
            InputWarning,
            stacklevel=2,
        )


def _told(texts: Iterable[object]) -> Iterator[object]:
    """The sentences; an error that comes while they are made says behind which one."""
    number, sentences = 0, iter(texts)
    while True:
        try:
            sentence = next(sentences)
        except StopIteration:
            return
        except Exception as error:
            said = hasattr(error, "__notes__") or str(error).startswith("sentence ")
            if not said and not isinstance(error, InputError):
                error.add_note(f"raised by the sentences after sentence {number}")
            raise
        number += 1
        yield sentence


def _tokens_of(text: Any, number: int, tokenize: Tokenizer | None) -> list[str]:
    if isinstance(text, str):
        if tokenize is None:
            raise TypeError(
                f"sentence {number} is a string; did you mean [text.split()], "
                "a list of lists of words?"
            )
        return tokenize(text)
    if (why := _no_tokens(text)) is not None:
        raise TypeError(f"sentence {number} is {why}")
    tokens = list(text)
    for token in tokens:
        if not isinstance(token, str):
            raise TypeError(
                f"sentence {number} holds {_shown(token)} of type {type(token).__name__}; "
                "tokens are strings"
            )
    if "\ufeff" in "".join(tokens):
        tokens = [token.replace("\ufeff", "") for token in tokens]
    return tokens


def _no_tokens(text: Any) -> str | None:
    """What is given where the tokens of a sentence are wanted, and the call that was meant."""
    kind = type(text).__name__
    if isinstance(text, bytes | bytearray | memoryview):
        return f"{kind}, not text: decode it first, such as line.decode().split()"
    if isinstance(text, os.PathLike):
        return f"a path ({_shown(text)}): Text(path) reads files"
    if callable(getattr(text, "keys", None)) and not _is_series(text):
        keys = list(text.keys())
        first = next((key for key in keys if isinstance(text[key], str)), "text")
        names = ", ".join(map(repr, keys[:5]))
        return f"a {kind} with the keys {names}: give its tokens, such as row[{first!r}].split()"
    if isinstance(text, Set):
        return f"a {kind}, whose words have no order: give a list of tokens"
    if hasattr(text, "readline") and hasattr(text, "read"):
        return f"an open file ({kind}): Text(path) reads files"
    if isinstance(text, tuple) and hasattr(text, "_fields"):
        names = ", ".join(map(repr, text._fields[:5]))
        return f"a row with the fields {names}: give its tokens, such as row.text.split()"
    if _is_series(text) and any(isinstance(label, str) for label in list(text.index)[:1]):
        names = ", ".join(map(repr, list(text.index)[:5]))
        return f"a row of a table with the columns {names}: give the tokens of one, row[…].split()"
    if _columns(text) is not None:
        return f"a {kind}: give lists of tokens, such as its texts split()"
    if text is None or (isinstance(text, float) and text != text) or kind in MISSING:
        return f"{text!r} ({kind}), not a list of tokens: drop such rows, df.dropna()"
    return None if isinstance(text, Iterable) else f"{_shown(text)} ({kind}), not a list of tokens"


def _no_sentences(texts: Any) -> str | None:
    """What is given where sentences are wanted, and the call that was meant."""
    kind = type(texts).__name__
    if isinstance(texts, bytes | bytearray | memoryview):
        return f"{kind}; did you mean [text.decode().split()]?"
    if isinstance(texts, os.PathLike):
        return f"a path; did you mean Text({str(texts)!r})?"
    if (columns := _columns(texts)) is not None:
        names = ", ".join(map(repr, columns[:5]))
        return (
            f"a {kind} with the columns {names}; give one of them, such as table['text'], "
            "or its numbers with to_numpy()"
        )
    if isinstance(texts, Mapping):
        keys = ", ".join(map(repr, list(texts)[:5]))
        return f"a {kind} with the keys {keys}; give its values, such as list(texts.values())"
    if isinstance(texts, Set):
        return f"a {kind}, whose order changes from run to run; give a list, such as sorted(texts)"
    return None if isinstance(texts, Iterable) else f"{_shown(texts)} ({kind}); give sentences"


def _is_series(data: Any) -> bool:
    """Whether it is a column or a row of pandas."""
    return hasattr(data, "iloc") and hasattr(data, "index") and not hasattr(data, "columns")


def _columns(data: Any) -> list[str] | None:
    """The names of the columns of a data frame, by pandas, polars or arrow."""
    for name in ("column_names", "columns"):
        found = getattr(data, name, None)
        if found is not None and not callable(found) and hasattr(data, "shape"):
            return [str(column) for column in found]
    return None


def _shown(value: object) -> str:
    return repr(value)[:40]
