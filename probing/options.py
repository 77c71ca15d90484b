"""Options, each declared once: checks, flags, help and records are derived.

@dataclass(frozen=True)
class Machine:
    batch_size: int | None = option(None, "Utterances a forward pass.", minimum=1)

    def __post_init__(self) -> None:
        check(self)

The modules that declare options import no PyTorch, so that a wrong one is refused at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cache.errors import OptionError, as_flag, quoted


@dataclass(frozen=True)
class Syntax:
    """How a value of several parts is typed as one text.

    read: text -> value; raises ValueError where the text is of another form.
    write: value -> text that `read` takes.
    expected: the form, in words.
    """

    read: Callable[[str], Any]
    write: Callable[[Any], str]
    expected: str


@dataclass(frozen=True)
class Option:
    """What is known of an option beside its name, type and default.

    help: a sentence for the page of a command.
    minimum, maximum: of a number, both allowed; `above` is not.
    choices: of a text.
    metavar: what the page calls the value.
    flag: on a command line; default the name of the field.
    on_command_line: False for what only Python can set.
    syntax: of a value of several parts.
    text: the default as a person types it.
    many: the flag may be given again, each time with one part.
    is_path: of a file or folder, whose place on this machine means nothing on another.
    """

    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    flag: str | None = None
    on_command_line: bool = True
    syntax: Syntax | None = None
    text: str | None = None
    many: bool = False
    is_path: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raise OptionError where a value is not one that the option can have."""
        if value is None:
            return
        if self.choices and value not in self.choices:
            raise OptionError(
                name, value, f"expected {one_of(self.choices)}{nearest(str(value), self.choices)}"
            )
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return
        low = self.minimum if self.minimum is not None else -math.inf
        high = self.maximum if self.maximum is not None else math.inf
        inside = low <= value <= high and math.isfinite(value)
        if not inside or (self.above is not None and not value > self.above):
            raise OptionError(name, value, f"expected {self.range_in_words}")

    @property
    def range_in_words(self) -> str:
        """The numbers that are allowed."""
        if self.above is not None:
            most = "" if self.maximum is None else f" and at most {self.maximum:g}"
            return f"more than {self.above:g}{most}"
        if self.minimum is not None and self.maximum is not None:
            return f"{self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"{self.minimum:g} or more"
        return "a finite number"

    @property
    def range_as_formula(self) -> str:
        """The numbers that are allowed, as `x>=1`; empty if all are."""
        if self.above is not None:
            return (
                f"x>{self.above:g}"
                if self.maximum is None
                else f"{self.above:g}<x<={self.maximum:g}"
            )
        if self.minimum is None:
            return ""
        return (
            f"x>={self.minimum:g}"
            if self.maximum is None
            else f"{self.minimum:g}<=x<={self.maximum:g}"
        )


def option(default: Any, help: str = "", **known: Any) -> Any:
    """Declare an option as a field of a dataclass; see `Option` for what may be given.

    With `syntax` and `text`, the default is what the text means.
    """
    declared = Option(help, **known)
    if declared.syntax is not None and declared.text is not None:
        default = declared.syntax.read(declared.text)
    return field(default=default, metadata={Option: declared})


def options_of(kind: type) -> dict[str, Option]:
    """Name -> option of the fields of a dataclass that declare one, in their order."""
    return {
        field.name: field.metadata[Option] for field in fields(kind) if Option in field.metadata
    }


def check(options: Any) -> None:
    """Raise OptionError, naming the field, where a value is not one that its option can have."""
    for name, known in options_of(type(options)).items():
        known.check(name, getattr(options, name))


def check_new_file(name: str, file: Path) -> None:
    """Raise OptionError where a file to be written is a folder, or in none that is there.

    >>> check_new_file("out", Path("gone/curve.png"))
    Traceback (most recent call last):
    cache.errors.OptionError: out=gone/curve.png: expected a file in a folder that is there. Make it: mkdir -p gone
    """  # noqa: E501
    if file.is_dir():
        raise OptionError(name, file, "is a folder. Name a file")
    folder = file.absolute().parent
    if folder.is_dir():
        return
    first = next(path for path in folder.parents if path.exists())
    advice = f"Make it: mkdir -p {quoted(file.parent)}"
    if folder.exists() or not first.is_dir():
        advice = "Name another"
    raise OptionError(name, file, f"expected a file in a folder that is there. {advice}")


def one_of(names: Iterable[str]) -> str:
    """The names in words.

    >>> one_of(["auto", "mark", "stop"])
    'auto, mark or stop'
    """
    *rest, last = names
    return f"{', '.join(rest)} or {last}" if rest else last


