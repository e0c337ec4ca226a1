"""The folder of a training that has not ended: held by one command, with its checkpoints.

`progress.json` is to it what the manifest is to a run: it lists the files with their SHA-256. It
is replaced whole when a checkpoint is complete, and the checkpoint of before is deleted behind it.
docs/files.md describes it.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from exact2vec.errors import Exact2VecError, InputError, ResourceError, UsageError
from exact2vec.storage import (
    disk,
    graph_files,
    item_files,
    next_item_files,
    progress_files,
    schema,
    word_files,
)
from exact2vec.storage.additions import note_additions
from exact2vec.storage.encoding import json_bytes, safetensors_pieces
from exact2vec.storage.folders import (
    delete_folder,
    held,
    is_at,
    is_held,
    make_folders,
    parents_made,
    put_in_place,
)
from exact2vec.storage.leftovers import BESIDE, trainings_beside
from exact2vec.storage.opened import OpenedFiles
from exact2vec.storage.progress import checkpoint_name, read_progress
from exact2vec.storage.run_folder import (
    FORMAT,
    MANIFEST,
    PROGRESS,
    Run,
    check_output,
    is_of_progress,
    is_run_folder,
    left_in_run,
    manifest_digest,
    names_of_run,
    open_run,
    refuse_impossible_name,
    try_to_write,
    write_manifest,
)
from exact2vec.storage.writing import (
    UNFINISHED,
    digest_of,
    digests_noted,
    failure_named,
    permissions,
    sync_folder,
    unfinished_name,
    write_whole,
)

Write = Callable[[Path], None]
OF_RUNS = {
    kind.file
    for module in (schema, word_files, item_files, next_item_files, graph_files, progress_files)
    for kind in vars(module).values()
    if hasattr(kind, "file")
} - {schema.Report.file}  # which only a finished run gets


class Unfinished:
    """A training in its folder; `replaces` is the run whose place it gets when it has ended.

    `checkpoints` are "last", and "good", the last whose losses were measured: each is its numbers,
    and the file of its arrays.
    """

    def __init__(self, folder: Path, handle: int, replaces: Path | None) -> None:
        self.folder, self.handle, self.replaces = folder, handle, replaces
        self.files: dict[str, str] = {}
        self.checkpoints: dict[str, dict[str, Any]] = {}
        self.history: list[dict[str, Any]] = []
        self.times: list[dict[str, Any]] = []
        self.ended = False

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return bool(self.checkpoints)

    def start(self, write: Write) -> None:
        """Write the files that a training goes on from, beside its checkpoints."""
        self.files |= self._noted(write)

    def checkpoint(
        self, arrays: Mapping[str, NDArray[Any]], numbers: dict[str, Any], *, good: bool
    ) -> None:
        """Write a checkpoint whole, then forget the one of before."""
        self._refuse_other_place()
        pieces = safetensors_pieces(arrays)
        stored = {"file": checkpoint_name(numbers["step"]), "sha256": digest_of(pieces)}
        now = self.checkpoints | {"last": stored | numbers}
        if good:
            now["good"] = now["last"]
        before = {one["file"] for one in self.checkpoints.values()}
        write_whole(self.folder / stored["file"], pieces)
        self._write_progress(now)
        self.checkpoints = now
        with failure_named(self.folder):
            for name in before - {one["file"] for one in now.values()}:
                disk.unlink(self.folder / name)

    def arrays(self, which: str) -> dict[str, NDArray[Any]]:
        """The arrays of the checkpoint "last" or "good", checked."""
        stored = self.checkpoints[which]
        return self.run([stored]).arrays(stored["file"])

    def run(self, checkpoints: list[dict[str, Any]] | None = None) -> Run:
        """The files that it started from, to be read like those of a run."""
        files = self.files | {one["file"]: one["sha256"] for one in checkpoints or []}
        return Run(self.folder, "unfinished", files, OpenedFiles(self.folder, self.handle, files))

    def finish(self, write: Write, *, replace: bool = True) -> Path:
        """Make it a run of what it started from and what is written now; the result is its place.

        That is the one of the run that it `replaces`. With `replace` false that run stays, and
        this one lies beside it.
        """
        self._refuse_other_place()
        written = self._noted(write)
        if self.replaces is not None and not replace:
            self.replaces = None
            self._write_progress(self.checkpoints)
        kept = {name: digest for name, digest in self.files.items() if not is_of_progress(name)}
        self.files = kept | written
        write_manifest(self.folder, "run", self.files)
        self.ended = True
        return self.settle()

    def take_place(self) -> None:
        """Get the place of the run that it replaces; ResourceError, both as they are, if not."""
        assert self.replaces is not None
        place = self.replaces
        try:
            _refuse_output(place, force=True)
            names = {*names_of_run(place), *_ours(place)} if place.is_dir() else set()
            with failure_named(place):
                old = put_in_place(self.folder, place, force=True)
        except (UsageError, ResourceError) as error:
            raise ResourceError(f"{error}; the new run lies in {self.folder}") from error
        self.folder, self.replaces = place, None
        with failure_named(place):
            sync_folder(place.parent)
        if old is not None:
            _delete_replaced(old, place, names)

    def settle(self) -> Path:
        """Do what was left to do when its training had ended."""
        if self.replaces is not None:
            self.take_place()
        self.tidy()
        return self.folder

    def add(self, name: str, data: bytes) -> None:
        """Add a file to a finished run; nothing is left of one that fails."""
        self._refuse_other_place()
        if os.path.lexists(self.folder / name):
            raise UsageError(f"{self.folder / name} is there and is not of the run")
        files = self.files | {name: digest_of([data])}
        try:
            note_additions(self.folder, {name: files[name]})
            write_whole(self.folder / name, data)
            write_manifest(self.folder, "run", files)
            self.files = files
        finally:
            self.tidy()

    def tidy(self) -> None:
        """Delete what a finished run does not need; what stays harms nothing."""
        with contextlib.suppress(Exact2VecError, OSError):
            for name in left_in_run(self.folder):
                with contextlib.suppress(OSError):
                    disk.unlink(self.folder / name)

    def leave(self) -> None:
        """Delete the folder where nothing was trained yet."""
        if not (self.begun or self.ended) and is_at(self.folder, self.handle):
            delete_folder(self.folder, _ours(self.folder))

    def write_first(self) -> None:
        """Say what the folder is for, before there is anything else."""
        self._write_progress({})
        for name in _ours(self.folder):
            if name != PROGRESS:  # of a command that was killed before its training began
                disk.unlink(self.folder / name)

    def _write_progress(self, checkpoints: Mapping[str, Any]) -> None:
        """Of what was noted, all until the last of these checkpoints."""
        step = checkpoints["last"]["step"] if checkpoints else -1
        stored = {
            "format": FORMAT,
            "replaces": self.replaces.name if self.replaces else None,
            "files": self.files,
            "checkpoints": checkpoints,
            "history": [row for row in self.history if row["step"] <= step],
            "times": [row for row in self.times if row["step"] <= step],
        }
        signed = stored | {"sha256": manifest_digest(stored)}
        write_whole(self.folder / PROGRESS, json_bytes(signed))

    def _noted(self, write: Write) -> dict[str, str]:
        """What is written now, with the SHA-256 of each file: all of it, or nothing is left."""
        with digests_noted() as written:
            try:
                write(self.folder)
            except BaseException:
                for path in written:
                    with contextlib.suppress(OSError):
                        disk.unlink(path)
                raise
        return {path.name: digest for path, digest in written.items()}

    def _refuse_other_place(self) -> None:
        if not is_at(self.folder, self.handle):
            raise ResourceError(
                f"{self.folder} is not the folder that this training began in: it was moved, "
                "deleted or replaced meanwhile"
            )


@contextlib.contextmanager
def begun(output: Path, *, force: bool) -> Iterator[Unfinished]:
    """A training that is to become the run `output`: in its place, or beside a run that has it.

    UsageError where another command writes there. Nothing is left of it if nothing was trained,
    nor of the folders that were made for it.
    """
    refuse_impossible_name(output)
    if output.is_dir() and is_held(output):
        raise UsageError(f"{output} is being written by another command; name another folder")
    _refuse_output(output, force=force)
    with contextlib.ExitStack() as stack:
        with failure_named(output):
            stack.enter_context(parents_made(output))
            make_folders(output)
            folder, handle = output, stack.enter_context(held(output))
            _refuse_output(output, force=force)
            beside = is_run_folder(output) or has_begun(output)
            if beside:
                folder = _name_beside(output)
                disk.make_folder(folder, permissions(output) or 0o777)
                handle = stack.enter_context(held(folder))
            run = Unfinished(folder, handle, output if beside else None)
        try:
            run.write_first()
            yield run
        finally:
            run.leave()


@contextlib.contextmanager
def gone_on_with(folder: Path) -> Iterator[Unfinished]:
    """A training that was interrupted.

    UsageError where another command goes on with it, InputError where there is none. Where nothing
    can be written that is said at once.
    """
    refuse_impossible_name(folder)
    _refuse_no_training(folder)
    try_to_write(folder / PROGRESS)
    with contextlib.ExitStack() as stack:
        handle = stack.enter_context(held(folder))
        stored = read_progress(folder)
        place = _place_of(folder, stored["replaces"])
        if place is not None and place.is_dir():
            stack.enter_context(held(place))
        run = Unfinished(folder, handle, place)
        run.files, run.checkpoints = stored["files"], stored["checkpoints"]
        run.history, run.times = stored["history"], stored["times"]
        if is_run_folder(folder):
            run.files, run.ended = dict(open_run(folder).files), True
        elif not run.begun:
            raise InputError(
                f"{folder} was left before its training began: give the command to train again"
            )
        yield run


def has_begun(folder: Path) -> bool:
    """Whether a folder holds a training with a checkpoint; one without has nothing to lose."""
    return (folder / PROGRESS).exists() and bool(read_progress(folder)["checkpoints"])


def _refuse_no_training(folder: Path) -> None:
    if (folder / PROGRESS).exists():
        return
    beside = ", ".join(map(str, trainings_beside(folder)))
    other = f"; beside it is {beside}" if beside else ""
    if is_run_folder(folder):
        raise UsageError(f"{folder} is a finished run: there is nothing to resume{other}")
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such run folder{other}")
    raise InputError(f"{folder} is no run: it has neither {MANIFEST} nor {PROGRESS}{other}")


def _refuse_output(output: Path, *, force: bool) -> None:
    """As `check_output`; what is left of a training is replaced where `force` says so."""
    begins = output.is_dir() and {*os.listdir(output)} == {*filter(is_of_progress, _ours(output))}
    if output.is_symlink() or not (begins or (output / PROGRESS).exists()):
        check_output(output, force=force)
        return
    if is_run_folder(output):
        check_output(output, force=force)
        return
    if has_begun(output) and not force:
        raise UsageError(
            f"{output} holds a training that has not ended: exact2vec train --resume {output} goes "
            "on with it, and --force replaces it when the new one has ended"
        )
    strangers = sorted({*os.listdir(output)} - {*_ours(output)})
    if strangers:
        raise UsageError(
            f"{output} holds files that are not of a training, {', '.join(strangers[:5])}: "
            "move them away, or name another folder"
        )
    try_to_write(output)


def _name_beside(output: Path) -> Path:
    """A free name beside a run, that says whose place is meant."""
    names = [f"{output.name}.new", *(f"{output.name}.new-{number}" for number in range(2, 10_000))]
    return next(path for path in map(output.with_name, names) if not os.path.lexists(path))


def _place_of(folder: Path, replaces: object) -> Path | None:
    """The run that a training replaces: the one of its own name without .new, or none."""
    found = BESIDE.fullmatch(folder.name)
    if replaces is None or found is None or found[1] != replaces:
        return None
    return folder.with_name(found[1])


def _ours(folder: Path) -> list[str]:
    """The files in a folder that have the names of ours."""
    names = sorted(path.name for path in folder.iterdir())
    return [name for name in names if name in OF_RUNS or is_of_progress(name)]


def _delete_replaced(old: Path, place: Path, names: set[str]) -> None:
    """Delete the run of before: out of sight first, so that what is left of it is no run."""
    away = old
    with contextlib.suppress(OSError):
        if not UNFINISHED.fullmatch(old.name):
            away = unfinished_name(place)
            disk.rename(old, away)
        delete_folder(away, {*names, *filter(is_of_progress, os.listdir(away))})
