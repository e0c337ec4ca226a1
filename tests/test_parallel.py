"""Workers where the system lends fewer threads than were asked for."""

import threading

import pytest

from exact2vec.parallel import Workers


@pytest.fixture(params=[0, 1, 3])
def lent(request, monkeypatch):
    """How many threads may run at once, beside those that run."""
    real, running = threading.Thread.start, []

    def start(thread):
        running[:] = [one for one in running if one.is_alive()]
        if len(running) >= request.param:
            raise RuntimeError("can't start new thread")
        real(thread)
        running.append(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    return request.param


def test_every_call_is_made_once(lent):
    made = []
    with Workers(4) as workers:
        assert workers.map(lambda number: number + 1, range(50)) == list(range(1, 51))
        for number in range(20):
            workers.run(lambda number=number: made.append(number))
        pending = [workers.start(lambda number=number: made.append(number)) for number in range(9)]
        for one in pending:
            one.result()
    assert sorted(made) == sorted([*range(20), *range(9)])
