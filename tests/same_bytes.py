"""Trainings of one text, each in a process of its own.

    python tests/same_bytes.py '{"run": …, "flags": […], "zone": …, "backwards": …}' …

The processes are forked from this one, which has imported what they need and started no thread.
"""

import json
import os
import sys
import time


class Backwards:
    """The entries of a folder from the last one on; it stands for os.scandir."""

    scandir = os.scandir

    def __init__(self, path):
        with self.scandir(path) as found:
            self._entries = iter([*found][::-1])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)


def train(text, run, *, flags=(), zone=None, backwards=False):
    """Train and write a run, where the clock and the file system are as asked for."""
    from exact2vec.cli import main, run_in_progress

    run_in_progress.QUICK_CELLS = -1  # no report
    if zone:
        os.environ["TZ"] = zone
        time.tzset()
    if backwards:
        os.scandir = Backwards
        names = os.listdir
        os.listdir = lambda *path: names(*path)[::-1]
    sys.argv = ["exact2vec"]
    main(["train", text, "-o", run, "-q", *flags], standalone_mode=False)


def forked(work):
    """The exit status of a process that does the work of this one."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)


if __name__ == "__main__":
    import exact2vec.counts.counting
    import exact2vec.estimator
    import exact2vec.storage.unfinished
    import exact2vec.train.spectral_start  # noqa: F401

    sys.exit(sum(forked(lambda one=one: train(**json.loads(one))) for one in sys.argv[1:]))
