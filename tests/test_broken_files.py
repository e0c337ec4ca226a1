"""Each reader among damaged files: our error or a right answer, soon, and in little memory.

Up to a hundred inputs each in `make check`, what half a minute reads in `make soak`, and
10,000 × FUZZ different ones of each in `make fuzz`.
"""

import os
import warnings

import broken_files as broken
import pytest
from altered_runs import altered
from broken_files import damaged
from broken_progress import check_progress, training_in_progress
from checking import FUZZ
from hypothesis import strategies as st

from exact2vec.errors import InputError, InputWarning
from exact2vec.storage.files import open_decompressed

WORDS = st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=9, unique=True)
READERS = {
    "text": (
        st.tuples(damaged(broken.TEXTS), st.sampled_from(broken.TEXT_SETTINGS)),
        broken.check_text,
    ),
    "gz": (damaged(broken.GZIPS), broken.check_gzip),
    "zst": (damaged(broken.ZSTDS), broken.check_zstd),
    "csv": (damaged(broken.CSVS), broken.check_table(".csv", broken.features_and_counts)),
    "npz": (damaged(broken.NPZS), broken.check_table(".npz", broken.features_and_counts)),
    "parquet": (
        damaged(broken.PARQUETS),
        broken.check_table(".parquet", broken.features_and_counts),
    ),
    "long csv": (damaged(broken.CSVS), broken.check_table(".csv", broken.long_form)),
    "long parquet": (damaged(broken.PARQUETS), broken.check_table(".parquet", broken.long_form)),
    "vectors": (damaged(broken.VECTORS), broken.check_table(".vec", broken.read_vectors)),
    "word2vec": (st.tuples(WORDS, st.sampled_from([".vec", ".bin"])), broken.check_word2vec),
}
EVERY = [
    *READERS,
    *("run folder", "run folder, well formed"),
    *("training in progress", "training in progress, well formed"),
]
HALF_A_MINUTE = {
    **{"text": 2_500, "word2vec": 2_500, "csv": 5_000, "npz": 5_000, "parquet": 5_000},
    **{"run folder": 800, "training in progress": 300},
}


def searched(name, folder, **limits):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        if name in READERS:
            cases, check = READERS[name]
            return broken.search(cases, check(folder), **limits)
        if name.startswith("run folder"):
            files = broken.run_files(folder)
            check = broken.check_run(folder, files)
        else:
            files = training_in_progress(folder / "run", epochs=2, stop=7)
            check = check_progress(folder, files)
        if name.endswith("well formed"):
            return broken.search(altered(files), check, **limits)
        cases = st.sampled_from(sorted(files)).flatmap(
            lambda file: st.tuples(st.just(file), damaged([files[file]]))
        )
        return broken.search(cases, check, **limits)


@pytest.mark.parametrize("name", EVERY)
def test_a_damaged_file_is_an_error_or_a_right_answer(name, tmp_path):
    slow = name in ("text", "word2vec") or name.startswith(("run folder", "training"))
    assert searched(name, tmp_path, inputs=40 if slow else 100) > 0


@pytest.mark.soak
@pytest.mark.parametrize("name", EVERY)
def test_half_a_minute_of_damaged_files(name, tmp_path):
    """The same ones on every machine: so many take about half a minute on a slow one."""
    inputs = HALF_A_MINUTE.get(name.removesuffix(", well formed"), 7_500)
    assert searched(name, tmp_path, inputs=inputs) >= inputs


@pytest.mark.fuzz
@pytest.mark.parametrize("name", EVERY)
def test_very_many_damaged_files(name, tmp_path):
    assert searched(name, tmp_path, inputs=10_000 * FUZZ) >= 10_000 * FUZZ


def test_a_reader_that_waits_for_ever_is_found(tmp_path, monkeypatch):
    """So it is where the reader takes every error for one of its file."""
    monkeypatch.setattr(broken, "HANG_SECONDS", 0.05)
    os.mkfifo(tmp_path / "pipe")

    def wait(path):
        with broken.only(InputError), open_decompressed(path):
            pass

    with pytest.raises(broken.Hang, match=r"within 0\.05 s"):
        broken.check_within_limits(wait, tmp_path / "pipe")


def test_a_case_that_fails_is_noted_by_a_search_of_long_cases():
    """As soon as it is found: a batch of them has a text too long for hypothesis."""

    def check(case):
        raise ZeroDivisionError

    cases = st.binary(min_size=8, max_size=8).map(lambda data: data.hex() * 200)
    with pytest.raises(ZeroDivisionError) as found:
        broken.search(cases, check, inputs=100)
    assert any(note.startswith("the case: '") for note in found.value.__notes__)
