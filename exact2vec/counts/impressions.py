"""What a sample of a text looks like: hard-wrapped, without spaces, phrases joined by signs."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator

SAMPLE = 1_000_000  # characters in all
WRAPPED_SHARE = 0.8  # of the lines must have no room for the next word
JOINED = {"_": 0.01, "|": 0.05, "/": 0.1, "#": 0.05, "@": 0.05, "+": 0.05, "=": 0.05, "-": 0.15}
# scripts written without spaces; how many letters stand in a row in text that is cut into words
SCRIPTS = {
    "Han": ("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff々]", 4),
    "Kana": ("[\u3041-\u30ffｦ-ﾟ]", 6),
    "Thai": ("[\u0e01-\u0e4e]", 14),
    "Lao": ("[\u0e81-\u0ecd]", 14),
    "Khmer": ("[\u1780-\u17d3]", 14),
    "Myanmar": ("[\u1000-\u103f]", 14),
}
SEGMENTERS = "jieba, MeCab, PyThaiNLP"


class Impressions:
    """Gathers a sample of a text, and says what a user should know of it.

    >>> seen = Impressions()
    >>> seen.add("今天天气很好我们去公园散步吧\\n" * 9)
    >>> seen.unsegmented()[:63]
    '100 % of the letters are of scripts written without spaces (Han'
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0

    def add(self, text: str) -> None:
        """Take more of the text, as long as the sample is not full."""
        if self._size < SAMPLE and text:
            self._parts.append(text[: SAMPLE - self._size])
            self._size += len(self._parts[-1])

    def unsegmented(self) -> str | None:
        """That words are not parted by spaces, where most letters are of such a script."""
        text = "".join(self._parts)
        if text.isascii():
            return None
        letters = sum(len(run) for run in re.findall(r"\w+", text))
        shares = {}
        for script, (sign, segmented) in SCRIPTS.items():
            runs = list(map(len, re.findall(f"{sign}+", text)))
            if sum(runs) and sum(run * run for run in runs) / sum(runs) > segmented:
                shares[script] = sum(runs) / max(letters, sum(runs))
        if (share := sum(shares.values())) < 0.2:
            return None
        return (
            f"{percent(min(share, 1))} of the letters are of scripts written without spaces "
            f"({', '.join(shares)}): cut the words first ({SEGMENTERS}), then --tokens space"
        )

    def joined(self) -> str | None:
        """That phrases joined by signs were split, with the share of them."""
        stretches = Counter("".join(self._parts).split())
        total = stretches.total()
        for sign, least in JOINED.items():
            inside = re.compile(rf"[^\W_]{re.escape(sign)}+[^\W_]")
            times = sum(
                count for one, count in stretches.items() if sign in one and inside.search(one)
            )
            if times and times >= least * total:
                return (
                    f"{percent(times / total)} of the stretches between white space hold "
                    f"{sign!r} and were split; --tokens space keeps them"
                )
        return None

    def wrapped(self) -> str | None:
        """That lines end where they were full, and not where a sentence or paragraph does."""
        lines = "".join(self._parts).split("\n")[:-1]
        lengths = sorted(len(line) for line in lines if line.strip())
        if len(lengths) < 100 or lengths[-1] > 1000:
            return None
        width = lengths[int(0.98 * len(lengths))]
        full = list(_full_lines(lines, width))
        ended = sum(line.rstrip(" \"'”’)").endswith((".", "!", "?", "…")) for line, _ in full)
        if sum(is_full for _, is_full in full) < WRAPPED_SHARE * len(full) or not full:
            return None
        if width > 200 or ended > 0.5 * len(full):
            return None
        way = "paragraph" if len(lengths) < len(lines) else "file"
        return (
            f"lines of at most {width} characters look hard-wrapped; windows stop at each line: "
            f"consider --document {way}"
        )


def _full_lines(lines: list[str], width: int) -> Iterator[tuple[str, bool]]:
    """Each line that another one follows, and whether the next word had no room on it."""
    for line, following in itertools.pairwise(lines):
        if line.strip() and following.strip():
            first = following.split(maxsplit=1)[0]
            yield line, len(line) + 1 + len(first) > width


def percent(share: float) -> str:
    """A share in words, with two digits where it is small.

    >>> percent(1.0), percent(0.5), percent(0.034), percent(0.0004)
    ('100 %', '50 %', '3.4 %', '0.04 %')
    """
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.2g} %"
