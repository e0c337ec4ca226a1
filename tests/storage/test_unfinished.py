"""A training in its folder: whenever it stops, the old run, the new one, or one to go on with."""

import contextlib
import errno
import os
import shutil

import numpy as np
import pytest
from broken_disks import ERRORS, Killed, counted, failing_at, killed_at

from exact2vec.errors import CorruptFileError, Exact2VecError, InputError, ResourceError, UsageError
from exact2vec.storage import disk, run_folder, schema
from exact2vec.storage.encoding import json_bytes
from exact2vec.storage.leftovers import clean, leftovers, trainings_beside
from exact2vec.storage.progress import read_progress
from exact2vec.storage.unfinished import (
    Unfinished,
    begun,
    gone_on_with,
)
from exact2vec.storage.writing import digest_of

STEPS = 3
OLD, NEW = 1.0, 2.0


def write_start(folder):
    schema.Config({"rate": NEW}).write(folder)


def write_end(number):
    return lambda folder: schema.Summary({"number": number}).write(folder)


def steps(run, step=0):
    """A training of which a step doubles a number; the arrays of a checkpoint hold it."""
    number = float(run.arrays("last")["number"]) if step else 1.0
    while True:
        if step % 2 == 0 or step == 1:
            array = {"number": np.array(number)}
            if run.checkpoints.get("last", {}).get("step") != step:
                run.checkpoint(array, {"step": step, "epoch": float(step)}, good=step % 2 == 0)
        if step == STEPS:
            return run.finish(write_end(number))
        step, number = step + 1, number * 2


def train(output, *, force=False):
    with begun(output, force=force) as run:
        run.start(write_start)
        return steps(run)


def go_on(folder):
    with gone_on_with(folder) as run:
        if run.ended:
            return run.settle()
        return steps(run, run.checkpoints["last"]["step"])


def write_old(folder):
    with run_folder.create(folder, kind="run") as part:
        schema.Summary({"number": OLD}).write(part)


def number_of(folder):
    """What a finished run ends with, None where there is none."""
    if not run_folder.is_run_folder(folder):
        return None
    run = run_folder.open_run(folder)
    run.check()
    return schema.Summary.read(run).values["number"]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Nothing here outlives the machine."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def undisturbed(tmp_path):
    place = train(tmp_path / "undisturbed")
    found = contents(place)
    assert set(found) == {"manifest.json", "config.json", "summary.json"}
    assert number_of(place) == 2.0**STEPS
    return found


def operations(output, **how):
    with counted() as done:
        train(output, **how)
    return range(len(done))


def ended(folder, beside):
    """Go on from whatever a killed training left, to the end."""
    for path in (folder, beside):
        if (path / run_folder.PROGRESS).exists() and read_progress(path)["checkpoints"]:
            return go_on(path)
    if number_of(folder) in (None, OLD):
        return train(folder, force=number_of(folder) is not None)
    return folder


def test_a_new_training_is_resumed_wherever_it_was_killed(tmp_path, undisturbed):
    every, resumed = operations(tmp_path / "count"), 0
    assert len(every) > 50
    for number in every:
        folder = tmp_path / str(number) / "run"
        folder.parent.mkdir()
        with pytest.raises(Killed), killed_at(number):
            train(folder)
        left = leftovers(folder)
        assert set(os.listdir(folder.parent)) <= {"run", *(path.name for path in left)}
        resumed += (folder / run_folder.PROGRESS).exists() and number_of(folder) is None
        assert contents(ended(folder, folder)) == undisturbed
    assert resumed > 30


