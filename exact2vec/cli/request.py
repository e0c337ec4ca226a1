"""What train, or check, was asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """What train was asked for: INPUT, the values of its flags, and where to say things.

    `left_out` is for what of INPUT was not read: it is said again at the end.
    """

    inputs: tuple[str, ...]
    given: dict[str, Any]
    say: Callable[[str], None]
    quiet: bool
    left_out: list[str] = field(default_factory=list)

    def values(self, *names: str) -> dict[str, Any]:
        """The values of these flags."""
        return {name: self.given[name] for name in names}
