"""README's blocks run; what depends on the Python or the processor is checked by its properties."""

import re
import shlex
from pathlib import Path

import checkpoints
import demo_seconds
import embedding
import forecast
import fuzzing
import graphs
import grid
import item_recommend
import item_sampled
import items
import large_graph
import losses
import pairs_memory
import peers_table
import products
import pytest
import rare
import raw
import speed_table
import start
import steps
import training
import training_pass
from processes import output_of

from exact2vec import cli

README = Path(__file__).parents[2] / "README.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("readme")


def test_the_twelve_lines(folder):
    code = blocks("python")[0]
    assert len(code.strip().splitlines()) <= 13
    printed = output_of("-c", code, folder=folder)
    losses = [
        tuple(map(float, re.findall(r"\d+\.\d+", line)))
        for line in printed.splitlines()
        if line.startswith("epoch")
    ]
    assert len(losses) == 3
    assert losses == sorted(losses, reverse=True)
    neighbours = dict(line.split(" → ") for line in printed.splitlines() if " → " in line)
    assert {"request", "client", "response", "localhost", "serve"} & set(
        neighbours["server"].split(", ")
    )
    assert f"held-out, computed anew: {losses[-1][1]:.4f}" in printed


def test_the_table_and_the_loss_print_what_they_show(folder):
    _, table, loss = blocks("python")
    _, shown = blocks("text")
    printed = [output_of("-c", code, folder=folder) for code in (table, loss)]
    numbers = [list(map(float, re.findall(r"\d\.\d+", text))) for text in (printed[0], shown)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.01)  # printed with two digits
    assert re.sub(r"\d\.\d+", "", printed[0]) == re.sub(r"\d\.\d+", "", shown)
    assert printed[1] == "the same loss as torch's: True\n"


def test_prose_is_short():
    """Sentences of at most 25 words, at most two numbers in a hundred words."""
    text = re.sub(r"<!-- training -->.*<!-- /training -->", "", README.read_text(), flags=re.DOTALL)
    text = re.sub(r"^```.*?^```$|^    .*$|^\|.*$|^#.*$|!\[.*$", "", text, flags=re.M | re.DOTALL)
    text = re.sub(r"\]\([^)]*\)|`", "", text)
    for sentence in re.split(r"[.:;](?:\s|$)|\n\n|^- ", text, flags=re.M):
        assert len(sentence.split()) <= 25, sentence
    numbers = [word for word in text.split() if re.match(r"\W*\d", word)]
    assert len(numbers) <= 0.02 * len(text.split()), numbers


def test_the_commands(folder):
    commands = [line for line in blocks("sh")[1].splitlines() if line]
    assert len(commands) == 6
    named = {shlex.split(command)[1] for command in commands} | {
        "loss",
        "explore",
        "report",
        "recommend",
    }
    assert named == set(cli.main.commands)
    for command in commands:
        output_of("-m", *shlex.split(command), folder=folder)
    assert (folder / "runs" / "python-docs.vec").read_text().split("\n", 1)[0].split()[1] == "100"


def test_what_is_to_be_seen(folder):
    for command in [line for line in blocks("sh")[2].splitlines() if line]:
        output_of("-m", *shlex.split(command), folder=folder)
    for path in (
        "log.svg",
        "steps.svg",
        "playground/index.html",
        "words/index.html",
        "runs/python-docs.html",
    ):
        assert (folder / path).stat().st_size > 10_000, path
    for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", README.read_text()):
        assert (README.parent / picture).read_bytes().startswith((b"\x89PNG", b"<?xml")), picture
        assert (README.parent / picture).stat().st_size < 200_000, picture


def test_console_blocks_print_what_they_show():
    for block in blocks("console"):
        command, *expected = block.splitlines()
        printed = output_of("-m", *shlex.split(command.removeprefix("$ ")))
        assert printed.splitlines() == expected


def test_the_measured_table_is_what_was_measured():
    rows = raw.read(raw.RESULTS / "training.jsonl")
    assert training.table(rows) in README.read_text()
    for row in rows[:3]:  # the last line has the seconds of the parts
        assert row["tokens_unaccounted"] == 0
        assert row["relative_difference_recomputed"] < 1e-6


