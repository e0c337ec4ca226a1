"""The names of all files that a run may have."""

from exact2vec.storage import graph_files, item_files, next_item_files, schema, word_files

OF_RUNS = {
    kind.file
    for module in (schema, word_files, item_files, next_item_files, graph_files)
    for kind in vars(module).values()
    if hasattr(kind, "file")
}
