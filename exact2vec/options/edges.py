"""Options of edges: how far walks go, which columns hold what, and which nodes there are."""

from exact2vec.options.option import Option

EDGE_TRAINING = {"prior": (5.0, 5.0), "epochs": 2}  # of train --kind edges; strengths in edges

EDGES = (
    Option(
        "hops",
        10,
        int,
        "edges: nodes up to so many edges apart are near each other; 1 where the kinds of a "
        "node's neighbours matter more than its surroundings",
        least=1,
        below=101,
    ),
    Option("source", None, str, "edges: the column of one end of an edge, in a file with a header"),
    Option("target", None, str, "edges: the column of the other end"),
    Option(
        "whole_cells",
        20_000_000,
        int,
        "edges: up to so many cells all are kept; beyond, those below chance become a background: "
        "train says how many of the pairs it moves, and evaluate by how much the loss differs, "
        "unless edges are directed",
        least=0,
    ),
    Option(
        "most_cells",
        100_000_000,
        int,
        "edges: where more cells than about so many are above chance, those above a multiple of "
        "it are kept",
        least=1,
    ),
)