@pytest.mark.parametrize("exchange", [True, False])
def test_a_run_stays_until_the_new_one_has_ended(tmp_path, monkeypatch, undisturbed, exchange):
    if not exchange:
        monkeypatch.setattr(disk, "exchange", no_exchange)
    write_old(tmp_path / "count" / "run")
    aside = 0
    for number in operations(tmp_path / "count" / "run", force=True):
        parent = tmp_path / str(number)
        folder, beside = parent / "run", parent / "run.new"
        write_old(folder)
        with pytest.raises(Killed), killed_at(number):
            train(folder, force=True)
        left = leftovers(folder) + leftovers(beside)
        assert set(os.listdir(parent)) <= {"run", "run.new", *(path.name for path in left)}
        if not folder.exists():
            aside += 1
            assert [number_of(path) for path in left] == [OLD]
            assert number_of(beside) == 2.0**STEPS
            assert "again" in clean(folder)[left[0]]
            assert number_of(folder) == OLD
        else:
            assert number_of(folder) in (OLD, 2.0**STEPS)
        assert contents(ended(folder, beside))["summary.json"] == undisturbed["summary.json"]
        assert number_of(folder) == 2.0**STEPS
    assert aside == (0 if exchange else 1)


def no_exchange(one, other):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.mark.parametrize(
    ("error", "old"),
    [
        (errno.EINVAL, True),
        (errno.ENOSPC, False),
        *(
            pytest.param(error, old, marks=pytest.mark.soak)
            for error in ERRORS
            for old in (False, True)
        ),
    ],
)
def test_whatever_fails_is_named_and_costs_no_run(tmp_path, undisturbed, error, old):
    def prepare(parent):
        parent.mkdir()
        if old:
            write_old(parent / "run")
        return parent / "run"

    for number in operations(prepare(tmp_path / "count"), force=old):
        parent = tmp_path / str(number)
        folder, beside = prepare(parent), parent / "run.new"
        try:
            with failing_at(number, error):
                train(folder, force=old)
        except Exact2VecError as failure:
            assert str(parent) in str(failure)
            there = f"the new run lies in {beside}" not in str(failure)
            assert number_of(folder) in {OLD if old else None, 2.0**STEPS if there else None}
        else:
            assert number_of(folder) == 2.0**STEPS
        left = leftovers(folder) + leftovers(beside)
        assert set(os.listdir(parent)) <= {"run", "run.new", *(path.name for path in left)}
        assert contents(ended(folder, beside))["summary.json"] == undisturbed["summary.json"]


def test_a_second_writer_is_refused_at_once(tmp_path):
    with begun(tmp_path / "run", force=False) as run:
        with pytest.raises(UsageError, match="by another command"), begun(run.folder, force=False):
            pass
        run.start(write_start)
        run.checkpoint({"number": np.array(1.0)}, {"step": 0, "epoch": 0.0}, good=True)
        with pytest.raises(UsageError, match="by another command"), begun(run.folder, force=True):
            pass
        with pytest.raises(UsageError, match="by another command"), gone_on_with(run.folder):
            pass
    with (
        pytest.raises(UsageError, match=r"--resume .*/run goes on"),
        begun(run.folder, force=False),
    ):
        pass
    go_on(tmp_path / "run")
    with begun(tmp_path / "run", force=True) as run:
        assert run.folder == tmp_path / "run.new"
        for write in (
            lambda: train(tmp_path / "run", force=True),
            lambda: write_old_over(tmp_path / "run"),
        ):
            with pytest.raises(UsageError, match="by another command"):
                write()


def write_old_over(folder):
    with run_folder.create(folder, kind="run", force=True) as part:
        schema.Summary({"number": OLD}).write(part)


def test_nothing_is_left_of_a_training_that_did_not_begin(tmp_path):
    write_old(tmp_path / "old")
    for output in (tmp_path / "new", tmp_path / "old"):
        with contextlib.suppress(InputError), begun(output, force=True) as run:
            run.start(write_start)
            raise InputError("no tokens")
    assert os.listdir(tmp_path) == ["old"]
    assert number_of(tmp_path / "old") == OLD


