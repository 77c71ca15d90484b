"""The page of all commands says what --help says."""

from typer.main import get_command

from analysis.commands.app import COMMANDS, app
from analysis.commands.cache import cache_app
from analysis.commands.reference import PAGE, TO_TYPE, reference


def test_the_page_of_commands_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), (
        f"{PAGE} is out of date. Type: {TO_TYPE}"
    )


def test_every_flag_of_every_command_is_on_the_page() -> None:
    sections = dict(part.split("\n", 1) for part in reference().split("\n## probe ")[1:])
    for name in COMMANDS:
        found = get_command(app).commands[name]  # type: ignore[attr-defined]
        for command in getattr(found, "commands", {name: found}).values():
            words = name if command is found else f"{name} {command.name}"
            for flag in (
                flag
                for parameter in command.params
                for flag in parameter.opts
                if flag not in ("--config", "--help")
            ):
                assert not flag.startswith("--") or f"{flag}" in sections[words], (
                    f"probe {words}: {flag}"
                )


def test_every_command_of_cache_has_an_example_to_copy() -> None:
    commands = get_command(cache_app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        examples = [line.strip() for line in command.help.splitlines()]
        examples = [line for line in examples if line.startswith(f"probe cache {name} ")]
        assert examples, name
        assert not any("  " in line for line in examples), name  # a remark would be typed too
