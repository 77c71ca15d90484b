"""The command `probe plot`."""

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.arguments import (
    CorpusName,
)
from analysis.commands.printing import out
from cache.errors import ProbeError


class Kind(StrEnum):
    """What `probe plot` draws."""

    LAYERS = "layers"
    CORPORA = "corpora"
    DEPTHS = "depths"
    GATES = "gates"
    WEIGHTS = "weights"
    ABLATION = "ablation"
    CONDITIONS = "conditions"
    DET = "det"
    RANKING = "ranking"
    PARETO = "pareto"


def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    kind: Annotated[
        Kind,
        typer.Argument(
            metavar="KIND",
            help="layers, depths (EER); corpora (layers, on every corpus evaluated on); gates, weights, ablation (what "
            "layers contribute to heads); conditions (layer x attack, or --by); det (of the layer chosen on dev, "
            "likewise); with --compare also ranking, pareto (EER against multiply-accumulates).",
        ),
    ],
    file: Annotated[Path, typer.Option("--out", metavar="FILE", help="A .png, .svg or .pdf.")],
    others: Annotated[
        list[Path] | None,
        typer.Option("--compare", metavar="RUN", help="Another run on the same utterances; may be given again."),
    ] = None,
    corpus: CorpusName = None,
    by: Annotated[
        str, typer.Option(metavar="COLUMN", help="Of conditions and det: attack, codec, any column.")
    ] = "attack",
    split: Annotated[str, typer.Option(help="eval or dev.")] = "eval",
    relative: Annotated[
        bool | None,
        typer.Option("--relative/--absolute", help="Layer / L, or the layer [default: relative where L differ]."),
    ] = None,
    simultaneous: Annotated[
        bool, typer.Option("--simultaneous", help="Of layers: bands that hold for all layers at once.")
    ] = False,
    dpi: Annotated[int, typer.Option(min=30, help="Dots per inch of a png.")] = 150,
) -> None:
    """Draw one figure.

    \b
    probe plot results/demo.run layers --out layers.pdf
    probe plot results/demo.run conditions --by attack --out attacks.png
    probe plot embedded.run pareto --compare random.run --compare log-mel.run --out pareto.svg
    """
    analysis = import_module("analysis")
    import_module("analysis.plots.style").check_format(file)
    runs = [analysis.load(one, corpus) for one in (run, *(others or []))]
    if split not in ("dev", "eval"):
        raise ProbeError(f"--split {split}: expected dev or eval")
    if corpus and kind in (Kind.CORPORA, Kind.GATES, Kind.WEIGHTS, Kind.ABLATION):
        raise ProbeError(f"--corpus {corpus}: {kind} is not of one corpus of several. Leave it out")
    if simultaneous and kind != Kind.LAYERS:
        raise ProbeError(f"--simultaneous: {kind} has no such bands. Draw layers with it")
    if others and kind in (Kind.CORPORA, Kind.GATES, Kind.WEIGHTS, Kind.ABLATION, Kind.CONDITIONS, Kind.DET):
        raise ProbeError(f"--compare: {kind} is drawn of one run. Draw each: probe plot {others[0]} {kind} --out FILE")
    drawn = {
        Kind.LAYERS: lambda: analysis.layer_curve(runs, split, relative=relative, simultaneous=simultaneous),
        Kind.CORPORA: lambda: analysis.corpora_curve(runs[0]),
        Kind.DEPTHS: lambda: analysis.depth_curve(runs, split, relative=relative),
        Kind.GATES: lambda: analysis.gate_curve(runs[0]),
        Kind.WEIGHTS: lambda: analysis.weight_curve(runs[0]),
        Kind.ABLATION: lambda: analysis.ablation_curve(runs[0]),
        Kind.CONDITIONS: lambda: analysis.condition_map(runs[0], by, split),
        Kind.DET: lambda: analysis.det_curve(runs[0], by, split),
        Kind.RANKING: lambda: analysis.compare(runs).ranking(),
        Kind.PARETO: lambda: analysis.compare(runs).pareto(),
    }[kind]()
    out.print(f"Picture: {analysis.save_figure(drawn, file, dpi)}", markup=False)
