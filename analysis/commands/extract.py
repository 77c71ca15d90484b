"""The command `probe extract`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.arguments import DEMO_CACHE, AudioRoot, BatchSize, CorpusSpec, Device, OnNonfinite, Wait, Workers
from cache.errors import ProbeError
from cache.parts import Part
from probing.progress import console

Splits = Annotated[
    list[str] | None, typer.Option("--split", help="Only this split; may be given again. Run again to add others.")
]


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
