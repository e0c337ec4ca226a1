"""A file or a folder is replaced whole or stays, wherever its writing fails or is stopped."""

import ast
import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from broken_disks import ERRORS, Killed, counted, failing_at, killed_at

import exact2vec
from exact2vec.errors import ResourceError, UsageError
from exact2vec.storage import disk, run_folder, schema
from exact2vec.storage.encoding import safetensors_pieces
from exact2vec.storage.folders import held
from exact2vec.storage.leftovers import clean, leftovers
from exact2vec.storage.writing import write_whole

ROOT = Path(exact2vec.__file__).parent


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Nothing here outlives the machine."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def write_run(folder, number, **more):
    with run_folder.create(folder, kind="run", **more) as part:
        schema.Config({"number": number}).write(part)
        schema.Summary({"number": number}).write(part)


def number_of(folder):
    """Of a run that is whole; None where there is none."""
    if not folder.exists():
        return None
    run = run_folder.open_run(folder)
    found = {kind.read(run).values["number"] for kind in (schema.Config, schema.Summary)}
    assert len(found) == 1
    return found.pop()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def operations_of(tmp_path, write):
    """How many operations `write` takes in a folder of its own."""
    with counted() as done:
        write(tmp_path / "count")
    assert {name for name, *_ in done} >= {"open_new", "write", "sync", "rename"}
    return len(done)


def test_a_file_is_whole_or_as_it_was_wherever_its_writing_stops(tmp_path):
    def write(folder):
        folder.mkdir(exist_ok=True)
        write_whole(folder / "file", b"new" * 99)

    for number in range(operations_of(tmp_path, write)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "file").write_bytes(b"old")
        with pytest.raises(Killed), killed_at(number):
            write(folder)
        assert (folder / "file").read_bytes() in (b"old", b"new" * 99)
        for left in leftovers(folder / "file"):
            left.unlink()
        assert names(folder) == ["file"]
        for error in ERRORS:
            (folder / "file").write_bytes(b"old")
            try:
                with failing_at(number, error):
                    write(folder)
            except ResourceError as failure:
                assert f"{folder / 'file'} cannot be written: {os.strerror(error)}" in str(failure)
            else:
                assert error == errno.EINTR or (folder / "file").read_bytes() == b"new" * 99
            assert names(folder) == ["file"]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_run_is_the_old_or_the_new_one_wherever_its_replacement_stops(
    tmp_path, monkeypatch, exchange
):
    """Where names cannot be exchanged, the old one may have stepped aside, and is named."""
    if not exchange:
        monkeypatch.setattr(disk, "exchange", no_exchange)

    def write(folder, number=2):
        write_run(folder / "run", number, force=True)

    prepared = tmp_path / "count"
    write(prepared, 1)
    aside = 0
    for number in range(operations_of(tmp_path, write)):
        folder = tmp_path / str(number)
        write(folder, 1)
        with pytest.raises(Killed), killed_at(number):
            write(folder)
        found = number_of(folder / "run")
        if found is None:
            aside += 1
            whole = [path for path in leftovers(folder / "run") if number_of(path) == 1]
            assert len(whole) == 1, names(folder)
            clean(folder / "run")
            found = number_of(folder / "run")
            assert found is not None or whole[0].exists()
        else:
            assert found in (1, 2)
        assert names(folder) == sorted(
            {path.name for path in leftovers(folder / "run")} | ({"run"} if found else set())
        )
    assert aside == (0 if exchange else 1)


def no_exchange(one, other):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
def test_a_run_stays_where_its_replacement_fails(tmp_path, monkeypatch, exchange, error):
    if not exchange:
        monkeypatch.setattr(disk, "exchange", no_exchange)

    def write(folder, number=2):
        write_run(folder / "run", number, force=True)

    write(tmp_path / "count", 1)
    for number in range(operations_of(tmp_path, write)):
        folder = tmp_path / str(number)
        write(folder, 1)
        try:
            with failing_at(number, error):
                write(folder)
        except (ResourceError, UsageError) as failure:
            assert str(folder) in str(failure)
            assert number_of(folder / "run") in (1, 2)
        else:
            assert number_of(folder / "run") == 2
        left = leftovers(folder / "run")
        assert names(folder) == sorted(["run", *(path.name for path in left)])


