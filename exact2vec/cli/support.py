"""How the command line takes options, prints, and fails: one line and an exit code."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from exact2vec import __version__, machine
from exact2vec.cli.talk import talk_may_fail
from exact2vec.display import finite
from exact2vec.errors import Exact2VecError, ResourceError
from exact2vec.options import WHICH_VECTORS, Option

Command = TypeVar("Command", bound=Callable[..., Any])
WHICH = click.option(
    "--which",
    type=click.Choice(WHICH_VECTORS),
    help="vectors: the embedding, inputs + outputs, one of them, or what n-grams and features "
    "compose  [default: embedding; where rows are not columns, inputs of a row and outputs of a "
    "column]",
)
JSON = click.option("--json", "as_json", is_flag=True, help="print JSON")
LACKING = {
    "memory": "out of memory: use --max-vocab, a larger --min-count or a smaller --vector-size",
    "threads": "no thread could be started: the system allows no more processes (ulimit -u) or "
    "memory (ulimit -v); use fewer --threads, or allow more",
}
QUIET = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    help="say nothing on stderr but errors, and what was left out or looks like a mistake",
)
MAP = click.option(
    "--map",
    "plane",
    type=click.Choice(["pca", "umap"]),
    default="pca",
    show_default=True,
    help="how the map is made; umap is an extra",
)
FORCE = click.option("--force", is_flag=True, help="replace an existing output")
ORDER = (
    *("train", "neighbors", "recommend", "evaluate", "fold-in", "export"),
    *("loss", "report", "explore", "check"),
)
SUBWORDS = ("min_n", "max_n")  # one flag, --subwords


class NamesLeftovers(click.Command):
    """A command that says first what killed ones left of the run that it is about."""

    def invoke(self, context: click.Context) -> Any:
        names = [context.params.get(name) for name in ("run", "output", "resume")]
        if not context.params.get("quiet") and not context.params.get("clean"):
            for name in names:
                if isinstance(name, str) and name and "\0" not in name and len(name) < 4096:
                    with contextlib.suppress(OSError):  # the command itself says what is wrong
                        say_leftovers(name)
        return super().invoke(context)


def folder_named(name: str) -> Path:
    """The folder `name` with its own name, which "." and ".." do not say."""
    return path if (path := Path(name)).name not in ("", "..") else Path(os.path.abspath(name))


def say_leftovers(name: str) -> None:
    from exact2vec.storage.leftovers import leftovers, only_copies, trainings_beside

    path = folder_named(name)
    runs = only_copies(path)
    for run in runs:
        tell(f"a killed command left the run {path} as {run}: mv {run} {path}")
    if others := [one for one in leftovers(path) if one not in runs]:
        tell(
            f"a killed command left {', '.join(map(str, others))}: "
            f"exact2vec check --clean {name} removes them"
        )
    for beside in trainings_beside(path):
        tell(f"{beside} holds a training that has not ended: exact2vec train --resume {beside}")


class Commands(click.Group):
    """Turns every Exact2VecError into one line and its exit code.

    The commands are listed in the order of their use.
    """

    command_class = NamesLeftovers

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(self.commands, key=ORDER.index)

    def main(self, *args: Any, **extra: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        with talk_may_fail():
            return super().main(*args, **extra)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except Exact2VecError as error:
            fail(str(error), error.exit_code)
        except (MemoryError, RuntimeError, ImportError, SystemError) as error:
            lacking = machine.lacking(error)
            if lacking is None:
                raise
            fail(LACKING[lacking], ResourceError.exit_code)
        except KeyboardInterrupt:
            fail("interrupted", 130)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from None
        except OSError as error:
            fail(
                LACKING["memory"]
                if machine.lacking(error) == "memory"
                else f"{error.filename}: {error.strerror}"
                if error.filename and error.strerror
                else str(error),
                ResourceError.exit_code,
            )


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="exact2vec")
def main() -> None:
    """Embeddings trained with the exact softmax negative log-likelihood.

    Try: exact2vec train python-docs -o runs/python-docs
    """


def fail(message: str, code: int) -> None:
    click.echo(f"exact2vec: {printable(message)}", err=True)
    raise click.exceptions.Exit(code)


def _typed_default(default: Any) -> str:
    """A default as it is typed."""
    return (
        ",".join(f"{number:g}" for number in default)
        if isinstance(default, tuple)
        else f"{default:g}"
        if isinstance(default, float)
        else str(default)
    )


def options(table: Sequence[Option]) -> Callable[[Command], Command]:
    """A flag for each option of a table, checked by the table's own `parse`."""

    def decorate(command: Command) -> Command:
        for option in reversed([option for option in table if option.name not in SUBWORDS]):
            typed = None if option.default is None else _typed_default(option.default)
            default = f"  [default: {typed}]" if typed else ""
            command = click.option(
                option.flag,
                option.name,
                metavar=option.metavar,
                default=typed,
                callback=lambda _, __, given, option=option: option.parse(given, option.flag),
                type=click.UNPROCESSED,
                help=option.help + default,
            )(command)
        return command

    return decorate


def printable(text: str) -> str:
    """`text` without control codes: a word cannot move the cursor or colour the terminal."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def emit(data: Any, table: list[list[str]]) -> None:
    if data is not None:
        click.echo(json.dumps(finite(data), indent=1))
        return
    widths = [max(len(printable(cell)) for cell in column) for column in zip(*table, strict=True)]
    for row in table:
        click.echo(
            "  ".join(
                printable(cell).ljust(width) for cell, width in zip(row, widths, strict=True)
            ).rstrip()
        )


def option_values(table: Sequence[Option], given: dict[str, Any]) -> dict[str, Any]:
    return {option.name: given[option.name] for option in table}


def tell(line: str) -> None:
    click.echo(printable(line), err=True)


def silent(line: str) -> None:
    pass


def announce_compilation(say: Callable[[str], None]) -> None:
    """`say` one line when a loop is compiled, until the command ends."""
    from exact2vec.jit import compilation_announced

    click.get_current_context().with_resource(compilation_announced(say))


def text_like(vectors: Any, paths: tuple[str, ...], **changed: Any) -> Any:
    """The Text of these files, cut into tokens and documents as that of the run was."""
    from exact2vec.counts.counting import TEXT_SETTINGS
    from exact2vec.counts.text import Text

    settings = {name: vectors.settings[name] for name in TEXT_SETTINGS if name in vectors.settings}
    return Text(*paths, **settings | changed)
