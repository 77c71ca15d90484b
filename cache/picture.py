"""What a notebook shows of a cache."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import pandas as pd

from cache.manifest import describe_layers

if TYPE_CHECKING:
    from cache.reader import Cache

MOST_ROWS = 24  # of a table


def html_of(cache: Cache) -> str:
    """What a notebook shows of a cache: how it was made, and how many utterances it has."""
    about = {
        "backbone": cache.about.get("backbone"),
        "corpus": cache.about.get("corpus"),
        "utterances": f"{len(cache)} of {cache.n_planned}, {len(cache.failures)} could not be used",
        "layers": f"{describe_layers(cache.layers)}, {cache.dim} wide",
        "tiers": ", ".join(f"{tier} ({dtype})" for tier, dtype in cache.tiers.items()),
        "size": f"{cache.n_bytes / 1e6:,.1f} MB in {len(cache.manifest.shards)} shards",
        "fingerprint": cache.id,
    }
    rows = "".join(
        f"<tr><th>{name}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in about.items()
    )
    named = [name for name in ("split", "label") if name in cache.utterances]
    counts = (
        cache.utterances[named].astype(str).value_counts(sort=False)
        if named
        else pd.Series(dtype=int)
    )
    table = (
        counts.rename("utterances").to_frame().to_html(max_rows=MOST_ROWS) if len(counts) else ""
    )
    return f"<p><b>{html.escape(str(cache.folder))}</b></p><table>{rows}</table>{table}"
