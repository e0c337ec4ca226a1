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
