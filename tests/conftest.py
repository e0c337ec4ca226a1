"""Every test runs with shapes and types checked: jaxtyping's annotations, enforced by beartype."""

from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("exact2vec", "checking.check_types")
settings.register_profile("exact2vec", deadline=None, derandomize=True)
settings.load_profile("exact2vec")
