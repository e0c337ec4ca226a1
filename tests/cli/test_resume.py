"""A training that was stopped goes on to the bytes of one that was not."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
from broken_disks import ERRORS, Killed, counted, failing_at, killed_at
from command_line import call
from topics import DERIVED, sentences

from exact2vec.cli import checkpoints, run_in_progress
from exact2vec.cli.checkpoints import Checkpoints
from exact2vec.storage.progress import read_progress

HOW = ("--vector-size=4", "--min-count=2", "--held-out=.1", "--block-rows=6", "--rare=1")
HOW_OTHERS = ("--vector-size=4", "--block-rows=6", "--epochs=2")
KINDS = {
    "fixed": (*HOW, "--epochs=2"),
    "chosen": (*HOW, "--epochs=auto", "--max-epochs=6", "--subwords=no"),
    "features": (*HOW, "--epochs=1", "--features={folder}/known.csv"),
    "baskets": (*HOW_OTHERS, "--held-out=.1", "--min-count=1", "--kind=baskets", "--model=mixture"),
    "edges": (*HOW_OTHERS, "--kind=edges"),
}
INPUTS = {"baskets": "baskets.txt", "edges": "edges.tsv"}
OTHER_BYTES = {"times.jsonl", "provenance.json", "manifest.json", "report.html"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No report; a checkpoint at each epoch, by no clock; and nothing here outlives the machine."""
    monkeypatch.setattr(run_in_progress, "QUICK_CELLS", -1)
    monkeypatch.setattr(checkpoints, "LARGEST_SHARE", float("inf"))
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    lines = list(map(" ".join, sentences(size=60, topics=DERIVED)))
    (folder / "text.txt").write_text("\n".join([*lines, "sunny once rainy"]))
    (folder / "baskets.txt").write_text("\n".join([*lines, "sunny once rainy"]))
    pairs = [f"{one}\t{other}" for line in lines for one, other in pairwise(line.split())]
    (folder / "edges.tsv").write_text("\n".join(sorted({*pairs})))
    words = sorted({word for line in lines for word in line.split()})
    rows = [f"{word},{'wet' if 'rain' in word else 'dry'},1" for word in words]
    (folder / "known.csv").write_text("\n".join(["row,feature,value", *rows]) + "\n")
    return folder


def train(text, run, *more, kind="fixed"):
    flags = [flag.format(folder=text) for flag in KINDS[kind]]
    return call("train", text / INPUTS.get(kind, "text.txt"), "-o", run, *flags, *more)


def contents(run):
    found = {path.name: path.read_bytes() for path in run.iterdir()}
    return {name: data for name, data in found.items() if name not in OTHER_BYTES}


@pytest.fixture(scope="module")
def undisturbed(text, tmp_path_factory):
    found = {}
    for kind in KINDS:
        run = tmp_path_factory.mktemp("undisturbed") / "run"
        result = train(text, run, kind=kind)
        assert result.exit_code == 0, result.stderr
        found[kind] = contents(run)
    return found


def stopped_at(step, monkeypatch):
    """Stopping is asked for when this step is done."""
    usual = Checkpoints.of

    def of(self, records):
        def asking():
            for record in records:
                self.asking.asked = self.asking.asked or record.step == step
                yield record

        return usual(self, asking())

    monkeypatch.setattr(Checkpoints, "of", of)


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("fixed", 0),
        ("fixed", 5),
        ("fixed", 12),
        ("chosen", 7),
        ("features", 2),
        ("baskets", 2),
        ("edges", 2),
    ],
)
def test_an_interrupted_training_ends_with_the_same_bytes(
    tmp_path, text, undisturbed, monkeypatch, kind, step
):
    with monkeypatch.context() as patch:
        stopped_at(step, patch)
        stopped = train(text, tmp_path / "run", kind=kind)
    assert (stopped.exit_code, "train --resume" in stopped.stderr) == (130, True), stopped.stderr
    assert read_progress(tmp_path / "run")["checkpoints"]["last"]["step"] == step
    told = call("evaluate", tmp_path / "run")
    assert (told.exit_code, "train --resume" in told.stderr) == (3, True), told.stderr
    resumed = call("train", "--resume", tmp_path / "run", "--threads", "1")
    assert resumed.exit_code == 0, resumed.stderr
    assert contents(tmp_path / "run") == undisturbed[kind]
    assert call("check", tmp_path / "run").exit_code == 0


