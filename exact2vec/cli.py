"""The command line: arguments ↔ calls, nothing else. stdout is data, stderr is talk."""

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from exact2vec import __version__
from exact2vec.console import (
    FORCE,
    JSON,
    MAP,
    QUIET,
    WHICH,
    Commands,
    chosen,
    emit,
    fail,
    options,
    printable,
    silent,
    tell,
)
from exact2vec.errors import DivergedError, UsageError
from exact2vec.options import (
    COUNTING,
    OPTIONS,
    READING,
    TRAINING,
    strengths_of_new_rows,
    subword_lengths,
    validation_share,
)
from exact2vec.tables import finite

FOLD_IN_PRIOR = "strengths, the first of which pulls the new rows; needed where RUN has no prior  [default: RUN's]"
SUBWORDS_HELP = "character n-grams of these lengths describe a word; no: none  [default: 3-6 for words, no for --tokens space and --regex]"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="exact2vec")
def main() -> None:
    """Embeddings trained with the exact softmax negative log-likelihood.

    Try: exact2vec train python-docs -o runs/python-docs
    """


@main.command()
@click.argument("inputs", nargs=-1, metavar="INPUT…")
@click.option("-o", "--output", required=True, metavar="RUN", help="the run folder to write")
@options(READING + COUNTING + TRAINING)
@click.option(
    "--subwords",
    metavar="MIN-MAX",
    callback=lambda _, __, given: subword_lengths(given),
    help=SUBWORDS_HELP,
)
@click.option(
    "--features",
    metavar="FILE",
    help="what is known of rows beside their counts: .csv or .parquet of row, feature, value, or .npz",
)
@FORCE
@QUIET
def train(
    inputs: tuple[str, ...],
    output: str,
    subwords: dict[str, int],
    features: str | None,
    force: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Count, start, fit, and write everything to RUN.

    INPUT: text files (plain, .gz, .zst), folders, - for stdin, or python-docs. Example: exact2vec train corpus.txt -o runs/corpus
    """
    from exact2vec import runs

    folder = Path(output)
    runs.check_output(folder, force=force)
    given |= {"min_n": 3, "max_n": None} | subwords
    if given["prior"] is None and (given["max_n"] or features or given["rare"]):
        raise UsageError(
            "--subwords, --features and --rare need a prior: leave out --prior no, or leave them out"
        )
    context = click.get_current_context()
    if (
        context.get_parameter_source("max_epochs") is not ParameterSource.DEFAULT
        and given["epochs"] != "auto"
    ):
        raise UsageError(
            "--max-epochs is the limit of --epochs auto; with a number of epochs leave it out"
        )
    if given["rare"] and not given["prior"][0]:
        raise UsageError(
            "--rare needs a --prior whose first strength is above 0: it pulls the words that are contexts only"
        )
    from exact2vec.compiled import compilation_announced
    from exact2vec.counts.counting import count_text
    from exact2vec.counts.features import read_features
    from exact2vec.counts.read import Text
    from exact2vec.estimator import Exact2Vec
    from exact2vec.see import talk
    from exact2vec.see.progress import shown, waiting
    from exact2vec.see.report import QUICK_CELLS

    if not inputs and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError(
            "nothing to read: name a file, a folder or python-docs, or pipe text into the command"
        )
    text = Text(*(inputs or ("-",)), **chosen(READING, given))
    given["validation"] = validation_share(given["validation"], given["epochs"])
    known = read_features(features) if features else None
    say = silent if quiet else tell
    context.with_resource(compilation_announced(say))
    with waiting("reading and counting", quiet=quiet):
        counts = count_text(text, threads=given["threads"], **chosen(COUNTING, given))
    for note in text.notes:
        say(note)
    for line in talk.opening(
        counts,
        given["vector_size"],
        given["max_epochs"] if given["epochs"] == "auto" else given["epochs"],
        given["threads"],
    ):
        say(line)
    model = Exact2Vec(**chosen(COUNTING + TRAINING, given))
    provenance = {"inputs": list(inputs), "command": ["exact2vec", *sys.argv[1:]]}
    try:
        model.fit(
            counts,
            features=known,
            listen=lambda records: shown(records, len(counts.words), quiet=quiet),
        )
    except (DivergedError, KeyboardInterrupt) as error:
        if hasattr(model, "wv"):
            model.save(folder, force=force, provenance=provenance)
            why = str(error) if isinstance(error, DivergedError) else "interrupted"
            fail(
                f"{why}; {output} holds the last good vectors, of epoch {model.last_.epoch:g}",
                getattr(error, "exit_code", 130),
            )
        raise
    quick = counts.training.nnz <= QUICK_CELLS
    model.save(folder, force=force, provenance=provenance, report=quick)
    for line in talk.closing(model.wv, model.last_, output):
        say(line)
    say(
        f"     open {folder / 'report.html'} in a browser"
        if quick
        else f"     exact2vec report {output}"
    )


@main.command()
@click.argument("run")
@click.argument("expressions", nargs=-1, required=True, metavar="WORD…")
@click.option(
    "--given",
    is_flag=True,
    help="p(word | WORD…) in per cent and nats instead of neighbours; several words are one joint query",
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

    A word that was not trained is composed of its n-grams and features where they are known, and said to be.

    Example: exact2vec neighbors runs/python-docs server "list - string + number"
    """
    from exact2vec.see.talk import untrained_words
    from exact2vec.vectors.vectors import load, signed_words

    if weighted and not given:
        raise UsageError("--weighted needs --given: it says which p(word | …) is meant")
    if given and which != "sum":
        raise UsageError(
            "--which chooses the vectors of neighbours; p(word | …) with --given comes from inputs, outputs and biases together"
        )
    vectors = load(run)
    if given:
        words = [word for expression in expressions for word in expression.split()]
        for line in untrained_words(vectors, words, trained_only=trained_only)[1]:
            tell(line)
        log_p = vectors.log_probabilities(words, weighted=weighted)
        if topn > len(vectors):
            tell(f"{topn} words were asked for, there are {len(vectors)}")
        top = [vectors.index_to_key[place] for place in (-log_p).argsort(kind="stable")[:topn]]
        rows = [
            {
                "word": word,
                "p": math.exp(log_p[vectors.key_to_index[word]]),
                "nats": -float(log_p[vectors.key_to_index[word]]),
            }
            for word in top
        ]
        emit(
            rows if as_json else None,
            [
                ["word", "percent", "nats"],
                *([row["word"], f"{100 * row['p']:.4g}", f"{row['nats']:.4f}"] for row in rows),
            ],
        )
        return
    if repeated := [one for number, one in enumerate(expressions) if one in expressions[:number]]:
        tell(f"{repeated[0]!r} was asked more than once; it is answered once")
    signed = {one: signed_words(one) for one in expressions}
    told = {
        one: untrained_words(vectors, [*plus, *minus], trained_only=trained_only)
        for one, (plus, minus) in signed.items()
    }
    untrained = {one: mark for one, (mark, _) in told.items()}
    for line in (line for _, lines in told.values() for line in lines):
        tell(line)
    found = {
        one: vectors.most_similar(plus, minus, topn=topn, which=which)
        for one, (plus, minus) in signed.items()
    }
    if (most := max(map(len, found.values()))) < topn:
        tell(f"{topn} words were asked for, there are {most} besides those of the query")
    table = [
        ["query", "word", "cosine"],
        *(
            [one + untrained[one], word, f"{cosine:.4f}"]
            for one, near in found.items()
            for word, cosine in near
        ),
    ]
    emit(
        [
            {
                "query": one,
                "word": word,
                "cosine": cosine,
                "untrained": untrained[one].strip(" ()") or None,
            }
            for one, near in found.items()
            for word, cosine in near
        ]
        if as_json
        else None,
        table,
    )


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
@JSON
def evaluate(
    run: str,
    texts: tuple[str, ...],
    as_json: bool,
    similarity: tuple[str, ...],
    analogies: tuple[str, ...],
    document: str | None,
    encoding: str,
    errors: str,
    **extra: Any,
) -> None:
    """The exact NLL of RUN beside its baselines, computed anew; of new TEXT too.

    Example: exact2vec evaluate runs/python-docs news.txt
    """
    from exact2vec.compiled import compilation_announced
    from exact2vec.counts.counting import TEXT_SETTINGS
    from exact2vec.counts.read import Text
    from exact2vec.see import talk
    from exact2vec.vectors.evaluate import evaluate as evaluated
    from exact2vec.vectors.vectors import load

    click.get_current_context().with_resource(compilation_announced(tell))
    settings = {name: value for name, value in load(run).settings.items() if name in TEXT_SETTINGS}
    settings |= {"document": document} if document else {}
    text = Text(*texts, encoding=encoding, errors=errors, **settings) if texts else None
    found = evaluated(run, text, similarity=similarity, analogies=analogies, **extra)
    for note in text.notes if text else ():
        tell(note)
    emit(asdict(found) if as_json else None, talk.evaluation(found))


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

    INPUT: text, whose words that RUN does not know are the new rows, or one .csv, .parquet or .npz of row, word, count.
    Example: exact2vec fold-in runs/python-docs news.txt -o runs/with-news
    """
    from exact2vec import runs

    folder = Path(output)
    runs.check_output(folder, force=force)
    if folder.resolve() == Path(run).resolve():
        raise UsageError(
            f"{output} is the run itself, whose counts and history would be lost: name another folder"
        )
    from exact2vec.compiled import compilation_announced
    from exact2vec.counts.features import READERS, read_features, read_row_counts
    from exact2vec.see import talk
    from exact2vec.vectors.vectors import load

    click.get_current_context().with_resource(compilation_announced(tell))
    vectors = load(run)
    if len(inputs) > 1 and any(Path(name).suffix in READERS for name in inputs):
        raise UsageError(
            f"INPUT is text, or one table of row, word, count; got {len(inputs)}, tables among them"
        )
    if Path(inputs[0]).suffix in READERS:
        counts = read_row_counts(inputs[0])
    else:
        from exact2vec.counts.counting import TEXT_SETTINGS, count_new_words
        from exact2vec.counts.read import Text

        settings = {
            name: value for name, value in vectors.settings.items() if name in TEXT_SETTINGS
        }
        counts = count_new_words(
            Text(*inputs, encoding=encoding, errors=errors, **settings),
            vectors.vocabulary,
            vectors.weighting,
            vectors.settings,
            least=min_count,
        )
    found = vectors.fold_in(counts, read_features(features) if features else None, **extra)
    found.save(folder, force=force)
    for line in talk.folded(found, counts, output):
        tell(line)


@main.command()
@click.argument("run")
@click.argument("output", metavar="OUT.{vec,bin}")
@WHICH
@click.option(
    "--words",
    metavar="FILE",
    help="words, one a line, to write as well where they can be composed or were folded in",
)
@FORCE
def export(run: str, output: str, which: Any, words: str | None, force: bool) -> None:
    """Write the vectors as word2vec text (.vec, .txt) or binary (.bin), as gensim reads them.

    Example: exact2vec export runs/python-docs python-docs.vec
    """
    from exact2vec.vectors.formats import export as exported
    from exact2vec.vectors.formats import read_words
    from exact2vec.vectors.vectors import load

    if Path(output).exists() and not force:
        raise UsageError(f"{output} exists; use --force to replace it")
    vectors = load(run)
    asked = read_words(words) if words else []
    written = exported(vectors, output, which=which, words=asked)
    composed = f", {written - len(vectors):,} of them composed or folded in" if words else ""
    tell(f"{output}: {written:,} words{composed}, {vectors.vector_size} numbers each ({which})")


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("scores", nargs=-1, type=float, metavar="[SCORE…]")
@click.option("--target", type=int, help="the class whose loss and gradient to show")
@click.option("--steps", type=click.IntRange(1), help="steps of gradient descent on the scores")
@click.option("--rate", type=float, help="the step size of --steps  [default: 0.5]")
@click.option(
    "--figure",
    metavar="FILE",
    help="draw it (.svg, .png, .pdf): −log p with the classes on it, or the steps",
)
@FORCE
@JSON
def loss(
    scores: tuple[float, ...],
    target: int | None,
    steps: int | None,
    rate: float | None,
    figure: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Score, probability, −log p and gradient of each class; negative numbers need no --.

    Examples: exact2vec loss -1 2.3 .1 --target 0;  exact2vec loss --figure log.svg;
    exact2vec loss -1 .2 --target 0 --steps 10 --rate .5 --figure steps.svg
    """
    from exact2vec.loss.explain import descend, explain
    from exact2vec.see import figures

    if not scores and (steps or target is not None or not figure):
        raise UsageError(
            "no scores: name some, such as exact2vec loss -1 2.3 .1; only --figure alone, the curve of −log p, needs none"
        )
    if steps and target is None:
        raise UsageError("--steps needs --target, the class whose loss falls")
    if rate is not None and not steps:
        raise UsageError("--rate is the step size of --steps: name how many steps")
    found: Any = None
    if steps and target is not None:
        found = descend(scores, target, steps=steps, rate=0.5 if rate is None else rate)
    elif scores:
        found = explain(scores, target)
    if figure:
        figures.save(figures.of_loss(found, target), figure, force=force)
        tell(f"{figure}: written")
    if found:
        click.echo(json.dumps(finite(asdict(found))) if as_json else str(found))


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="RUN…")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="the page to write  [default: the first RUN with .html behind it]",
)
@MAP
@click.option(
    "--similarity", multiple=True, metavar="FILE", help="as in evaluate, with a 95 % interval"
)
@click.option(
    "--analogies", multiple=True, metavar="FILE", help="as in evaluate, with a 95 % interval"
)
@FORCE
def report(
    paths: tuple[str, ...],
    output: str | None,
    plane: str,
    similarity: tuple[str, ...],
    analogies: tuple[str, ...],
    force: bool,
) -> None:
    """One offline HTML page of a run: curves, loss by frequency, calibration, words, map; several runs overlaid where they compare.

    Example: exact2vec report runs/python-docs
    """
    from exact2vec.see.report import report as written

    out = written(
        *paths, output=output, force=force, plane=plane, similarity=similarity, analogies=analogies
    )
    tell(f"{out}: {out.stat().st_size / 1e6:.1f} MB; open it in a browser")


