"""Parameters of commands, derived from dataclasses of options (see `probing.options`).

@with_options
def repair(folder: CacheFolder, machine: Annotated[Machine, Only("device", "wait")]) -> None: ...

is a command with the flags --device and --wait, whose function is called with a `Machine`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import wraps
from types import GenericAlias
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from analysis.commands.completion import completion_of
from cache.errors import OptionError, as_flag, spelled
from probing.options import Option, options_of


@dataclass(frozen=True, init=False)
class Only:
    """Of a dataclass, the fields that a command has; the others keep their defaults."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


def with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a command: a flag for each field of a parameter that is a dataclass."""
    hints = get_type_hints(function, include_extras=True)
    parameters: list[inspect.Parameter] = []
    built: dict[str, _Built] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        kind, only = _dataclass_of(hints[name])
        if kind is None:
            parameters.append(
                parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            )
            continue
        built[name] = _Built(kind, only)
        parameters += built[name].parameters()

    @wraps(function)
    def command(**typed: Any) -> Any:
        options = {name: kind.take(typed) for name, kind in built.items()}
        return function(**typed, **options)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    annotations = {parameter.name: parameter.annotation for parameter in parameters}
    command.__annotations__ = annotations | {"return": None}
    return command


class _Built:
    """A dataclass that is made of what was typed, and likewise those in its fields."""

    def __init__(self, kind: type, only: tuple[str, ...] | None) -> None:
        self.kind = kind
        hints = get_type_hints(kind)
        self.inner = {
            field.name: _Built(hints[field.name], None)
            for field in fields(kind)
            if is_dataclass(hints[field.name])
        }
        self.options = {
            name: known
            for name, known in options_of(kind).items()
            if known.on_command_line and (only is None or name in only)
        }
        self.hints = {name: hints[name] for name in self.options}
        self.fields = {field.name: field for field in fields(kind)}

    def parameters(self) -> list[inspect.Parameter]:
        """One parameter for each flag, in the order of the fields."""
        found: list[inspect.Parameter] = []
        for name in self.fields:
            if name in self.inner:
                found += self.inner[name].parameters()
            elif name in self.options:
                found.append(_parameter(self.fields[name], self.options[name], self.hints[name]))
        return found

    def take(self, typed: dict[str, Any]) -> Any:
        """The dataclass, of values that are taken out of those typed."""
        values = {name: inner.take(typed) for name, inner in self.inner.items()}
        for name, known in self.options.items():
            value = typed.pop(name)
            if value is None:  # not typed
                continue
            if known.many:
                value = tuple(value)
            elif known.syntax is not None:
                value = _read(name, value, known)
            values[name] = value
        return self.kind(**values)


def _dataclass_of(hint: Any) -> tuple[type | None, tuple[str, ...] | None]:
    only = None
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        only = next((note.names for note in notes if isinstance(note, Only)), None)
    return (hint, only) if isinstance(hint, type) and is_dataclass(hint) else (None, None)


def _parameter(field: Field[Any], known: Option, hint: Any) -> inspect.Parameter:
    default = field.default if field.default is not MISSING else None
    page = spelled(known.help, as_flag)
    if known.range_as_formula:
        page += f" [{known.range_as_formula}]"
    if known.many:
        hint = GenericAlias(list, get_args(hint)[:1]) | None  # of tuple[Path, ...], say
        default = None
    elif known.syntax is not None:
        hint, default = (str, known.text) if known.text is not None else (str | None, None)
    elif hint == float | str:
        hint = str
    flag = as_flag(known.flag or field.name)
    completed = completion_of(field.name, known)
    annotation = Annotated[
        hint, typer.Option(flag, metavar=known.metavar, help=page, autocompletion=completed)
    ]
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _read(name: str, text: str, known: Option) -> Any:
    assert known.syntax is not None
    try:
        return known.syntax.read(text)
    except ValueError:
        raise OptionError(name, text, known.syntax.expected) from None
