"""A text with words that are not trained, and how a run with them is trained."""

import topics

import exact2vec as e2v

HOW = {"vector_size": 6, "min_count": 5, "epochs": 4, "block_rows": 5, "held_out": 0.05}


def sentences(rare=True):
    texts = topics.sentences(topics=topics.DERIVED)
    return (
        [*texts, *[["sunny", "eclipse", "sunlight", "moonless"]] * 4, ["xyz", "rainy"]]
        if rare
        else texts
    )


def model():
    return e2v.Exact2Vec(rare=3, **HOW).fit(sentences())
