"""A run folder: plain files under names of ours, and a manifest with the SHA-256 of each.

It is written whole or not at all, and read only after every byte that is used has been checked.
docs/files.md describes the files.
"""

import builtins
import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from exact2vec.errors import (
    CorruptFileError,
    Exact2VecError,
    InputError,
    ResourceError,
    UsageError,
)
from exact2vec.storage import disk, format1
from exact2vec.storage.additions import ADDING, left_additions
from exact2vec.storage.encoding import json_bytes, json_value
from exact2vec.storage.folders import delete_folder, held, is_at, put_in_place, staged
from exact2vec.storage.opened import OpenedFiles, is_plain_name, opened_folder
from exact2vec.storage.writing import (
    UNFINISHED,
    digests_noted,
    failure_named,
    sync_folder,
    unfinished_name,
    write_whole,
)

FORMAT = 2  # that is written; 1 is read as well
MANIFEST = "manifest.json"
MANIFEST_BYTES = 1 << 20  # at most
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
PROGRESS = "progress.json"  # of a training that has not ended


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder that was opened. `files` maps each name to its SHA-256.

    The files were opened together: a run that is put in its place meanwhile changes nothing here.
    What is read of a folder of an earlier format has the names of the present one.
    """

    folder: Path
    kind: str
    files: dict[str, str]
    opened: OpenedFiles
    version: int = FORMAT

    def bytes(self, name: str) -> bytes:
        """The content of a file, checked against the manifest."""
        path = self.folder / name
        if name not in self.files:
            raise CorruptFileError(f"{path} is not listed in the manifest")
        data = self.opened.bytes(name)
        if hashlib.sha256(data).hexdigest() != self.files[name]:
            raise CorruptFileError(
                f"{path} is not the file that was written (its SHA-256 differs); "
                "restore it, or train again"
            )
        return data

    def json(self, name: str) -> Any:
        """A checked JSON file."""
        return self._of_this_format(self._parsed(name, self.bytes(name)))

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The objects of a checked file of JSON lines."""
        lines = self.bytes(name).splitlines()
        return [self._of_this_format(self._parsed(name, line)) for line in lines]

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

    def _parsed(self, name: str, data: builtins.bytes) -> Any:
        try:
            return json_value(data)
        except ValueError as error:
            raise CorruptFileError(f"{self.folder / name} is not JSON: {error}") from error

    def _of_this_format(self, value: Any) -> Any:
        return format1.json_of_format_2(value) if self.version == 1 else value


def is_of_progress(name: str) -> bool:
    """Whether a file is of a training in progress: its checkpoints, or what is being written."""
    of_training = name in (PROGRESS, ADDING) or name.startswith(("checkpoint-", "known."))
    return of_training or UNFINISHED.fullmatch(name) is not None


def is_run_folder(folder: Path) -> bool:
    """Whether a folder has a manifest."""
    return os.path.isfile(folder / MANIFEST)  # False for a name that cannot be one


def open_run(folder: str | Path | Run) -> Run:
    """Check the manifest of a run folder, and open the files that it lists.

    Where another run is put in its place meanwhile, it is that one. A run that is open already
    stays as it was.
    """
    if isinstance(folder, Run):
        return folder
    folder = Path(folder)
    refuse_impossible_name(folder)
    while True:
        with opened_folder(folder) as handle:
            try:
                run = _run_in(folder, handle)
            except Exact2VecError:
                if is_at(folder, handle):
                    raise
                continue
            if not run.opened.missing or is_at(folder, handle):
                return run


