"""What the files of a run have in common: a name, and fields that are written by name."""

import typing
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from exact2vec.errors import CorruptFileError, UsageError
from exact2vec.options import OPTIONS, checked
from exact2vec.storage.content import why_not
from exact2vec.storage.encoding import write_json
from exact2vec.storage.run_folder import Run

Kind = TypeVar("Kind")


def optional_file(kind: type[Kind], run: Run) -> Kind | None:
    """A file of the run, None where the run has none."""
    if not is_stored(kind, run):
        return None
    stored: Any = kind
    found: Kind = stored.read(run)
    return found


def is_stored(kind: Any, run: Run) -> bool:
    """Whether the run has this file."""
    return str(kind.file) in run.files


def field_values(stored: Any) -> dict[str, Any]:
    """The fields of a file by name."""
    return {field.name: getattr(stored, field.name) for field in fields(stored)}


def write_fields(stored: Any, folder: Path) -> None:
    """Write a file of JSON that holds its fields by name."""
    write_json(folder / stored.file, field_values(stored))


def json_fields(kind: Any, run: Run, /, **older: Any) -> dict[str, Any]:
    """The fields of a file of JSON; CorruptFileError where one is missing.

    `older` are those of files that were written before there was such a field.
    """
    stored = run.json(kind.file)
    return _wanted(kind, run, older | stored if isinstance(stored, dict) else stored)


def settings_fields(kind: Any, run: Run) -> dict[str, Any]:
    """The fields of a file of JSON with `settings` of counts, each as its option may be, or None.

    CorruptFileError for others. Files without a kind are of text.
    """
    values = json_fields(kind, run, kind="text")
    settings = values["settings"]
    given = {name: settings[name] for name in settings if name in OPTIONS}
    try:
        checked(**{name: value for name, value in given.items() if value is not None})
    except UsageError as error:
        raise CorruptFileError(f"{run.folder / kind.file}: {error}") from error
    return values


def array_fields(kind: Any, run: Run, **older: Any) -> dict[str, Any]:
    """The fields of a file of arrays; CorruptFileError where one is missing.

    `older` are those of files that were written before there was such a field.
    """
    return _wanted(kind, run, older | dict(run.arrays(kind.file)))


def _wanted(kind: Any, run: Run, values: Any) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    if not isinstance(values, dict) or (missing := [name for name in names if name not in values]):
        lacking = ", ".join(missing) if isinstance(values, dict) else "an object of them"
        raise CorruptFileError(
            f"{run.folder / kind.file} should hold {', '.join(names)}; it lacks {lacking}"
        )
    hints = typing.get_type_hints(kind)
    for name in names:
        if why := why_not(values[name], hints[name]):
            raise CorruptFileError(f"{run.folder / kind.file}: {name} {why}")
    return {name: values[name] for name in names}
