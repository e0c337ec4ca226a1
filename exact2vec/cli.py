"""The command line: arguments ↔ calls, nothing else. stdout is data, stderr is talk."""

import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from exact2vec import __version__
from exact2vec.errors import DivergedError, Exact2VecError, ResourceError, UsageError
from exact2vec.options import COUNTING, OPTIONS, READING, TRAINING, Option, subword_lengths

Command = TypeVar("Command", bound=Callable[..., Any])
WHICH = click.option(
    "--which",
    type=click.Choice(["sum", "inputs", "outputs", "composed"]),
    default="sum",
    show_default=True,
    help="vectors: inputs + outputs, one of them, or what is composed of n-grams and features",
)
JSON = click.option("--json", "as_json", is_flag=True, help="print JSON")
OUT_OF_MEMORY = "out of memory: use --max-vocab, a larger --min-count or a smaller --vector-size"
QUIET = click.option("-q", "--quiet", is_flag=True, help="say nothing on stderr but errors")
FORCE = click.option("--force", is_flag=True, help="replace an existing output")


FOLD_IN_PRIOR = "strengths, the first of which pulls the new rows; needed where RUN has no prior  [default: RUN's]"
SUBWORDS_HELP = "character n-grams of these lengths describe a word; no: none  [default: 3-6 for words, no for --tokens space and --regex]"
SUBWORDS = ("min_n", "max_n")  # one flag, --subwords


class Commands(click.Group):
    """Turns every Exact2VecError into one line and its exit code; lists the commands in the order of their use."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)

    def main(self, *args: Any, **extra: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **extra)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except Exact2VecError as error:
            fail(str(error), error.exit_code)
        except MemoryError:
            fail(OUT_OF_MEMORY, ResourceError.exit_code)
        except KeyboardInterrupt:
            fail("interrupted", 130)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from None
        except OSError as error:
            fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error), ResourceError.exit_code)
        except RuntimeError as error:
            if "allocate memory" not in str(error):
                raise
            fail(OUT_OF_MEMORY, ResourceError.exit_code)


def fail(message: str, code: int) -> None:
    click.echo(f"exact2vec: {printable(message)}", err=True)
    raise click.exceptions.Exit(code)


def _said(default: Any) -> str:
    """A default as it is typed."""
    return ",".join(f"{number:g}" for number in default) if isinstance(default, tuple) else f"{default:g}" if isinstance(default, float) else str(default)


def options(table: Sequence[Option]) -> Callable[[Command], Command]:
    """A flag for each option of a table, checked by the table's own `parse`."""

    def decorate(command: Command) -> Command:
        for option in reversed([option for option in table if option.name not in SUBWORDS]):
            typed = None if option.default is None else _said(option.default)
            default = f"  [default: {typed}]" if typed else ""
            command = click.option(
                option.flag, option.name, metavar=option.metavar, default=typed,
                callback=lambda _, __, given, option=option: option.parse(given, option.flag), type=click.UNPROCESSED, help=option.help + default,
            )(command)  # fmt: skip
        return command

    return decorate


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
@click.option("--subwords", metavar="MIN-MAX", callback=lambda _, __, given: subword_lengths(given), help=SUBWORDS_HELP)
@click.option("--features", metavar="FILE", help="what is known of rows beside their counts: .csv or .parquet of row, feature, value, or .npz")
@FORCE
@QUIET
def train(inputs: tuple[str, ...], output: str, subwords: dict[str, int], features: str | None, force: bool, quiet: bool, **given: Any) -> None:
    """Count, start, fit, and write everything to RUN.

    INPUT: text files (plain, .gz, .zst), folders, - for stdin, or python-docs. Example: exact2vec train corpus.txt -o runs/corpus
    """
    from exact2vec import runs

    folder = Path(output)
    runs.check_output(folder, force=force)
    given |= {"min_n": 3, "max_n": None} | subwords
    if given["prior"] is None and (given["max_n"] or features or given["rare"]):
        raise UsageError("--subwords, --features and --rare need a prior: leave out --prior no, or leave them out")
    from exact2vec.compiled import compilation_announced
    from exact2vec.counts.counts import count_text
    from exact2vec.counts.features import read_features
    from exact2vec.counts.read import Text
    from exact2vec.estimator import Exact2Vec
    from exact2vec.see import talk
    from exact2vec.see.progress import shown, waiting

    if not inputs and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError("nothing to read: name a file, a folder or python-docs, or pipe text into the command")
    text = Text(*(inputs or ("-",)), **_of(READING, given))
    known = read_features(features) if features else None
    say = _silent if quiet else _stderr
    with compilation_announced(say), waiting("reading and counting", quiet=quiet):
        counts = count_text(text, threads=given["threads"], **_of(COUNTING, given))
    for note in text.notes:
        say(note)
    for line in talk.opening(counts, given["vector_size"], given["epochs"], given["threads"]):
        say(line)
    model = Exact2Vec(**_of(COUNTING + TRAINING, given))
    provenance = {"inputs": list(inputs), "command": ["exact2vec", *sys.argv[1:]]}
    try:
        model.fit(counts, features=known, listen=lambda records: shown(records, len(counts.words), quiet=quiet))
    except (DivergedError, KeyboardInterrupt) as error:
        if hasattr(model, "wv"):
            model.save(folder, force=force, provenance=provenance)
            why = str(error) if isinstance(error, DivergedError) else "interrupted"
            fail(f"{why}; {output} holds the last good vectors, of epoch {model.last_.epoch:g}", getattr(error, "exit_code", 130))
        raise
    model.save(folder, force=force, provenance=provenance)
    for line in talk.closing(model.wv, model.last_, output):
        say(line)


