"""Every test runs with shapes and types checked: jaxtyping's annotations, enforced by beartype."""

import os

from hypothesis import Phase, settings
from jaxtyping import install_import_hook

install_import_hook("exact2vec", "checking.check_types")
settings.register_profile("exact2vec", deadline=None, derandomize=True)
settings.register_profile(
    "mutant", deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
)  # one failure is enough
settings.load_profile("mutant" if "EXACT2VEC_MUTANT" in os.environ else "exact2vec")
