"""A console that shows names as they are: foreign text takes no effect on the terminal.

Names of utterances, attacks, columns, files and speakers come from others. `[red]` is no markup
here, `:cat:` no picture, and an escape sequence is shown as `\\x1b`, not obeyed. Everything that is
printed goes through here.
"""

from __future__ import annotations

import re
from typing import Any

from rich.console import Console
from rich.text import Text

# C0 but for tab and line feed, delete and C1; what turns the direction of a line; lone surrogates
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    """A text with control characters as Python writes them.

    >>> print(visible("A07\\x1b[2J"))
    A07\\x1b[2J
    """
    return UNSEEN.sub(lambda found: ascii(found.group())[1:-1], text)


class PlainConsole(Console):
    """A console without markup, on which every text is made visible first.

    All else is as in `rich.console.Console`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **{"markup": False, "emoji": False, "highlight": False, "soft_wrap": True, **options}
        )

    def render_str(self, text: str, **options: Any) -> Text:
        """The text as it is shown: visible, and of characters that the stream can carry."""
        shown = visible(text)
        try:
            shown.encode(self.encoding)
        except LookupError:
            pass
        except UnicodeEncodeError:
            shown = shown.encode(self.encoding, "backslashreplace").decode(self.encoding)
        return super().render_str(shown, **options)
