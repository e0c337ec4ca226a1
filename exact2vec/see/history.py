"""History: the measured records of a training, which a notebook shows as a table."""

from typing import Any

from exact2vec.display import html_table

COLUMNS = {
    "nll": "NLL",
    "held_out_nll": "held-out NLL",
    "excess": "excess",
    "held_out_excess": "held-out excess",
    "objective": "objective",
}


class History(list[dict[str, Any]]):
    """One dict a measured record, as in history.jsonl: losses in nats a pair."""

    def _repr_html_(self) -> str:
        columns = [name for name in COLUMNS if any(row.get(name) is not None for row in self)]
        rows = [[f"{row['epoch']:g}", *(_shown(row, name) for name in columns)] for row in self]
        return html_table(
            ["epoch", *(COLUMNS[name] for name in columns)],
            rows,
            caption="nats a pair; ≈ is an estimate with its standard error",
        )


def _shown(row: dict[str, Any], name: str) -> str:
    value, error = row.get(name), row.get(f"{name}_standard_error")
    if value is None:
        return "none"
    return (
        f"{value:.4f}"
        if error is None and row.get("exact", True)
        else f"≈ {value:.3f}" + (f" ± {error:.3f}" if error is not None else "")
    )
