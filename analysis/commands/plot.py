"""The command `probe plot`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.commands.arguments import CorpusName
from analysis.commands.completion import plots
from analysis.commands.files import PICTURES, check_suffix, is_output, write_output
from analysis.commands.parameters import with_options
from analysis.commands.printing import out
from analysis.commands.tables import TableFiles
from analysis.plots.kinds import PLOTS
from analysis.runs.kinds import RUN, expect, expect_runs
from cache.errors import OptionError, ProbeError
from probing.options import nearest
from probing.progress import console, status_line

DEFAULTS = {"split": "eval", "by": "attack", "relative": None, "simultaneous": False}


@with_options
def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help=f"{PLOTS.listed()}.", autocompletion=plots),
    ],
    file: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE", help="A .png, .svg or .pdf; - prints svg."),
    ],
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--compare",
            metavar="RUN",
            help="Another run on the same utterances; may be given again.",
        ),
    ] = None,
    corpus: CorpusName = None,
    by: Annotated[
        str,
        typer.Option(metavar="COLUMN", help="Of conditions and det: attack, codec, any column."),
    ] = "attack",
    split: Annotated[str, typer.Option(help="eval or dev.")] = "eval",
    relative: Annotated[
        bool | None,
        typer.Option(
            "--relative/--absolute",
            help="Layer / L, or the layer [default: relative where L differ].",
        ),
    ] = None,
    simultaneous: Annotated[
        bool,
        typer.Option("--simultaneous", help="Of layers: bands that hold for all layers at once."),
    ] = False,
    style: Annotated[
        str,
        typer.Option(
            "--style",
            help="screen; or paper: a column wide, without small print or title, its text for the "
            "caption printed. pdf and svg are vectors with their fonts in them.",
        ),
    ] = "screen",
    width: Annotated[
        str | None,
        typer.Option(
            metavar="single|double|INCHES",
            help="3.5 or 7.16 inches, or so many [default: single in "
            "a paper, else of each kind its own].",
        ),
    ] = None,
    title: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Instead of the figure's own; empty for none."),
    ] = None,
    font_size: Annotated[
        float | None,
        typer.Option(
            metavar="PT", help="Of axis labels; other text follows it [default: 10, in a paper 8]."
        ),
    ] = None,
    dpi: Annotated[
        int | None,
        typer.Option(min=30, help="Dots per inch of a png [default: 150, in a paper 600]."),
    ] = None,
    *,
    tables: TableFiles,
) -> None:
    """Draw one figure, and write its numbers.

    \b
    probe plot results/demo.run layers --out layers.pdf
    probe plot results/demo.run conditions --by attack --out attacks.png
    probe plot results/demo.run layers --style paper --width single --out layers.pdf --tex
    layers.tex probe plot embedded.run pareto --compare random.run --compare log-mel.run --out
    pareto.svg
    """
    check_suffix(file, PICTURES)
    if kind not in PLOTS:
        hint = nearest(kind, PLOTS) or "."
        names = ", ".join(PLOTS)
        raise ProbeError(
            f"{kind!r} is not one of {names}{hint} One of your own: probe --import MODULE plot ..."
        )
    if split not in ("dev", "eval"):
        raise OptionError("split", split, "expected dev or eval")
    options: dict[str, Any] = {
        "split": split,
        "by": by,
        "relative": relative,
        "simultaneous": simultaneous,
    }
    given = {name: value for name, value in options.items() if value != DEFAULTS[name]}
    if corpus:
        given["corpus"] = corpus
    if others:
        given["compare"] = others
    PLOTS[kind].check(given)
    tables.check()
    expect(run, RUN)
    expect_runs([run, *(others or [])])
    analysis = import_module("analysis")
    with analysis.style(style, width=width, title=title, font_size=font_size) as look:
        with status_line("Drawing"):
            loaded = [analysis.load(one, corpus) for one in (run, *(others or []))]
            drawn = PLOTS[kind].draw(loaded, **options)
        numbers = PLOTS[kind].numbers(loaded, **options) if tables.wanted else None
        if is_output(file):
            styles = import_module("analysis.plots.style")
            write_output(styles.rendered(styles.figure_of(drawn), "svg", metadata={"Date": None}))
        else:
            out.print(
                f"Picture: {analysis.save_figure(drawn, file, dpi or look.dpi)}", markup=False
            )
    if kind == "pareto":
        for text in import_module("analysis.plots.pareto").not_drawn(analysis.load_many(loaded)):
            console.print(text, markup=False)
    if numbers is not None:
        texts = import_module("analysis.tables").with_intervals(numbers)
        texts = import_module("analysis.tables.of_plots").in_words(texts, loaded[0].metric)
        tables.write(numbers, texts, analysis.caption(drawn))
    if look.is_paper:
        out.print(f"For the caption: {analysis.caption(drawn)}", markup=False)
