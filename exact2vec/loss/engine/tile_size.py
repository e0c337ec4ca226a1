"""How many scores a thread works on at a time: half as many again as its second-level cache holds.

Fewer cost more calls, more leave the cache; the optimum is flat.
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
