"""Lists on a command line: numbers with commas between."""

from typing import Any

from cache.errors import ProbeError


def numbers(flag: str, text: str | None, kind: type[int] | type[float]) -> tuple[Any, ...]:
    """Numbers of a text, in their order; none if there is no text.

    Raises:
        ProbeError: names the flag that the text was given with.
    """
    try:
        return tuple(kind(part) for part in (text or "").split(",") if part)
    except ValueError:
        raise ProbeError(f"{flag} {text}: expected numbers with commas between, as 1,2,4") from None
