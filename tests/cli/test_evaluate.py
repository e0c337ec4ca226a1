"""The command `evaluate`: documents and tokens of the new text."""

import json

from command_line import call


def test_evaluate_takes_another_document_than_the_run(run, tmp_path):
    (tmp_path / "new.txt").write_text("the cat\nsat on\n\na dog\nran\n")
    found = [
        json.loads(call("evaluate", run, tmp_path / "new.txt", "--json", *flags).stdout)["new_text"]
        for flags in ([], ["--document", "paragraph"])
    ]
    assert [text["pairs"] for text in found] == [6, 18]
