"""A sweep as a step of several: made once, and kept when the same command comes by again."""

from collections.abc import Callable
from pathlib import Path

from cache import Cache
from probing.progress import console
from probing.runs import Run
from probing.sweep.leaks import find_leaks, refuse_leaks
from probing.sweep.options import SweepOptions
from probing.sweep.split import Split
from probing.sweep.sweeping import finished_run, sweep


def sweep_once(
    cache: Cache,
    run: Path,
    options: SweepOptions,
    *,
    device: str = "cpu",
    memory_gb: float = 2.0,
    overwrite: bool = False,
    strict: bool = False,
    splits: dict[str, Split] | None = None,
    say: Callable[[str], None] = console.print,
) -> Run:
    """The run in a folder if it is this very sweep; else the sweep.

    Args and errors are those of `probing.sweep.sweep`; `overwrite` replaces a run that was made
    another way, and a run with a damaged file is made again.

    >>> from probing.sweep import DepthOptions
    >>> options = SweepOptions(
    ...     depths=DepthOptions(()), strengths=(0.1,), control_seeds=(), resamples=100
    ... )
    >>> cache = Cache("results/demo.cache")
    >>> run = sweep_once(cache, Path("once.run"), options, say=lambda text: None)
    >>> again = sweep_once(cache, Path("once.run"), options, say=print)
    Nothing to do: once.run is that sweep.
    """
    splits = options.splits(cache) if splits is None else splits
    found = finished_run(cache, run, options, splits=splits)
    if found is None:
        return sweep(
            cache,
            run,
            options,
            device=device,
            memory_gb=memory_gb,
            overwrite=overwrite,
            strict=strict,
            splits=splits,
            say=say,
        )
    if strict:  # which a sweep does itself
        refuse_leaks(find_leaks(splits))
    say(f"Nothing to do: {found.folder} is that sweep.")
    return found
