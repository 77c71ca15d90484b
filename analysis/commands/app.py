"""The command line, a thin skin over functions that a notebook calls with the same names and defaults."""

import shlex
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from analysis.commands.attack import attack
from analysis.commands.cache import cache_app
from analysis.commands.calibrate import calibrate
from analysis.commands.compare import compare
from analysis.commands.corpus import corpus_app
from analysis.commands.demo import demo
from analysis.commands.describe import describe
from analysis.commands.evaluate import evaluate
from analysis.commands.exits import exits
from analysis.commands.export import export
from analysis.commands.extract import extract
from analysis.commands.inspect import inspect
from analysis.commands.interruption import InterruptibleGroup
from analysis.commands.plot import plot
from analysis.commands.report import report
from analysis.commands.reproduce import reproduce_app
from analysis.commands.robustness import robustness
from analysis.commands.score import score
from analysis.commands.similarity import similarity
from analysis.commands.sweep import sweep
from analysis.commands.transfer import transfer
from analysis.commands.tune import tune
from analysis.commands.verify import verify
from cache.atomic import DISK
from cache.errors import ProbeError
from probing.progress import console
from probing.registry import NotImported, import_own

app = typer.Typer(
    cls=InterruptibleGroup,
    help="Which layers of a speech model carry the information? Cache every hidden layer once, probe them all.",
    epilog="Start here, no download and no GPU: probe demo. Its steps are probe extract, then probe sweep.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"probe {version('speech-layer-probe')}")
        raise typer.Exit


@app.callback()
def import_modules(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Name the version, and end."),
    ] = False,
    modules: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="MODULE",
            help="Import a module of your own first, for the heads, corpora, backbone families, metrics or plots that "
            "it adds; may be given again. It runs its code.",
        ),
    ] = None,
) -> None:
    """Import the modules that a user adds to the registries with, before any command."""
    for module in modules or []:
        import_own(module)


app.add_typer(cache_app, name="cache")
app.add_typer(corpus_app, name="corpus")
app.add_typer(reproduce_app, name="reproduce")
for command in (
    demo,
    extract,
    sweep,
    tune,
    evaluate,
    calibrate,
    export,
    exits,
    score,
    compare,
    report,
    plot,
    similarity,
    transfer,
    robustness,
    attack,
    describe,
    inspect,
    verify,
):
    app.command()(command)


def main() -> None:
    """Run the command line; bad input ends with one message and exit code 2."""
    try:
        app()
    except ProbeError as error:
        console.print(f"error: {error}{_to_type(error)}", style="red", markup=False)
        sys.exit(2)
    except OSError as error:
        if error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        advice = ". Make room on the disk, or write to another" if error.errno in DISK else ""
        console.print(f"error: {where}{error.strerror}{advice}", style="red", markup=False)
        sys.exit(2)


def _to_type(error: BaseException | None) -> str:
    """The command again with the module that it lacks, if that is what is wrong."""
    while error is not None and not isinstance(error, NotImported):
        error = error.__cause__
    return "" if error is None else f": probe --import {error.module} {shlex.join(sys.argv[1:])}"


if __name__ == "__main__":
    main()
