"""The same text gives the same bytes, whatever the machine, its settings and its folders are."""

import gzip
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zstandard
from processes import ROOT
from topics import sentences

FLAGS = ["--vector-size=5", "--min-count=2", "--epochs=1", "--block-rows=7", "--validation=0.1"]
MAY_DIFFER = {"times.jsonl", "provenance.json"}
USUAL = {"PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


@dataclass(frozen=True)
class Setting:
    """What is not as usual: flags, the text, variables at the start of Python, or what it meets."""

    flags: list[str] = field(default_factory=list)
    text: str = "plain"
    started: dict[str, str] = field(default_factory=dict)
    met: dict[str, Any] = field(default_factory=dict)


SETTINGS = {
    "one thread": Setting(["--threads=1"]),
    "three threads": Setting(["--threads=3"]),
    "another hash seed": Setting(started={"PYTHONHASHSEED": "2"}),
    "another locale": Setting(
        started={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ),
    "another time zone": Setting(met={"zone": "Asia/Kathmandu"}),
    "folders listed backwards": Setting(met={"backwards": True}),
    "compressed files": Setting(text="compressed"),
}


def write_texts(folder):
    """One text in three files, of two folders; and the same compressed."""
    lines = [
        " ".join(["naïve", "café", "漢字"][number % 3 :] + words)
        for number, words in enumerate(sentences(size=150))
    ]
    for number, name in enumerate(("b/two.txt", "a.txt", "b/één.txt")):
        data = "\n".join(lines[number::3]).encode()
        pack = zstandard.compress if number else gzip.compress
        for kind, content in (("plain", data), ("compressed", pack(data))):
            path = folder / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def start(folder, settings):
    """A process that trains with each of some settings that are alike in how Python starts."""
    asked = [
        {
            "text": str(folder / setting.text),
            "run": str(folder / name),
            "flags": [*FLAGS, *setting.flags],
            **setting.met,
        }
        for name, setting in settings.items()
    ]
    (started,) = {json.dumps(setting.started) for setting in settings.values()}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **USUAL}
    command = [sys.executable, str(ROOT / "tests" / "same_bytes.py"), *map(json.dumps, asked)]
    return subprocess.run(
        command, env=environment | json.loads(started), text=True, capture_output=True, check=False
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder with a run of each setting, and "usual"."""
    folder = tmp_path_factory.mktemp("runs")
    write_texts(folder)
    every = {"usual": Setting()} | SETTINGS
    for started in {
        json.dumps(setting.started): setting.started for setting in every.values()
    }.values():
        done = start(folder, {n: s for n, s in every.items() if s.started == started})
        assert done.returncode == 0, done.stderr
    return folder


def contents(run: Path):
    """The bytes of its files; of the manifest what it says of them."""
    files = {path.name: path.read_bytes() for path in run.iterdir() if path.name not in MAY_DIFFER}
    manifest = json.loads(files.pop("manifest.json"))
    digests = manifest.pop("files")
    del manifest["sha256"]
    assert set(digests) > MAY_DIFFER
    said = {name: digest for name, digest in digests.items() if name not in MAY_DIFFER}
    return files, said, manifest


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_same_text_gives_the_same_bytes(runs, setting):
    files, said, manifest = contents(runs / setting)
    usual, said_usually, manifest_usually = contents(runs / "usual")
    assert [name for name in usual | files if usual.get(name) != files.get(name)] == []
    assert (said, manifest) == (said_usually, manifest_usually)
    assert len(files) >= 10


def test_files_are_read_in_order_of_their_names(runs):
    told = json.loads((runs / "usual" / "provenance.json").read_text())
    assert [Path(one["name"]).name for one in told["files"]] == ["a.txt", "two.txt", "één.txt"]