def test_a_second_training_beside_a_run_has_a_name_of_its_own(tmp_path):
    write_old(tmp_path / "run")
    for name in ("run.new", "run.new-2"):
        with contextlib.suppress(KeyboardInterrupt), begun(tmp_path / "run", force=True) as run:
            run.checkpoint({"number": np.array(1.0)}, {"step": 0, "epoch": 0.0}, good=True)
            assert run.folder.name == name
            raise KeyboardInterrupt
    assert [path.name for path in trainings_beside(tmp_path / "run")] == ["run.new", "run.new-2"]
    with pytest.raises(UsageError, match=r"finished run.*run\.new, .*run\.new-2"):
        go_on(tmp_path / "run")
    assert go_on(tmp_path / "run.new-2") == tmp_path / "run"
    assert number_of(tmp_path / "run") == 2.0**STEPS


def test_a_training_replaces_the_run_of_its_own_name_alone(tmp_path):
    """Or a folder from elsewhere could name any."""
    write_old(tmp_path / "precious")
    write_old(tmp_path / "run")
    with contextlib.suppress(KeyboardInterrupt), begun(tmp_path / "run", force=True) as run:
        run.replaces = tmp_path / "precious"
        run.checkpoint({"number": np.array(1.0)}, {"step": 0, "epoch": 0.0}, good=True)
        raise KeyboardInterrupt
    assert go_on(tmp_path / "run.new") == tmp_path / "run.new"
    assert number_of(tmp_path / "precious") == number_of(tmp_path / "run") == OLD


def test_a_strangers_file_keeps_the_old_run_and_the_new_lies_beside(tmp_path):
    write_old(tmp_path / "run")

    def write(folder):
        write_end(NEW)(folder)
        (tmp_path / "run" / "notes.txt").write_text("mine")

    lies = pytest.raises(ResourceError, match=r"notes\.txt.*the new run lies in .*run\.new")
    with begun(tmp_path / "run", force=True) as run, lies:
        run.finish(write)
    assert (number_of(tmp_path / "run"), number_of(tmp_path / "run.new")) == (OLD, NEW)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_folder_that_was_moved_is_not_written_into(tmp_path):
    with begun(tmp_path / "run", force=False) as run:
        (tmp_path / "run").rename(tmp_path / "elsewhere")
        (tmp_path / "run").mkdir()
        with pytest.raises(ResourceError, match="moved, deleted or replaced"):
            run.finish(write_end(NEW))
    assert os.listdir(tmp_path / "run") == []


PAGE = schema.Report.file, b"page"


@contextlib.contextmanager
def finished(folder):
    with begun(folder, force=False) as run:
        run.finish(write_end(NEW))
        yield run


def additions(folder):
    """The operations of adding a page to a finished run."""
    with finished(folder) as run, counted() as done:
        run.add(*PAGE)
    assert contents(folder)[PAGE[0]] == PAGE[1]
    assert set(contents(folder)) == {"manifest.json", "summary.json", PAGE[0]}
    return range(len(done))


def test_what_fails_beside_a_finished_run_costs_nothing(tmp_path):
    failed = 0
    for number in additions(tmp_path / "count"):
        folder = tmp_path / str(number)
        with finished(folder) as run:
            try:
                with failing_at(number, errno.ENOSPC):
                    run.add(*PAGE)
            except ResourceError:
                failed += 1
        assert number_of(folder) == NEW
        assert run_folder.names_of_run(folder) >= {*contents(folder)} - {"adding.json"}
        assert train(folder, force=True) == folder
    assert failed > 10


