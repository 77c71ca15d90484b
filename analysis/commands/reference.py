"""The page of all commands and options, README.md in this folder, derived from what --help shows.

python -m analysis.commands.reference
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from analysis.commands.app import app

PAGE = Path(__file__).with_name("README.md")
TO_TYPE = "python -m analysis.commands.reference"
WIDTH = 120
OF_ALL = ("config", "help")  # parameters of every command
HEAD = f"""\
# Commands and options

Do not edit this page: `{TO_TYPE}` writes it, from the declarations that the commands read.
`--help` on a command prints the same, with examples. Values in `<...>` are types; `[x>=1]` is the range allowed; an
option without a value is on if it is given.
"""  # noqa: E501


def reference() -> str:
    """The page, as Markdown.

    >>> "## probe sweep" in reference()
    True
    """
    commands = dict(_commands("probe", get_command(app)))
    shared = [_entry(*row) for name, row in _parameters(commands["probe demo"]) if name in OF_ALL]
    index = [
        _item(f"[{name}](#{name.replace(' ', '-')}): {_prose(_sentence(command))}")
        for name, command in commands.items()
    ]
    sections = [_section(name, command) for name, command in commands.items()]
    return "\n".join([HEAD, *index, "\n## Options of every command\n", *shared, *sections]) + "\n"


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The commands below a group in their order, by what is typed for them."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for word in below:
        yield from _commands(f"{name} {word}", below[word])


def _parameters(command: Any) -> list[tuple[str, tuple[str, str]]]:
    """Name of each argument and option with its row of the page of help: what is typed, and what it
    is.
    """
    context = command.make_context(command.name, [], resilient_parsing=True)
    rows = (
        (parameter.name, parameter.get_help_record(context))
        for parameter in command.get_params(context)
    )
    return [(name, row) for name, row in rows if row is not None]  # None: hidden


def _section(name: str, command: Any) -> str:
    paragraphs = command.help.partition("\b")[0].strip().split("\n\n")
    text = "\n\n".join(_wrapped(_prose(paragraph)) for paragraph in paragraphs)
    rows = [_entry(*row) for parameter, row in _parameters(command) if parameter not in OF_ALL]
    return "\n".join([f"\n## {name}\n", text, "", *rows]).rstrip()


def _sentence(command: Any) -> str:
    return str(command.help.strip().partition("\n\n")[0])


def _entry(typed: str, what: str) -> str:
    return _item(f"`{typed}`: {_prose(what)}" if what else f"`{typed}`")


def _item(text: str) -> str:
    return _wrapped(f"- {text}", "  ")


def _prose(text: str) -> str:
    """Text of help as Markdown shows it as it stands; a lone dash must not begin a list in it."""
    return re.sub(
        r"(?<=\s)-(?=\s)", "`-`", re.sub(r"(\*|<(?=\w))", r"\\\1", " ".join(text.split()))
    )


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
