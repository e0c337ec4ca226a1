"""From text to tokens: words by Unicode's rules, stretches between white space, or a pattern.

The rules are those of Unicode Standard Annex #29, word boundaries, with three changes: the full
stop, the comma and the colon separate, so does the underscore, and signs are left out.
"""

import functools
import itertools
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact2vec.counts.time_limit import matches_in_time
from exact2vec.errors import UsageError

INNER = "'·‧՟״"  # between two letters they are part of a word (UAX 29: MidLetter)
CURVED = "’‘＇"  # written for the apostrophe
JOINERS = "\u200c\u200d"  # between two letters, or a letter and a mark, they change what is seen
SEPARATING = "\u200b\ufff9\ufffa\ufffb"  # format characters that end a word
# format characters that are not seen, and belong to no spelling: soft hyphen, byte order mark,
# word joiner, directions of writing, tags
UNSEEN = "".join(
    chr(code)
    for first, last in (
        *((0xAD, 0xAD), (0x61C, 0x61C), (0x180E, 0x180E), (0x200E, 0x200F), (0x202A, 0x202E)),
        *((0x2060, 0x206F), (0xFEFF, 0xFEFF), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A)),
        *((0xE0001, 0xE0001), (0xE0020, 0xE007F)),
    )
    for code in range(first, last + 1)
)


def tokenizer(tokens: str = "words", regex: str | None = None) -> Callable[[str], list[str]]:
    """The function from text to tokens.

    "words" are lower-cased and in NFC: runs of letters with their combining marks, digits, and
    inner apostrophes (’ becomes ') and points; soft hyphens and their like are left out. "space"
    is whatever white space parts, as it stands. With `regex`, tokens are its matches within white
    space, as they stand.

    >>> tokenizer()("Don’t PANIC: it's 42 o'clock_'")
    ["don't", 'panic', "it's", '42', "o'clock"]
    >>> tokenizer()("Col·lecció, reser\\u00advation")
    ['col·lecció', 'reservation']
    """
    if regex is not None:
        return _by_pattern(regex)
    return str.split if tokens == "space" else _words


def _by_pattern(regex: str) -> Callable[[str], list[str]]:
    try:
        pattern = re.compile(regex)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"regex {regex!r} is not a regular expression: {error}") from error
    return lambda text: matches_in_time(pattern, text)


def normal_form(text: str) -> str:
    """`text` as its words are spelled: lower case, NFC, ’ as ', without what is not seen."""
    text = text.lower()
    if text.isascii():
        return text
    seldom = _holds_format_characters(text)
    if seldom:
        text = _unseen().sub("", text)
    text = unicodedata.normalize("NFC", text)
    for sign in CURVED:
        text = text.replace(sign, "'")
    if seldom:
        text = _idle_joiners().sub("", _runs_of_joiners.sub("", text))
    return _gershayim.sub("״", text)


_runs_of_joiners = re.compile(f"[{JOINERS}]+(?=[{JOINERS}])")
_gershayim = re.compile('"(?<=[\u0591-\u05ea]")(?=[\u05d0-\u05ea])')  # typed for ״, as in צה"ל
_ascii_words = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*").findall


def _words(text: str) -> list[str]:
    text = normal_form(text)
    return _ascii_words(text) if text.isascii() else _any_words()(text.replace("_", " "))


def between_words(sign: str) -> bool:
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


# the planes that have marks; looking at all code points takes most of a second
WITH_MARKS = range(0x20000), range(0xE0000, 0xE1000)


@functools.cache
def continuing() -> str:
    """The marks and joiners that continue a word and begin none (UAX 29: Extend, Format)."""
    left_out = {*UNSEEN, *SEPARATING}
    signs = map(chr, itertools.chain(*WITH_MARKS))
    return "".join(
        sign
        for sign in signs
        if (category := unicodedata.category(sign)).startswith("M")
        or (category == "Cf" and sign not in left_out)
    )


def _holds_format_characters(text: str) -> bool:
    """Whether there may be one of UNSEEN or JOINERS: a look at a table, 1 ns a character."""
    halves = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)
    return bool(_format_halves()[halves].any())


@functools.cache
def _format_halves() -> NDArray[np.bool_]:
    table = np.zeros(1 << 16, bool)
    for sign in UNSEEN + JOINERS:
        table[np.frombuffer(sign.encode("utf-16-le"), np.uint16)[0]] = True
    return table


@functools.cache
def _any_words() -> Callable[[str], list[Any]]:
    word = rf"\w[\w{continuing()}]*"
    return re.compile(rf"{word}(?:[{INNER}]{word})*").findall


@functools.cache
def _unseen() -> re.Pattern[str]:
    return re.compile(f"[{UNSEEN}]+")


@functools.cache
def _idle_joiners() -> re.Pattern[str]:
    """Joiners without a letter or mark at each side."""
    inside = rf"[^\W_]|[{continuing().translate(dict.fromkeys(map(ord, JOINERS)))}]"
    return re.compile(rf"[{JOINERS}](?!{inside})|(?<!{inside})[{JOINERS}]")
