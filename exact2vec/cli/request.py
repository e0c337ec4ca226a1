"""What train, or check, was asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exact2vec.cli.support import tell

if TYPE_CHECKING:
    from exact2vec.counts.input_files import InputNotes


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

    def say_notes(self, notes: "InputNotes") -> None:
        """Say what was heard of reading INPUT: advice where not `quiet`, the rest in any case."""
        self.left_out.extend(notes.left_out)
        for line in (*notes.left_out, *notes.doubts):
            tell(line)
        for line in notes.advice:
            self.say(line)