@main.command()
@click.argument("run", required=False)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    help="write FOLDER/index.html instead of serving it: it opens from disk, and on any static host",
)
@click.option(
    "--port",
    default=8765,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="of 127.0.0.1; where it is in use, the next free one",
)
@MAP
@FORCE
def explore(run: str | None, output: str | None, port: int, plane: str, force: bool) -> None:
    """A page to play with the loss, and with RUN to look at its words; nothing leaves this machine.

    Examples: exact2vec explore;  exact2vec explore runs/python-docs;  exact2vec explore -o playground
    """
    from exact2vec.see.explore import explorer, write_folder

    if output:
        tell(
            f"{write_folder(output, run, force=force, plane=plane)}: written; open it in a browser"
        )
        return
    from exact2vec.see.serve import serve
    from exact2vec.vectors.vectors import load

    page = explorer(run, served=True, plane=plane)
    serve(
        page,
        load(run) if run else None,
        port=port,
        ready=lambda address: tell(f"{address} (Ctrl-C stops it)"),
    )


@main.command()
@click.argument("run")
def check(run: str) -> None:
    """Verify the SHA-256 of every file of RUN.

    Example: exact2vec check runs/python-docs
    """
    from exact2vec import runs

    for name, size in runs.open_run(Path(run)).check():
        click.echo(f"{size:>12,} bytes  {printable(name)}")
    tell(f"{run}: every file is as it was written")


def run() -> None:
    """The console entry point."""
    main(prog_name="exact2vec")
