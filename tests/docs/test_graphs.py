"""The guide of graphs runs, and what it prints has the properties that it tells."""

import re
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "graphs.md"


def test_the_guide_runs(capsys):
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    scope = {}
    for block in blocks:
        exec(block, scope)
    said = capsys.readouterr().out
    assert int(re.search(r"(\d+) of 34 members", said)[1]) >= 32
    model, degrees = map(float, re.search(r"AUC (\S+), by degrees alone (\S+)", said).groups())
    assert 0 <= degrees <= 1
    assert 0 <= model <= 1
    assert re.search(r"perhaps missing: \['\d+', '\d+', '\d+'\]", said)
