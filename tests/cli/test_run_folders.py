"""Run folders at the command line: none is lost, and a damaged one is named."""

import pytest
from command_line import GOOD, call, train


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, ""])
def test_a_name_that_no_folder_can_have_is_exit_2(tmp_path, name):
    result = call("train", "python-docs", "-o", f"{tmp_path}/{name}" if name else "")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_an_existing_output_is_refused_and_what_is_not_a_run_never_replaced(tmp_path, run):
    assert call("train", "python-docs", "-o", run).exit_code == 2
    (tmp_path / "precious.txt").write_text("mine")
    result = call("train", "python-docs", "-o", tmp_path, "--force")
    assert (result.exit_code, "is not a run folder" in result.stderr) == (2, True)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_an_output_that_cannot_be_written_is_refused_before_any_work(tmp_path, run):
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file" / "run", "/proc/nothing/run"):
        result = call("train", "python-docs", "-o", output)
        assert (
            result.exit_code,
            "cannot be written" in result.stderr,
            result.stderr.count("\n"),
        ) == (2, True, 1), result.stderr
    assert call("export", run, tmp_path / "nothing" / "v.vec").exit_code == 2


def test_force_does_not_delete_what_is_not_of_the_run(tmp_path):
    (tmp_path / "good.txt").write_text(GOOD)
    assert train(tmp_path, tmp_path / "good.txt").exit_code == 0
    (tmp_path / "run" / "notes.txt").write_text("mine")
    result = train(tmp_path, tmp_path / "good.txt", "--force")
    assert (result.exit_code, "notes.txt" in result.stderr) == (2, True)
    (tmp_path / "run" / "notes.txt").unlink()
    assert train(tmp_path, tmp_path / "good.txt", "--force").exit_code == 0


@pytest.mark.parametrize("change", ["cut", "longer", "flip", "swap", "gone"])
def test_a_damaged_file_is_exit_4_and_named(tmp_path, run, change):
    import shutil

    for name in ("vectors.safetensors", "counts.safetensors", "vocabulary.json", "manifest.json"):
        copy = tmp_path / name
        shutil.copytree(run, copy)
        data = (copy / name).read_bytes()
        flipped = data[:50] + bytes([data[50] ^ 1]) + data[51:]
        changed = {
            "cut": data[:-1],
            "longer": data + b" 0",
            "flip": flipped,
            "swap": b"{}",
            "gone": None,
        }[change]
        (copy / name).unlink() if changed is None else (copy / name).write_bytes(changed)
        result = call("check", copy)
        assert name in result.stderr
        assert result.exit_code == (3 if (name, change) == ("manifest.json", "gone") else 4), (
            result.stderr
        )


def test_a_run_whose_name_has_a_space_is_quoted(tmp_path):
    (tmp_path / "good.txt").write_text(GOOD)
    result = call(
        "train",
        tmp_path / "good.txt",
        "-o",
        tmp_path / "my run",
        "--epochs",
        "0",
        "--vector-size",
        "2",
    )
    assert f"evaluate '{tmp_path / 'my run'}'" in result.stderr
