"""What is said on stderr may fail, leftovers are named, and the run is there all the same."""

import os
import shutil
import subprocess
import sys

import pytest
from command_line import GOOD, call, train

from exact2vec.cli.talk import Talk
from exact2vec.storage.encoding import json_bytes
from exact2vec.storage.writing import digest_of

ENDS = {
    "cut off": "{command} 2>&1 >/dev/null | head -1; exit ${{PIPESTATUS[0]}}",
    "full": "{command} 2>/dev/full",
    "closed": "{command} 2>&-",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_run_is_written_where_nobody_hears(tmp_path, end):
    (tmp_path / "text.txt").write_text(GOOD)
    run = tmp_path / "run"
    flags = "--vector-size 2 --min-count 2 --epochs 1"
    command = f"{sys.executable} -m exact2vec train {tmp_path}/text.txt -o {run} {flags}"
    done = subprocess.run(["bash", "-c", ENDS[end].format(command=command)], timeout=120)
    assert done.returncode == 0
    assert call("check", run).exit_code == 0


class Broken:
    def __init__(self):
        self.tried = 0

    def write(self, text):
        self.tried += 1
        raise OSError(28, "No space left on device")

    def fileno(self):
        raise OSError("no number")


def test_talk_that_failed_once_is_not_tried_again():
    stream = Broken()
    talk = Talk(stream)
    assert [talk.write("four"), talk.write("")] == [4, 0]
    talk.flush()
    assert stream.tried == 1


def test_leftovers_are_named_by_the_next_command_and_cleaned(tmp_path):
    (tmp_path / "good.txt").write_text(GOOD)
    assert train(tmp_path, tmp_path / "good.txt").exit_code == 0
    run = tmp_path / "run"
    left = [tmp_path / ".run.01234567.part", run / ".report.html.89abcdef.part"]
    left[0].mkdir()
    (left[0] / "vectors.safetensors").write_bytes(b"")
    left[1].write_bytes(b"")
    left += [run / "page.html", run / "adding.json"]
    left[2].write_bytes(b"page")
    left[3].write_bytes(json_bytes({"page.html": digest_of([b"page"])}))
    others = [tmp_path / ".run.notes.part", tmp_path / ".other.01234567.part"]
    for path in others:
        path.write_bytes(b"")
    told = call("evaluate", run).stderr
    for path in left:
        assert str(path) in told
    assert f"check --clean {run}" in told
    assert call("check", run).exit_code == 0
    cleaned = call("check", "--clean", run)
    assert cleaned.exit_code == 0
    assert [path.exists() for path in (*left, *others)] == [False] * 4 + [True] * 2
    assert "killed" not in call("evaluate", run).stderr
    assert sorted(os.listdir(run)) == sorted({*os.listdir(run)} - {left[1].name})


def test_what_cannot_be_deleted_is_not_said_to_be(tmp_path):
    (tmp_path / "run").mkdir()
    deep, link = tmp_path / ".run.01234567.part", tmp_path / ".run.89abcdef.part"
    (deep / "folder").mkdir(parents=True)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    link.symlink_to(tmp_path / "precious")
    told = call("check", "--clean", tmp_path / "run").stderr
    assert f"{deep}: could not be deleted" in told
    assert f"{link}: deleted" in told
    assert (deep.exists(), link.is_symlink()) == (True, False)
    assert (tmp_path / "precious" / "file").read_text() == "mine"


def test_the_only_copy_of_a_run_gets_its_name_back(tmp_path):
    (tmp_path / "good.txt").write_text(GOOD)
    run, aside = tmp_path / "run", [tmp_path / f".run.0123456{end}.part" for end in "78"]
    assert train(tmp_path, tmp_path / "good.txt").exit_code == 0
    run.rename(aside[0])
    told = call("evaluate", run)
    assert (told.exit_code, f"mv {aside[0]} {run}" in told.stderr) == (3, True)
    assert f"{aside[0]}: is {run} again" in call("check", "--clean", run).stderr
    assert call("check", run).exit_code == 0
    shutil.copytree(run, aside[1])
    run.rename(aside[0])
    told = call("check", "--clean", run).stderr
    for path in aside:
        assert f"{path}: kept, for {run} is no run; mv {path} {run}" in told
    aside[1].rename(run)
    assert f"{aside[0]}: deleted" in call("check", "--clean", run).stderr
    assert call("evaluate", run).exit_code == 0


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("neighbors . cat", 0),
        ("evaluate .", 0),
        ("check .", 0),
        ("check --clean .", 0),
        ("export . ../x.vec", 0),
        ("explore . -o ../explorer", 0),
        ("train --resume .", 2),
        ("train ../good.txt -o .", 2),
        ("train ../good.txt -o /", 2),
        ("evaluate /", 3),
    ],
)
def test_the_folder_that_one_is_in_is_a_run_like_others(tmp_path, monkeypatch, command, code):
    (tmp_path / "good.txt").write_text(GOOD)
    (tmp_path / ".run.01234567.part").mkdir()
    assert train(tmp_path, tmp_path / "good.txt").exit_code == 0
    monkeypatch.chdir(tmp_path / "run")
    result = call(*command.split())
    assert result.exit_code == code, result.stderr
    if "." in command.split():
        assert (".run.01234567.part" in result.stderr) == (command != "check ."), result.stderr


def test_what_another_command_is_writing_is_no_leftover(tmp_path):
    from exact2vec.storage.folders import staged
    from exact2vec.storage.leftovers import leftovers

    with staged(tmp_path / "run"):
        assert leftovers(tmp_path / "run") == []
