"""One option, and what turns the text of a flag into its value."""

from collections.abc import Callable
from dataclasses import dataclass

from exact2vec.errors import UsageError

Value = int | float | str | tuple[float, ...] | None


@dataclass(frozen=True)
class Option:
    """One option: `parse` turns what a user typed or passed into a checked value."""

    name: str
    default: Value
    kind: Callable[[str], Value]
    help: str
    least: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def metavar(self) -> str:
        """What --help shows for the value: its type, or the choices."""
        return f"[{'|'.join(self.choices)}]" if self.choices else self.kind.__name__.upper()

    @property
    def wanted(self) -> str:
        """The range in words: 'an integer of at least 1'."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        finite = self.below == float("inf")
        nouns: dict[object, str] = {
            int: "an integer",
            passes: "auto, or an integer",
            float: "a finite number" if finite else "a number",
            strengths: "two finite numbers of at least 0, such as 150,500, or no",
        }
        noun = nouns.get(self.kind, "text")
        bounds = [f"at least {self.least:g}"] if self.least is not None else []
        bounds += [f"below {self.below:g}"] if self.below is not None and not finite else []
        return f"{noun} of {' and '.join(bounds)}" if bounds else noun

    def parse(self, given: Value, name: str = "") -> Value:
        """The checked value; a UsageError names the range otherwise, and the option as `name`.

        None stands for 'not set' where that is the default.
        """
        if given is None and self.default is None:
            return None
        try:
            value = self.kind(
                ",".join(map(str, given)) if isinstance(given, tuple | list) else str(given)
            )
        except (ValueError, OverflowError):
            raise self.refusal(given, name) from None
        if self.choices and value not in self.choices:
            raise self.refusal(given, name)
        if isinstance(value, int | float):
            low = self.least is not None and not value >= self.least
            high = self.below is not None and not value < self.below
            if low or high or value != value:
                raise self.refusal(given, name)
        return value

    def refusal(self, given: object, name: str = "") -> UsageError:
        """The error that names the range."""
        return UsageError(f"{name or self.name} must be {self.wanted}; got {given!r}")


def passes(given: str) -> int | str:
    """A number of epochs, or "auto"."""
    return given if given == "auto" else int(given)


def subword_lengths(given: str | None) -> dict[str, int]:
    """The arguments min_n and max_n of what --subwords says.

    >>> subword_lengths("3-6"), subword_lengths("no"), subword_lengths(None)
    ({'min_n': 3, 'max_n': 6}, {'max_n': 0}, {})
    """
    if given is None:
        return {}
    if given == "no":
        return {"max_n": 0}
    shortest, dash, longest = given.partition("-")
    if not (
        dash and shortest.isdecimal() and longest.isdecimal() and 1 <= int(shortest) <= int(longest)
    ):
        raise UsageError(
            f"--subwords must be two lengths, the shorter first, such as 3-6, or no; got {given!r}"
        )
    return {"min_n": int(shortest), "max_n": int(longest)}


def strengths(given: str) -> tuple[float, float] | None:
    """Two strengths of shrinkage, None where they are 0 or "no".

    >>> strengths("150,500"), strengths("no"), strengths("0,0")
    ((150.0, 500.0), None, None)
    """
    if given in ("no", "None"):
        return None
    inputs, outputs = map(float, given.split(","))
    if not (0 <= inputs < float("inf") and 0 <= outputs < float("inf")):
        raise ValueError
    return (inputs, outputs) if inputs or outputs else None
