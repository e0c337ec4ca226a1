"""What terminals and notebooks show."""

import re

import pytest
from hostile import WORDS, model
from processes import output_of

import exact2vec as e2v
from exact2vec import display
from exact2vec.display import History, _bar_html, notebook_bar


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


def test_notebooks_show_tables_in_which_words_are_text():
    trained = model()
    for shown in (
        trained.counts_._repr_html_(),
        trained.wv._repr_html_(),
        trained.history_._repr_html_(),
    ):
        assert re.findall(r"<(?!/?(?:table|caption|thead|tbody|tr|th|td)\b)[^>]*>", shown) == []
    assert "&lt;script&gt;" in trained.wv._repr_html_()
    assert any(
        word.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        in trained.counts_._repr_html_()
        for word in WORDS
    )
    assert "<td>2,100</td>" in trained.counts_._repr_html_()
    assert f"<td>{trained.history_[-1]['held_out_nll']:.4f}</td>" in trained.history_._repr_html_()
    assert isinstance(trained.history_, list)
    estimate = History(
        [
            {
                "epoch": 1.0,
                "exact": False,
                "nll": 2.0,
                "nll_standard_error": 0.25,
                "held_out_nll": None,
                "objective": 3.0,
            }
        ]
    )
    assert "<td>≈ 2.000 ± 0.250</td>" in estimate._repr_html_()
    assert "<th>objective</th>" in estimate._repr_html_()


def test_fit_shows_a_bar_in_a_notebook_and_none_elsewhere():
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance(); "
        "s.kernel = object(); "
        "import exact2vec as e; "
        "model = e.Exact2Vec(vector_size=2, epochs=2, held_out=0); "
        "model.fit([['sun', 'moon'], ['dog', 'cat']] * 20)"
    )
    assert "HTML" in output_of("-c", code)
    assert output_of("-c", code.replace("s.kernel = object(); ", "")) == ""
    records = list(notebook_bar(e2v.fit(model(epochs=0).counts_, vector_size=2, epochs=1)))
    assert records[-1].step == records[-1].steps
    assert _bar_html(records[-1]).startswith(
        f'<progress value="{records[-1].steps}" max="{records[-1].steps}">'
    )


def test_work_of_known_sizes_says_the_time_that_is_left(monkeypatch, capsys):
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(display.time, "monotonic", lambda: next(clock))
    assert list(display.timed("abc", [1, 4, 5], "judging")) == ["a", "b", "c"]
    assert capsys.readouterr().err == "judging: about 2 min\n"  # 10 s for 1, 9 are left
    clock = iter([0.0, 1.0])
    assert list(display.timed("ab", [1, 2], "judging")) == ["a", "b"]
    assert list(display.timed("ab", [1, 2], "judging", quiet=True)) == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_work_of_known_sizes_has_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(display, "_cursor_moves", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(display.timed("abc", [1, 4, 5], "judging")) == ["a", "b", "c"]
    assert "judging" in capsys.readouterr().err
