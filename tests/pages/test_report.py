"""The report: its numbers, its charts, and which runs it overlays."""

import inspect
import json
import re

import pytest
from command_line import call
from hostile import WORDS, model, sentences
from page_reading import SEARCH, address

import exact2vec as e2v
from exact2vec.errors import InputError, UsageError
from exact2vec.pages import report as reports
from exact2vec.pages.run_view import stored_run

SMALL = ["--vector-size=4", "--min-count=1", "--epochs=1", "--tokens=space"]


def data_of(path):
    return json.loads(
        re.search(
            r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL
        )[1]
    )


def test_the_report_command_writes_one_page_beside_the_run(runs, tmp_path):
    similarity, analogies = tmp_path / "pairs.tsv", tmp_path / "questions.txt"
    similarity.write_text("sun\tmoon\t9\nsun\tdog\t1\ndog\tcat\t8\ncow\thorse\t7\nsky\tnosuch\t3\n")
    analogies.write_text("sun moon dog cat\nsun star cow horse\n")
    arguments = ["report", runs / "one", "--similarity", similarity, "--analogies", analogies]
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    path = runs / "one.html"
    assert f"{path}: " in result.stderr.replace("\n", "")
    assert path.stat().st_size < 7e6
    data = data_of(path)
    rows = {row[0]: row[1:] for row in data["runs"][0]["evaluation"]}
    summary = json.loads((runs / "one" / "summary.json").read_text())
    assert rows["held-out NLL"][0] == summary["held_out"]["nll"]
    found = e2v.evaluate(runs / "one", similarity=[similarity], analogies=[analogies])
    assert rows["Spearman's ρ, pairs.tsv"][0] == found.similarity[str(similarity)].rho
    assert rows["Spearman's ρ, pairs.tsv"][2] == "4 pairs, 20.00 % out of vocabulary"
    low, high = map(float, rows["analogies, questions.txt"][1].split(" .. "))
    assert low <= rows["analogies, questions.txt"][0] <= high
    read = dict(data["read"])
    dropped = sum(value for name, value in data["read"] if name.startswith("dropped"))
    assert (
        read["tokens read"]
        == read["tokens kept for training"] + read["tokens held out"] + dropped
        == 2100
    )
    again = call(*arguments)
    assert (again.exit_code, "use --force" in again.stderr) == (2, True)


def test_best_and_worst_are_by_gain_over_the_unigram(runs, monkeypatch):
    monkeypatch.setattr(reports, "LEAST_PAIRS", 5.0)
    run = stored_run(runs / "one")
    best, worst = (
        reports.word_predictions(run, best=True),
        reports.word_predictions(run, best=False),
    )
    gains = [row[4] for row in best]
    assert gains == sorted(gains, reverse=True)
    assert worst[0][4] <= gains[-1]
    assert all(row[4] == pytest.approx(row[3] - row[2]) for row in best)


def test_runs_that_do_not_compare_are_not_overlaid(runs):
    reports.refuse_overlay([stored_run(runs / "one"), stored_run(runs / "two")])
    with pytest.raises(InputError, match="do not compare"):
        reports.report(runs / "one", runs / "other", output=runs / "x.html")
    assert not (runs / "x.html").exists()
    nothing_held = [model(held_out=0, window=window) for window in (5, 5, 2)]
    for number, one in enumerate(nothing_held):
        one.save(runs / f"nothing{number}")
    first, second, third = (stored_run(runs / f"nothing{number}") for number in range(3))
    assert first.comparable == second.comparable != third.comparable
    assert reports.run_data(first, "pca")["bands"].keys() == {"training"}
    assert reports.evaluation_rows(first, [], [])[1] == ["held-out NLL", None, "", "nothing"]


def test_train_writes_a_report_of_the_run_and_says_so(tmp_path):
    (tmp_path / "text.txt").write_text(
        "\n".join(
            " ".join(word for word in words if len(word.split()) == 1) for words in sentences()
        )
    )
    result = call("train", tmp_path / "text.txt", "-o", tmp_path / "run", *SMALL)
    assert result.exit_code == 0, result.output
    assert f"open {tmp_path / 'run' / 'report.html'} in a browser" in result.stderr
    (tmp_path / "elsewhere.html").write_bytes((tmp_path / "run" / "report.html").read_bytes())
    inside = data_of(tmp_path / "run" / "report.html")
    reports.report(tmp_path / "run", output=tmp_path / "again.html")
    again = data_of(tmp_path / "again.html")
    assert inside == again
    assert call("check", tmp_path / "run").exit_code == 0
    result = call("train", tmp_path / "text.txt", "-o", tmp_path / "run", *SMALL, "--force")
    assert result.exit_code == 0, result.output