def test_a_page_that_a_killed_command_was_adding_is_told_from_another(tmp_path):
    unlisted = 0
    for number in additions(tmp_path / "count"):
        folder, page = tmp_path / str(number), tmp_path / str(number) / PAGE[0]
        with contextlib.suppress(Killed), finished(folder) as run, killed_at(number):
            run.add(*PAGE)
        was_listed = PAGE[0] in run_folder.open_run(folder).files
        if (folder / "adding.json").exists() and not was_listed:
            unlisted += page.exists()
            before = page.read_bytes() if page.exists() else None
            page.write_bytes(b"a stranger's")
            with pytest.raises(UsageError, match=page.name):
                train(folder, force=True)
            assert page.read_bytes() == b"a stranger's"
            page.unlink() if before is None else page.write_bytes(before)
        copy = tmp_path / f"{number} copy"
        shutil.copytree(folder, copy)
        assert {*clean(folder)} == {folder / name for name in run_folder.left_in_run(copy)}
        assert {*contents(folder)} == {"manifest.json", "summary.json"} | {*[PAGE[0]] * was_listed}
        assert number_of(folder) == NEW
        assert train(copy, force=True) == copy
        assert {*contents(copy)} == {"manifest.json", "summary.json", "config.json"}
    assert unlisted > 3


@pytest.mark.parametrize("noted", [b"[1]", b"{", b'{"summary.json": 1}', None])
def test_what_is_noted_of_additions_costs_no_other_file(tmp_path, noted):
    """Whoever hands on a run folder may write what he likes into it."""
    with finished(tmp_path / "run"):
        pass
    (tmp_path / "precious").write_bytes(b"mine")
    digest = digest_of([b"mine"])
    others = dict.fromkeys(["../precious", str(tmp_path / "precious"), "manifest.json"], digest)
    (tmp_path / "run" / "adding.json").write_bytes(noted or json_bytes(others))
    assert {*clean(tmp_path / "run")} == {tmp_path / "run" / "adding.json"}
    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert {*contents(tmp_path / "run")} == {"manifest.json", "summary.json"}


def test_a_page_that_somebody_put_into_a_run_is_not_written_over(tmp_path):
    with finished(tmp_path / "run") as run:
        (tmp_path / "run" / PAGE[0]).write_text("mine")
        with pytest.raises(UsageError, match="not of the run"):
            run.add(*PAGE)
    clean(tmp_path / "run")
    assert (tmp_path / "run" / PAGE[0]).read_text() == "mine"


def test_the_checkpoint_of_before_stays_until_the_next_is_complete(tmp_path):
    with begun(tmp_path / "run", force=False) as run:
        run.checkpoint({"number": np.array(1.0)}, {"step": 0, "epoch": 0.0}, good=True)
        for step in (1, 2):
            run.checkpoint({"number": np.array(3.0)}, {"step": step, "epoch": 0.0}, good=False)
        assert [path.name for path in sorted((tmp_path / "run").glob("check*"))] == [
            "checkpoint-0.safetensors",
            "checkpoint-2.safetensors",
        ]
        assert (run.arrays("good")["number"], run.arrays("last")["number"]) == (1, 3)
        with failing_at(0, errno.ENOSPC, ever=True), pytest.raises(ResourceError):
            run.checkpoint({"number": np.array(4.0)}, {"step": 3, "epoch": 0.0}, good=True)
        assert run.arrays("last")["number"] == 3
    with gone_on_with(tmp_path / "run") as again:
        assert isinstance(again, Unfinished)
        assert again.arrays("last")["number"] == 3


@pytest.mark.parametrize("change", ["cut", "flip", "swap"])
def test_a_damaged_training_is_named(tmp_path, change):
    with begun(tmp_path / "run", force=False) as run:
        run.start(write_start)
        run.checkpoint({"number": np.array(4.0)}, {"step": 2, "epoch": 0.0}, good=True)
    for name in ("progress.json", "checkpoint-2.safetensors"):
        path = tmp_path / "run" / name
        data = path.read_bytes()
        path.write_bytes(
            {"cut": data[:-2], "flip": data[:60] + b"\x7f" + data[61:], "swap": b"{}"}[change]
        )
        with pytest.raises(CorruptFileError, match=name):
            go_on(tmp_path / "run")
        path.write_bytes(data)
    assert number_of(go_on(tmp_path / "run")) == 2.0**STEPS
