"""The command line, a thin skin over functions that a notebook calls.

Names of arguments and defaults are the same there.
"""

import errno
import shlex
import sys
from typing import Annotated, Any

import typer

from analysis.commands.group import LoadedCommands
from analysis.commands.interruption import InterruptibleGroup
from cache.atomic import DISK
from cache.errors import ProbeError
from probing.progress import console
from probing.registry import NotImported, import_own

# name -> where it is; only the module of the command that was typed is imported
COMMANDS = {
    "demo": "analysis.commands.demo:demo",
    "extract": "analysis.commands.extract:extract",
    "sweep": "analysis.commands.sweep:sweep",
    "tune": "analysis.commands.tune:tune",
    "evaluate": "analysis.commands.evaluate:evaluate",
    "calibrate": "analysis.commands.calibrate:calibrate",
    "export": "analysis.commands.export:export",
    "exits": "analysis.commands.exits:exits",
    "score": "analysis.commands.score:score",
    "compare": "analysis.commands.compare:compare",
    "report": "analysis.commands.report:report",
    "plot": "analysis.commands.plot:plot",
    "similarity": "analysis.commands.similarity:similarity",
    "transfer": "analysis.commands.transfer:transfer",
    "robustness": "analysis.commands.robustness:robustness",
    "attack": "analysis.commands.attack:attack",
    "describe": "analysis.commands.describe:describe",
    "inspect": "analysis.commands.inspect:inspect",
    "config": "analysis.commands.config:config",
    "verify": "analysis.commands.verify:verify",
    "cache": "analysis.commands.cache:cache_app",
    "corpus": "analysis.commands.corpus:corpus_app",
    "reproduce": "analysis.commands.reproduce:reproduce_app",
}


class ProbeGroup(InterruptibleGroup):
    """The commands of `COMMANDS`."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LoadedCommands(COMMANDS)


app = typer.Typer(
    cls=ProbeGroup,
    help="Which layers of a speech model carry the information? Cache "
    "every hidden layer once, probe them all.",
    epilog="Start here, no download and no GPU: probe demo. Its "
    "steps are probe extract, then probe sweep.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"probe {version('speech-layer-probe')}")
        raise typer.Exit


@app.callback()
def import_modules(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Name the version, and end."
        ),
    ] = False,
    modules: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="MODULE",
            help="Import a module of your own first, for the heads, corpora, backbone families, "
            "metrics or plots that it adds; may be given again. It runs its code.",
        ),
    ] = None,
) -> None:
    """Import the modules that a user adds to the registries with, before any command."""
    for module in modules or []:
        import_own(module)


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
        advice = ""
        if error.errno in (errno.EACCES, errno.EPERM):
            advice = ". Give yourself the right to it, or name another"
        elif error.errno in DISK:
            advice = ". Make room on the disk, or write to another"
        console.print(f"error: {where}{error.strerror}{advice}", style="red", markup=False)
        sys.exit(2)


def _to_type(error: BaseException | None) -> str:
    """The command again with the module that it lacks, if that is what is wrong."""
    while error is not None and not isinstance(error, NotImported):
        error = error.__cause__
    return "" if error is None else f": probe --import {error.module} {shlex.join(sys.argv[1:])}"


if __name__ == "__main__":
    main()
