"""What a word is: Unicode's rules for word boundaries, and a limit of time for patterns."""

import signal
import sys
import threading
import time
import unicodedata

import pytest

from exact2vec.counts import time_limit
from exact2vec.counts.text import Text
from exact2vec.counts.words import JOINERS, UNSEEN, continuing, normal_form, tokenizer
from exact2vec.errors import InputError, UsageError

SINHALA, PERSIAN, BENGALI = "ශ්\u200dරී", "می\u200cخواهم", "র\u200d\u09cd\u09af"
ONE_WORD = {
    SINHALA: SINHALA,
    PERSIAN: PERSIAN,
    BENGALI: BENGALI,
    "क्\u200dष": "क्\u200dष",
    "می\u200c\u200cخواهم": PERSIAN,
    "col·lecció": "col·lecció",
    "hy‧phen": "hy‧phen",
    'צה"ל': "צה״ל",
    "rock’n‘roll": "rock'n'roll",
    "reserva\u00adtion": "reservation",
    "Wert\u00adpapier\u00adindex": "wertpapierindex",
    "e\u00ad\u0301t\u2060é": "été",
    "\ufeffred": "red",
    "\u200fשלום\u200e": "שלום",
}


@pytest.mark.parametrize("text", ONE_WORD, ids=ascii)
def test_format_characters_and_inner_points_end_no_word(text):
    assert tokenizer()(text) == [ONE_WORD[text]]
    assert tokenizer()(f"({text}, {text})") == [ONE_WORD[text]] * 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\u200bb", ["a", "b"]),
        ("·a b· c··d", ["a", "b", "c", "d"]),
        (f"{PERSIAN}\u200c \u200d{PERSIAN}", [PERSIAN] * 2),
        ('"שלום" "a"b"', ["שלום", "a", "b"]),
        ("new_york 3.14 12:30", ["new", "york", "3", "14", "12", "30"]),
    ],
    ids=ascii,
)
def test_other_signs_do(text, words):
    assert tokenizer()(text) == words


def test_no_unseen_character_is_left_in_a_word():
    text = "".join(f"a{sign}b " for sign in UNSEEN)
    assert set(tokenizer()(text)) == {"ab"}
    assert normal_form("a\u00adb") == "ab"


def test_marks_stand_in_the_planes_that_are_looked_at():
    marks = [
        code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M"
    ]
    assert {*map(chr, marks)} <= {*continuing()}
    formats = [sign for sign in continuing() if unicodedata.category(sign) == "Cf"]
    assert {*JOINERS} <= {*formats}


def test_a_pattern_that_takes_for_ever_is_stopped(monkeypatch, tmp_path):
    monkeypatch.setattr(time_limit, "LINE_SECONDS", 0.05)
    (tmp_path / "text.txt").write_text("some words\n\n" + "a" * 40 + "!\n")
    began = time.process_time()
    with pytest.raises(InputError, match=r"text.txt, line 3: the pattern '\(a\+\)\+\$' takes more"):
        list(Text(tmp_path / "text.txt", regex="(a+)+$"))
    assert time.process_time() - began < 5
    assert signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


def test_a_pattern_works_in_threads_and_beside_other_users_of_the_signal():
    found = []
    thread = threading.Thread(target=lambda: found.append(tokenizer(regex=r"\d+")("a1 22b")))
    thread.start()
    thread.join()
    before = signal.signal(signal.SIGVTALRM, signal.SIG_IGN)
    try:
        found.append(tokenizer(regex=r"\d+")("a1 22b"))
        assert signal.getsignal(signal.SIGVTALRM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGVTALRM, before)
    assert found == [["1", "22"]] * 2


@pytest.mark.parametrize("pattern", ["(", "*a", "a{99999999999}", "(?P<a>" * 3000])
def test_what_is_no_pattern_is_a_usage_error(pattern):
    with pytest.raises(UsageError, match="is not a regular expression"):
        tokenizer(regex=pattern)
