"""Sentences of three topics, and the options of a small run on them."""

import numpy as np

NOUNS = ["sun moon star sky night", "dog cat cow horse farm", "rain wind snow storm cloud"]
DERIVED = [  # words of a topic share n-grams
    "sunny sunless sunlight moonlight moonless",
    "doghouse dogless doglike catlike catless",
    "rainy rainless rainfall snowfall snowless",
]
SMALL = {"vector_size": 5, "min_count": 2, "held_out": 0.1, "epochs": 3, "block_rows": 7}


def sentences(seed=0, size=400, topics=NOUNS):
    random = np.random.default_rng(seed)
    return [
        [str(word) for word in random.choice(topics[random.integers(3)].split(), 6)]
        for _ in range(size)
    ]
