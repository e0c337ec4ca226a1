"""Words that try to become something else than text, and a run that holds them."""

import numpy as np

import exact2vec as e2v

WORDS = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "line\u2028separator",
    "{{7*7}}",
    "{{data}}",
    "<!--",
    "]]>",
    "<b>bold</b>",
    "&lt;i&gt;",
    "'\"`",
    "javascript:alert(1)",
    "$x^2$",
    "\x1b[31mred",
    "[bold]",
    "=1+1",
    "null",
    "__proto__",
    "constructor",
    "é́",
    "🜁",
    "\\u003c",
    "a&b",
]
PLAIN = ["sun", "moon", "star", "sky", "dog", "cat", "cow", "horse"]


def sentences(size=300, seed=3):
    random = np.random.default_rng(seed)
    words = np.array([WORDS, WORDS[::-1]]).ravel()
    return [[str(word) for word in random.choice([*words, *PLAIN], 7)] for _ in range(size)]


def model(**more):
    arguments = {
        "vector_size": 4,
        "min_count": 1,
        "held_out": 0.15,
        "epochs": 2,
        "sample": 0.05,
        **more,
    }
    return e2v.Exact2Vec(**arguments).fit(sentences())
