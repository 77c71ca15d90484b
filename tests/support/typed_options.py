"""What a command is given that has the options of a dataclass, typed or in a file of `--config`."""

import typer
from typer.testing import CliRunner

from analysis.commands.config_file import with_config
from analysis.commands.interruption import InterruptibleGroup
from analysis.commands.parameters import with_options


def read_back(kind: type, words: list[str]) -> object:
    """What a command is given that has the options of `kind`, a file of them among the words."""
    found: list[object] = []

    def command(options: object) -> None:
        found.append(options)

    command.__annotations__ = {"options": kind, "return": None}
    group = typer.Typer(cls=InterruptibleGroup)
    group.command("one")(with_config(with_options(command)))
    group.command("other")(lambda: None)
    result = CliRunner().invoke(group, ["one", *words])
    assert result.exit_code == 0, (result.output, result.exception)
    return found[0]
