"""Names that other packages have for the same things, for the message where one is asked for."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

OTHER_NAMES = {
    "get_vector": "vector(word), or wv[word]",
    "get_index": "key_to_index[word]",
    "word_vec": "vector(word), or wv[word]",
    "syn0": "vectors",
    "vocab": "key_to_index",
    "index2word": "index_to_key",
    "index2entity": "index_to_key",
    "vectors_norm": "exact2vec.vectors.queries.unit_rows(wv.vectors)",
    "similar_by_word": "most_similar(word)",
    "similar_by_vector": "most_similar(vector)",
    "similar_by_key": "most_similar(word)",
    "most_similar_cosmul": "most_similar(positive, negative)",
    "distance": "1 - similarity(one, other)",
    "doesnt_match": "the word of least mean similarity(word, other)",
    "n_similarity": "similarity(one, other) of two words",
    "save_word2vec_format": "exact2vec.vectors.formats.export(wv, 'words.vec')",
    "load_word2vec_format": "exact2vec.load(folder), of a run",
    "evaluate_word_pairs": "exact2vec.evaluate(wv, similarity=[file])",
    "evaluate_word_analogies": "exact2vec.evaluate(wv, analogies=[file])",
    "accuracy": "exact2vec.evaluate(wv, analogies=[file])",
}

OTHER_ARGUMENTS = {
    "size": "vector_size",
    "iter": "epochs",
    "n_epochs": "epochs",
    "workers": "threads",
    "n_jobs": "threads",
    "random_state": "seed",
    "alpha": "rate",
    "learning_rate": "rate",
    "max_final_vocab": "max_vocab",
    "sentences": "fit(sentences)",
    "corpus_file": "fit(Text(path))",
    **dict.fromkeys(
        ("sg", "hs", "negative", "ns_exponent", "cbow_mean"), "nothing, the softmax is exact"
    ),
}


def name_here(owner: str, name: str, others: Mapping[str, str]) -> str:
    """The message for an attribute that is not there.

    >>> name_here("Vectors", "vocab", OTHER_NAMES)
    "Vectors has no 'vocab'; here: key_to_index"
    """
    hint = f"; here: {others[name]}" if name in others else ""
    return f"{owner} has no {name!r}{hint}"


def by_our_names(init: Callable[..., None]) -> Callable[..., None]:
    """An `__init__` of named arguments, whose errors say what those of others are called here."""

    @wraps(init)
    def named(self: Any, *sentences: Any, **given: Any) -> None:
        owner = type(self).__name__
        if sentences:
            raise TypeError(f"{owner} takes arguments by name; sentences go to fit(sentences)")
        strange = [name for name in given if name in OTHER_ARGUMENTS]
        if strange:
            raise TypeError("; ".join(name_here(owner, name, OTHER_ARGUMENTS) for name in strange))
        init(self, **given)

    return named