def test_a_training_is_resumed_from_any_step(tmp_path, text, undisturbed, monkeypatch):
    """Killed without a word: each step has its checkpoint where that is asked for."""
    steps = json.loads(undisturbed["fixed"]["summary.json"])["step"]
    for step in range(1, steps, 9):
        run = tmp_path / str(step)
        with monkeypatch.context() as patch:
            usual = Checkpoints._write_or_say

            def dying(self, record, step=step, usual=usual):
                usual(self, record)
                if record.step == step:
                    raise Killed

            patch.setattr(Checkpoints, "_write_or_say", dying)
            with pytest.raises(Killed):
                train(text, run, "--checkpoint-minutes=0")
        assert call("train", "--resume", run).exit_code == 0
        assert contents(run) == undisturbed["fixed"], step


def every(text, folder):
    with counted() as done:
        assert train(text, folder / "count").exit_code == 0
    return range(len(done))


def check_kill(text, folder, number, expected):
    """Kill at an operation, go on if there is anything to go on with, or begin again."""
    run = folder / str(number)
    with pytest.raises(Killed), killed_at(number):
        train(text, run)
    again = call("train", "--resume", run)
    if again.exit_code:
        begun = (run / "progress.json").exists() and read_progress(run)["checkpoints"]
        if not begun and not (run / "manifest.json").exists():
            assert train(text, run).exit_code == 0
        else:
            assert "finished run" in again.stderr, again.stderr
    assert contents(run) == expected


def test_a_run_killed_at_some_file_operations_ends_with_the_same_bytes(tmp_path, text, undisturbed):
    for number in every(text, tmp_path)[3::40]:
        check_kill(text, tmp_path, number, undisturbed["fixed"])


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
def test_a_run_killed_at_any_file_operation_ends_with_the_same_bytes(
    tmp_path, text, undisturbed, part
):
    for number in every(text, tmp_path)[part::4]:
        check_kill(text, tmp_path, number, undisturbed["fixed"])


def check_failure(text, folder, number, error, expected):
    """One line, and exit 0 with the run, or 5 with what is left of it named.

    A file that only the training needed may stay where its deletion failed: `check --clean` names
    and deletes it.
    """
    run = folder / f"{number}-{error}"
    with failing_at(number, error):
        result = train(text, run)
    assert "Traceback" not in result.stderr
    assert result.exit_code in (0, 2, 5), result.stderr
    if result.exit_code == 0:
        assert call("check", "--clean", run).exit_code == 0
        assert contents(run) == expected
        return
    last = result.stderr.splitlines()[-1]
    assert os.strerror(error) in last, last
    begun = (run / "progress.json").exists() and read_progress(run)["checkpoints"]
    if begun:
        assert "train --resume" in last
        assert call("train", "--resume", run).exit_code == 0
        assert contents(run) == expected
        assert call("neighbors", folder / f"{run.name}.vectors", "sunny").exit_code == 0


def test_failing_file_operations_cost_no_run(tmp_path, text, undisturbed):
    for place, number in enumerate(every(text, tmp_path)[5::40]):
        check_failure(text, tmp_path, number, ERRORS[place % 5], undisturbed["fixed"])


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
def test_any_failing_file_operation_costs_no_run(tmp_path, text, undisturbed, part):
    """Every operation, each with another error than its neighbours."""
    for number in every(text, tmp_path)[part::4]:
        check_failure(text, tmp_path, number, ERRORS[number % 5], undisturbed["fixed"])


