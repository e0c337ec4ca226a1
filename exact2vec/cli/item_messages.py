"""The lines that a run on rows of items begins with."""

from exact2vec.counts.baskets import Baskets
from exact2vec.counts.kinds import entry_titles

SAID = (  # beside where every entry went
    *("dropped_doubled", "dropped_missing", "dropped_negative", "dropped_zero"),
    *("rows_of_one", "rows_uncut", "rows_empty"),
)


def opening(baskets: Baskets) -> list[str]:
    """What was read and where every entry went."""
    tokens, kind = baskets.tokens, baskets.kind
    not_kept = sum(tokens[f"dropped_{part}"] for part in ("training", "validation", "held_out"))
    more = sum(tokens.get(name, 0) for name in (*SAID[:4], "dropped_uncut"))
    dropped = f"{not_kept:,} of {kind.many} that are not kept" + f" + {more:,} dropped" * (more > 0)
    rows = ", ".join(
        f"{tokens[f'rows_{part}']:,} {name}"
        for part, name in (
            ("training", "for training"),
            ("validation", "for validation"),
            ("held_out", "held out"),
        )
    )
    return [
        f"{tokens['read']:,} entries of {tokens['rows_read']:,} {kind.groups}, "
        f"{kind.number(len(baskets.items.words))} of {tokens['distinct']:,} "
        f"(min-count {baskets.settings['min_count']})",
        f"entries: {tokens['training']:,} training + {tokens['validation']:,} for validation "
        f"+ {tokens['held_out']:,} held out + {dropped}",
        f"{kind.groups}: {rows}",
        *(f"{tokens[name]:,} {entry_titles(kind)[name]}" for name in SAID if tokens.get(name)),
    ]