def test_folders_that_were_made_for_a_run_go_with_it(tmp_path):
    (tmp_path / "pa").mkdir()
    with pytest.raises(KeyError), run_folder.create(tmp_path / "pa/pb/pc/run", kind="run"):
        raise KeyError
    assert list((tmp_path / "pa").iterdir()) == []


def test_a_folder_that_another_command_holds_is_refused(tmp_path):
    write_run(tmp_path / "run", 1)
    with held(tmp_path / "run"), pytest.raises(UsageError, match="by another command"):
        write_run(tmp_path / "run", 2, force=True)
    assert number_of(tmp_path / "run") == 1
    write_run(tmp_path / "run", 2, force=True)
    assert number_of(tmp_path / "run") == 2


def test_permissions_are_those_of_the_umask_or_of_what_is_replaced(tmp_path):
    def mode(path):
        return oct(stat.S_IMODE(path.stat().st_mode))

    before = os.umask(0o027)
    try:
        write_run(tmp_path / "run", 1)
        path = tmp_path / "run" / schema.Config.file
        assert (mode(tmp_path / "run"), mode(path)) == ("0o750", "0o640")
        (tmp_path / "run").chmod(0o700)
        path.chmod(0o600)
        write_run(tmp_path / "run", 2, force=True)
        assert (mode(tmp_path / "run"), mode(path)) == ("0o700", "0o600")
        assert mode(tmp_path / "run" / schema.Summary.file) == "0o640"
        path.chmod(0o604)
        write_whole(path, b"")
        assert mode(path) == "0o604"
    finally:
        os.umask(before)


def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    for data in (b"1", b"2"):
        write_whole(tmp_path / "link", data)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "there" / "file").read_bytes() == data
    (tmp_path / "run").symlink_to(tmp_path / "there")
    with pytest.raises(UsageError, match="is a link"):
        write_run(tmp_path / "run", 1, force=True)


def test_what_lies_at_a_temporary_name_is_not_written_through(tmp_path, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 8)
    (tmp_path / ".file.00000000.part").symlink_to(tmp_path / "precious")
    with pytest.raises(ResourceError, match="File exists"):
        write_whole(tmp_path / "file", b"")
    assert not (tmp_path / "precious").exists()


def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ResourceError, match="neither a file nor a folder"):
        write_whole(tmp_path / "pipe", b"")


def test_arrays_are_read_by_the_library_of_their_format():
    arrays = {
        "none": np.empty((0, 3), np.float32),
        "b": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "one": np.array(2.5),
        **{kind: np.arange(3).astype(kind) for kind in ("i4", "u4", "i8", "u8", "u1")},
        "a": np.array([True, False, True]),
    }
    found = safetensors.numpy.load(b"".join(safetensors_pieces(arrays)))
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_files_are_written_in_one_place():
    """Whatever changes the disk goes through storage/disk.py, which tests can break."""
    changing = {"mkdir", "unlink", "rmdir", "replace", "rename", "chmod", "fsync", "symlink"}
    changing |= {"write_bytes", "write_text", "touch", "rmtree", "makedirs", "save_file", "remove"}
    for path in ROOT.rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if is_call(node)]
        found = {
            call.func.attr
            for call in calls
            if call.func.attr in changing and not is_of_text(call) and owner(call) != "disk"
        }
        found |= {call.args[1].value for call in calls_of_open(path)} - {"rb", "r"}
        assert not found or path.name == "disk.py", f"{path}: {found}"


def calls_of_open(path):
    """Those that say how they open."""
    for node in ast.walk(ast.parse(path.read_text())):
        called = isinstance(node, ast.Call) and getattr(node.func, "id", None) == "open"
        if called and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            yield node


def is_call(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)


def owner(call):
    return getattr(call.func.value, "id", None)


def is_of_text(call):
    """str.replace and dataclasses.replace; list.remove."""
    return call.func.attr in ("replace", "rename", "remove") and owner(call) != "os"
