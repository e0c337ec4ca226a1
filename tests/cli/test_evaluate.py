"""The command `evaluate`: documents and tokens of the new text."""

import json

from command_line import call, evaluated

import exact2vec as e2v


def test_evaluate_takes_another_document_than_the_run(run, tmp_path):
    (tmp_path / "new.txt").write_text("the cat\nsat on\n\na dog\nran\n")
    found = [
        json.loads(call("evaluate", run, tmp_path / "new.txt", "--json", *flags).stdout)["new_text"]
        for flags in ([], ["--document", "paragraph"])
    ]
    assert [text["pairs"] for text in found] == [6, 18]


def test_cased_tokens_given_in_python_are_found_by_the_command_line(tmp_path):
    e2v.Exact2Vec(vector_size=2, held_out=0).fit([["Cat", "Dog", "Cow"]] * 40).save(
        tmp_path / "run"
    )
    (tmp_path / "new.txt").write_text("Cat Dog Cow")
    found = evaluated(tmp_path / "run", tmp_path / "new.txt")["new_text"]
    assert (found["out_of_vocabulary"], found["nll_interval"]) == (0, None)
    shown = call("evaluate", tmp_path / "run", tmp_path / "new.txt")
    assert "none (one document)" in shown.stdout
