"""Compiled loops where no folder keeps them."""

from processes import output_of


def test_where_no_folder_for_compiled_loops_can_be_written_they_are_compiled_for_the_run(tmp_path):
    code = """
import numba.core.caching as caching
caching.CacheImpl._locator_classes = []
from exact2vec import count_text
print(count_text(["sun moon"] * 9, held_out=0))
"""
    printed = output_of("-c", code, folder=tmp_path)
    assert printed.startswith("Counts(2 words")


LOOP = """
import sys
sys.path.insert(0, {folder!r})
from loop import double
with jit.compilation_announced(print):
    print(double(21))
"""


def ask(folder):
    """What a process says that runs a compiled loop of a module in this folder."""
    code = "from exact2vec import jit" + LOOP.format(folder=str(folder))
    return output_of("-c", code).splitlines()


def shortened(data):
    return data[:-3]


def flipped(data):
    return data[:-9] + b"\0" + data[-8:]


def emptied(data):
    return b""


def test_a_damaged_or_unwritable_cache_is_ignored_with_one_line(tmp_path):
    (tmp_path / "loop.py").write_text(
        "from exact2vec.jit import compiled\n\n\n@compiled\ndef double(x):\n    return x + x\n"
    )
    first, again = ask(tmp_path), ask(tmp_path)
    assert (len(first), first[-1], again) == (2, "42", ["42"])
    for pattern, damages in (("*.nbc", (shortened, flipped)), ("*.nbi", (flipped, emptied))):
        (path,) = (tmp_path / "__pycache__").glob(pattern)
        data = path.read_bytes()
        for damaged in (damage(data) for damage in damages):
            path.write_bytes(damaged)
            said = ask(tmp_path)
            assert sum("cache of compiled loops is ignored" in line for line in said) == 1, said
            assert said[-1] == "42"
            assert ask(tmp_path) == ["42"]