def _run_in(folder: Path, handle: int) -> Run:
    path = folder / MANIFEST
    opened = OpenedFiles(folder, handle, [MANIFEST])
    if MANIFEST in opened.missing:
        raise InputError(f"{folder} is not a run folder: {_why_not(folder)}")
    try:
        data = opened.bytes(MANIFEST, at_most=MANIFEST_BYTES)
        manifest = json_value(data)
        if data != json_bytes(manifest):
            raise ValueError("not as written")
        stated = manifest.pop("sha256")
        version, kind, files = manifest["format"], manifest["kind"], manifest["files"]
        names = all(map(is_plain_name, files))
        texts = all(isinstance(text, str) for text in (kind, *files.values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CorruptFileError(
            f"{path} is damaged: it is not the manifest that was written"
        ) from error
    if version not in (1, FORMAT):
        raise CorruptFileError(
            f"{path}: format {version!r} is unknown; this exact2vec reads formats 1 and {FORMAT}"
        )
    if stated != manifest_digest(manifest) or not (names and texts):
        raise CorruptFileError(f"{path} is damaged: it is not the manifest that was written")
    return Run(folder, kind, files, OpenedFiles(folder, handle, list(files)), version)


def _why_not(folder: Path) -> str:
    if not (folder / PROGRESS).exists():
        return f"it has no {MANIFEST}"
    if has_checkpoints(folder):
        return f"its training has not ended; exact2vec train --resume {folder} goes on with it"
    return "it was left before its training began: give the command to train again"


def has_checkpoints(folder: Path) -> bool:
    """Whether a training can be gone on with there; what is damaged, its reader tells."""
    try:
        with opened_folder(folder) as handle:
            data = OpenedFiles(folder, handle, [PROGRESS]).bytes(PROGRESS)
        return bool(json_value(data)["checkpoints"])
    except Exact2VecError:
        return False
    except (ValueError, KeyError, TypeError):
        return True


@contextlib.contextmanager
def create(folder: Path, *, kind: str, force: bool = False) -> Iterator[Path]:
    """A new folder to write into, put in its place whole at the end, with its manifest.

    Nothing is left of it after an error.
    """
    check_output(folder, force=force)
    with contextlib.ExitStack() as stack:
        stack.enter_context(failure_named(folder))
        if folder.exists():
            stack.enter_context(held(folder))
        part = stack.enter_context(staged(folder))
        with digests_noted() as written:
            yield part
        write_manifest(part, kind, {path.name: digest for path, digest in written.items()})
        check_output(folder, force=force)
        names = names_of_run(folder)
        old = put_in_place(part, folder, force=force)
        sync_folder(folder.parent)
        if old is not None:
            delete_folder(old, names)


def write_manifest(folder: Path, kind: str, files: Mapping[str, str]) -> None:
    """Make a folder a run: of these files, given with their SHA-256."""
    manifest = {"format": FORMAT, "kind": kind, "files": dict(sorted(files.items()))}
    signed = manifest | {"sha256": manifest_digest(manifest)}
    write_whole(folder / MANIFEST, json_bytes(signed))


def names_of_run(folder: Path) -> set[str]:
    """The names of the files of a run folder; none where it is no run folder."""
    if not is_run_folder(folder):
        return set()
    listed = open_run(folder).files
    return {MANIFEST, *listed, *left_additions(folder, listed)}


def left_in_run(folder: Path) -> list[str]:
    """The files that a finished run does not need, in the order in which they can be deleted."""
    listed = open_run(folder).files
    of_progress = sorted(name for name in os.listdir(folder) if is_of_progress(name))
    return [*left_additions(folder, listed), *of_progress]


def check_output(folder: Path, *, force: bool) -> None:
    """Refuse an output that could not be written or would replace something else than a run.

    This happens before any work.
    """
    refuse_impossible_name(folder)
    if not folder.name:
        raise UsageError(f"{str(folder)!r} does not name a folder to write")
    if folder.is_symlink():
        raise UsageError(f"{folder} is a link; name the folder that it leads to, or another")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} exists and is not a folder; name another")
    if folder.exists() and any(folder.iterdir()):
        refuse_other_folder(folder, force=force)
    try_to_write(folder)


def refuse_other_folder(folder: Path, *, force: bool) -> None:
    """Refuse to replace a folder that is no run, or holds other files, or any without `force`."""
    if not (folder / MANIFEST).is_file():
        raise UsageError(
            f"{folder} exists and {_why_not_replaced(folder)}; name another, "
            "it is not replaced even with --force"
        )
    if not force:
        raise UsageError(f"{folder} exists; use --force to replace it")
    ours = names_of_run(folder)
    strangers = [
        path.name
        for path in sorted(folder.iterdir())
        if path.name not in ours and not is_of_progress(path.name)
    ]
    if strangers:
        raise UsageError(
            f"{folder} holds files that are not of the run, {', '.join(strangers[:5])}: "
            "move them away, --force would delete them"
        )


def _why_not_replaced(folder: Path) -> str:
    if has_checkpoints(folder):
        return f"holds a training that has not ended (exact2vec train --resume {folder})"
    return "is not a run folder"


def check_page(path: Path, *, force: bool) -> None:
    """Refuse a single file that could not be written or would replace one without `force`.

    Nor is one written into a run folder. This happens before any work.
    """
    refuse_impossible_name(path)
    place = Path(os.path.realpath(path)).parent
    if (place / MANIFEST).exists() or (place / PROGRESS).exists():
        raise UsageError(
            f"{path} would lie in the run folder {place}, whose files are the run's; "
            "name a file elsewhere"
        )
    if path.is_dir() or (path.exists() and not force):
        raise UsageError(
            f"{path} exists"
            + (
                "; use --force to replace it"
                if path.is_file()
                else " and is not a file; name another"
            )
        )
    try_to_write(path)


def try_to_write(folder: Path) -> None:
    """UsageError where nothing can be written in the nearest folder that exists.

    ResourceError where the disk is full or fails.
    """
    ancestor = next(path for path in folder.absolute().parents if path.exists())
    tried = unfinished_name(ancestor / folder.name)
    try:
        disk.make_folder(tried, 0o700)
        disk.remove_folder(tried)
    except OSError as error:
        kind = ResourceError if error.errno in OF_THE_DISK else UsageError
        raise kind(f"{folder} cannot be written: {error.strerror} in {ancestor}") from error


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """The SHA-256 of a manifest without it."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def refuse_impossible_name(folder: Path) -> None:
    """UsageError for a name that no folder can have."""
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
