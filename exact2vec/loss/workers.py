"""Worker threads whose number changes no result: each computes whole tiles, alone, in an order that does not matter."""

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
    """A pool of threads in which torch itself uses one thread: sums are cut by tiles, never by the number of threads."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = available_threads() if threads is None else threads
        if self.threads < 1:
            raise UsageError(f"threads must be at least 1; got {threads}")
        self._pool = ThreadPoolExecutor(self.threads, initializer=_one_thread_without_autograd)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """The results in the order of `items`; the first error is raised."""
        every = list(items)
        results: dict[int, Result] = {}
        places = iter(range(len(every)))

        def work() -> None:
            for place in places:
                results[place] = function(every[place])

        for done in [self._pool.submit(work) for _ in range(min(self.threads, len(every)))]:
            done.result()
        return [results[place] for place in range(len(every))]

    def start(self, function: Callable[[], Result]) -> "Future[Result]":
        """One call on a worker, beside what follows; its linear algebra runs on one thread."""
        return self._pool.submit(function)

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
        self._pool.shutdown()


def _one_thread_without_autograd() -> None:
    """torch keeps both settings per calling thread: set outside, they would not reach the workers."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
