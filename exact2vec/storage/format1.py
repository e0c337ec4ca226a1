"""Files of a run folder of format 1, as they would stand in format 2."""

from collections.abc import Mapping
from typing import Any

NAMES = {  # of fields, before and now
    "choosing": "validation",
    "choosing_nll": "validation_nll",
    "dropped_choosing": "dropped_validation",
}


def json_of_format_2(value: Any) -> Any:
    """The same value with the present names of its fields, at any depth."""
    if isinstance(value, list):
        return [json_of_format_2(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"rows"}:  # rare.json
        return {"words": value["rows"], "times": None, "kept_tokens": 0}
    found = {NAMES.get(name, name): json_of_format_2(inner) for name, inner in value.items()}
    if "window" not in found:
        return found
    numbers = {name: found.pop(name) for name in ("window", "sample")}
    return {"weighting": {"kind": "window", **numbers}} | found


def arrays_of_format_2(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The same arrays; the prefix of a name says which part of the text it was counted in."""
    return {name.replace("choosing.", "validation.", 1): array for name, array in arrays.items()}
