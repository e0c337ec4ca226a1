"""What is read of a run belongs to one run, whatever happens to its folder meanwhile."""

import os

import numpy as np
import pytest

import exact2vec as e2v
from exact2vec.counts.counts import Counts
from exact2vec.errors import CorruptFileError, InputError
from exact2vec.storage import folders, run_folder, schema
from exact2vec.vectors import evaluate as evaluation

TEXTS = {"old": [["sun", "moon", "star"]] * 9, "new": [["dog", "cat"]] * 9}


@pytest.fixture(scope="module")
def models():
    how = {"vector_size": 2, "epochs": 0, "min_count": 1, "held_out": 0, "max_n": 0}
    return {name: e2v.Exact2Vec(**how).fit(texts) for name, texts in TEXTS.items()}


def test_a_run_that_is_open_stays_as_it_was(tmp_path, models):
    models["old"].save(tmp_path / "run")
    run = run_folder.open_run(tmp_path / "run")
    models["new"].save(tmp_path / "run", force=True)
    assert e2v.load(run).index_to_key == Counts.load(run).words == models["old"].wv.index_to_key
    assert len(run.check()) == len(run.files)
    assert e2v.load(tmp_path / "run").index_to_key == models["new"].wv.index_to_key


def test_an_evaluation_is_of_one_run_where_another_takes_its_place(tmp_path, models, monkeypatch):
    models["old"].save(tmp_path / "run")
    expected = e2v.evaluate(models["old"])

    def load_and_replace(run):
        vectors = e2v.load(run)
        models["new"].save(tmp_path / "run", force=True)
        return vectors

    monkeypatch.setattr(evaluation, "load", load_and_replace)
    found = e2v.evaluate(tmp_path / "run")
    assert (found.words, found.training) == (expected.words, expected.training)


def test_a_run_that_goes_while_it_is_opened_gives_way_to_the_next(tmp_path, models, monkeypatch):
    """Its files are deleted behind its manifest; the folder of its name is opened instead."""
    models["old"].save(tmp_path / "run")
    models["new"].save(tmp_path / "other")
    usual, calls = run_folder.OpenedFiles, []

    def opened_and_replaced(*arguments):
        files = usual(*arguments)
        if not calls:
            old = folders.put_in_place(tmp_path / "other", tmp_path / "run", force=True)
            folders.delete_folder(old)
        calls.append(files)
        return files

    monkeypatch.setattr(run_folder, "OpenedFiles", opened_and_replaced)
    assert e2v.load(tmp_path / "run").index_to_key == models["new"].wv.index_to_key
    assert len(calls) == 4  # a manifest and what it lists, twice


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link to a device", "gone"])
def test_what_is_no_file_is_not_read(tmp_path, models, kind):
    models["old"].save(tmp_path / "run")
    path = tmp_path / "run" / schema.Vectors.file
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        if os.getuid():
            pytest.skip("only root makes devices")
        os.mknod(path, 0o20666, os.makedev(1, 5))
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    why = "is missing" if kind == "gone" else "no regular file"
    with pytest.raises(CorruptFileError, match=f"vectors.safetensors .*{why}"):
        e2v.load(tmp_path / "run")


def test_a_file_of_any_size_is_not_read_as_a_manifest(tmp_path, models):
    models["old"].save(tmp_path / "run")
    os.truncate(tmp_path / "run" / run_folder.MANIFEST, 1 << 40)
    with pytest.raises(CorruptFileError, match="1,048,576 at most were expected"):
        e2v.load(tmp_path / "run")


def test_a_file_beyond_the_memory_is_not_read(tmp_path, models):
    models["old"].save(tmp_path / "run")
    os.truncate(tmp_path / "run" / schema.Vectors.file, 1 << 42)
    with pytest.raises(CorruptFileError, match="4,398,046,511,104 bytes"):
        e2v.load(tmp_path / "run")


def test_a_file_that_may_not_be_read_is_named(tmp_path, models):
    models["old"].save(tmp_path / "run")
    (tmp_path / "run" / schema.Vectors.file).chmod(0)
    if os.access(tmp_path / "run" / schema.Vectors.file, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match="no permission to read it"):
        e2v.load(tmp_path / "run")


def test_handles_are_closed_with_the_run(tmp_path, models):
    models["old"].save(tmp_path / "run")
    before = len(os.listdir("/proc/self/fd"))
    run = run_folder.open_run(tmp_path / "run")
    assert len(os.listdir("/proc/self/fd")) == before + len(run.files)
    np.testing.assert_equal(run.kind, "run")
    del run
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_held_folder_is_read(tmp_path, models):
    models["old"].save(tmp_path / "run")
    with folders.held(tmp_path / "run"):
        assert len(e2v.load(tmp_path / "run")) == 3
