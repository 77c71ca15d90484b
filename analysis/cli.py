"""The command line, a thin skin over functions that a notebook calls with the same names and defaults."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from analysis.caching import cache_app
from analysis.corpora import corpus_app
from analysis.flags import AudioRoot, BatchSize, CorpusSpec, Device, OnNonfinite, Wait, Workers
from analysis.interruption import InterruptibleGroup
from analysis.looking import compare, plot, report
from analysis.measuring import describe, inspect, similarity, transfer
from analysis.reproducing import reproduce_app
from analysis.scoring import evaluate, export, score
from analysis.tables import print_corpora, print_layers
from cache.errors import ProbeError
from cache.parts import Part
from probing.progress import console

DEMO_CACHE, DEMO_RUN = Path("results/demo.cache"), Path("results/demo.run")

out = Console(highlight=False, soft_wrap=True)
app = typer.Typer(
    cls=InterruptibleGroup,
    help="Which layers of a speech model carry the information? Cache every hidden layer once, probe them all.",
    epilog="Start here, no download and no GPU: probe extract, then probe sweep.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(cache_app, name="cache")
app.add_typer(corpus_app, name="corpus")
app.add_typer(reproduce_app, name="reproduce")
app.command()(evaluate)
app.command()(export)
app.command()(score)
app.command()(compare)
app.command()(report)
app.command()(plot)
for measuring in (similarity, transfer, describe, inspect):
    app.command()(measuring)

Splits = Annotated[
    list[str] | None, typer.Option("--split", help="Only this split; may be given again. Run again to add others.")
]


@app.command()
def extract(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder of the cache.")] = DEMO_CACHE,
    corpus: CorpusSpec = "demo",
    audio_root: AudioRoot = None,
    split: Splits = None,
    backbone: Annotated[
        str,
        typer.Option(
            metavar="SPEC",
            help="'embedded' (a small pretrained WavLM, needs no download); a hub id such as "
            "microsoft/wavlm-large; a local folder; random:SPEC, the same architecture with random weights; or "
            "log-mel, lfcc: acoustic features as a baseline.",
        ),
    ] = "embedded",
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub model.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of random weights.")] = 0,
    normalize: Annotated[
        str,
        typer.Option(help="Zero mean and unit variance per clip: auto (as the model's preprocessor says), on, off."),
    ] = "auto",
    drop: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Leave blocks out: top:K, bottom:K, alternate:K, symmetric:K, or contribution:K:CACHE for the K "
            "blocks that change their input least in a cache of the whole model; blocks:1,2,5 keeps just these.",
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Layers to keep: 0:12 (both ends included), or 0,3,6; blocks above are not run. [default: all]",
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="float32, bf16, fp16, or auto: float32 on a CPU; 16 bits on a GPU, where that moves no layer by more "
            "than 3 % of its root mean square."
        ),
    ] = "auto",
    attention: Annotated[
        str, typer.Option(help="auto: the fastest that gives the same numbers; stock: as transformers has it.")
    ] = "auto",
    max_seconds: Annotated[float, typer.Option(help="Longer clips are cut to their beginning.")] = 30.0,
    seconds: Annotated[
        float | None,
        typer.Option(help="Every clip exactly this long, cut or repeated (64,600 samples are 4.0375)."),
    ] = None,
    frames: Annotated[
        bool, typer.Option("--frames", help="Also store every frame, about 100 times as much as the pooled statistics.")
    ] = False,
    pooled_dtype: Annotated[str, typer.Option(help="float32 or float16 on disk.")] = "float32",
    frames_dtype: Annotated[
        str, typer.Option(help="float16, float32, or int8 with a scale a frame: half of float16.")
    ] = "float16",
    device: Device = "auto",
    batch_size: BatchSize = None,
    workers: Workers = None,
    memory_gb: Annotated[
        float,
        typer.Option(
            min=0.001, help="Most memory for audio and hidden states on their way, beside the model. Changes no result."
        ),
    ] = 2.0,
    shard_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Utterances a file; a killed run repeats at most one. [default: 256, or 50 batches on a GPU]"
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="Only share I of N, into DIR.part-I-of-N, for job arrays; then probe cache merge."
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="local, or ray: the GPUs or CPUs of a Ray cluster (pip extra 'ray').")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster, or auto [default: Ray on this machine alone].")
    ] = None,
    actors: Annotated[
        int | None, typer.Option(min=1, help="Workers of the Ray cluster [default: one a GPU, or else one a machine].")
    ] = None,
    wait: Wait = 0,
    on_nonfinite: OnNonfinite = "auto",
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first utterance that cannot be used.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say what it will take of disk and time on this machine; exit code 2 if too much."
        ),
    ] = False,
) -> None:
    """Run a backbone over a corpus once and cache every hidden layer.

    The same command again goes on where it stopped, also after a kill or a full disk. Utterances that cannot be used
    go to failures.csv with the reason.

    \b
    probe extract                                                  the embedded demo, about a minute on 2 cores
    probe extract wavlm.cache --backbone microsoft/wavlm-large --corpus asvspoof2019-la:/data/asvspoof2019
    probe extract mine.cache --backbone models/my-hubert --corpus my/manifest.csv --frames
    probe extract wavlm.cache --engine ray --address auto ...      all GPUs of a Ray cluster
    probe extract wavlm.cache --part $TASK/8 ...                   one job of eight; then: probe cache merge wavlm.cache
    """
    if engine not in ("local", "ray"):
        raise ProbeError(f"--engine {engine}: expected local or ray")
    if engine == "local" and (address or actors):
        raise ProbeError("--address and --actors are of a Ray cluster. Add --engine ray, or leave them out.")
    console.print(f"Loading {backbone} ...")
    extraction = import_module("probing.extraction")
    corpora = import_module("probing.corpora")
    options = extraction.Options(
        backbone=backbone,
        revision=revision,
        seed=seed,
        normalize=normalize,
        drop=drop,
        layers=layers,
        precision=precision,
        max_seconds=max_seconds,
        seconds=seconds,
        frames=frames,
        pooled_dtype=pooled_dtype,
        frames_dtype=frames_dtype,
    )
    machine = extraction.Machine(device, batch_size, workers, shard_size, attention, memory_gb, wait, on_nonfinite)
    share = None if part is None else Part.parse(part)
    table = corpora.load_corpus(corpus, audio_root=audio_root, splits=split)
    if dry_run:
        extraction.rehearse(folder, table, options, machine, part=share)
        return
    if engine == "ray":
        cluster = extraction.Cluster(address, actors)
        extraction.extract_on_cluster(folder, table, options, machine, cluster, part=share, strict=strict)
    else:
        extraction.extract(folder, table, options, machine, part=share, strict=strict)
    console.print(
        f"Next: probe sweep {folder}" if share is None else f"When all parts are done: probe cache merge {folder}"
    )


@app.command()
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
    strengths: Annotated[
        str, typer.Option(help="Values of C, the inverse penalty of the probes, to choose from on dev.")
    ] = "1e-5,1e-4,1e-3,1e-2,0.1,1",
    control_seeds: Annotated[int, typer.Option(min=0, help="Repeats of the shuffled-label control.")] = 3,
    heads: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Heads trained on the first k layers for every k, as MERGE+BACKEND with commas between; 'none' for "
            "linear probes only. MERGE: single, mean, weighted-sum, weighted-sum-norm (every layer normalised before), "
            "sls, attentive (of the paper; large), attentive-compact. BACKEND: linear, mlp; with --tier frames also "
            "lstm, asp. [default: mean, weighted-sum "
            "and attentive-compact with linear; on frames the last two with lstm]",
        ),
    ] = None,
    tier: Annotated[str, typer.Option(help="What heads see: pooled (minutes) or frames (the paper's).")] = "pooled",
    recipe: Annotated[str, typer.Option(help="Training of heads: quick, or attm, that of Pan et al. 2024.")] = "quick",
    seeds: Annotated[int, typer.Option(min=1, help="First weights of every head.")] = 3,
    depths: Annotated[str | None, typer.Option(metavar="LIST", help="Depths, as 4,8,12 [default: all].")] = None,
    epochs: Annotated[int, typer.Option(min=0, help="Epochs of heads at most; 0 as the recipe says.")] = 0,
    margin: Annotated[float, typer.Option(help="Relative EER that a smaller depth may be worse by.")] = 0.1,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples behind each interval.")] = 1000,
    interval_by: Annotated[
        str, typer.Option(help="What the bootstrap draws: speaker, utterance, or auto (speakers where known).")
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    device: Annotated[str, typer.Option(help="Where to train: cpu or cuda.")] = "cpu",
    memory_gb: Annotated[
        float, typer.Option(min=0.5, help="Most memory for features and heads, beside the program.")
    ] = 2.0,
    compared: Annotated[
        list[Path] | None,
        typer.Option(
            "--compare", metavar="RUN", help="Draw this run on the same utterances beside it; may be given again."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run made another way.")] = False,
) -> None:
    """Train a linear probe per layer and heads on the first k layers, and draw the curves.

    Probes: class-balanced logistic regression on mean and standard deviation over time, strength chosen on dev, with
    two controls: shuffled labels, and features that say nothing about speech. Heads: merges of layers 1..k for every k,
    all trained from one read of the cache; the smallest depth that is not worse than full depth is named. A killed
    sweep goes on where it stopped. Writes a run folder: results.csv, scores, heads, figures, report.html.

    \b
    probe sweep                         the embedded demo
    probe sweep mine.cache --heads none --strengths 0.001,0.1
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
    options = sweeping.SweepOptions(
        strengths=_numbers("--strengths", strengths, float),
        depths=sweeping.DepthOptions(
            heads=chosen,
            tier=tier,
            recipe=recipe,
            seeds=tuple(range(seeds)),
            depths=_numbers("--depths", depths or "", int),
            epochs=epochs,
        ),
        margin=margin,
        control_seeds=tuple(range(control_seeds)),
        resamples=resamples,
        seed=seed,
        interval_by=interval_by,
        by=tuple(name for name in (by or "").split(",") if name),
        unseen_attacks=unseen_attacks,
        train=train,
        dev=dev,
        eval=tuple(evaluation or ["eval"]),
    )
    reports, runs = import_module("analysis.report"), import_module("probing.runs")
    others = [runs.Run(other) for other in compared or []]
    opened = import_module("cache").Cache(folder)
    if others:
        utterances = sweeping.identity(options.splits(opened))
        for other in others:
            import_module("analysis.protocols").check_same_utterances(utterances, other)
    run = sweeping.sweep(opened, run_folder, options, device=device, memory_gb=memory_gb, overwrite=overwrite)
    pictures, page = reports.save_all(run, others)
    print_layers(out, reports.layer_table(run), str(run.record["finding"]["layer"]))
    if len(run.corpora) > 1:
        print_corpora(out, reports.corpora_table(run))
    terminal = import_module("analysis.terminal")
    ascii_only = not terminal.shows_lines(out.encoding)
    out.print(f"\n{terminal.text_curve(run, width=min(80, out.width), ascii_only=ascii_only)}", markup=False)
    out.print(f"\n{run.sentence}\n", markup=False)
    shown = [path for path in pictures if path.endswith(".png")]
    out.print(f"Picture: {' and '.join(shown)}\nReport:  {page}\nResults: {run.folder / 'results.csv'}")


def _numbers(flag: str, text: str, kind: type[int] | type[float]) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for part in text.split(",") if part)
    except ValueError:
        raise ProbeError(f"{flag} {text}: expected numbers with commas between, as 1,2,4") from None


def main() -> None:
    """Run the command line; bad input ends with one message and exit code 2."""
    try:
        app()
    except ProbeError as error:
        console.print(f"error: {error}", style="red", markup=False)
        sys.exit(2)
    except OSError as error:
        if error.errno is None:
            raise
        console.print(f"error: {error.filename or ''}: {error.strerror}", style="red", markup=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
