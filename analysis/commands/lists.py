"""Lists on a command line: whole numbers and ranges with commas between."""

from cache.errors import OptionError
from probing.options import WHOLE


def whole(name: str, text: str | None) -> tuple[int, ...] | None:
    """The numbers of an option, as `0:12` or `0,3,6`; None if none were typed.

    Raises:
        OptionError: names the option that the text was given with.
    """
    try:
        return WHOLE.read(text or "") or None
    except ValueError:
        raise OptionError(name, text, WHOLE.expected) from None
