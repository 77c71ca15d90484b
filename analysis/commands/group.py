"""The commands of a group, of which a module is imported when its command is typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.main import get_command

from analysis.commands.config_file import with_config
from analysis.commands.interruption import with_flags


class LoadedCommands(MutableMapping[str, Any]):
    """Name -> command, as a group of Typer has them, each loaded when it is typed.

    Args:
        where: name -> `module:name` of a function that is a command, or of a `typer.Typer`, a group
            of commands.
    """

    def __init__(self, where: Mapping[str, str]) -> None:
        self.where = dict(where)
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _command(name, self.where[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self.where.setdefault(name, "")
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self.where[name]
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self.where)

    def __len__(self) -> int:
        return len(self.where)


@cache
def _command(name: str, where: str) -> Any:
    """The command that a function or a Typer makes."""
    module, _, attribute = where.partition(":")
    found = getattr(import_module(module), attribute)
    group = found
    if not isinstance(found, typer.Typer):
        group = typer.Typer(
            rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False
        )
        group.command(name)(found)
    for info in group.registered_commands:
        if info.callback is not None:
            info.callback = with_config(info.callback)
    command = get_command(group)
    command.name = name
    if group is not found:
        command.callback = with_flags(command)
    return command
