"""The first names of vectors as a table, which a notebook shows."""

from typing import Any

from exact2vec.display import html_table


def first_rows(vectors: Any) -> str:
    """The first names of `Vectors` with their counts, and what is nearest or most probable."""
    names = vectors.contexts or vectors.vocabulary
    rows = [
        (name, f"{names.counts[row]:,}", ", ".join(_companions(vectors, name)))
        for row, name in enumerate(names.words[:10])
    ]
    one, others = (vectors.kind.one, "nearest") if vectors.square else ("row", "most probable")
    caption = f"{vectors.axes.size}, {vectors.vector_size} numbers each"
    return html_table([one, "counted", others], rows, caption=caption)


def _companions(vectors: Any, name: str) -> list[str]:
    if not vectors.square:
        return [column for column, _ in vectors.predict_output_word(name, topn=5)]
    near = vectors.most_similar(name, topn=5) if vectors[name].any() else []
    return [other for other, _ in near]
