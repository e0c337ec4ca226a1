"""What train does in its folder: begin, keep checkpoints, end or go on later."""

import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exact2vec.cli import messages
from exact2vec.cli.checkpoints import Checkpoints
from exact2vec.cli.stopping import Stopping
from exact2vec.cli.support import fail, tell
from exact2vec.counts.baskets import Baskets
from exact2vec.counts.counts import Counts
from exact2vec.counts.features import Features
from exact2vec.display import terminal_progress
from exact2vec.errors import (
    CorruptFileError,
    DivergedError,
    Exact2VecError,
    ResourceError,
    UsageError,
)
from exact2vec.estimator import Exact2Vec
from exact2vec.options import OPTIONS, TRAINING
from exact2vec.pages.report import QUICK_CELLS, report_page
from exact2vec.pages.run_view import stored_run
from exact2vec.storage import progress_files, schema
from exact2vec.storage.run_folder import check_output
from exact2vec.storage.stored_file import optional_file
from exact2vec.storage.unfinished import Unfinished
from exact2vec.train.checkpoint import Checkpoint, Sizes, record_of
from exact2vec.train.going_on import Earlier, earlier_of
from exact2vec.train.problem import prior_of_counts
from exact2vec.train.state import Record

Say = Callable[[str], None]


@dataclass(frozen=True)
class Training:
    """A training in its folder, and how it talks."""

    run: Unfinished
    model: Exact2Vec
    counts: Counts
    known: Features | None
    provenance: dict[str, Any]
    minutes: float
    asking: Stopping
    say: Say
    quiet: bool
    left_out: list[str]

    def begin(self) -> None:
        """Train from the start, and end."""
        self.run.start(self._write_start)
        self._train(lambda listen: self.model.train(features=self.known, listen=listen))

    def go_on(self) -> None:
        """Train on from the last checkpoint, and end."""
        earlier = stored_progress(self.run, self.model, self.counts, self.known)
        epoch = self.run.checkpoints["last"]["epoch"]
        self.say(
            f"{self.run.folder}: going on from epoch {epoch:.2f}, step {earlier.progress[0].step}"
        )
        baskets = Baskets.read(self.run.run(), self.counts.vocabulary)
        self._train(
            lambda listen: self.model.go_on(
                self.counts, earlier, features=self.known, listen=listen, baskets=baskets
            )
        )

    def _write_start(self, folder: Path) -> None:
        self.model.write_start(folder, self.provenance)
        if self.known is not None:
            progress_files.KnownNames(self.known.rows, self.known.names).write(folder)
            progress_files.KnownFeatures(self.known.matrix).write(folder)

    def _train(self, train: Callable[[Any], Exact2Vec]) -> None:
        words = len(self.counts.words)
        kept = Checkpoints(self.run, self.model, self.minutes, self.asking)
        self.asking.waits = True
        try:
            train(lambda records: terminal_progress(kept.of(records), words, quiet=self.quiet))
        except DivergedError as error:
            self._step_back(error)
        except KeyboardInterrupt:
            if not self.run.begun:
                raise
            self._leave("interrupted", 130)
        except (Exact2VecError, MemoryError, RuntimeError) as error:
            if self.run.begun:
                tell(_resume_line(self.run))
            raise error
        self._end()

    def _end(self) -> None:
        place = self._finish(replace=True)
        folder = str(place)
        for line in messages.closing(self.model.wv, self.model.last_, folder):
            self.say(line)
        for line in self.left_out:
            self.say(f"left out: {line}")
        if not self.counts.square:
            return
        quick = self.counts.training.nnz <= QUICK_CELLS and not self.asking.asked
        if not (quick and self._add_report(folder)):
            self.say(f"     exact2vec report {shlex.quote(folder)}")

    def _finish(self, *, replace: bool) -> Path:
        try:
            return self.run.finish(self.model.write_trained, replace=replace)
        except ResourceError as error:
            if self.run.ended:
                raise
            rescued = rescue(self.model, self.run.folder)
            again = f"; {_resume_line(self.run)}" if self.run.begun else ""
            fail(f"{error}; {rescued}{again}", error.exit_code)
            raise
        except KeyboardInterrupt:
            if not self.run.begun or (self.run.ended and self.run.replaces is None):
                raise
            self._leave("interrupted", 130)
            raise

    def _add_report(self, folder: str) -> bool:
        """Whether there is a report: it is not needed, and costs no run."""
        try:
            self.run.add(schema.Report.file, report_page([stored_run(folder)]))
        except (Exact2VecError, MemoryError, KeyboardInterrupt) as error:
            self.say(f"no report: {error or type(error).__name__}")
            return False
        self.say(f"     open {self.run.folder / schema.Report.file} in a browser")
        return True

    def _step_back(self, error: DivergedError) -> None:
        """Make a run of what was last good."""
        if not hasattr(self.model, "wv"):
            raise error
        step, epoch = self.model.last_.step, self.model.last_.epoch
        self.model.forget_after(step)
        beside = f"; {self.run.replaces} stays as it was" if self.run.replaces else ""
        place = self._finish(replace=False)
        fail(
            f"{error}; stepped back: {place} holds the last good vectors, of epoch {epoch:g}"
            f" (step {step}){beside}",
            error.exit_code,
        )

    def _leave(self, why: str, code: int) -> None:
        epoch = self.run.checkpoints["last"]["epoch"]
        beside = f"; {self.run.replaces} stays as it was" if self.run.replaces else ""
        fail(f"{why} at epoch {epoch:.2f}{beside}; {_resume_line(self.run)}", code)


