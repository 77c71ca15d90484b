"""The command `probe robustness`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.commands.arguments import CacheAudio, CorpusName, RunFolder, Seed
from analysis.commands.folders import Outputs, check_companion, check_second_folder
from analysis.commands.parameters import with_options
from analysis.commands.printing import out, print_frame
from analysis.runs.companions import ABOUT, companion_folder, write_about
from analysis.runs.kinds import RUN, expect
from probing.extraction.machine import Machine
from probing.robustness.grid import GRID, parse_grid

if TYPE_CHECKING:
    import pandas as pd

    from analysis.robustness import Robustness
    from analysis.runs.loaded_run import LoadedRun
    from cache import Cache

OUTPUTS = Outputs(
    ("robustness.csv", "layers.csv", "finding.txt", "layers.png", "layers.svg"),
    at_times=(ABOUT, "snr-*.png", "snr-*.svg"),
)
GridOfConditions = Annotated[
    str,
    typer.Option(
        metavar="GRID",
        help="Conditions: transforms with ; between, their values with commas between, one "
        "condition each; transforms as in probe extract with view.",
    ),
]
TablesFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        help="Folder of tables and pictures [default: NAME.robustness].",
    ),
]
ViewsFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of the caches of conditions [default: NAME.views beside the cache].",
    ),
]
WithHeads = Annotated[bool, typer.Option(help="Heads as well, beside the probes of layers.")]


@with_options
def robustness(
    run: RunFolder,
    grid: GridOfConditions = GRID,
    folder: TablesFolder = None,
    views: ViewsFolder = None,
    corpus: CorpusName = None,
    heads: WithHeads = True,
    audio_root: CacheAudio = None,
    seed: Seed = 0,
    *,
    machine: Machine,
) -> None:
    """Say which layers keep what they know when the audio is noisy, coded or reverberant.

    The eval utterances of the run are heard through every condition and cached beside its cache;
    each file is decoded once. The same command again goes on where it stopped, and makes no view
    twice. Probes and heads trained on clean audio are scored on each, at the threshold of the clean
    dev set as well.

    \b
    probe robustness results/demo.run
    probe robustness mine.run --grid "noise:white@0,5,10; noise:./musan@10; reverb:small,large"
    probe robustness mine.run --grid "resample:8000+codec:alaw; speed:0.9,1.1" --no-heads
    """
    conditions = parse_grid(grid)
    expect(run, RUN)
    folder = folder or companion_folder(run, "robustness")
    check_companion(folder, run, "robustness", OUTPUTS)
    check_second_folder(views, "views", folder, _views_in)
    loaded = import_module("analysis.runs.loading").load(run, corpus)
    # refuses a run without any, before views are made
    import_module("probing.serving.candidates").known_heads(loaded, heads)
    analysis = import_module("analysis.robustness")
    clean = analysis.eval_cache(loaded)
    robust = import_module("probing.robustness.views")  # from here on it takes seconds
    table = _eval_table(loaded, clean)
    made = robust.extract_views(
        clean, conditions, table, machine, folder=views, seed=seed, audio_root=audio_root
    )
    found = analysis.measure(loaded, clean, made, conditions, heads=heads)
    _conclude(found, folder, {"grid": grid, "seed": seed})


def _conclude(found: Robustness, folder: Path, options: dict[str, object]) -> None:
    """Write and print what was found, and say where it is."""
    analysis = import_module("analysis.robustness")
    layers = analysis.layers_table(found)
    sentence = analysis.sentence_of(found)
    pictures = _write(found, layers, sentence=sentence, folder=folder, options=options)
    _print(found, layers, sentence)
    out.print(f"Picture: {' and '.join(map(str, pictures))}", markup=False)
    out.print(f"Results: {folder / 'robustness.csv'} and {folder / 'layers.csv'}", markup=False)


def _views_in(folder: Path) -> list[str]:
    """The names of the caches of conditions in a folder; one may just have been begun."""
    return [path.name for path in folder.glob("*.cache") if path.is_dir()]


def _eval_table(run: LoadedRun, clean: Cache) -> pd.DataFrame:
    """The rows of the cache of eval that the run has scores of."""
    trials = run.trials(f"linear-layer-{run.record.finding.layer:02d}", run.part("eval"))
    return clean.utterances[clean.utterances["utterance_id"].isin(set(trials["utterance_id"]))]


def _write(
    found: Robustness, layers: pd.DataFrame, sentence: str, folder: Path, options: dict[str, object]
) -> list[Path]:
    """Write the tables, the finding and the pictures, and say where these are."""
    drawing = import_module("analysis.robustness")
    style = import_module("analysis.plots.style")
    axes = {"layers": drawing.robustness_map(found)}
    for kind in drawing.snr_kinds(found):
        axes[f"snr-{kind.replace(':', '-').replace('/', '-')}"] = drawing.snr_curve(found, kind)
    with OUTPUTS.replaced(folder) as partial:
        write_about(partial, "robustness", run=found.run, corpus=found.run.corpus, more=options)
        found.table.to_csv(partial / "robustness.csv", index=False)
        layers.to_csv(partial / "layers.csv", index=False)
        (partial / "finding.txt").write_text(sentence + "\n", encoding="utf-8")
        for name, ax in axes.items():
            for kind in style.FIGURES:
                style.save_figure(ax, partial / f"{name}.{kind}")
    return [folder / f"{name}.png" for name in axes]


def _print(found: Robustness, layers: pd.DataFrame, sentence: str) -> None:
    """Print the figures of each layer, what could not be compared, and what they say."""
    changes = import_module("analysis.robustness").CHANGES
    rises = ["clean", "eer", "low", "high", "rise", "rise_low", "rise_high"]
    shown = layers[["layer", *rises, *(name for name in changes if name in layers)]]
    print_frame(shown.round(3).set_index("layer"))
    if found.left_out:
        out.print(f"Without {found.left_out} trials that some condition made unusable.")
    for name, why in found.not_aligned.items():
        out.print(f"{name}: its frames are not compared, as {why}.", markup=False)
    out.print(f"\n{sentence}\n", markup=False)
