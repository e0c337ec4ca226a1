"""A training in progress, made on purpose, and what `train --resume` may do with a damaged one."""

import json
from hashlib import sha256
from unittest.mock import patch

from broken_files import only
from click.exceptions import Exit
from command_line import call

import exact2vec as e2v
from exact2vec.cli import run_in_progress
from exact2vec.cli.checkpoints import Checkpoints
from exact2vec.cli.support import silent
from exact2vec.cli.training import resume_training
from exact2vec.errors import CorruptFileError, DivergedError, InputError, UsageError
from exact2vec.storage.encoding import json_bytes
from exact2vec.storage.run_folder import manifest_digest

TEXT = "\n".join(["sun moon star dog", "dog cat sun", "star cat moon river boat"] * 9)
HOW = ("--vector-size=2", "--min-count=1", "--held-out=.2", "--block-rows=3", "--rare=1")


def training_in_progress(folder, *, epochs, stop):
    """A folder with a training of some words that was stopped behind a step."""
    usual = Checkpoints.of

    def of(self, records):
        def asking():
            for record in records:
                self.asking.asked = record.step == stop
                yield record

        return usual(self, asking())

    with patch.object(Checkpoints, "of", of):
        result = call("train", "-", "-o", folder, *HOW, f"--epochs={epochs}", given=TEXT)
    assert result.exit_code == 130, result.output
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def signed_progress(stored):
    """progress.json with the digest of what it says."""
    said = {name: value for name, value in stored.items() if name != "sha256"}
    return json_bytes(said | {"sha256": manifest_digest(said)})


def check_progress(folder, files):
    """A training with one file damaged and its digests right is refused, or goes on to a run."""

    def check(case):
        name, data = case
        run = folder / "damaged"
        run.mkdir(exist_ok=True)
        for path in run.iterdir():
            path.unlink()
        for other, content in with_right_digests(files, name, data).items():
            (run / other).write_bytes(content)
        allowed = CorruptFileError, InputError, UsageError  # of counts that cannot be weighed
        with patch.object(run_in_progress, "QUICK_CELLS", -1), only(*allowed):
            try:
                resume_training(run, 5.0, 1, silent, quiet=True)
            except Exit as ended:  # a loss that runs away from arrays that are odd
                assert ended.exit_code == DivergedError.exit_code
            e2v.load(run)

    return check


def with_right_digests(files, name, data):
    """The files with one of them replaced, signed as if a training had written it."""
    if name == "progress.json":
        try:
            return files | {name: signed_progress(json.loads(data))}
        except (ValueError, AttributeError):
            return files | {name: data}
    stored = json.loads(files["progress.json"])
    digest = sha256(data).hexdigest()
    stored["files"] = {one: digest if one == name else of for one, of in stored["files"].items()}
    for one in stored["checkpoints"].values():
        one["sha256"] = digest if one["file"] == name else one["sha256"]
    return files | {name: data, "progress.json": signed_progress(stored)}