def _resume_line(run: Unfinished) -> str:
    return f"to go on: exact2vec train --resume {shlex.quote(str(run.folder))}"


def stored_progress(
    run: Unfinished, model: Exact2Vec, counts: Counts, known: Features | None
) -> Earlier:
    """Where a training was when its last checkpoint was written."""
    arguments = {name: getattr(model, name) for name in ("prior", "min_n", "max_n")}
    prior = prior_of_counts(counts, features=known, **arguments)
    features = None
    if prior is not None:
        features = prior.inputs.describer.size, prior.outputs.describer.size
    sizes = Sizes(len(counts.rows), len(counts.columns), model.vector_size, features)

    def record(which: str) -> Record:
        return record_of(Checkpoint(run.arrays(which), run.checkpoints[which]), sizes, prior)

    try:
        return earlier_of(record("last"), record("good"), run.history, run.times)
    except CorruptFileError as error:
        raise CorruptFileError(f"{run.folder}: {error}") from error


def stored_model(run: Unfinished, threads: int | None) -> Exact2Vec:
    """The model of a training that has not ended, with the arguments that it began with."""
    path, config = run.folder / schema.Config.file, schema.Config.read(run.run()).values
    if set(config) != {option.name for option in TRAINING}:
        raise CorruptFileError(f"{path}: these are not the arguments of a training")
    try:
        arguments: dict[str, Any] = {
            name: OPTIONS[name].parse(_plain(value), name) for name, value in config.items()
        }
    except UsageError as error:
        raise CorruptFileError(f"{path}: {error}") from error
    return Exact2Vec(**arguments | {"threads": threads})


def stored_provenance(run: Unfinished) -> dict[str, Any]:
    """What a training said of its origin when it began."""
    values = dict(schema.Provenance.read(run.run()).values)
    path = run.folder / schema.Provenance.file
    left_out = values.get("left_out", [])
    if not (isinstance(left_out, list) and all(isinstance(line, str) for line in left_out)):
        raise CorruptFileError(f"{path}: left_out should be lines of text")
    return values


def _plain(value: Any) -> Any:
    """A value of JSON as an option takes it: text for what none takes."""
    if isinstance(value, list) and all(isinstance(one, int | float) for one in value):
        return tuple(map(float, value))
    return value if value is None or isinstance(value, int | float | str) else repr(value)


def stored_features(run: Unfinished) -> Features | None:
    """The features that a training began with."""
    stored = run.run()
    names = optional_file(progress_files.KnownNames, stored)
    if names is None:
        return None
    cells = progress_files.KnownFeatures.read(stored, names)
    return Features(cells.features, names.rows, names.features)


def rescue(model: Exact2Vec, folder: Path) -> str:
    """Where the vectors were written instead, and how that is said."""
    for place in (folder.parent, Path.cwd(), Path(tempfile.gettempdir()), Path.home()):
        path = place / f"{folder.name}.vectors"
        try:
            check_output(path, force=False)
            model.wv.save(path)
        except Exact2VecError:
            continue
        return f"the vectors lie in {path} (exact2vec neighbors and export read them)"
    return "the vectors could not be written elsewhere either"
