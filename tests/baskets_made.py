"""Random baskets, and what is compared of counted ones."""

import numpy as np

ALL = {"held_out": 0, "validation": 0, "min_count": 1}
NAMES = [f"item {letter}" for letter in "abcdefghijklmnop"]


def random_baskets(seed=0, rows=400, most=6):
    random = np.random.default_rng(seed)
    popular = 1 / np.arange(1, len(NAMES) + 1)
    sizes = random.integers(1, most, rows)
    chosen = (random.choice(NAMES, size, p=popular / popular.sum()) for size in sizes)
    return [[str(name) for name in basket] for basket in chosen]


def sets(names, matrix):
    """The items of each row, with their weights."""
    return [
        {names[at]: value for at, value in zip(matrix.indices[a:b], matrix.data[a:b], strict=True)}
        for a, b in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    ]


def same(one, other):
    assert one.items.words == other.items.words
    np.testing.assert_array_equal(one.items.counts, other.items.counts)
    for first, second in zip(matrices(one), matrices(other), strict=True):
        assert (first is None) == (second is None)
        if first is not None:
            for array in ("indptr", "indices", "data"):
                np.testing.assert_array_equal(getattr(first, array), getattr(second, array))


def matrices(baskets):
    cuts = [cut for cut in (baskets.validation, baskets.held_out) if cut is not None]
    return [baskets.training, *(side for cut in cuts for side in (cut.contexts, cut.targets))]


def entries_add_up(baskets):
    tokens = baskets.tokens
    dropped = sum(size for name, size in tokens.items() if name.startswith("dropped_"))
    assert tokens["read"] == sum(tokens[part] for part in PARTS) + dropped
    rows = ("rows_training", "rows_validation", "rows_held_out", "rows_uncut", "rows_empty")
    if "rows_uncut" in tokens:
        assert tokens["rows_read"] == sum(tokens[name] for name in rows)


PARTS = ("training", "validation", "held_out")
