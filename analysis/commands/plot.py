"""The command `probe plot`."""

from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.commands.arguments import CORPUS_NAME_HELP, RunFolder
from analysis.commands.completion import plots
from analysis.commands.files import PICTURES, check_suffix, is_output, write_output
from analysis.commands.parameters import with_options
from analysis.commands.printing import out
from analysis.commands.tables import TableFiles
from analysis.plots.kinds import PLOTS
from analysis.runs.kinds import RUN, expect, expect_runs
from cache.errors import ProbeError
from probing.options import check, nearest, option
from probing.progress import console, status_line

if TYPE_CHECKING:
    import pandas as pd

    from probing.targets.metrics import Metric

FigureKind = Annotated[
    str, typer.Argument(metavar="KIND", help=f"{PLOTS.listed()}.", autocompletion=plots)
]
FigureFile = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="A .png, .svg or .pdf; - prints svg.")
]


@dataclass(frozen=True)
class Drawn:
    """What a figure shows; each kind of figure takes some of it.

    >>> Drawn(split="train")
    Traceback (most recent call last):
    cache.errors.OptionError: split=train: expected dev or eval
    """

    compare: tuple[Path, ...] = option(
        (),
        "Another run on the same utterances; may be given again.",
        metavar="RUN",
        many=True,
        is_path=True,
    )
    corpus: str | None = option(None, CORPUS_NAME_HELP, metavar="NAME")
    by: str = option(
        "attack", "Of conditions and det: attack, codec, any column.", metavar="COLUMN"
    )
    split: str = option("eval", "eval or dev.", choices=("dev", "eval"))
    relative: bool | None = option(
        None,
        "Layer / L, or the layer [default: relative where L differ].",
        flag="relative/--absolute",
    )
    simultaneous: bool = option(False, "Of layers: bands that hold for all layers at once.")

    def __post_init__(self) -> None:
        check(self)

    def check_for(self, kind: str) -> None:
        """Refuse an unknown kind of figure, and options that this kind does not take."""
        if kind not in PLOTS:
            hint = nearest(kind, PLOTS) or "."
            raise ProbeError(
                f"{kind!r} is not one of {', '.join(PLOTS)}{hint} "
                "One of your own: probe --import MODULE plot ..."
            )
        values = asdict(self).items()
        default = asdict(Drawn())
        PLOTS[kind].check({name: value for name, value in values if value != default[name]})

    def of_kind(self) -> dict[str, Any]:
        """The arguments, beside runs, of the functions that draw."""
        return {name: getattr(self, name) for name in ("split", "by", "relative", "simultaneous")}


@dataclass(frozen=True)
class Paper:
    """How a figure looks; see `analysis.style`."""

    style: str = option(
        "screen",
        "screen; or paper: a column wide, without small print or title, its text for the "
        "caption printed. pdf and svg are vectors with their fonts in them.",
        choices=("screen", "paper"),
    )
    width: str | None = option(
        None,
        "3.5 or 7.16 inches, or so many [default: single in a paper, else of each kind its own].",
        metavar="single|double|INCHES",
    )
    title: str | None = option(None, "Instead of the figure's own; empty for none.", metavar="TEXT")
    font_size: float | None = option(
        None, "Of axis labels; other text follows it [default: 10, in a paper 8].", metavar="PT"
    )
    dpi: int | None = option(
        None, "Dots per inch of a png [default: 150, in a paper 600].", minimum=30, maximum=1200
    )

    def __post_init__(self) -> None:
        check(self)

    def look(self) -> dict[str, Any]:
        """The arguments, beside the name, of `analysis.style`."""
        return {name: getattr(self, name) for name in ("width", "title", "font_size")}


@with_options
def plot(
    run: RunFolder,
    kind: FigureKind,
    file: FigureFile,
    options: Drawn,
    paper: Paper,
    tables: TableFiles,
) -> None:
    """Draw one figure, and write its numbers.

    \b
    probe plot results/demo.run layers --out layers.pdf
    probe plot results/demo.run conditions --by attack --out attacks.png
    probe plot results/demo.run layers --style paper --out layers.pdf --tex layers.tex
    probe plot embedded.run pareto --compare random.run --compare log-mel.run --out pareto.svg
    """
    check_suffix(file, PICTURES)
    options.check_for(kind)
    tables.check()
    folders = [run, *options.compare]
    expect(run, RUN)
    expect_runs(folders)
    analysis = import_module("analysis")
    with analysis.style(paper.style, **paper.look()) as style:
        with status_line("Drawing"):
            runs = [analysis.load(folder, options.corpus) for folder in folders]
            drawn = PLOTS[kind].draw(runs, **options.of_kind())
        numbers = PLOTS[kind].numbers(runs, **options.of_kind()) if tables.wanted else None
        _write(file, drawn, paper.dpi or style.dpi)
    if kind == "pareto":
        for text in import_module("analysis.plots.pareto").not_drawn(analysis.load_many(runs)):
            console.print(text, markup=False)
    caption = analysis.caption(drawn)
    if numbers is not None:
        _write_numbers(tables, numbers, runs[0].metric, caption)
    if style.is_paper:
        out.print(f"For the caption: {caption}", markup=False)


def _write_numbers(
    tables: TableFiles, numbers: "pd.DataFrame", metric: "Metric", title: str
) -> None:
    """Write the numbers of a figure to the files that were given."""
    texts = import_module("analysis.tables").with_intervals(numbers)
    texts = import_module("analysis.tables.of_plots").in_words(texts, metric)
    tables.write(numbers, texts, title)


def _write(file: Path, drawn: Any, dpi: int) -> None:
    """Write a figure to a file, and say where; or to standard output, as svg."""
    saving = import_module("analysis.plots.saving")
    if is_output(file):
        write_output(saving.rendered(saving.figure_of(drawn), "svg", metadata={"Date": None}))
    else:
        out.print(f"Picture: {saving.save_figure(drawn, file, dpi)}", markup=False)
