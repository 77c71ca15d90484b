"""The commands that look at runs: `probe compare`, `probe report`, `probe plot`."""

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from analysis.tables import out
from cache.atomic import replaced_folder
from cache.errors import ProbeError

Corpus = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of the corpora evaluated on, which [default: the first].")
]
RunFolders = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, or one folder with runs.")]


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


def compare(
    runs: RunFolders,
    head: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What to compare: linear, the probe at the layer chosen on dev, or a head at full depth, as "
            "weighted-sum+linear.",
        ),
    ] = "linear",
    corpus: Corpus = None,
    resamples: Annotated[
        int | None, typer.Option(min=100, help="Bootstrap resamples [default: as many as the first run's].")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the bootstrap [default: that of the first run].")] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for the tables as csv and the figures.")
    ] = None,
) -> None:
    """Compare backbones on the same trials: ranking, paired tests, compute.

    Runs of other corpora, splits, utterances, cropping or strengths are refused, with the reason.

    \b
    probe compare embedded.run random.run log-mel.run
    probe compare results --head weighted-sum+linear --out comparison
    """
    analysis = import_module("analysis")
    found = analysis.compare(runs[0] if len(runs) == 1 else runs, head, corpus=corpus, resamples=resamples, seed=seed)
    shown = Table(
        box=None, padding=(0, 1, 0, 0), header_style="bold", title=f"On {found.runs[0].corpus}", title_justify="left"
    )
    number_of = {name: str(number) for number, name in enumerate(found.table.index, 1)}
    for name, number in number_of.items():
        out.print(f"{number}  {name}", markup=False)
    for column in ("", *found.ranked.columns):
        shown.add_column(column.removesuffix(" of these"), justify="right", no_wrap=True)
    for name, row in found.ranked.iterrows():
        shown.add_row(number_of[name], *row.str.replace("not measured", "-").str.replace("none shown", "-"))
    out.print(shown)
    out.print(import_module("analysis.comparison").LEGEND)
    for row in found.differences.itertuples(index=False):
        out.print(f"{number_of[row[0]]} below {number_of[row[1]]} by {row[2]} points [{row[3]}], p {row[4]}: {row[5]}")
    out.print(f"\n{found.sentence}", markup=False)
    if folder:
        drawn = {"ranking": found.ranking(), "layer-curve": found.layer_curve()}
        if found.table["gmacs"].notna().any():
            drawn["pareto"] = found.pareto()
        pictures = [f"{name}.{kind}" for name in ("ranking", "layer-curve", "pareto") for kind in ("png", "svg")]
        with replaced_folder(folder, ("comparison.csv", "pairs.csv", *pictures)) as partial:
            found.table.to_csv(partial / "comparison.csv")
            found.pairs.to_csv(partial / "pairs.csv", index=False)
            for name, ax in drawn.items():
                for kind in ("png", "svg"):
                    analysis.save_figure(ax, partial / f"{name}.{kind}")
        out.print(f"\nTables and figures: {folder}", markup=False)


def report(
    runs: RunFolders,
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The page [default: report.html in the first run].")
    ] = None,
    measures: Annotated[
        bool | None,
        typer.Option(
            "--measures/--no-measures",
            help="Similarity of layers and transferability, from the caches [default: where they are there and small].",
        ),
    ] = None,
) -> None:
    """Write one HTML page that needs nothing beside it: finding, figures, tables, configuration, how to reproduce.

    Of several runs it begins with their comparison.

    \b
    probe report results/demo.run
    probe report embedded.run random.run --out comparison.html
    """
    page = import_module("analysis.report").save_report(runs[0] if len(runs) == 1 else runs, file, measures)
    out.print(f"Report: {page}", markup=False)


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
    corpus: Corpus = None,
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
    import_module("analysis.figures").check_format(file)
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
