"""The READMEs as the tests read them: blocks of code, the commands in them, and what is written in
line.

A block runs unless its first line is a comment that says what it needs (`# needs data`) or how long
it would take (`# takes minutes`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"# (needs|takes) \w+")
READS_RESULTS = re.compile(r"^ *(>>>|\.\.\.) .*results/", re.MULTILINE)  # an example in a docstring
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READMES = sorted(
    path
    for path in ROOT.rglob("README.md")
    if not any(
        part.startswith(".") or part in ("results", "build")
        for part in path.relative_to(ROOT).parts
    )
)


@dataclass(frozen=True)
class Block:
    """A block of code: its language, its text, and whether it can run here."""

    language: str
    text: str

    @property
    def runs(self) -> bool:
        return not MARK.match(self.text)

    def commands(self) -> Iterator[list[str]]:
        """The words of each command of a shell block; lines go on behind a backslash, `&&` joins
        two.
        """
        for line in self.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words:
                end = words.index("&&") if "&&" in words else len(words)
                yield words[:end]
                words = words[end + 1 :]


def blocks(path: Path, language: str) -> list[Block]:
    """The blocks of a README in a language, in their order."""
    found = (Block(*match.groups()) for match in BLOCK.finditer(path.read_text(encoding="utf-8")))
    return [block for block in found if block.language == language]


def prose(path: Path) -> str:
    """A README without its blocks of code."""
    return BLOCK.sub("", path.read_text(encoding="utf-8"))


def inline(path: Path) -> list[str]:
    """What is written between single backticks."""
    return re.findall(r"`([^`\n]+)`", prose(path))
