"""The type checker of the tests: an int is welcome where a float is wanted, as in PEP 484."""

from beartype import BeartypeConf, beartype

check_types = beartype(conf=BeartypeConf(is_pep484_tower=True))