@pytest.mark.fuzz
@pytest.mark.parametrize("error", ERRORS)
def test_each_error_of_any_file_operation_costs_no_run(tmp_path, text, undisturbed, error):
    for number in every(text, tmp_path):
        check_failure(text, tmp_path, number, error, undisturbed["fixed"])


def test_a_disk_that_is_full_at_the_end_costs_no_vectors(tmp_path, text, undisturbed, monkeypatch):
    """Of the run's folder: they lie elsewhere, and the training can go on when there is room."""
    from exact2vec.errors import ResourceError
    from exact2vec.storage import unfinished

    def full(self, write, *, replace):
        raise ResourceError("run cannot be written: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(unfinished.Unfinished, "finish", full)
        result = train(text, tmp_path / "run")
    assert result.exit_code == 5
    last = result.stderr.splitlines()[-1]
    assert f"No space left on device; the vectors lie in {tmp_path / 'run.vectors'}" in last
    assert "train --resume" in last
    vectors = tmp_path / "run.vectors" / "vectors.safetensors"
    assert vectors.read_bytes() == undisturbed["fixed"]["vectors.safetensors"]


def test_a_checkpoint_that_fails_is_said_and_training_goes_on(tmp_path, text, undisturbed):
    with counted() as done:
        train(text, tmp_path / "count", "--checkpoint-minutes=0")
    names = [str(arguments[0]) for name, *arguments in done if name == "open_new"]
    second = [number for number, name in enumerate(names) if "checkpoint-1." in name]
    opens = [number for number, (name, *_) in enumerate(done) if name == "open_new"]
    with failing_at(opens[second[0]], 28):
        result = train(text, tmp_path / "run", "--checkpoint-minutes=0")
    assert result.exit_code == 0, result.stderr
    assert "No space left on device" in result.stderr
    assert "the one of epoch 0.00 stays" in result.stderr
    assert contents(tmp_path / "run") == undisturbed["fixed"]


def test_force_replaces_a_run_by_a_finished_one_alone(tmp_path, text, undisturbed, monkeypatch):
    assert train(text, tmp_path / "run").exit_code == 0
    before = contents(tmp_path / "run")
    wild = train(text, tmp_path / "run", "--force", "--rate=1e6")
    assert (wild.exit_code, contents(tmp_path / "run")) == (6, before)
    for said in ("stepped back", str(tmp_path / "run.new"), "stays as it was", "lower --rate"):
        assert said in wild.stderr
    assert json.loads((tmp_path / "run.new" / "summary.json").read_text())["step"] == 0
    assert call("evaluate", tmp_path / "run.new").exit_code == 0
    with monkeypatch.context() as patch:
        stopped_at(3, patch)
        stopped = train(text, tmp_path / "run", "--force", kind="chosen")
    assert (stopped.exit_code, contents(tmp_path / "run")) == (130, before)
    assert f"train --resume {tmp_path / 'run.new-2'}" in stopped.stderr
    assert call("train", "--resume", tmp_path / "run.new-2").exit_code == 0
    assert contents(tmp_path / "run") == undisturbed["chosen"]
    assert sorted(os.listdir(tmp_path)) == ["run", "run.new"]


def test_a_resumed_training_that_diverges_steps_back_too(tmp_path, text, monkeypatch):
    with monkeypatch.context() as patch:
        stopped_at(2, patch)
        assert train(text, tmp_path / "run", "--rate=1e6").exit_code == 130
    result = call("train", "--resume", tmp_path / "run")
    assert (result.exit_code, "stepped back" in result.stderr) == (6, True), result.stderr
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["step"] == 0
    assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == 1
    assert call("check", tmp_path / "run").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--resume", "{run}"], 2, "finished run: there is nothing to resume"),
        (["--resume", "{run}/nothing"], 3, "there is no such run folder"),
        (["--resume", "{empty}"], 3, "neither manifest.json nor progress.json"),
        (
            ["--resume", "{run}", "-o", "x", "--epochs=3", "t"],
            2,
            "leave out --output, --epochs, INPUT",
        ),
        (["{run}"], 2, "-o RUN"),
        (["--resume", ""], 2, "name the run folder to go on with"),
        (["{run}", "-o", ""], 2, "name the run folder to write"),
    ],
)
def test_what_cannot_be_resumed_is_refused(tmp_path, text, arguments, code, expected):
    train(text, tmp_path / "run")
    (tmp_path / "empty").mkdir()
    names = {"run": tmp_path / "run", "empty": tmp_path / "empty"}
    result = call("train", *(argument.format(**names) for argument in arguments))
    assert (result.exit_code, expected in result.stderr) == (code, True), result.stderr


