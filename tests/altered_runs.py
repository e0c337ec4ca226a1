"""Runs whose files are well formed and whose content is not what was written."""

import json
import random

import numpy as np
import safetensors.numpy
from hypothesis import strategies as st

ODD = [
    *(None, True, -1, 0, 1, 3, 2**31, 2**63, 2**70, -0.5, 1e308, float("nan"), float("inf")),
    *("", "a", "words", "\ud800", "NaN", "a\nb", [], ["a", "a"], [[]], [1, None], {}, {"a": 1}),
]

# Eight bytes, and no integer: hypothesis prefers small ones, and would draw the same too often.
CHANCES = st.binary(min_size=8, max_size=8).map(random.Random)
KINDS = [np.float64, np.float16, np.int64, np.uint8, np.int32, bool]


@st.composite
def altered(draw, files):
    """The name of a file of a run, and other bytes for it: JSON and arrays stay JSON and arrays."""
    chance = draw(CHANCES)
    name = chance.choice(sorted(files))
    if name.endswith(".json"):
        value = json.loads(files[name])
        for _ in range(chance.choice([1, 1, 2])):
            value = with_an_odd_part(value, chance)
        return name, json.dumps(value).encode()
    if name.endswith(".safetensors"):
        arrays = safetensors.numpy.load(files[name])
        for _ in range(chance.choice([1, 1, 2])):
            alter(arrays, chance)
        return name, safetensors.numpy.save(arrays)
    data = bytearray(files[name])
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return name, bytes(data)


def with_an_odd_part(value, chance):
    """A copy with one part odd, left out, or doubled."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        if chance.random() < 0.1:
            return {name: part for name, part in value.items() if name != key}
        return value | {key: with_an_odd_part(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        odd = with_an_odd_part(value[place], chance)
        before, after = value[:place], value[place + 1 :]
        return chance.choice([[*before, odd, *after], before + after, value * 2])
    return chance.choice(ODD)


def alter(arrays, chance):
    """Change one of some arrays: another size, shape, kind of number, or an odd number in it."""
    if not arrays:
        return
    name = chance.choice(sorted(arrays))
    array = arrays[name].copy()
    how = chance.randrange(8)
    if how == 0:
        del arrays[name]
        return
    if how == 1:
        array = np.concatenate([array, array]) if array.ndim else array
    elif how == 2:
        array = array[: len(array) // 2] if array.ndim else array
    elif how == 3:
        array = array.reshape(-1) if array.ndim > 1 else array.reshape(1, -1)
    elif how == 4:
        with np.errstate(all="ignore"):
            array = array.astype(chance.choice(KINDS))
    elif array.size:
        odd = chance.choice([-1, 0, 2**31 - 1, 2**40, -(2**62), np.nan, np.inf, -np.inf, 1e308])
        with np.errstate(all="ignore"):
            array.reshape(-1)[chance.randrange(array.size)] = np.float64(odd).astype(array.dtype)
    arrays[name] = np.ascontiguousarray(array)
