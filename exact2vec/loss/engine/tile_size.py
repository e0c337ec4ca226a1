"""How many scores a thread works on at a time: half as many again as its second-level cache holds.

Measured with 512 KB of it (benchmarks/training_pass.py): a pass took 1.06, 1.00 and 1.04 times as
long as the version before with tiles of 1, 1½ and 2 times the cache.
"""

import functools
import os

SECOND_LEVEL = 1 << 19  # bytes, where the system does not say
LEAST, MOST = 1 << 16, 1 << 18  # scores; beyond, products are no faster


@functools.cache
def tile_scores() -> int:
    """Float32 scores of a tile. It depends on the kind of processor, never on threads or timing."""
    try:
        size = os.sysconf("SC_LEVEL2_CACHE_SIZE")
    except (ValueError, OSError, AttributeError):
        size = 0
    return min(MOST, max(LEAST, (size if size > 0 else SECOND_LEVEL) * 3 // 8))
