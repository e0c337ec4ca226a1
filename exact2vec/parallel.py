"""Worker threads whose number changes no result: each computes whole tiles, alone, in any order."""

import functools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

from exact2vec.errors import UsageError
from exact2vec.options import available_threads

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """A pool of threads in which torch itself uses one thread.

    Sums are cut by tiles, never by the number of threads. `map`, `start` and `run` see the
    caller's inference mode; nothing in them is recorded by autograd or changed by autocast.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = available_threads() if threads is None else threads
        if self.threads < 1:
            raise UsageError(f"threads must be at least 1; got {threads}")
        self._pool = _started(self.threads)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """The results in the order of `items`; the first error is raised."""
        every = list(items)
        results: dict[int, Result] = {}
        places = iter(range(len(every)))

        def work() -> None:
            for place in places:
                results[place] = function(every[place])

        for done in [self.start(work) for _ in range(min(self.threads, len(every)))]:
            done.result()
        return [results[place] for place in range(len(every))]

    def start(self, function: Callable[[], Result]) -> "Future[Result]":
        """One call on a worker, beside what follows; its linear algebra runs on one thread."""
        inference = torch.is_inference_mode_enabled()

        def seen() -> Result:
            with torch.inference_mode(inference), torch.no_grad():
                return function()

        if self._pool is None:
            return _done_here(seen)
        try:
            return self._pool.submit(seen)
        except RuntimeError:  # the interpreter is shutting down
            return _done_here(seen)

    def run(self, function: Callable[[], Result]) -> Result:
        """The result of one call on a worker."""
        return self.start(function).result()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()


@functools.cache
def workers(threads: int) -> Workers:
    """A pool that lives as long as the process; making it changes no setting of the caller."""
    before = torch.get_num_threads()
    pool = Workers(threads)
    torch.set_num_threads(before)
    return pool


os.register_at_fork(after_in_child=workers.cache_clear)


def _started(threads: int) -> ThreadPoolExecutor | None:
    """A pool whose threads all run; of fewer where the system lends no more, None without any.

    A pool that fails to start a thread has queued the call already, and may make it all the same:
    so none is started later.
    """
    pool = ThreadPoolExecutor(threads, initializer=_one_thread_without_autograd)
    go_on = threading.Event()
    try:
        begun = [pool.submit(go_on.wait) for _ in range(threads)]  # none is idle: each starts one
    except RuntimeError:
        go_on.set()
        pool.shutdown()
        return _started(threads // 2) if threads > 1 else None
    go_on.set()
    for one in begun:
        one.result()
    return pool


def _done_here(function: Callable[[], Result]) -> "Future[Result]":
    """The call made by the calling thread, its linear algebra on one thread as in a worker."""
    done: Future[Result] = Future()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        done.set_result(function())
    finally:
        torch.set_num_threads(before)
    return done


def _one_thread_without_autograd() -> None:
    """torch keeps both settings per calling thread: set outside, they would not reach the workers.

    A thread takes over the number set elsewhere when it first asks for its own: asked here, before
    it is set, it does not do so later, in the middle of the work.
    """
    torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
