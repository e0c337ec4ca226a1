"""The files of a folder that hold text, or tables; those that are left out are named."""

import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exact2vec.errors import InputError, InputWarning
from exact2vec.storage.files import PACKED, input_errors_named

TEXT_SUFFIXES = ("", ".txt", ".text", ".md", ".rst", *PACKED)
EMPTY = "skipped: empty (0 bytes)"
CANNOT_BE_READ = "skipped: no permission to read, or broken"
NAMED = 5  # of the files left out for one reason


@dataclass(frozen=True)
class InputNotes:
    """What a user should hear of a reading."""

    left_out: tuple[str, ...] = ()  # of the input
    doubts: tuple[str, ...] = ()  # what looks like a mistake
    advice: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every line, what was left out first."""
        return self.left_out + self.doubts + self.advice

    def warn(self) -> None:
        """An InputWarning for each line but advice, where the caller was called."""
        for line in self.left_out + self.doubts:
            warnings.warn(line, InputWarning, stacklevel=3)


NO_NOTES = InputNotes()


class InputFiles:
    """The files that inputs name, each once; `left_out` and `notes` say what else was met.

    `what` the files of a folder hold is told by their endings, with or without .gz and .zst behind.
    """

    def __init__(self, what: str = "text", endings: tuple[str, ...] = TEXT_SUFFIXES) -> None:
        self._what, self._endings = what, endings
        self.left_out: list[str] = []
        self.notes: list[str] = []
        self._read: dict[tuple[int, int], Path] = {}

    def of(self, path: Path) -> list[Path]:
        """`path` itself, or the files below it in order of their names."""
        if "\0" in str(path):
            raise InputError(f"{str(path)!r} is not a file name: it holds a NUL")
        with input_errors_named(str(path)):
            if not stat.S_ISDIR(path.stat().st_mode):
                return [] if self._is_double(path, path.stat()) else [path]
        return self._files_below(path)

    def _files_below(self, folder: Path) -> list[Path]:
        reasons: dict[str, list[str]] = {}
        found, linked = [], []
        for path, why in _walk(folder):
            name, status = str(path.relative_to(folder)), None if why else _status(path)
            if status is None:
                reasons.setdefault(why or CANNOT_BE_READ, []).append(name)
            elif (why := self._unfit(path, status)) is not None:
                reasons.setdefault(why, []).append(name)
            elif not self._is_double(path, status):
                found.append(path)
                if path.is_symlink():
                    linked.append(f"{name} → {os.readlink(path)}")
        told = [_said(folder, names, why) for why, names in reasons.items()]
        if not found and EMPTY not in reasons:
            raise InputError(
                f"{folder}: a folder without {self._what} (wanted files ending in "
                f"{', '.join(filter(None, self._endings))}"
                + ", or without an ending" * ("" in self._endings)
                + ")"
                + "".join(f"; {line.removeprefix(f'{folder}: ')}" for line in told)
            )
        if not found:
            raise InputError(f"{folder}: every file of {self._what} in it is empty (0 bytes)")
        self.left_out += told
        if linked:
            self.notes.append(_said(folder, linked, "read through links"))
        return found

    def _unfit(self, path: Path, status: os.stat_result) -> str | None:
        if not stat.S_ISREG(status.st_mode):
            return "skipped: no regular files"
        if not any(ending in self._endings for ending in _endings(path)):
            return "skipped, of other endings"
        return None if status.st_size else EMPTY

    def _is_double(self, path: Path, status: os.stat_result) -> bool:
        if not stat.S_ISREG(status.st_mode) or not status.st_ino:
            return False
        first = self._read.setdefault((status.st_dev, status.st_ino), path)
        if first is path:
            return False
        self.left_out.append(f"{path} is the same file as {first}: read once")
        return True


def _walk(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Everything below a folder but folders, in order, with why it is left out, or None."""
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        if path != folder and path.name.startswith("."):
            yield path, "skipped: hidden"
        elif path != folder and path.is_symlink() and path.is_dir():
            yield path, "skipped: links to folders"
        elif not path.is_dir():
            yield path, None
        else:
            try:
                waiting += sorted(path.iterdir(), reverse=True)
            except OSError:
                yield path, CANNOT_BE_READ


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat() if os.access(path, os.R_OK) else None
    except OSError:
        return None


def _endings(path: Path) -> list[str]:
    ending = path.suffix.lower()
    return [ending, Path(path.stem).suffix.lower()] if ending in PACKED else [ending]


def _said(folder: Path, names: list[str], why: str) -> str:
    shown = ", ".join(names[:NAMED]) + " …" * (len(names) > NAMED)
    return f"{folder}: {len(names)} file{'s' * (len(names) > 1)} {why}: {shown}"
