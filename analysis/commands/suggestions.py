"""What was meant by an option or a command that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from cache.errors import ProbeError, quoted
from probing.options import one_of

# what others call an option -> what it may be called here, of which a command has one or none
MEANT = {
    "--model": ("--backbone",),
    "--encoder": ("--backbone",),
    "--checkpoint": ("--backbone",),
    "--dataset": ("--corpus",),
    "--data": ("--corpus",),
    "--manifest": ("--corpus",),
    "--input": ("--corpus",),
    "--output": ("--out",),
    "--out-dir": ("--out",),
    "--output-dir": ("--out",),
    "--layer": ("--layers", "--depths", "--depth"),
    "--layers": ("--depths", "--depth"),
    "--depth": ("--depths", "--layers"),
    "--depths": ("--depth", "--layers"),
    "--head": ("--heads",),
    "--heads": ("--head",),
    "--seed": ("--seeds",),
    "--seeds": ("--seed", "--control-seeds"),
    "--lr": ("--rate",),
    "--learning-rate": ("--rate",),
    "--batch": ("--batch-size",),
    "--batch-size": ("--batch",),
    "--num-workers": ("--workers",),
    "--jobs": ("--workers",),
    "--cuda": ("--device",),
    "--gpu": ("--device",),
    "--label": ("--target", "--labels"),
    "--column": ("--target", "--by"),
    "--bootstrap": ("--resamples",),
    "--force": ("--overwrite",),
    "--splits": ("--split", "--split-by"),
    "--test": ("--eval",),
    "--format": ("--form",),
}
# what others call a command -> ours
COMMANDS = {
    "train": "sweep",
    "finetune": "tune",
    "fine-tune": "tune",
    "eval": "evaluate",
    "predict": "score",
    "detect": "score",
    "embed": "extract",
    "features": "extract",
    "draw": "plot",
    "cka": "similarity",
    "show": "cache info",
    "check": "corpus check",
    "version": "--version",
}


# what the parser of the command line says of a value -> what was expected, in our words
EXPECTED = (
    (r"Input should be a valid integer.*", "expected a whole number"),
    (r"Input should be a (valid|finite) number.*", "expected a number"),
    (r"Input should be a valid boolean.*", "expected true or false"),
    (r"Input should be greater than or equal to (\S+)", r"expected \1 or more"),
    (r"Input should be less than or equal to (\S+)", r"expected \1 or less"),
    (r"Input should be greater than (\S+)", r"expected more than \1"),
    (r"Input should be less than (\S+)", r"expected less than \1"),
)


def expected_value(message: str) -> str:
    """What the parser expected of a value, in plain words; another message as it is.

    >>> expected_value("Input should be a valid integer, unable to parse string as an integer")
    'expected a whole number'
    >>> expected_value("Input should be greater than or equal to 1")
    'expected 1 or more'
    """
    for pattern, words in EXPECTED:
        message = re.sub(pattern, words, message)
    return message


def is_of_parser(error: Any) -> bool:
    """Whether an error is one of the parser of the command line; a page of help is none."""
    return hasattr(error, "format_message") and type(error).__name__ != "NoArgsIsHelpError"


def typed_as(ctx: Any, name: str | None = None) -> str:
    """How the command of a context is typed, or the one of a name below it."""
    words: list[str | None] = []
    while ctx is not None:
        words.insert(0, name)
        ctx, name = ctx.parent, ctx.info_name
    return " ".join(["probe", *(word for word in words if word)])


def refusal(error: Any, command: str) -> ProbeError:
    """What the parser of the command line found, in the form of all other errors.

    Args:
        error: of the parser.
        command: what was typed, as `probe sweep`.
    """
    ctx = getattr(error, "ctx", None)
    param = getattr(error, "param", None)
    flag = getattr(error, "option_name", None)
    text = error.format_message().rstrip(".")
    if param is not None:
        text = _of_parameter(error, param)
    elif flag and ctx is not None and hasattr(error, "possibilities"):
        there = (
            name for param in ctx.command.params for name in (*param.opts, *param.secondary_opts)
        )
        meant = options_meant(flag, [name for name in there if name.startswith("--")])
        text = error.message.rstrip(".")
        text += f". Did you mean {one_of(meant)}?" if meant else ""
    joint = "" if text.endswith("?") else "."
    return ProbeError(f"{text}{joint} Type {command} --help")


def _of_parameter(error: Any, param: Any) -> str:
    """What is wrong with the value of an option or argument, or that it is not there."""
    is_flag = param.opts[0].startswith("-")
    name = max(param.opts, key=len) if is_flag else param.metavar or param.name
    if type(error).__name__ == "MissingParameter":
        return f"{name}: is missing"
    causes = error.__cause__.errors() if hasattr(error.__cause__, "errors") else []
    value = f" {quoted(causes[0]['input'])}" if causes else ""
    return f"{name}{value}: {expected_value(error.message).rstrip('.')}"


def options_meant(flag: str, flags: Iterable[str]) -> list[str]:
    """Those flags of a command that one it does not have may mean.

    >>> options_meant("--model", ["--corpus", "--backbone"])
    ['--backbone']
    """
    there = list(flags)
    known = [name for name in MEANT.get(flag, ()) if name in there]
    return known[:1] or get_close_matches(flag, there, n=2, cutoff=0.7)


def commands_meant(word: str, commands: Mapping[str, Any]) -> list[str]:
    """Those commands that a word which is none may mean; one of a group is named with its group.

    >>> commands_meant("swep", {"sweep": None})
    ['sweep']
    """
    below = [
        f"{group} {word}"
        for group, command in commands.items()
        if word in getattr(command, "commands", {})
    ]
    known = [COMMANDS[word]] if word in COMMANDS else []
    return below or known or get_close_matches(word, list(commands), n=2)
