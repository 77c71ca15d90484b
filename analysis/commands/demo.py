"""The command `probe demo`."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from analysis.commands.arguments import Device
from analysis.commands.files import check_folder
from analysis.commands.printing import out, print_json, print_whole
from probing.progress import console
from probing.sweep.options import DepthOptions, SweepOptions

if TYPE_CHECKING:  # at run time it costs torch
    from analysis.demo import Story
    from analysis.runs.comparison import Comparison


StoryFolder = Annotated[
    Path,
    typer.Option("--out", metavar="FOLDER", help="Folder of the caches, the runs and the report."),
]
MostClips = Annotated[
    int | None,
    typer.Option(
        min=4,
        metavar="N",
        help="A quick look: at most N clips of each split and "
        "class, speakers in turn [default: all].",
    ),
]
HeadSeeds = Annotated[int, typer.Option(min=1, help="First weights of every head.")]
Resamples = Annotated[int, typer.Option(min=100, help="Bootstrap resamples behind each interval.")]
StoryAsJson = Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")]
ReplaceRuns = Annotated[bool, typer.Option("--overwrite", help="Replace runs made another way.")]


def demo(
    folder: StoryFolder = Path("results"),
    clips: MostClips = None,
    seeds: HeadSeeds = 3,
    resamples: Resamples = 1000,
    device: Device = "auto",
    as_json: StoryAsJson = False,
    overwrite: ReplaceRuns = False,
) -> None:
    """Run the whole story on the demo corpus: three backbones, their probes, one report, and what
    it all says.

    The backbones are the embedded WavLM, the same with random weights, and moonshine, a speech
    recogniser's encoder. Nothing is downloaded. Takes some three minutes on two cores. The same
    command again goes on where it stopped, and what is finished is kept.

    \b
    probe demo
    probe demo --clips 20 --out quick
    """
    check_folder(folder)
    console.print("Loading ...")
    options = SweepOptions(depths=DepthOptions(seeds=tuple(range(seeds))), resamples=resamples)
    # from here on it takes seconds
    story = import_module("analysis.demo").Story(folder, clips, sweep=options)
    tell(story, device, as_json=as_json, overwrite=overwrite)


def tell(
    story: "Story", device: str = "auto", *, as_json: bool = False, overwrite: bool = False
) -> None:
    """Run the story, write its report and picture, and print what it says."""
    analysis, demo = import_module("analysis"), import_module("analysis.demo")
    runs = demo.run(story, device=device, overwrite=overwrite)
    comparison = analysis.compare(runs)
    sentences = demo.sentences(comparison)
    console.print("\nDrawing the report ...")
    # which take as long as a sweep
    page = analysis.save_report(runs, story.named("demo.html"), measures=False)
    picture = analysis.save_figure(comparison.layer_curve(), story.named("demo.png"))
    if as_json:
        folders = [str(run.folder) for run in runs]
        found = {"sentences": sentences, "runs": folders, "report": page, "picture": str(picture)}
        return print_json(found)
    _print_ranking(comparison)
    for number, sentence in enumerate(sentences, 1):
        out.print(f"\n{number}. {sentence}", markup=False)
    made = ", ".join(str(run.folder) for run in runs)
    out.print(f"\nReport:  {page}\nPicture: {picture}\nRuns:    {made}", markup=False)
    console.print(
        "Next: your own data: probe extract mine.cache --corpus "
        "my/manifest.csv, then probe sweep mine.cache"
    )


def _print_ranking(comparison: "Comparison") -> None:
    """Print the backbones, the best first, with the figure of the layer chosen on dev."""
    shown = Table(
        box=None,
        header_style="bold",
        title=f"\nOn {comparison.runs[0].corpus}",
        title_justify="left",
    )
    ranked = comparison.ranked
    columns = [comparison.metric.axis, "95 %", "layer", "enough"]
    for name in ("backbone", *columns):
        shown.add_column(name, justify="left" if name == "backbone" else "right")
    for name, row in ranked.iterrows():
        shown.add_row(str(name), *row[columns])
    print_whole(shown)
    out.print("layer: chosen on dev; enough: the depth shown to be not worse than all layers")
