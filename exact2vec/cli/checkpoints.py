"""Checkpoints of a training, written as its records pass."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from exact2vec.cli.stopping import Stopping
from exact2vec.cli.support import tell
from exact2vec.errors import ResourceError
from exact2vec.estimator import Exact2Vec
from exact2vec.storage.unfinished import Unfinished
from exact2vec.train.checkpoint import checkpoint_of
from exact2vec.train.state import Record

LARGE = 1 << 26  # bytes of a state from which on it is written beside training
LARGEST_SHARE = 1 / 20  # of the time of a training for its checkpoints


class Checkpoints:
    """Writes the records of a model to its folder: the first, those of epochs, and every minutes.

    Checkpoints come less often where they would take more than a twentieth of the time; with 0
    `minutes` every record is written. One that fails is said, and training goes on: the one of
    before is still there. The first must not fail.
    """

    def __init__(
        self,
        run: Unfinished,
        model: Exact2Vec,
        minutes: float,
        asking: Stopping,
    ) -> None:
        self.run, self.model, self.asking = run, model, asking
        self.minutes = minutes
        self._beside = ThreadPoolExecutor(1)
        self._writing: Future[float] | None = None
        self._seconds, self._ended = 0.0, time.perf_counter()

    def of(self, records: Iterator[Record]) -> Iterator[Record]:
        """The same records; each is written when the model has seen it.

        KeyboardInterrupt where stopping was asked for, behind the last checkpoint.
        """
        try:
            for record in records:
                yield record
                if self.asking.asked:
                    self._write_now(record)
                    raise KeyboardInterrupt
                if not self.run.begun:
                    self._write(record)
                elif self._is_due(record):
                    self._write_or_say(record)
        finally:
            self._wait()
            self._beside.shutdown()

    def _is_due(self, record: Record) -> bool:
        if self._writing is not None and not self._writing.done():
            return False
        self._wait()
        if self.minutes == 0:
            return True
        passed = time.perf_counter() - self._ended
        if record.step == record.steps or passed * LARGEST_SHARE < self._seconds:
            return False
        return record.training is not None or passed >= 60 * self.minutes

    def _write_now(self, record: Record) -> None:
        self._wait()
        if self.run.checkpoints.get("last", {}).get("step") != record.step:
            self._write_or_say(record)

    def _write_or_say(self, record: Record) -> None:
        try:
            self._write(record)
        except ResourceError as error:
            if not self.run.begun:
                raise
            self._say_failure(error)

    def _say_failure(self, error: ResourceError) -> None:
        epoch = self.run.checkpoints["last"]["epoch"]
        tell(f"no checkpoint: {error}; the one of epoch {epoch:.2f} stays, and training goes on")

    def _write(self, record: Record) -> None:
        began = time.perf_counter()
        self.run.history, self.run.times = list(self.model.history_), list(self.model.times_)
        if checkpoint_of(record).nbytes < LARGE:
            self._save(record)
            self._note(time.perf_counter() - began)
        else:
            kept = replace(record, state=record.state.copy())
            copying = time.perf_counter() - began
            self._writing = self._beside.submit(lambda: copying + self._save(kept))
            if not self.run.begun:
                self._note(self._writing.result())
                self._writing = None

    def _save(self, record: Record) -> float:
        """How many seconds it took."""
        began = time.perf_counter()
        found = checkpoint_of(record)
        self.run.checkpoint(found.arrays, found.numbers, good=record.training is not None)
        return time.perf_counter() - began

    def _wait(self) -> None:
        """Until what is written beside training is written."""
        writing, self._writing = self._writing, None
        if writing is not None:
            try:
                self._note(writing.result())
            except ResourceError as error:
                self._say_failure(error)

    def _note(self, seconds: float) -> None:
        self._seconds, self._ended = seconds, time.perf_counter()
