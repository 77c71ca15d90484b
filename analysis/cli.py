"""The command line, a thin skin over functions that a notebook calls with the same names and defaults."""

import sys

import typer

from analysis.caching import cache_app
from analysis.corpora import corpus_app
from analysis.extracting import extract
from analysis.interruption import InterruptibleGroup
from analysis.looking import compare, plot, report
from analysis.measuring import describe, inspect, similarity, transfer
from analysis.reproducing import reproduce_app
from analysis.scoring import evaluate, export, score
from analysis.sweeping import sweep
from analysis.verifying import verify
from cache.atomic import DISK
from cache.errors import ProbeError
from probing.progress import console

app = typer.Typer(
    cls=InterruptibleGroup,
    help="Which layers of a speech model carry the information? Cache every hidden layer once, probe them all.",
    epilog="Start here, no download and no GPU: probe extract, then probe sweep.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(cache_app, name="cache")
app.add_typer(corpus_app, name="corpus")
app.add_typer(reproduce_app, name="reproduce")
for command in (
    extract,
    sweep,
    evaluate,
    export,
    score,
    compare,
    report,
    plot,
    similarity,
    transfer,
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
        console.print(f"error: {error}", style="red", markup=False)
        sys.exit(2)
    except OSError as error:
        if error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        advice = ". Make room on the disk, or write to another" if error.errno in DISK else ""
        console.print(f"error: {where}{error.strerror}{advice}", style="red", markup=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
