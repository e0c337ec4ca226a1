"""Queries spelled as the words of a run are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from exact2vec.counts.words import tokenizer


@dataclass(frozen=True)
class Spelling:
    """How a query becomes words: cut as the run's text was, lower-cased where all words are.

    `text` is how: the tokens and the regex of the text, None where there was no text.
    """

    text: tuple[str, str | None] | None = None
    lower: bool = False

    @classmethod
    def of_run(cls, settings: Mapping[str, Any], words: Sequence[str]) -> "Spelling":
        """That of a run whose text was cut with these settings; names of other counts stay.

        >>> Spelling.of_run({"tokens": "words", "regex": None}, ["list"]).tokens("List-String")
        ['list', 'string']
        >>> Spelling.of_run({}, ["list"]).tokens("List-String")
        ['List-String']
        """
        if "tokens" not in settings:
            return cls()
        lower = all(word == word.lower() for word in words)
        return cls((settings["tokens"] or "words", settings.get("regex")), lower)

    @cached_property
    def _cut(self) -> Callable[[str], list[str]]:
        return tokenizer(*self.text) if self.text else _as_it_is

    def tokens(self, query: str) -> list[str]:
        """The words of a query."""
        return [token.lower() if self.lower else token for token in self._cut(query)]


def _as_it_is(query: str) -> list[str]:
    return [query]
