"""progress.json whose digest is right and whose content is not: exit 4, and nothing is trained."""

import json
import shutil

import pytest
from broken_progress import signed_progress, training_in_progress
from command_line import call

WRONG = {
    "no epoch": lambda stored: stored["checkpoints"]["last"].pop("epoch"),
    "another epoch": lambda stored: stored["checkpoints"]["last"].update(epoch=1.5),
    "no format": lambda stored: stored.pop("format"),
    "another format": lambda stored: stored.update(format=99),
    "more than there is": lambda stored: stored.update(more=1),
    "times without a step": lambda stored: stored.update(times=[{}]),
    "times that are numbers": lambda stored: stored.update(times=[3]),
    "times too few": lambda stored: stored["times"].pop(),
    "times before the start": lambda stored: stored["times"][-1].update(seconds=-1),
    "history without a step": lambda stored: stored.update(history=[{}]),
    "history too short": lambda stored: stored["history"].pop(),
    "history in words": lambda stored: stored["history"][0].update(nll="x"),
    "another loss": lambda stored: stored["checkpoints"]["good"]["losses"]["training"].update(
        nll=1.0
    ),
    "a loss in words": lambda stored: stored["checkpoints"]["good"]["losses"]["training"].update(
        nll="x"
    ),
    "a loss of another name": lambda stored: stored["checkpoints"]["good"]["losses"].update(
        training={"loss": 1.0}
    ),
    "no good losses": lambda stored: stored["checkpoints"]["good"]["losses"].update(training=None),
    "an epoch before the start": lambda stored: schedule(stored).update(ends=[-5]),
    "no epochs": lambda stored: schedule(stored).update(ends=[]),
    "fewer epochs": lambda stored: schedule(stored)["ends"].pop(),
    "epochs of other lengths": lambda stored: schedule(stored).update(ends=[8, 18]),
    "an end that is open": lambda stored: schedule(stored).update(fixed=False),
    "a flag in words": lambda stored: schedule(stored).update(fixed="yes"),
    "a ceiling in words": lambda stored: schedule(stored).update(ceiling="x"),
    "a rate that rises": lambda stored: schedule(stored).update(falls_from=[0, 7.0]),
    "a position in words": lambda stored: last(stored).update(position="ab"),
    "a position without blocks": lambda stored: last(stored).update(position=[0, 0, 0]),
    "a position behind the end": lambda stored: last(stored).update(position=[99999999, 0, 3]),
    "another position": lambda stored: last(stored).update(position=[4, 0, 3]),
    "a step below 0": lambda stored: last(stored).update(step=-1),
    "another step": lambda stored: last(stored).update(step=12),
    "another file": lambda stored: last(stored).update(file="config.json"),
    "pending in words": lambda stored: last(stored).update(pending="x"),
    "files above": lambda stored: stored["files"].update({"..": "0" * 64}),
    "files without a name": lambda stored: stored["files"].update({"": "0" * 64}),
    "files without a digest": lambda stored: stored["files"].update({"config.json": 3}),
    "a place elsewhere": lambda stored: stored.update(replaces="../run"),
}


def last(stored):
    return stored["checkpoints"]["last"]


def schedule(stored):
    return last(stored)["schedule"]


@pytest.fixture(scope="module")
def in_progress(tmp_path_factory):
    folder = tmp_path_factory.mktemp("progress")
    training_in_progress(folder / "run", epochs=3, stop=13)
    return folder / "run"


@pytest.mark.parametrize("wrong", WRONG)
def test_what_no_training_wrote_is_exit_4(in_progress, tmp_path, wrong):
    run = tmp_path / "run"
    shutil.copytree(in_progress, run)
    stored = json.loads((run / "progress.json").read_text())
    WRONG[wrong](stored)
    (run / "progress.json").write_bytes(signed_progress(stored))
    before = sorted(path.name for path in run.iterdir())
    result = call("train", "--resume", run)
    assert (result.exit_code, str(run) in result.stderr) == (4, True), result.output
    assert sorted(path.name for path in run.iterdir()) == before


def test_what_a_training_wrote_is_gone_on_with(in_progress, tmp_path):
    """Or the test above would say nothing."""
    run = tmp_path / "run"
    shutil.copytree(in_progress, run)
    stored = json.loads((run / "progress.json").read_text())
    (run / "progress.json").write_bytes(signed_progress(stored))
    assert (last(stored)["position"], last(stored)["step"]) == ([4, 1, 3], 13)
    result = call("train", "--resume", run)
    assert result.exit_code == 0, result.output
