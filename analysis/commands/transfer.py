"""The command `probe transfer`."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.commands.arguments import (
    AsJson,
    Labels,
    Layers,
    MemoryGB,
    Tier,
)
from analysis.commands.files import TABLES, check_suffix, is_output, save
from analysis.commands.lists import whole
from analysis.commands.printing import out, print_frame, print_json
from analysis.runs.kinds import CACHE, RUN, expect

if TYPE_CHECKING:
    import pandas as pd

    from probing.runs import Run


def transfer(
    caches: Annotated[
        list[Path], typer.Argument(metavar="CACHE...", help="Caches, of one or several backbones.")
    ],
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Run of each cache, in order: how well the scores foretell it.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Table: .csv, .parquet, .tex or .md; - is csv."
        ),
    ] = None,
    layers: Layers = None,
    split: Annotated[str, typer.Option(help="Split whose labels are used.")] = "train",
    target: Annotated[str, typer.Option(help="Column that says the class.")] = "label",
    labels: Labels = None,
    scores: Annotated[
        str,
        typer.Option(
            metavar="LIST", help="Which; LogME alone takes about two thirds of the time of all."
        ),
    ] = "logme,h_score,transrate,gbc",
    tier: Tier = "pooled",
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Features as they are, as published, instead of standardised."),
    ] = False,
    memory_gb: MemoryGB = 2.0,
    as_json: AsJson = False,
) -> None:
    """Score layers without training: LogME, H-score, TransRate, GBC; higher promises a better
    probe.

    \b
    probe transfer results/demo.cache --run results/demo.run
    probe transfer wavlm.cache hubert.cache whisper.cache --out scores.csv
    """
    if file:
        check_suffix(file, TABLES)
    for folder in caches:
        expect(folder, CACHE)
    for folder in runs or ():
        expect(folder, RUN)
    chosen = whole("layers", layers)
    from cache import Cache

    module = import_module("analysis.transferability")
    opened = [Cache(folder) for folder in caches]
    of_caches = [import_module("probing.runs").Run(one) for one in runs or ()]
    for run, cache in zip(of_caches, opened, strict=False):  # before the layers are scored
        import_module("probing.runs").check_cache(run, cache)
    table = module.transfer_scores(
        opened if len(opened) > 1 else opened[0],
        chosen,
        {"split": split},
        target=target,
        labels=labels or "",
        scores=[name for name in scores.split(",") if name],
        standardize=not raw,
        tier=tier,
        memory_gb=memory_gb,
    )
    found = (
        module.predicts(of_caches if len(of_caches) > 1 else of_caches[0], table)
        if of_caches
        else None
    )
    if as_json:
        of_runs = None if found is None else found.reset_index(drop=True)
        print_json({"scores": table.reset_index(), "foretold": of_runs})
    elif not is_output(file):
        _show(table, found, of_caches)
    if file:
        save(file, None, table.reset_index())


def _show(table: "pd.DataFrame", found: "pd.DataFrame | None", runs: "Sequence[Run]") -> None:
    """The scores on the terminal, and how well they foretell the probes of runs."""
    print_frame(table)
    if "transrate" in table:
        out.print(
            "TransRate: each class centred by its own mean and "
            "weighted by its size; beside it shuffled labels."
        )
    if found is not None:
        metric = runs[0].metric
        better = f"{'higher' if metric.higher_is_better else 'lower'} {metric.called}"
        told = (
            f"Rank correlation with the probes' {metric.called} on eval, "
            f"1 where the higher score has the {better}:"
        )
        out.print(f"\n{told}", markup=False)
        print_frame(found.set_index(["over", "score"]))
