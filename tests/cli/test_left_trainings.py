"""What is said of trainings that were left, and what is left where nothing was trained."""

import os

import pytest
from broken_disks import Killed, failing_at
from broken_progress import HOW, TEXT, training_in_progress
from command_line import call

from exact2vec.cli import run_in_progress
from exact2vec.cli.checkpoints import Checkpoints
from exact2vec.storage.unfinished import Unfinished


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No report; and nothing here outlives the machine."""
    monkeypatch.setattr(run_in_progress, "QUICK_CELLS", -1)
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def in_progress(tmp_path):
    training_in_progress(tmp_path / "run", epochs=2, stop=7)
    return tmp_path / "run"


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """A training that was killed before its first checkpoint."""

    def dying(self, records):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "of", dying)
        patch.setattr(Unfinished, "leave", lambda self: None)
        with pytest.raises(Killed):
            call("train", "-", "-o", tmp_path / "run", *HOW, "--epochs=1", given=TEXT)
    assert (tmp_path / "run" / "progress.json").exists()
    return tmp_path / "run"


def test_resuming_is_named_only_where_it_is_possible(killed):
    assert call("train", "--resume", killed).exit_code == 3
    for command in (["neighbors", killed, "sun"], ["evaluate", killed], ["check", killed]):
        told = call(*command)
        assert told.exit_code == 3, told.stderr
        assert "before its training began" in told.stderr
        assert "--resume" not in told.stderr
    killed.rename(killed.with_name("run.new"))
    (killed.with_name("run")).mkdir()
    assert "--resume" not in call("evaluate", killed).stderr


def test_check_says_what_a_training_in_progress_is(in_progress):
    told = call("check", in_progress)
    assert (told.exit_code, f"train --resume {in_progress}" in told.stderr) == (3, True)
    part = in_progress / ".config.json.01234567.part"
    part.write_text("half")
    told = call("check", "--clean", in_progress)
    assert (told.exit_code, f"train --resume {in_progress}" in told.stderr) == (0, True)
    assert f"{part}: deleted" in told.stderr
    assert call("train", "--resume", in_progress).exit_code == 0


def test_no_folder_is_left_where_nothing_was_trained(tmp_path):
    assert call("train", tmp_path / "missing.txt", "-o", tmp_path / "pa/pb/pc").exit_code == 3
    assert os.listdir(tmp_path) == []


def test_folders_stay_where_something_was_written(tmp_path):
    place = tmp_path / "pa" / "pb" / "run"
    assert call("train", "-", "-o", place, *HOW, "--epochs=0", given=TEXT).exit_code == 0
    assert call("check", place).exit_code == 0


def test_ctrl_c_while_the_end_is_written_names_the_way_on(in_progress, monkeypatch):
    def interrupted(self, folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("exact2vec.estimator.Exact2Vec.write_trained", interrupted)
        told = call("train", "--resume", in_progress)
    assert told.exit_code == 130, told.output
    assert told.stderr.splitlines()[-1].endswith(f"exact2vec train --resume {in_progress}")
    assert call("train", "--resume", in_progress).exit_code == 0


def test_ctrl_c_before_a_run_gets_its_place_names_the_way_on(tmp_path, monkeypatch):
    run, new = tmp_path / "run", tmp_path / "run.new"
    flags = ("train", "-", "-o", run, *HOW, "--epochs=0", "--force")
    assert call(*flags, given=TEXT).exit_code == 0

    def interrupted(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Unfinished, "take_place", interrupted)
        told = call(*flags, given=TEXT)
    assert (told.exit_code, f"train --resume {new}" in told.stderr) == (130, True), told.output
    assert call("train", "--resume", new).exit_code == 0
    assert os.listdir(tmp_path) == ["run"]


def test_a_folder_that_cannot_be_written_is_refused_before_training_goes_on(in_progress):
    with failing_at(0, 30):  # a file system that is read only
        told = call("train", "--resume", in_progress)
    assert (told.exit_code, "cannot be written" in told.stderr) == (2, True), told.output
    assert "going on" not in told.stderr
    assert call("train", "--resume", in_progress).exit_code == 0


def test_a_checkpoint_that_fails_is_said_to_the_quiet_too(in_progress, monkeypatch):
    from exact2vec.errors import ResourceError

    def full(self, *arguments, **more):
        raise ResourceError("no space left")

    monkeypatch.setattr(Unfinished, "checkpoint", full)
    told = call("train", "--resume", in_progress, "-q", "--checkpoint-minutes=0")
    assert (told.exit_code, "no checkpoint: no space left" in told.stderr) == (0, True), told.output


def test_a_resumed_training_says_what_was_left_out(tmp_path, monkeypatch):
    texts = tmp_path / "texts"
    (texts / "deep").mkdir(parents=True)
    (texts / "good.txt").write_text(TEXT)
    (texts / "deep" / "table.xls").write_text("1")
    usual = Checkpoints.of

    def of(self, records):
        self.asking.asked = True
        return usual(self, records)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "of", of)
        told = call("train", texts, "-o", tmp_path / "run", *HOW, "--epochs=1")
    assert told.exit_code == 130, told.output
    resumed = call("train", "--resume", tmp_path / "run")
    line = (
        f"left out: {texts}: 1 file skipped, of other endings: {os.path.join('deep', 'table.xls')}"
    )
    assert (resumed.exit_code, line in resumed.stderr.splitlines()) == (0, True), resumed.stderr
