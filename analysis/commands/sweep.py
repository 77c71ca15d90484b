"""The command `probe sweep`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.arguments import DEMO_CACHE, Device
from analysis.commands.lists import numbers
from analysis.commands.printing import out, print_corpora, print_layers, print_plan
from analysis.runs.kinds import CACHE, RUN, expect
from probing.heads.kinds import heads_help, import_heads

DEMO_RUN = Path("results/demo.run")


def sweep(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CACHE]", help="Folder of the cache [default: that of --train, else results/demo.cache]."
        ),
    ] = None,
    run_folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of the run [default: beside the cache, NAME.run]."),
    ] = None,
    train: Annotated[
        str,
        typer.Option(metavar="SPLIT", help="What to train on: SPLIT of the cache, or CACHE:SPLIT of another one."),
    ] = "train",
    dev: Annotated[str, typer.Option(metavar="SPLIT", help="What to choose strength and layer on; likewise.")] = "dev",
    evaluation: Annotated[
        list[str] | None,
        typer.Option(
            "--eval",
            metavar="SPLIT",
            help="What to report on; likewise, or CACHE alone for its split eval. May be given again: findings are "
            "about the first. [default: eval]",
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMNS", help="Also report every layer by these, as attack,codec.")
    ] = None,
    unseen_attacks: Annotated[
        bool,
        typer.Option(
            "--unseen-attacks", help="Also train every layer without each attack in turn, and measure it on that."
        ),
    ] = False,
    probe: Annotated[
        str,
        typer.Option(help="linear; or mlp, a multilayer perceptron per layer beside the linear probe, with controls."),
    ] = "linear",
    strengths: Annotated[
        str, typer.Option(help="Values of C, the inverse penalty of the probes, to choose from on dev.")
    ] = "1e-5,1e-4,1e-3,1e-2,0.1,1",
    control_seeds: Annotated[int, typer.Option(min=0, help="Repeats of the shuffled-label control.")] = 3,
    heads: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help=f"{heads_help()} [default: mean, weighted-sum and attentive-compact with linear; on frames the last "
            "two with lstm]",
        ),
    ] = None,
    tier: Annotated[str, typer.Option(help="What heads see: pooled (minutes) or frames (the paper's).")] = "pooled",
    recipe: Annotated[
        str,
        typer.Option(
            help="Of heads: quick; attm, that of Pan et al. 2024 as described; attm-released, as their code does."
        ),
    ] = "quick",
    seeds: Annotated[int, typer.Option(min=1, help="First weights of every head.")] = 3,
    depths: Annotated[str | None, typer.Option(metavar="LIST", help="Depths, as 4,8,12 [default: all].")] = None,
    epochs: Annotated[int, typer.Option(min=0, help="Epochs of heads at most; 0 as the recipe says.")] = 0,
    margin: Annotated[
        str, typer.Option(help="What a smaller depth may be worse by: relative EER, as 0.1, or points of EER, as 2pt.")
    ] = "0.1",
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples behind each interval.")] = 1000,
    interval_by: Annotated[
        str,
        typer.Option(
            help="What the bootstrap draws whole: speaker, attack, speaker,attack (either by itself: for attacks like "
            "these), utterance, or auto (speakers where known)."
        ),
    ] = "auto",
    interval_includes: Annotated[
        str | None,
        typer.Option(
            metavar="training", help="Refit linear probes on speakers drawn anew: intervals say what these change."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    device: Device = "cpu",
    memory_gb: Annotated[
        float, typer.Option(min=0.5, help="Most memory for features and heads, beside the program.")
    ] = 2.0,
    compared: Annotated[
        list[Path] | None,
        typer.Option(
            "--compare", metavar="RUN", help="Draw this run on the same utterances beside it; may be given again."
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what this corpus can show about depth; trains nothing.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run made another way.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse parts that share a speaker or a recording, before training.")
    ] = False,
) -> None:
    """Train a linear probe per layer and heads on the first k layers, and draw the curves.

    Probes: class-balanced logistic regression on mean and standard deviation over time, strength chosen on dev, with
    two controls: shuffled labels, and features that say nothing about speech. Heads: merges of layers 1..k for every k,
    all trained from one read of the cache; the smallest depth that is not worse than full depth is named. A killed
    sweep goes on where it stopped. Writes a run folder: results.csv, scores, heads, figures, report.html.

    \b
    probe sweep                         the embedded demo
    probe sweep mine.cache --heads none --strengths 0.001,0.1
    probe sweep mine.cache --plan --margin 2pt
    probe sweep mine.cache --tier frames --recipe attm --heads attentive-compact+lstm --depths 6,12,24
    probe sweep wavlm.cache --out wavlm.run --compare random.run
    probe sweep la19.cache --eval eval --eval la21.cache --eval df21.cache:eval --by attack,codec --unseen-attacks
    """
    sweeping = import_module("probing.sweep")
    if folder is None:
        folder = Path(train.rpartition(":")[0]) if ":" in train else DEMO_CACHE
    if run_folder is None:
        run_folder = DEMO_RUN if folder == DEMO_CACHE else folder.with_name(folder.name.removesuffix(".cache") + ".run")
    if heads is None:
        chosen = sweeping.POOLED_HEADS if tier == "pooled" else sweeping.FRAMES_HEADS
    else:
        chosen = () if heads == "none" else tuple(heads.split(","))
        import_heads(chosen)
    options = sweeping.SweepOptions(
        strengths=numbers("--strengths", strengths, float),
        depths=sweeping.DepthOptions(
            heads=chosen,
            tier=tier,
            recipe=recipe,
            seeds=tuple(range(seeds)),
            depths=numbers("--depths", depths, int),
            epochs=epochs,
        ),
        margin=margin,
        control_seeds=tuple(range(control_seeds)),
        resamples=resamples,
        seed=seed,
        interval_by=interval_by,
        by=tuple(name for name in (by or "").split(",") if name),
        unseen_attacks=unseen_attacks,
        probe=probe,
        interval_includes=tuple(name for name in (interval_includes or "").split(",") if name),
        train=train,
        dev=dev,
        eval=tuple(evaluation or ["eval"]),
    )
    reports, runs = import_module("analysis.reports.report"), import_module("probing.runs")
    expect(folder, CACHE)
    for other in compared or []:
        expect(other, RUN)
    others = [runs.Run(other) for other in compared or []]
    opened = import_module("cache").Cache(folder)
    if plan:
        split, planning = options.splits(opened)["eval"], import_module("probing.sweep.planning")
        clusters = split.clusters(interval_by)
        print_plan(planning.plan(split.bonafide, clusters, options.margin, seed=seed))
        return
    if others:
        utterances = sweeping.identity(options.splits(opened))
        for other in others:
            import_module("analysis.runs.protocols").check_same_utterances(utterances, other)
    run = sweeping.sweep(
        opened, run_folder, options, device=device, memory_gb=memory_gb, overwrite=overwrite, strict=strict
    )
    pictures, page = reports.save_all(run, others)
    print_layers(reports.layer_table(run), str(run.record["finding"]["layer"]))
    if len(run.corpora) > 1:
        print_corpora(reports.corpora_table(run))
    terminal = import_module("analysis.plots.terminal")
    ascii_only = not terminal.shows_lines(out.encoding)
    out.print(f"\n{terminal.text_curve(run, width=min(80, out.width), ascii_only=ascii_only)}", markup=False)
    out.print(f"\n{run.sentence}\n", markup=False)
    shown = [path for path in pictures if path.endswith(".png")]
    out.print(f"Picture: {' and '.join(shown)}\nReport:  {page}\nResults: {run.folder / 'results.csv'}")
