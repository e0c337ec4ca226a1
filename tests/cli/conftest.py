"""A small run that the tests of the commands ask about."""

import pytest
from command_line import GOOD, train


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    (folder / "good.txt").write_text(GOOD)
    result = train(folder, folder / "good.txt", "--min-count", "2")
    assert result.exit_code == 0, result.output
    return folder / "run"