def started(text, run, *flags, **more):
    command = [sys.executable, "-m", "exact2vec", "train", str(text / "text.txt"), "-o", str(run)]
    return subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, text=True, **more)


SOAK = pytest.mark.soak


@pytest.mark.parametrize(
    "name", ["SIGTERM", *(pytest.param(name, marks=SOAK) for name in ("SIGINT", "SIGHUP"))]
)
def test_a_signal_ends_a_training_behind_its_step(tmp_path, text, name):
    def heed():
        signal.signal(getattr(signal, name), signal.SIG_DFL)  # a shell may have it ignored

    process = started(text, tmp_path / "run", *HOW, "--epochs=4000", preexec_fn=heed)
    for line in process.stderr:
        if line.startswith("epoch 2/"):
            process.send_signal(getattr(signal, name))
            break
    _, rest = process.communicate()
    assert (process.returncode, f"train --resume {tmp_path / 'run'}" in rest) == (130, True), rest
    assert "Traceback" not in rest
    assert read_progress(tmp_path / "run")["checkpoints"]["last"]["step"] > 0


@SOAK
def test_a_signal_that_is_ignored_stays_ignored(tmp_path, text):
    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = started(text, tmp_path / "run", *HOW, "--epochs=40", preexec_fn=ignore)
    for line in process.stderr:
        if line.startswith("epoch 2/"):
            process.send_signal(signal.SIGHUP)
            break
    process.communicate()
    assert process.returncode == 0


@pytest.fixture(scope="module")
def forks():
    """Processes that have imported everything, so that a kill meets the work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["command_line", "exact2vec.cli.run_in_progress"])
    return context


def forked(forks, text, run):
    flags = (*KINDS["fixed"], "--checkpoint-minutes=0")
    process = forks.Process(target=call, args=("train", text / "text.txt", "-o", run, *flags))
    process.start()
    return process


def kill_at_random(forks, text, run, seconds, expected):
    """What a killed command left beside its files is harmless, and `check --clean` deletes it."""
    process = forked(forks, text, run)
    time.sleep(seconds)
    process.kill()
    process.join()
    again = call("train", "--resume", run)
    if again.exit_code and "finished run" not in again.stderr:
        assert train(text, run).exit_code == 0, again.stderr
    assert call("check", "--clean", run).exit_code == 0
    found = contents(run)
    found.pop("report.html", None)
    assert found == expected


def check_random_kills(forks, text, folder, expected, *, seed, kills):
    forked(forks, text, folder / "first").join()  # the server starts, the loops are loaded
    began = time.perf_counter()
    forked(forks, text, folder / "whole").join()
    lasts = time.perf_counter() - began
    for number, share in enumerate(np.random.default_rng(seed).random(kills)):
        kill_at_random(forks, text, folder / f"random {number}", share * lasts, expected)


def test_kills_at_random_instants_cost_nothing(tmp_path, text, undisturbed, forks):
    check_random_kills(forks, text, tmp_path, undisturbed["fixed"], seed=0, kills=20)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 7))
def test_more_kills_at_random_instants_cost_nothing(tmp_path, text, undisturbed, forks, seed):
    """180 in all, in parts that run side by side."""
    check_random_kills(forks, text, tmp_path, undisturbed["fixed"], seed=seed, kills=30)
