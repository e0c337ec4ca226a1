"""The type checker of the tests, and how long their searches are.

An int is welcome where a float is wanted, as in PEP 484.
"""

import os

from beartype import BeartypeConf, beartype

check_types = beartype(conf=BeartypeConf(is_pep484_tower=True))
FUZZ = int(os.environ.get("EXACT2VEC_FUZZ", "1"))


def examples(number):
    """How many examples a property is tried on; `make fuzz` multiplies them."""
    return number * FUZZ