def test_a_folder_without_counts_is_refused(runs, tmp_path):
    e2v.load(runs / "one").save(tmp_path / "vectors")
    with pytest.raises(InputError, match="not a trained run with its counts"):
        reports.report(tmp_path / "vectors")


def test_every_token_is_accounted_for_with_a_validation_part_and_words_that_are_contexts_only(
    tmp_path,
):
    texts = [f"sun moon dog cat w{number % 70} v{number}" for number in range(400)]
    counts = e2v.count_text(texts, min_count=9, held_out=0.2, validation=0.3, rare=5)
    e2v.Exact2Vec(vector_size=2, epochs=1, rare=5).fit(counts).save(tmp_path / "run")
    rows = dict(reports.read_rows(stored_run(tmp_path / "run")))
    parts = (
        "tokens kept for training",
        "tokens held out",
        "tokens kept for validation",
        "tokens that are contexts only (--rare)",
    )
    assert all(rows[part] > 0 for part in parts)
    assert (
        sum(rows[part] for part in parts)
        + sum(rows[name] for name in rows if name.startswith("dropped"))
        == rows["tokens read"]
        == 2400
    )
    cells = re.findall(r"<td>([^<]+)</td><td>([\d,]+)</td>", counts._repr_html_())
    shown = {name: int(number.replace(",", "")) for name, number in cells}
    assert shown["tokens read"] == sum(
        shown[name]
        for name in ("for training", "held out", "for validation", "context only", "dropped")
    )


def test_a_report_of_nothing_and_a_kind_of_vectors_that_does_not_exist_are_refused():
    with pytest.raises(UsageError, match="at least one run"):
        e2v.report()
    vectors = (
        e2v.Exact2Vec(vector_size=2, epochs=1, min_count=1)
        .fit([["sun", "moon"], ["dog", "cat"]] * 20)
        .wv
    )
    with pytest.raises(
        UsageError,
        match="which must be one of embedding, sum, inputs, outputs, composed; got 'bogus'",
    ):
        inspect.unwrap(e2v.Vectors.vector)(vectors, "sun", "bogus")


def test_hostile_words_and_names_are_text_in_the_report(visit, site):
    page = visit(address(site / "report.html"))
    page.wait_for_selector("#training .legendtext")
    assert (
        page.evaluate(
            "document.images.length + document.querySelectorAll('iframe, object, svg a').length"
        )
        == 0
    )
    listed = page.eval_on_selector_all(
        "#best .word, #worst .word", "all => all.map(one => one.textContent)"
    )
    assert set(listed) >= {
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "{{7*7}}",
    }
    legend = page.eval_on_selector_all(
        "#training .legendtext", "all => all.map(one => one.textContent)"
    )
    assert "<b>other: training" in legend
    for word in WORDS:
        page.evaluate(
            SEARCH,
            word,
        )
        assert (
            page.evaluate("document.querySelector('#neighbours th span').textContent")
            == f"near {word}"
        )
    assert page.evaluate("document.images.length") == 0


def test_the_charts_of_the_report_hold_the_runs(visit, site):
    page = visit(address(site / "report.html"))
    page.wait_for_selector("#calibration .legendtext")
    traces = page.evaluate(
        "document.getElementById('training').data.map(one => [one.name, one.x, one.y])"
    )
    histories = {
        name: [
            json.loads(line) for line in (site / name / "history.jsonl").read_text().splitlines()
        ]
        for name in ("hostile", "<b>other")
    }
    assert [name for name, _, _ in traces] == [
        "hostile: training",
        "hostile: held-out",
        "&lt;b&gt;other: training",
        "&lt;b&gt;other: held-out",
    ]
    for (_, x, y), (name, column) in zip(
        traces,
        [(name, column) for name in histories for column in ("nll", "held_out_nll")],
        strict=True,
    ):
        assert x == [row["epoch"] for row in histories[name]]
        assert y == [row[column] for row in histories[name]]
    objective = [row.get("objective") for row in histories["hostile"]]
    assert page.locator("#objectiveBox").is_visible() == any(objective)
    if any(objective):
        assert page.evaluate("document.getElementById('objective').data[0].y") == objective
    assert page.locator("#settings b").all_inner_texts()[:3] == ["epochs", "2", "3"]
    bands = page.evaluate("document.getElementById('contextBands').data.map(one => one.name)")
    assert bands[::2] == [
        "hostile: training, κ 150, 500",
        "&lt;b&gt;other: training, no shrinkage",
        "unigram, held-out",
    ]
    page.locator("#run").select_option("1")
    assert page.locator("#neighbours tbody tr").count() == 8