@main.command()
@click.argument("run")
@click.argument("expressions", nargs=-1, required=True, metavar="WORD…")
@click.option("--given", is_flag=True, help="p(word | WORD…) in per cent and nats instead of neighbours; several words are one joint query")
@click.option("--weighted", is_flag=True, help="with --given: the model's own p, subsampling not divided out")
@click.option("-n", "--topn", default=10, show_default=True, type=click.IntRange(1), help="how many words")
@click.option("--trained-only", is_flag=True, help="refuse words that were not trained instead of composing them")
@WHICH
@JSON
def neighbors(run: str, expressions: tuple[str, ...], given: bool, weighted: bool, topn: int, trained_only: bool, which: Any, as_json: bool) -> None:
    """The words nearest to each WORD by cosine, or to an expression such as "king - man + woman".

    A word that was not trained is composed of its n-grams and features where they are known, and said to be.

    Example: exact2vec neighbors runs/python-docs server "list - string + number"
    """
    from exact2vec.see.talk import untrained_words
    from exact2vec.vectors.vectors import load, signed_words

    if weighted and not given:
        raise UsageError("--weighted needs --given: it says which p(word | …) is meant")
    if given and which != "sum":
        raise UsageError("--which chooses the vectors of neighbours; p(word | …) with --given comes from inputs, outputs and biases together")
    vectors = load(run)
    if given:
        words = [word for expression in expressions for word in expression.split()]
        for line in untrained_words(vectors, words, trained_only=trained_only)[1]:
            _stderr(line)
        log_p = vectors.log_probabilities(words, weighted=weighted)
        if topn > len(vectors):
            _stderr(f"{topn} words were asked for, there are {len(vectors)}")
        top = [vectors.index_to_key[place] for place in (-log_p).argsort(kind="stable")[:topn]]
        rows = [{"word": word, "p": math.exp(log_p[vectors.key_to_index[word]]), "nats": -float(log_p[vectors.key_to_index[word]])} for word in top]
        _emit(rows if as_json else None, [["word", "percent", "nats"], *([row["word"], f"{100 * row['p']:.4g}", f"{row['nats']:.4f}"] for row in rows)])
        return
    if repeated := [one for number, one in enumerate(expressions) if one in expressions[:number]]:
        _stderr(f"{repeated[0]!r} was asked more than once; it is answered once")
    signed = {one: signed_words(one) for one in expressions}
    told = {one: untrained_words(vectors, [*plus, *minus], trained_only=trained_only) for one, (plus, minus) in signed.items()}
    untrained = {one: mark for one, (mark, _) in told.items()}
    for line in (line for _, lines in told.values() for line in lines):
        _stderr(line)
    found = {one: vectors.most_similar(plus, minus, topn=topn, which=which) for one, (plus, minus) in signed.items()}
    if (most := max(map(len, found.values()))) < topn:
        _stderr(f"{topn} words were asked for, there are {most} besides those of the query")
    table = [["query", "word", "cosine"], *([one + untrained[one], word, f"{cosine:.4f}"] for one, near in found.items() for word, cosine in near)]
    _emit(
        [
            {"query": one, "word": word, "cosine": cosine, "untrained": untrained[one].strip(" ()") or None}
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
@click.option("--similarity", multiple=True, metavar="FILE", help="lines: word TAB word TAB score; Spearman's rank correlation")
@click.option("--analogies", multiple=True, metavar="FILE", help="lines: a b c answer; share answered by the nearest word")
@click.option("--restrict", default=30_000, show_default=True, type=click.IntRange(4), help="analogies among this many most frequent words")
@WHICH
@click.option("--document", type=click.Choice(OPTIONS["document"].choices), help="what a document of TEXT is  [default: as in the run]")
@options([OPTIONS[name] for name in ("encoding", "errors", "threads")])
@JSON
def evaluate(
    run: str, texts: tuple[str, ...], as_json: bool, similarity: tuple[str, ...], analogies: tuple[str, ...], document: str | None, encoding: str, errors: str,
    **extra: Any,
) -> None:  # fmt: skip
    """The exact NLL of RUN beside its baselines, computed anew; of new TEXT too.

    Example: exact2vec evaluate runs/python-docs news.txt
    """
    from exact2vec.counts.counts import TEXT_SETTINGS
    from exact2vec.counts.read import Text
    from exact2vec.see import talk
    from exact2vec.vectors.evaluate import evaluate as evaluated
    from exact2vec.vectors.vectors import load

    settings = {name: value for name, value in load(run).counting["settings"].items() if name in TEXT_SETTINGS}
    settings |= {"document": document} if document else {}
    text = Text(*texts, encoding=encoding, errors=errors, **settings) if texts else None
    found = evaluated(run, text, similarity=similarity, analogies=analogies, **extra)
    for note in text.notes if text else ():
        _stderr(note)
    _emit(asdict(found) if as_json else None, talk.evaluation(found))


@main.command("fold-in")
@click.argument("run")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT…")
@click.option("-o", "--output", required=True, metavar="OUT", help="the folder of vectors to write")
@click.option("--features", metavar="FILE", help="features of the new rows, among those that were trained")
@click.option("--min-count", default=1, show_default=True, type=click.IntRange(1), help="text: new words counted less often are left out")
@options([OPTIONS[name] for name in ("encoding", "errors", "threads")])
@click.option("--prior", metavar="STRENGTHS", callback=lambda _, __, given: None if given is None else OPTIONS["prior"].parse(given), help=FOLD_IN_PRIOR)
@FORCE
def fold_in(
    run: str, inputs: tuple[str, ...], output: str, features: str | None, min_count: int, encoding: str, errors: str, force: bool, **extra: Any
) -> None:  # fmt: skip
    """Input vectors for new rows, outputs fixed: RUN with them beside its words goes to OUT.

    INPUT: text, whose words that RUN does not know are the new rows, or one .csv, .parquet or .npz of row, word, count.
    Example: exact2vec fold-in runs/python-docs news.txt -o runs/with-news
    """
    from exact2vec import runs

    folder = Path(output)
    runs.check_output(folder, force=force)
    from exact2vec.counts.features import READERS, read_features, read_row_counts
    from exact2vec.see import talk
    from exact2vec.vectors.vectors import load

    vectors = load(run)
    if len(inputs) == 1 and Path(inputs[0]).suffix in READERS:
        counts = read_row_counts(inputs[0])
    else:
        from exact2vec.counts.counts import TEXT_SETTINGS, count_new_words
        from exact2vec.counts.read import Text

        settings = {name: value for name, value in vectors.counting["settings"].items() if name in TEXT_SETTINGS}
        counts = count_new_words(Text(*inputs, encoding=encoding, errors=errors, **settings), vectors.vocabulary, vectors.counting, least=min_count)
    found = vectors.fold_in(counts, read_features(features) if features else None, **extra)
    found.save(folder, force=force)
    for line in talk.folded(found, output):
        _stderr(line)


@main.command()
@click.argument("run")
@click.argument("output", metavar="OUT.{vec,bin}")
@WHICH
@click.option("--words", metavar="FILE", help="words, one a line, to write as well where they can be composed or were folded in")
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
    _stderr(f"{output}: {written:,} words{composed}, {vectors.vector_size} numbers each ({which})")


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("scores", nargs=-1, required=True, type=float, metavar="SCORE…")
@click.option("--target", type=int, help="the class whose loss and gradient to show")
@click.option("--steps", type=click.IntRange(1), help="steps of gradient descent on the scores")
@click.option("--rate", type=float, default=0.5, show_default=True, help="the step size of --steps")
@JSON
def loss(scores: tuple[float, ...], target: int | None, steps: int | None, rate: float, as_json: bool) -> None:
    """Score, probability, −log p and gradient of each class; negative numbers need no --.

    Examples: exact2vec loss -1 2.3 .1 --target 0;  exact2vec loss -1 .2 --target 0 --steps 10 --rate .5
    """
    from exact2vec.loss.explain import descend, explain

    if steps and target is None:
        raise UsageError("--steps needs --target, the class whose loss falls")
    found = descend(scores, target, steps=steps, rate=rate) if steps and target is not None else explain(scores, target)
    click.echo(json.dumps(_finite(asdict(found))) if as_json else str(found))


@main.command()
@click.argument("run")
def check(run: str) -> None:
    """Verify the SHA-256 of every file of RUN.

    Example: exact2vec check runs/python-docs
    """
    from exact2vec import runs

    for name, size in runs.open_run(Path(run)).check():
        click.echo(f"{size:>12,} bytes  {printable(name)}")
    _stderr(f"{run}: every file is as it was written")


def printable(text: str) -> str:
    """`text` without control codes: a word cannot move the cursor or colour the terminal."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _emit(data: Any, table: list[list[str]]) -> None:
    if data is not None:
        click.echo(json.dumps(_finite(data), indent=1))
        return
    widths = [max(len(printable(cell)) for cell in column) for column in zip(*table, strict=True)]
    for row in table:
        click.echo("  ".join(printable(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _finite(data: Any) -> Any:
    """`data` as JSON can say it: null for what is infinite."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _of(table: Sequence[Option], given: dict[str, Any]) -> dict[str, Any]:
    return {option.name: given[option.name] for option in table}


def _stderr(line: str) -> None:
    click.echo(printable(line), err=True)


def _silent(line: str) -> None:
    pass


def run() -> None:
    """The console entry point."""
    main(prog_name="exact2vec")
