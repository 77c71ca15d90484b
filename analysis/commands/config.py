"""The command `probe config`."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.printing import out
from analysis.runs.kinds import CACHE, RUN, expect, kind_of


def config(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of the run, or of a cache.")
    ],
) -> None:
    """Print the options that made a run, or a cache, as a file for --config; every option is
    written out.

    Folders are those recorded, so that a relative one starts where the command was typed.

    \b
    probe config results/demo.run > demo.yaml
    probe sweep --config demo.yaml --resamples 2000 --out again.run
    probe sweep --config <(probe config results/demo.run)
    """
    expect(folder, RUN, CACHE)
    import yaml

    from analysis.runs import rerun

    if kind_of(folder) == CACHE:
        from cache.manifest import load_manifest

        values = rerun.config_of_cache(load_manifest(folder))
        command = "probe extract"
    else:
        from probing.runs import Run

        run = Run(folder)
        values = rerun.config(run)
        command = " ".join(
            ["probe", *(f"--import {module}" for module in rerun.own_modules(run)), "sweep"]
        )
    out.print(f"# {command} --config FILE", markup=False)
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=10_000)
    out.print(text.rstrip(), markup=False, soft_wrap=True)
