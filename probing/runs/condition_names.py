"""Names of conditions in results tables: `attack=A07`, `attack=A07,codec=opus`, and back to values.

A value that a comma, an equals sign or a quotation mark would make ambiguous stands in quotation
marks, as JSON has them: `codec="opus, 16k"`. Runs made before have such values as they are, and are
read as well.
"""

import json
import re
from collections.abc import Mapping, Sequence

AMBIGUOUS = re.compile(r"[,=\"]")
QUOTED = r'"(?:[^"\\]|\\.)*"(?=,|$)'


def condition_name(values: Mapping[str, str]) -> str:
    """The name of the trials that have these values.

    >>> condition_name({"attack": "A07", "codec": "opus, 16k"})
    'attack=A07,codec="opus, 16k"'
    """
    return ",".join(f"{factor}={_quoted(str(value))}" for factor, value in values.items())


def condition_values(name: str, factors: Sequence[str]) -> dict[str, str]:
    """The values of a condition by factor; none of a condition that is of other factors, as `all`.

    Args:
        name: of a condition.
        factors: columns that may be in it, that the run reports `by`.

    >>> condition_values('attack=A07,codec="opus, 16k"', ["attack", "codec"])
    {'attack': 'A07', 'codec': 'opus, 16k'}
    >>> condition_values("codec=opus, 16k", ["codec"])
    {'codec': 'opus, 16k'}
    """
    if not factors:
        return {}
    factor = "|".join(re.escape(name) for name in sorted(factors, key=len, reverse=True))
    part = re.compile(
        f"(?P<factor>{factor})=(?P<value>{QUOTED}|.*?(?=,(?:{factor})=|$))", re.DOTALL
    )
    found = dict[str, str]()
    at = 0
    while (match := part.match(name, at)) is not None:
        value = match["value"]
        found[match["factor"]] = (
            json.loads(value) if re.fullmatch(QUOTED, value, re.DOTALL) else value
        )
        at = match.end() + 1
        if match.end() == len(name):
            return found
    return {}


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if AMBIGUOUS.search(value) else value


def n_removed(condition: str) -> int:
    """How many dimensions were removed, by the name of a condition.

    >>> n_removed("erased=5")
    5
    """
    return int(condition_values(condition, ["erased"])["erased"])
