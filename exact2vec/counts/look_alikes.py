"""Words that a reader takes for the same: of another case or normal form, or of other letters."""

import unicodedata
from collections.abc import Callable, Sequence

# Letters that look like Latin ones, a few of many.
# Source: Unicode Technical Standard 39, confusables.txt.
TWINS = str.maketrans(
    {
        **dict(zip("аеорсухіјѕһԁԛԝѵ", "aeopcyxijshdqwv", strict=True)),  # Cyrillic
        **dict(zip("АВЕКМНОРСТУХІЈЅ", "ABEKMHOPCTYXIJS", strict=True)),
        **dict(zip("οναικρυ", "ovaikpu", strict=True)),  # Greek
        **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", ""),  # seen as nothing
        **dict.fromkeys("’‘ʼ`´", "'"),
        **dict.fromkeys("‐‑‒–—−", "-"),
    }
)
DIGITS = str.maketrans("01", "ol")


def look_alikes(words: Sequence[str]) -> dict[str, list[list[str]]]:
    """Groups of words that differ in case alone, in normal form, or in letters that look alike.

    A group stands under the first of these that joins it, its words in their order.

    >>> look_alikes(["Tea", "tea", "paypal", "pаypal", "milk"])
    {'case': [['Tea', 'tea']], 'normal form': [], 'letters': [['paypal', 'pаypal']]}
    """
    found: dict[str, list[list[str]]] = {}
    joined: set[tuple[str, ...]] = set()
    for what, key in WAYS.items():
        groups: dict[str, list[str]] = {}
        for word in words:
            groups.setdefault(key(word), []).append(word)
        new = [group for group in groups.values() if len(group) > 1 and tuple(group) not in joined]
        joined |= set(map(tuple, new))
        found[what] = new
    return found


def folded(word: str) -> str:
    """The word without case."""
    return word.casefold()


def normal_form(word: str) -> str:
    """The word with what is written in several ways written in one, without case."""
    return unicodedata.normalize("NFKC", word).casefold()


def skeleton(word: str) -> str:
    """What is seen of a word: letters of other scripts as the Latin ones that they look like.

    >>> skeleton("ρаypа1"), skeleton("10")
    ('paypal', '10')
    """
    seen = unicodedata.normalize("NFKC", word).translate(TWINS).casefold()
    mixed = any(sign.isalpha() for sign in seen)
    return seen.translate(DIGITS) if mixed else seen


WAYS: dict[str, Callable[[str], str]] = {
    "case": folded,
    "normal form": normal_form,
    "letters": skeleton,
}
