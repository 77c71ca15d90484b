"""The command `probe plot`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.commands.arguments import CorpusName
from analysis.commands.files import PICTURES, check_suffix
from analysis.commands.printing import out
from analysis.plots.kinds import PLOTS
from analysis.runs.kinds import RUN, expect
from cache.errors import OptionError, ProbeError

DEFAULTS = {"split": "eval", "by": "attack", "relative": None, "simultaneous": False}


def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help=f"{PLOTS.listed()}."),
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
    check_suffix(file, PICTURES)
    if kind not in PLOTS:
        raise ProbeError(f"{kind!r} is not one of {', '.join(PLOTS)}. One of your own: probe --import MODULE plot ...")
    if split not in ("dev", "eval"):
        raise OptionError("split", split, "expected dev or eval")
    options: dict[str, Any] = {"split": split, "by": by, "relative": relative, "simultaneous": simultaneous}
    given = {name: value for name, value in options.items() if value != DEFAULTS[name]}
    if corpus:
        given["corpus"] = corpus
    if others:
        given["compare"] = others
    PLOTS[kind].check(given)
    for one in (run, *(others or [])):
        expect(one, RUN)
    analysis = import_module("analysis")
    drawn = PLOTS[kind].draw([analysis.load(one, corpus) for one in (run, *(others or []))], **options)
    out.print(f"Picture: {analysis.save_figure(drawn, file, dpi)}", markup=False)
