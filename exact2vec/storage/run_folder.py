"""A run folder: plain files under names of ours, and a manifest with the SHA-256 of each.

It is written whole or not at all, and read only after every byte that is used has been checked.
docs/files.md describes the files.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from exact2vec.errors import CorruptFileError, InputError, UsageError
from exact2vec.storage import format1
from exact2vec.storage.encoding import json_bytes
from exact2vec.storage.files import full_disk_named, sha256, sync, write_whole

FORMAT = 2  # that is written; 1 is read as well
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Run:
    """An existing run folder. `files` maps each name to its SHA-256.

    What is read of a folder of an earlier format has the names of the present one.
    """

    folder: Path
    kind: str
    files: dict[str, str]
    version: int = FORMAT

    def bytes(self, name: str) -> bytes:
        """The content of a file, checked against the manifest."""
        path = self.folder / name
        if name not in self.files:
            raise CorruptFileError(f"{path} is not listed in the manifest")
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise CorruptFileError(f"{path} is missing; the run folder is not complete") from error
        if hashlib.sha256(data).hexdigest() != self.files[name]:
            raise CorruptFileError(
                f"{path} is not the file that was written (its SHA-256 differs); "
                "restore it, or train again"
            )
        return data

    def json(self, name: str) -> Any:
        """A checked JSON file."""
        return self._of_this_format(json.loads(self.bytes(name)))

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The objects of a checked file of JSON lines."""
        return [self._of_this_format(json.loads(line)) for line in self.bytes(name).splitlines()]

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of a checked safetensors file."""
        import safetensors
        import safetensors.numpy

        try:
            arrays = safetensors.numpy.load(self.bytes(name))
        except safetensors.SafetensorError as error:
            raise CorruptFileError(
                f"{self.folder / name} is not a safetensors file: {error}"
            ) from error
        return format1.arrays_of_format_2(arrays) if self.version == 1 else arrays

    def check(self) -> list[tuple[str, int]]:
        """(name, bytes) of every file, all of them verified."""
        return [(name, len(self.bytes(name))) for name in sorted(self.files)]

    def _of_this_format(self, value: Any) -> Any:
        return format1.json_of_format_2(value) if self.version == 1 else value


def is_run_folder(folder: Path) -> bool:
    """Whether a folder has a manifest."""
    return os.path.isfile(folder / MANIFEST)  # False for a name that cannot be one


def open_run(folder: Path) -> Run:
    """Read and check the manifest of a run folder."""
    _printable_path(folder)
    path = folder / MANIFEST
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such run folder")
    try:
        data = path.read_bytes()
        manifest = json.loads(data)
        if data != json_bytes(manifest):
            raise ValueError("not as written")
        stated = manifest.pop("sha256")
        version, kind, files = manifest["format"], manifest["kind"], manifest["files"]
    except FileNotFoundError as error:
        raise InputError(f"{folder} is not a run folder: it has no {MANIFEST}") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CorruptFileError(
            f"{path} is damaged: it is not the manifest that was written"
        ) from error
    if version not in (1, FORMAT):
        raise CorruptFileError(
            f"{path}: format {version!r} is unknown; this exact2vec reads formats 1 and {FORMAT}"
        )
    if stated != _digest(manifest) or any(Path(name).name != name for name in files):
        raise CorruptFileError(f"{path} is damaged: it is not the manifest that was written")
    return Run(folder, kind, files, version)


@contextlib.contextmanager
def create(folder: Path, *, kind: str, force: bool = False) -> Iterator[Path]:
    """A new folder to write into, put in its place whole at the end, with its manifest.

    Nothing is left of it after an error.
    """
    check_output(folder, force=force)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    with full_disk_named(folder):
        shutil.rmtree(part, ignore_errors=True)
        try:
            part.mkdir(parents=True)
            yield part
            manifest = {
                "format": FORMAT,
                "kind": kind,
                "files": {path.name: sha256(path) for path in sorted(part.iterdir())},
            }
            write_whole(part / MANIFEST, json_bytes(manifest | {"sha256": _digest(manifest)}))
            _put_in_place(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def check_output(folder: Path, *, force: bool) -> None:
    """Refuse an output that could not be written or would replace something else than a run.

    This happens before any work.
    """
    _printable_path(folder)
    if not folder.name:
        raise UsageError(f"{str(folder)!r} does not name a folder to write")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} exists and is not a folder; name another")
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MANIFEST).is_file():
            raise UsageError(
                f"{folder} exists and is not a run folder; name another, "
                "it is not replaced even with --force"
            )
        if not force:
            raise UsageError(f"{folder} exists; use --force to replace it")
        if strangers := sorted(
            path.name
            for path in folder.iterdir()
            if path.name not in {MANIFEST, *open_run(folder).files}
        ):
            raise UsageError(
                f"{folder} holds files that are not of the run, {', '.join(strangers[:5])}: "
                "move them away, --force would delete them"
            )
    _try_to_write(folder)


def check_page(path: Path, *, force: bool) -> None:
    """Refuse a single file that could not be written or would replace one without `force`.

    This happens before any work.
    """
    _printable_path(path)
    if path.is_dir() or (path.exists() and not force):
        raise UsageError(
            f"{path} exists"
            + (
                "; use --force to replace it"
                if path.is_file()
                else " and is not a file; name another"
            )
        )
    _try_to_write(path)


def _try_to_write(folder: Path) -> None:
    ancestor = next(path for path in folder.absolute().parents if path.exists())
    try:
        tempfile.TemporaryDirectory(dir=ancestor, prefix=".exact2vec-").cleanup()
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror} in {ancestor}") from error


def _put_in_place(part: Path, folder: Path) -> None:
    sync(part)
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        os.replace(folder, old)
    os.replace(part, folder)
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _printable_path(folder: Path) -> None:
    try:
        folder.exists()
        too_long = any(len(os.fsencode(part)) > 200 for part in folder.parts)
    except (ValueError, OSError) as error:
        raise UsageError(f"{str(folder)[:60]!r} cannot be the name of a folder: {error}") from error
    if "\0" in str(folder) or too_long:
        raise UsageError(
            f"{str(folder)[:60]!r} cannot be the name of a folder: "
            "it is too long (200 bytes at most), or holds a NUL"
        )
