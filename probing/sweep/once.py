"""A sweep as a step of several: made once, and kept when the same command comes by again."""

from collections.abc import Callable
from pathlib import Path

from cache import Cache
from probing.progress import console
from probing.runs import Run
from probing.sweep.options import SweepOptions
from probing.sweep.sweeping import finished_run, sweep


def sweep_once(
    cache: Cache,
    run: Path,
    options: SweepOptions,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    say: Callable[[str], None] = console.print,
) -> Run:
    """The run in a folder if it is this very sweep, which is then said; else the sweep, as `probing.sweep.sweep`."""
    found = finished_run(cache, run, options)
    if found is None:
        return sweep(cache, run, options, device=device, overwrite=overwrite, say=say)
    say(f"Nothing to do: {found.folder} is that sweep.")
    return found
