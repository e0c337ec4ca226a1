"""The commands that ask a run: neighbors, evaluate, fold-in, export."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from exact2vec.cli.edges import edge_files
from exact2vec.cli.inputs import refuse_flags_of_files
from exact2vec.cli.support import (
    FORCE,
    JSON,
    WHICH,
    announce_compilation,
    emit,
    main,
    options,
    tell,
    text_like,
)
from exact2vec.display import spinner
from exact2vec.errors import UsageError
from exact2vec.options import OPTIONS, strengths_of_new_rows

ITEM_FORM = ("group_by", "item", "weight", "separator")
EDGE_ENDS = ("source", "target")
FOLD_IN_PRIOR = (
    "strengths, the first of which pulls the new rows; needed where RUN has no prior  "
    "[default: RUN's]"
)


@main.command()
@click.argument("run")
@click.argument("expressions", nargs=-1, required=True, metavar="WORD…")
@click.option(
    "--given",
    is_flag=True,
    help="p(word | WORD…) in per cent and nats instead of neighbours; "
    "several words are one joint query",
)
@click.option(
    "--weighted", is_flag=True, help="with --given: the model's own p, subsampling not divided out"
)
@click.option(
    "-n", "--topn", default=10, show_default=True, type=click.IntRange(1), help="how many words"
)
@click.option(
    "--trained-only",
    is_flag=True,
    help="refuse words that were not trained instead of composing them",
)
@WHICH
@JSON
def neighbors(
    run: str,
    expressions: tuple[str, ...],
    given: bool,
    weighted: bool,
    topn: int,
    trained_only: bool,
    which: Any,
    as_json: bool,
) -> None:
    """The words nearest to each WORD by cosine, or to an expression such as "king - man + woman".

    Of baskets and tables they are items, of edges nodes.

    A word that was not trained is composed of its n-grams and features where they are known,
    and said to be.

    Example: exact2vec neighbors runs/python-docs server "list - string + number"
    """
    announce_compilation(tell)
    from exact2vec.cli import messages
    from exact2vec.vectors.vectors import load

    if weighted and not given:
        raise UsageError("--weighted needs --given: it says which p(word | …) is meant")
    if given and which:
        raise UsageError(
            "--which chooses the vectors of neighbours; p(word | …) with --given comes from "
            "inputs, outputs and biases together"
        )
    vectors = load(run)
    if given:
        words = [
            word
            for expression in expressions
            for word in ([expression] if expression in vectors.spaces else expression.split())
        ]
        answer = messages.probable_words(
            vectors, words, topn, trained_only=trained_only, weighted=weighted
        )
    else:
        answer = messages.near_words(
            vectors, expressions, topn, trained_only=trained_only, which=which
        )
    for line in answer.notes:
        tell(line)
    emit(answer.data if as_json else None, answer.table)


@main.command()
@click.argument("run")
@click.argument("texts", nargs=-1, metavar="[TEXT…]")
@click.option(
    "--similarity",
    multiple=True,
    metavar="FILE",
    help="lines: word TAB word TAB score; Spearman's rank correlation",
)
@click.option(
    "--analogies",
    multiple=True,
    metavar="FILE",
    help="lines: a b c answer; share answered by the nearest word",
)
@click.option(
    "--labels",
    multiple=True,
    metavar="FILE",
    help="nodes: lines of node TAB label, several for a node with several; F1 of logistic "
    "regression over ten splits",
)
@click.option(
    "--edges",
    multiple=True,
    metavar="FILE",
    help="nodes: edges that were not trained on, one a line; AUC beside that of degrees",
)
@click.option(
    "--restrict",
    default=30_000,
    show_default=True,
    type=click.IntRange(4),
    help="analogies among this many most frequent words",
)
@WHICH
@click.option(
    "--document",
    type=click.Choice(OPTIONS["document"].choices),
    help="what a document of TEXT is  [default: as in the run]",
)
@options([OPTIONS[name] for name in ("encoding", "errors", "threads")])
@options([OPTIONS[name] for name in (*ITEM_FORM, *EDGE_ENDS)])
@JSON
def evaluate(
    run: str,
    texts: tuple[str, ...],
    as_json: bool,
    document: str | None,
    encoding: str,
    errors: str,
    labels: tuple[str, ...],
    edges: tuple[str, ...],
    **extra: Any,
) -> None:
    """The exact NLL of RUN beside its baselines, computed anew; of new TEXT too.

    Of baskets and tables: how well the items of held-out rows are recommended, beside popularity
    and item-kNN, with 95 % intervals over rows. Of new rows instead, where TEXT names files of
    them: what RUN holds of a row's name is its context, rows of other names are cut in two.
    Examples: exact2vec evaluate runs/python-docs news.txt;
    exact2vec evaluate runs/orders new.csv --group-by user --item item
    """
    announce_compilation(tell)
    from exact2vec.cli import messages, node_messages
    from exact2vec.cli.recommendations import measures_said, measures_table, ranking
    from exact2vec.storage.run_folder import open_run
    from exact2vec.vectors.evaluate import evaluate as evaluated
    from exact2vec.vectors.evaluate_nodes import run_of_nodes
    from exact2vec.vectors.vectors import load

    text, opened = None, open_run(run)
    form = {name: extra.pop(name) for name in (*ITEM_FORM, *EDGE_ENDS)}
    form |= {"encoding": encoding, "errors": errors}
    ranked = ranking(opened, texts, form, extra["threads"])
    if not texts or ranked is None:
        item_flags = [name for name in ITEM_FORM if not (edges and name == "separator")]
        refuse_flags_of_files(item_flags, "files of rows of items")
    if not edges:
        refuse_flags_of_files(EDGE_ENDS, "files of --edges")
    if texts and ranked is None:
        changed = {"document": document} if document else {}
        text = text_like(load(opened), texts, encoding=encoding, errors=errors, **changed)
    with spinner("reading edges", quiet=not edges):
        given = edge_files(edges, form)
    for note in [note for one in given.values() for note in one.notes.all]:
        tell(note)
    how = {name: extra[name] for name in ("which", "threads")}
    nodes = run_of_nodes(opened, labels, given, node_messages.watched_splits, **how)
    found = evaluated(opened, text, **extra)
    for note in text.notes if text else ():
        tell(note)
    for note in node_messages.notes(nodes) if nodes else ():
        tell(note)
    data = asdict(found) | (asdict(nodes) if nodes else {})
    data |= {"items": asdict(ranked[0])} if ranked else {}
    table = messages.evaluation(found) + (node_messages.evaluation(nodes) if nodes else [])
    emit(data if as_json else None, table)
    if ranked and not as_json:
        emit(None, measures_table(ranked[0]))
    if ranked:
        for line in [*ranked[1], measures_said(ranked[0])]:
            tell(line)


@main.command("fold-in")
@click.argument("run")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT…")
@click.option("-o", "--output", required=True, metavar="OUT", help="the folder of vectors to write")
@click.option(
    "--features", metavar="FILE", help="features of the new rows, among those that were trained"
)
@click.option(
    "--min-count",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="text: new words counted less often are left out",
)
@options([OPTIONS[name] for name in ("encoding", "errors", "threads")])
@click.option(
    "--prior",
    metavar="STRENGTHS",
    callback=lambda _, __, given: given and strengths_of_new_rows(given),
    help=FOLD_IN_PRIOR,
)
@FORCE
def fold_in(
    run: str,
    inputs: tuple[str, ...],
    output: str,
    features: str | None,
    min_count: int,
    encoding: str,
    errors: str,
    force: bool,
    **extra: Any,
) -> None:
    """Input vectors for new rows, outputs fixed: RUN with them beside its words goes to OUT.

    INPUT: text, whose words that RUN does not know are the new rows, or one .csv, .parquet or
    .npz of row, word, count.
    Example: exact2vec fold-in runs/python-docs news.txt -o runs/with-news
    """
    from exact2vec.storage import run_folder

    folder = Path(output)
    run_folder.check_output(folder, force=force)
    if folder.resolve() == Path(run).resolve():
        raise UsageError(
            f"{output} is the run itself, whose counts and history would be lost: "
            "name another folder"
        )
    announce_compilation(tell)
    from exact2vec.cli import messages
    from exact2vec.counts.counting import count_new_words
    from exact2vec.counts.feature_files import READERS, read_features, read_row_counts
    from exact2vec.vectors.vectors import load

    vectors = load(run)
    if len(inputs) > 1 and any(Path(name).suffix in READERS for name in inputs):
        raise UsageError(
            f"INPUT is text, or one table of row, word, count; got {len(inputs)}, tables among them"
        )
    if Path(inputs[0]).suffix in READERS:
        counts = read_row_counts(inputs[0])
    else:
        text = text_like(vectors, inputs, encoding=encoding, errors=errors)
        counted_like = vectors.vocabulary, vectors.weighting, vectors.settings
        counts = count_new_words(text, *counted_like, least=min_count)
    found = vectors.fold_in(counts, read_features(features) if features else None, **extra)
    found.save(folder, force=force)
    for line in messages.folded(found, counts, output):
        tell(line)


@main.command()
@click.argument("run")
@click.argument("output", metavar="OUT.{vec,bin}")
@WHICH
@click.option(
    "--also",
    metavar="FILE",
    help="words, one a line, to write as well where they can be composed or were folded in",
)
@click.option("--words", metavar="FILE", hidden=True)  # its former name
@FORCE
def export(
    run: str, output: str, which: Any, also: str | None, words: str | None, force: bool
) -> None:
    """Write the vectors as word2vec text (.vec, .txt) or binary (.bin), as gensim reads them.

    Example: exact2vec export runs/python-docs python-docs.vec
    """
    announce_compilation(tell)
    from exact2vec.vectors.formats import export as exported
    from exact2vec.vectors.formats import read_words
    from exact2vec.vectors.vectors import load

    if Path(output).exists() and not force:
        raise UsageError(f"{output} exists; use --force to replace it")
    vectors = load(run)
    others = also or words
    asked = read_words(others) if others else []
    which = which or "embedding"
    written = exported(vectors, output, which=which, words=asked)
    more = written - len(vectors.axes.names(which))
    composed = f", {more:,} of them composed or folded in" if others else ""
    names = f"{vectors.kind.number(written)}{composed}"
    tell(f"{output}: {names}, {vectors.vector_size} numbers each ({which})")
