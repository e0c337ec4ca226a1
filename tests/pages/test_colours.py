"""Lines that differ in colour differ for every colour vision, and never in colour alone.

This holds on the pages and in the figures.
"""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from exact2vec.pages import figures
from exact2vec.pages.html import PARTS

# Linear RGB as seen without L, M or S cones, full severity.
# Source: Machado, Oliveira and Fernandes 2009, table 1.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
STYLE = Path(PARTS / "page.css").read_text("utf-8")


def lab(colour, vision):
    rgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def palettes():
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")[:2]
    found = {"figures": list(figures.COLOURS)}
    for scheme, text in (("light", light), ("dark", dark)):
        colour = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", text))
        found[f"lines, {scheme}"] = [colour[f"k{number}"] for number in range(4)]
        found[f"p, y and arrow, {scheme}"] = [colour[name] for name in ("p", "y", "arrow")]
    return found


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("name", palettes())
def test_colours_are_told_apart_by_every_eye(name, vision):
    for one, other in itertools.combinations(palettes()[name], 2):
        assert np.linalg.norm(lab(one, vision) - lab(other, vision)) > 10, (one, other)


def test_no_two_lines_differ_in_colour_alone():
    dashes = [
        re.search(rf"\.kind{number} {{ stroke: [^;]*; (?:stroke-dasharray: ([\d ]+); )?}}", STYLE)[
            1
        ]
        for number in range(4)
    ]
    assert len(set(dashes)) == 4
    assert len(set(figures.DASHES)) == len(figures.COLOURS) == 4
