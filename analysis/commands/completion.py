"""What a shell completes behind an option: names of heads, backbones, plots, metrics.

    plot: Annotated[str, typer.Argument(autocompletion=among(PLOTS))]

Where nothing is offered, the shell completes names of files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path

from analysis.plots.kinds import PLOTS
from probing.options import Option


def among(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Complete one of these names; of a list with commas between, the last.

    >>> among(["spearman", "r2"])("r2,sp")
    ['r2,spearman']
    """
    known = list(names)

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in known if name.startswith(last)]

    return complete


def _heads(incomplete: str) -> list[str]:
    from probing.heads.kinds import BACKENDS, MERGES

    return among(["none", *(f"{merge}+{backend}" for merge, backend in product(MERGES, BACKENDS))])(
        incomplete
    )


def _backbones(incomplete: str) -> list[str]:
    from probing.backbones.checkpoint import EMBEDDED, FEATURES, WELL_KNOWN

    names = [EMBEDDED, *FEATURES, *WELL_KNOWN]
    return [
        name
        for name in [*names, *(f"random:{name}" for name in names)]
        if name.startswith(incomplete)
    ]


def _metrics(incomplete: str) -> list[str]:
    from probing.targets.metrics import METRICS

    return among(METRICS)(incomplete)


def corpora(incomplete: str) -> list[str]:
    """Complete the corpora known by name, of which those with a ROOT end in a colon."""
    from probing.corpora import KNOWN

    return [
        name for name in ["demo", *(f"{name}:" for name in KNOWN)] if name.startswith(incomplete)
    ]


def heads_of_run(incomplete: str) -> list[str]:
    """Complete the heads of the run that is on the command line, and their kinds."""
    names = sorted(path.stem for path in _typed("heads").glob("*-depth-*.safetensors"))
    kinds = dict.fromkeys(name.rpartition("-depth-")[0] for name in names)
    return [name for name in ["linear", *kinds, *names] if name.startswith(incomplete)]


def corpora_of_run(incomplete: str) -> list[str]:
    """Complete the corpora that the run on the command line was evaluated on."""
    try:
        names = json.loads(_typed("run.json").read_bytes())["corpora"]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return [name for name in names if name.startswith(incomplete)]


def _typed(part: str) -> Path:
    """A part of the first folder on the command line that has one of this name."""
    # of the words, since a line that ends in an option without its value is not parsed
    words = (os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")).split()
    return next((Path(word, part) for word in words if Path(word, part).exists()), Path(part))


devices = among(["auto", "cpu", "cuda", "mps"])
plots = among(PLOTS)
NAMED = {
    "backbone": _backbones,
    "corpus": corpora,
    "device": devices,
    "head": heads_of_run,
    "heads": _heads,
    "metric": _metrics,
}


def completion_of(name: str, option: Option) -> Callable[[str], list[str]] | None:
    """What completes an option that a dataclass declares."""
    if option.choices:
        return among(filter(None, option.choices))
    if name == "corpus" and option.metavar == "NAME":  # one of those of a run
        return corpora_of_run
    return NAMED.get(name)
