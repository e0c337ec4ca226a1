"""Options of baskets and tables: which columns hold what, and how rows are held out."""

from exact2vec.options.option import Option

PAIR_TRAINING = {"prior": (5.0, 20.0), "epochs": 4}  # of vectors on credit counts

ITEM_MODEL = (
    Option(
        "model",
        "all",
        str,
        "baskets and tables: what predicts the next item; a mixture of the items' own "
        "probabilities, vectors composed of the items, or both, interpolated by validation",
        choices=("mixture", "composed", "all"),
    ),
    Option(
        "validate",
        "nll",
        str,
        "baskets and tables: what chooses the parts and their numbers on the validation part",
        choices=("nll", "recall@20"),
    ),
)

ITEMS = (
    Option("group_by", None, str, "table: the column that names the row of an entry, as user"),
    Option("item", None, str, "table: the column that names the item of an entry"),
    Option(
        "weight", None, str, "table, edges: the column of how much an entry weighs (else 1 each)"
    ),
    Option(
        "time",
        None,
        str,
        "table: the column of when an entry was made, numbers or ISO 8601: the last ones are "
        "held out",
    ),
    Option(
        "separator",
        None,
        str,
        "what parts items of a basket, or columns of a table; tab stands for a tab. Otherwise "
        "white space parts items, commas do in .csv and tables, tabs in .tsv",
    ),
    Option(
        "held_out_by",
        "row",
        str,
        "what is held out: whole rows, cut once into context and target, or items of every row",
        choices=("row", "item"),
    ),
    Option(
        "target_share",
        0.2,
        float,
        "share of the items of a row held out that are its target, at least one",
        least=0,
        below=1,
    ),
)
