"""A page that needs nothing beside it and asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

HERE = Path(__file__).parent
# a dark page has its greys from DARK_WHITE, where white was, to DARK_BLACK
DARK_WHITE = 24
DARK_BLACK = 232
FEWEST_LISTED = 3  # sections; fewer need no list of contents
HINT = (
    "Exact values: point at a figure or tap it, or reach it with Tab and go on with the arrow "
    "keys. A click on the heading of a column sorts its table."
)
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<h1>$title</h1>
$body
<script>$script</script>
</body>
</html>
""")


@dataclass(frozen=True)
class Section:
    """A part of a page.

    title: its heading, as text.
    body: HTML, in which everything that others named is escaped.
    under: sections in it.

    >>> Section("Layers", ["<p>6</p>"]).title
    'Layers'
    """

    title: str
    body: Sequence[str] = ()
    under: Sequence[Section] = field(default=())


def page_of(title: str, opening: Sequence[str], sections: Sequence[Section]) -> str:
    """A whole page: its title as text, HTML before the list of contents, and sections.

    Its policy lets no request leave it, and runs no script but its own, whatever names of others
    hold.

    >>> page_of("A & B", [], [Section("Layers", ["<p>6</p>"])])[:15]
    '<!doctype html>'
    """
    names = _Names()
    placed = [_place(section, names) for section in sections]
    parts = [*opening]
    if len(placed) >= FEWEST_LISTED:
        parts += [f'<nav aria-label="Contents">{_listed(placed)}</nav>']
    parts += [
        f'<p class="note hint" hidden>{HINT}</p>',
        *(text for part in placed for text in _written(part, 2)),
    ]
    body = "\n".join(parts)
    script = (HERE / "page.js").read_text(encoding="utf-8")
    return PAGE.substitute(
        policy=policy_of(script),
        title=html.escape(title),
        style=(HERE / "page.css").read_text(encoding="utf-8") + _greys(body),
        body=body,
        script=script,
    )


def policy_of(script: str) -> str:
    """The Content-Security-Policy: styles and images of the page, this script, nothing else."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src "
        "data:; base-uri 'none'; form-action 'none'"
    )


@dataclass(frozen=True)
class _Placed:
    """A section with the name that links lead to."""

    name: str
    section: Section
    under: list[_Placed]


class _Names:
    """Names of sections for links: of letters, digits and hyphens, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, title: str) -> str:
        plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "section"
        name = next(name for name in _numbered(plain) if name not in self._taken)
        self._taken.add(name)
        return name


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def _place(section: Section, names: _Names) -> _Placed:
    name = names.of(section.title)  # before those below it
    return _Placed(name, section, [_place(below, names) for below in section.under])


def _listed(placed: Sequence[_Placed]) -> str:
    lines = [
        f'<li><a href="#{part.name}">{html.escape(part.section.title)}</a>'
        f"{_listed(part.under) if part.under else ''}</li>"
        for part in placed
    ]
    return f"<ul>{''.join(lines)}</ul>"


def _written(placed: _Placed, level: int) -> Iterator[str]:
    yield f'<h{level} id="{placed.name}">{html.escape(placed.section.title)}</h{level}>'
    yield from placed.section.body
    for part in placed.under:
        yield from _written(part, level + 1)


def _greys(body: str) -> str:
    """The greys of the figures as variables, turned round where the page is dark."""
    used = sorted({"00", *re.findall(r"var\(--g([0-9a-f]{2})\)", body)})
    light = "; ".join(f"--g{grey}: #{grey * 3}" for grey in used)
    turned = {
        grey: f"{round(DARK_BLACK - int(grey, 16) / 255 * (DARK_BLACK - DARK_WHITE)):02x}"
        for grey in used
    }
    dark = "; ".join(f"--g{grey}: #{value * 3}" for grey, value in turned.items())
    return (
        f":root {{ {light} }}\n@media screen and "
        f"(prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )
