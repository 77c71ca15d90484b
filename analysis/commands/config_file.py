"""Options of a command from a YAML file, which `--config FILE` names; what is typed beside it wins.

Keys are the flags without dashes, as `max_seconds`, and arguments as the page of help calls them,
as `cache`. Paths are those of a command line: relative to the folder where the command is typed.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.commands.suggestions import expected_value, typed_as
from analysis.commands.typed import of_file
from cache.errors import ProbeError
from probing.options import nearest

MOST_BYTES = 1_000_000
WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
NONE = ("null", "~")  # not given

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Options from a YAML file, by their names here; what "
        "is typed wins; - reads standard input.",
        is_eager=True,
        expose_value=False,
        callback=lambda ctx, value: _take(ctx, value),
    ),
]


def with_config(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a command that takes `--config FILE` too."""

    @wraps(function)
    def command(context: typer.Context, **typed: Any) -> Any:
        typed.pop("config")  # which has done its work
        with of_file(name for name in typed if _is_of_file(context, name)):
            return function(**typed)

    before = inspect.signature(function, eval_str=True)
    added = {
        "config": inspect.Parameter(
            "config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ConfigFile
        ),
        "context": inspect.Parameter(
            "context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context
        ),
    }
    command.__signature__ = before.replace(  # type: ignore[attr-defined]
        parameters=[*before.parameters.values(), *added.values()]
    )
    notes = {name: parameter.annotation for name, parameter in added.items()}
    command.__annotations__ = {**function.__annotations__, **notes}
    return command


def _is_of_file(context: typer.Context, name: str) -> bool:
    """Whether a parameter has the value that a file gave, a default that wins over ours."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "DEFAULT_MAP"


def read_config(path: Path) -> dict[str, Any]:
    """Key -> text or list of texts.

    Raises:
        ProbeError: it cannot be read, is no YAML, or anything else than names with values.
    """
    import yaml

    try:
        with open(
            sys.stdin.fileno() if str(path) == "-" else path, "rb", closefd=str(path) != "-"
        ) as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ProbeError(
            f"{path}: cannot be read ({error.strerror}). Expected a YAML file of options"
        ) from None
    if len(text) > MOST_BYTES:
        raise ProbeError(
            f"{path}: has more than {MOST_BYTES:,} bytes. Expected a YAML file of options"
        )
    try:
        # BaseLoader takes no word for another type: `normalize: off` and `positive: no` stay what
        # was written
        root = yaml.compose(text.decode("utf-8"), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ProbeError(
            f"{path}: is no YAML ({_reason(error)}). Expected lines as: seeds: 3"
        ) from None
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise ProbeError(f"{path}: expected names of options with values, as lines like: seeds: 3")
    found: dict[str, Any] = {}
    for key, value in root.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in found:
            raise ProbeError(f"{path}, line {line}: {name} is there twice. Leave one out")
        parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
        if not all(isinstance(part, yaml.ScalarNode) for part in parts):
            raise ProbeError(
                f"{path}, line {line}: {name} has parts of its own. "
                "Expected a value, or a list of values"
            )
        texts = [str(part.value) for part in parts]
        found[name] = texts if isinstance(value, yaml.SequenceNode) else texts[0]
        if isinstance(value, yaml.ScalarNode) and value.style is None and texts[0] in (*NONE, ""):
            found[name] = None
    return found


def _reason(error: Exception) -> str:
    """Why a text is no YAML, in a line; where, if that is known."""
    mark = getattr(error, "problem_mark", None)
    reason = " ".join(str(getattr(error, "problem", None) or error).split())[:200]
    return f"line {mark.line + 1}, column {mark.column + 1}: {reason}" if mark else reason


def key_of(param: Any) -> str:
    """What a configuration calls a parameter: its flag without dashes, or its argument.

    `--max-seconds` is `max_seconds`, `[CACHE]` is `cache`.
    """
    flags = [name for name in param.opts if name.startswith("--")]
    if flags:
        return flags[0].removeprefix("--").replace("-", "_").lower()
    return re.split(r"[^A-Za-z_]+", (param.metavar or param.name).strip("[]."))[0].lower()


def _take(ctx: typer.Context, path: Path | None) -> None:
    """Make the values of a file the defaults of the command."""
    if path is None or ctx.resilient_parsing:
        return
    known: dict[str, Any] = {
        key_of(param): param for param in ctx.command.params if param.name != "config"
    }
    command = typed_as(ctx)
    values = _values(read_config(path), known, path, command)
    for name, param in known.items():
        if param.name in values and not isinstance(values[param.name], bool):
            try:
                param.get_runtime_param().coerce(values[param.name], param=param, ctx=ctx)
            except typer.BadParameter as error:
                place = f"{path}: {name}: {values[param.name]}"
                wrong = f"{place}: {expected_value(error.message)}"
                raise ProbeError(f"{wrong}. Type {command} --help") from None
    ctx.default_map = {**(ctx.default_map or {}), **values}


def _values(
    given: Mapping[str, Any], known: Mapping[str, Any], path: Path, command: str
) -> dict[str, Any]:
    """Name of a parameter -> value as the command line has it."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        key = name.replace("-", "_").lower()
        if key not in known:
            others = nearest(key, known) or f". It has {', '.join(known)}"
            raise ProbeError(f"{path}: {name}: {command} has no such option{others}")
        param = known[key]
        if value is None:
            continue
        if getattr(param, "is_flag", False):
            if value not in WORDS:
                raise ProbeError(f"{path}: {name}: {value}: expected true or false")
            found[param.name] = WORDS[value]
        elif getattr(param, "multiple", False) or param.nargs == -1:
            found[param.name] = value if isinstance(value, list) else [value]
        else:
            found[param.name] = ",".join(value) if isinstance(value, list) else value
    return found
