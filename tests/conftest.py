"""Every test runs with shapes and types checked: jaxtyping's annotations, enforced by beartype."""

import os

import pytest
from checking import FUZZ
from hypothesis import Phase, settings
from jaxtyping import install_import_hook

install_import_hook("exact2vec", "checking.check_types")
settings.register_profile("exact2vec", deadline=None, derandomize=True)
settings.register_profile(
    "mutant", deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
)  # one failure is enough
settings.register_profile("fuzz", deadline=None, print_blob=True, max_examples=100 * FUZZ)
if "EXACT2VEC_MUTANT" in os.environ:
    settings.load_profile("mutant")
else:
    settings.load_profile("exact2vec" if FUZZ == 1 else "fuzz")


def pytest_collection_modifyitems(items):
    """Searches that take hours are for `make fuzz`, which sets EXACT2VEC_FUZZ."""
    for item in items:
        if FUZZ == 1 and item.get_closest_marker("fuzz"):
            item.add_marker(pytest.mark.skip(reason="takes hours: make fuzz"))