TABLES = [
    (peers_table.table, "peers", "docs/measured.md"),
    (speed_table.tables, "speed", "docs/measured.md"),
    (grid.table, "grid", "docs/measured.md"),
    (graphs.table, "graphs", "docs/measured.md"),
    (graphs.table_of_settings, "graphs", "docs/measured.md"),
    (large_graph.table, "large_graph", "docs/measured.md"),
    (steps.table, "steps", "docs/measured.md"),
    (start.table, "start", "docs/measured.md"),
    (embedding.table, "embedding", "docs/measured.md"),
    (items.table, "items", "docs/measured.md"),
    (item_recommend.table, "item_recommend", "docs/measured.md"),
    (item_sampled.table, "item_sampled", "docs/measured.md"),
    (training_pass.table, "training_pass", "docs/measured.md"),
    (products.table, "products", "docs/measured.md"),
    (demo_seconds.table, "demo", "docs/measured.md"),
    (forecast.table, "forecast", "docs/scale.md"),
    (pairs_memory.table, "pairs_memory", "docs/scale.md"),
    (checkpoints.table, "checkpoints", "docs/scale.md"),
    (fuzzing.table, "fuzzing", "SECURITY.md"),
    (losses.table, "losses", "docs/torch.md"),
    (rare.sets_table, "rare", "docs/choosing.md"),
    (rare.small_table, "rare", "docs/measured.md"),
    (rare.strengths_table, "rare", "docs/measured.md"),
    (rare.rare_lines, "rare", "docs/choosing.md"),
]


@pytest.mark.parametrize(
    ("table", "results", "page"),
    TABLES,
    ids=[f"{table.__module__}.{table.__name__}" for table, *_ in TABLES],
)
def test_the_measured_tables_are_those_of_the_raw_results(table, results, page):
    assert table(raw.read(raw.RESULTS / f"{results}.jsonl")) in (README.parent / page).read_text()


def test_what_is_said_of_the_other_tools_is_in_the_raw_lines():
    rows = raw.read(raw.RESULTS / "peers.jsonl")
    runs = peers_table.runs_of(rows)
    less = {(row["difference"], row["from"]): row for row in rows if "difference" in row}
    seeds = ["", ", seed 2", ", seed 3"]
    ours = [f"exact2vec, 2 epochs{seed}" for seed in seeds]

    def pairs(tool):
        return list(zip(ours, [f"{tool}, 5 epochs{seed}" for seed in seeds], strict=True))

    def times(pair):
        return runs[pair[1]]["seconds"] / runs[pair[0]]["seconds"]

    def syntactic(pair):
        return less[pair]["Google syntactic"]["value"]

    said = (README.parent / "docs" / "measured.md").read_text()
    sgns, gensim = pairs("gensim SGNS"), pairs("gensim FastText skipgram")
    assert "in less than a fifth of its time" in said
    assert min(map(times, sgns)) > 5
    gaps = sorted(map(syntactic, gensim))
    assert f"{-gaps[-1]:.3f} to {-gaps[0]:.3f} below".replace("0.", ".") in said
    three = [
        syntactic((f"exact2vec, 3 epochs{seed}", pair[1]))
        for seed, pair in zip(seeds, gensim, strict=True)
    ]
    span = f"from {-min(three):.3f} below to {max(three):.3f} above".replace("0.", ".")
    assert f"Three epochs are level with it there: {span}" in said
    four = syntactic(("exact2vec, 4 epochs", gensim[0][1]))
    assert f"four epochs are {four:.3f} above".replace("0.", ".") in said
    assert "The default takes an eleventh of its time, three epochs a ninth" in said
    assert min(map(times, gensim)) == pytest.approx(11, abs=0.5)
    longer = [
        (f"exact2vec, 3 epochs{seed}", pair) for seed, pair in zip(seeds, gensim, strict=True)
    ]
    assert [round(times((name, pair[1]))) for name, pair in longer] == pytest.approx([9] * 3, abs=1)
    more = [runs[name]["seconds"] / runs[pair[0]]["seconds"] for name, pair in longer]
    assert sorted(more)[1] == pytest.approx(1.25, abs=0.02)  # of decisions/training.md
    assert "in a fifteenth of its time" in said
    for name in ours:
        assert times((name, "fastText skipgram, 5 epochs")) > 15
        assert syntactic((name, "fastText skipgram, 5 epochs")) > 0.02
