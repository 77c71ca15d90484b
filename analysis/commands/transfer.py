"""The command `probe transfer`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.arguments import (
    Labels,
    Layers,
    MemoryGB,
    Tier,
)
from analysis.commands.files import TABLES, check_suffix, save
from analysis.commands.lists import whole
from analysis.commands.printing import out, print_frame
from analysis.runs.kinds import CACHE, RUN, expect
from cache import Cache


def transfer(
    caches: Annotated[list[Path], typer.Argument(metavar="CACHE...", help="Caches, of one or several backbones.")],
    runs: Annotated[
        list[Path] | None,
        typer.Option("--run", metavar="RUN", help="Run of each cache, in order: how well the scores foretell it."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Table: .csv, .parquet, .tex or .md.")
    ] = None,
    layers: Layers = None,
    split: Annotated[str, typer.Option(help="Split whose labels are used.")] = "train",
    target: Annotated[str, typer.Option(help="Column that says the class.")] = "label",
    labels: Labels = None,
    scores: Annotated[
        str, typer.Option(metavar="LIST", help="Which; LogME alone takes about two thirds of the time of all.")
    ] = "logme,h_score,transrate,gbc",
    tier: Tier = "pooled",
    raw: Annotated[
        bool, typer.Option("--raw", help="Features as they are, as published, instead of standardised.")
    ] = False,
    memory_gb: MemoryGB = 2.0,
) -> None:
    """Score layers without training: LogME, H-score, TransRate, GBC; higher promises a better probe.

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
    module = import_module("analysis.transferability")
    opened = [Cache(folder) for folder in caches]
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
    print_frame(table)
    if "transrate" in table:
        out.print("TransRate: each class centred by its own mean and weighted by its size; beside it shuffled labels.")
    if runs:
        run = import_module("probing.runs").Run
        found = module.predicts([run(folder) for folder in runs] if len(runs) > 1 else run(runs[0]), table)
        out.print("\nRank correlation with the probes' EER on eval, 1 where the higher score has the lower EER:")
        print_frame(found.set_index(["over", "score"]))
    if file:
        save(file, None, table.reset_index())
