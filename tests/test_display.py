"""What terminals and notebooks show."""

import pytest

from exact2vec import display


@pytest.mark.parametrize(
    ("environment", "moves"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_the_cursor_is_moved_only_where_it_may(monkeypatch, environment, moves):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(display.sys.stderr, "isatty", lambda: True)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert display._cursor_moves() is moves