def nearest(word: str, names: Iterable[str]) -> str:
    """The end of a sentence that asks whether a name like a word was meant.

    Empty if none is like it.

    >>> nearest("stregths", ["seeds", "strengths"])
    '. Did you mean strengths?'
    """
    found = get_close_matches(word, list(names), n=2, cutoff=0.6)
    return f". Did you mean {one_of(found)}?" if found else ""


def whole_numbers(text: str, highest: int | None = None) -> tuple[int, ...]:
    """The numbers of a text: numbers and ranges with commas between, both ends included.

    Args:
        text: `0:12` or `0,3,6`; if there is a highest number, an end may be left out, as in `:4,8`
            or `6:`.
        highest: what a range without an end goes to, and the most that a number may be.

    Returns:
        Numbers in the order of the text, each once.

    Raises:
        ValueError: another form.
        IndexError: a number below 0, above the highest, or a range that goes down; its message is
            that part.

    >>> whole_numbers("0:2,8")
    (0, 1, 2, 8)
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        first, colon, last = part.strip().partition(":")
        low = int(first or 0) if colon else int(first)
        end = last if last or highest is None else str(highest)
        high = int(end) if colon else low
        if not 0 <= low <= high or (highest is not None and high > highest):
            raise IndexError(part.strip())
        found.update(dict.fromkeys(range(low, high + 1)))
    return tuple(found)


def _read_whole(text: str) -> tuple[int, ...]:
    try:
        return whole_numbers(text) if text.strip() else ()
    except IndexError as error:
        raise ValueError(f"{error} is no range") from None


def write_whole(numbers: Sequence[int]) -> str:
    """The numbers as `whole_numbers` reads them, the shorter way.

    >>> write_whole((0, 1, 2, 3)), write_whole((3, 6))
    ('0:3', '3,6')
    """
    if len(numbers) > 2 and tuple(numbers) == tuple(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}:{numbers[-1]}"
    return ",".join(map(str, numbers))


def _read_seeds(text: str) -> tuple[int, ...]:
    return tuple(range(int(text))) if text.strip().isdigit() else _read_whole(text)


def _write_seeds(seeds: Sequence[int]) -> str:
    if tuple(seeds) == tuple(range(len(seeds))):
        return str(len(seeds))
    return write_whole(seeds) if len(seeds) > 1 else f"{seeds[0]}:{seeds[0]}"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


NUMBERS = Syntax(
    lambda text: tuple(float(part) for part in text.split(",") if part),
    lambda values: ",".join(f"{value:g}" for value in values),
    "expected numbers with commas between, as 1,2,4",
)
NAMES = Syntax(_names, ",".join, "expected names with commas between")
WHOLE = Syntax(_read_whole, write_whole, "expected whole numbers or ranges, as 1,2,4 or 0:12")
SEEDS = Syntax(_read_seeds, _write_seeds, "expected how many, as 3, or which, as 0:4 or 0,3,6")
NAMES_OR_NONE = Syntax(
    lambda text: () if text == "none" else _names(text),
    lambda names: ",".join(names) or "none",
    NAMES.expected,
)


def command_line(*words: object, **options: object) -> str:
    """A command with its options as a shell takes them.

    None and False are left out, a list is repeated.
    """
    typed = [str(word) for word in words]
    for name, value in options.items():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if part is not None and part is not False:
                typed += [as_flag(name)] if part is True else [as_flag(name), str(part)]
    return quoted(*typed)


def differences(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Where two configurations as JSON has them differ, by the names of their innermost values.

    >>> differences(
    ...     {"options": {"seed": 0, "by": ["attack"]}}, {"options": {"seed": 1, "by": ["attack"]}}
    ... )
    'seed 0 there, 1 wanted'
    """
    found = []
    before, after = _leaves(made), _leaves(wanted)
    for path in dict.fromkeys([*before, *after]):
        here, there = after.get(path), before.get(path)
        if here == there or ((path not in before or path not in after) and not (here or there)):
            continue
        values = f"{path[-1]} {_shortened(there)} there, {_shortened(here)} wanted"
        found.append(
            {"utterances": "other utterances or labels", "audio": "other audio files"}.get(
                path[0], values
            )
        )
    return "; ".join(dict.fromkeys(found))


def _leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    leaves: dict[tuple[str, ...], Any] = {}
    for name, value in values.items():
        inner = (
            _leaves(value, (*path, name)) if isinstance(value, Mapping) else {(*path, name): value}
        )
        leaves |= inner
    return leaves


def _shortened(value: Any, most: int = 60) -> str:
    """A value of JSON in words, no longer than `most`."""
    if value in (None, "", []):
        return "none"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= most else f"{text[: most - 4]} ..."
