"""The commands that measure layers and look into utterances: `probe similarity`, `transfer`, `describe`, `inspect`."""

import io
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.table import Table

from analysis.flags import Device
from analysis.kinds import CACHE, EXPORT, RUN, expect
from analysis.tables import out, print_whole
from cache.atomic import replaced
from cache.errors import ProbeError
from probing.progress import console

DEFAULT_TARGETS = "mel,speaker,attack,trivial"
PICTURES = (".png", ".svg", ".pdf")
TABLES = (".csv", ".parquet")
Layers = Annotated[str | None, typer.Option(metavar="LIST", help="Layers, as 0,4,8 [default: all].")]
Tier = Annotated[str, typer.Option(help="pooled (one row an utterance) or frames (8 of each utterance).")]
Where = Annotated[
    str | None, typer.Option(metavar="QUERY", help="Only these utterances, as \"split == 'dev'\" [default: all].")
]
AudioRoot = Annotated[
    Path | None, typer.Option("--audio-root", help="Folder of the cache's audio [default: where it was].")
]
MemoryGB = Annotated[float, typer.Option(min=0.1, help="Most memory for features.")]
Seed = Annotated[int, typer.Option(help="Seed of what is drawn.")]
CacheFolder = Annotated[Path, typer.Argument(metavar="CACHE", help="Folder of the cache.")]


def similarity(
    caches: Annotated[
        list[Path], typer.Argument(metavar="CACHE [CACHE]", help="One cache, or two over the same utterances.")
    ],
    file: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Picture (.png, .svg, .pdf) or table (.csv, .parquet).")
    ],
    measure: Annotated[
        str, typer.Option(help="cka, pwcca, or cca: of each layer with --target, on held-out utterances.")
    ] = "cka",
    target: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="For cca: mel, speaker, attack, label, trivial, or a layer's number [default: those of mel, speaker, "
            "attack, trivial that the corpus has].",
        ),
    ] = None,
    layers: Layers = None,
    where: Where = None,
    tier: Tier = "pooled",
    variance: Annotated[
        float, typer.Option(help="For pwcca: share of each layer's variance to keep; 1 needs many utterances.")
    ] = 0.99,
    audio_root: AudioRoot = None,
    memory_gb: MemoryGB = 2.0,
    seed: Seed = 0,
) -> None:
    """Say how alike layers are: each with each, with those of another model, or with what is known of the audio.

    \b
    probe similarity results/demo.cache --out cka.png
    probe similarity results/demo.cache results/random.cache --measure pwcca --out pwcca.csv
    probe similarity results/demo.cache --measure cca --target speaker,attack,0 --out cca.png
    """
    _check_kind(file, (*PICTURES, *TABLES))
    if measure not in ("cka", "pwcca", "cca"):
        raise ProbeError(f"--measure {measure}: expected cka, pwcca or cca")
    if len(caches) > (1 if measure == "cca" else 2):
        most = "one cache" if measure == "cca" else "one cache or two"
        raise ProbeError(f"{len(caches)} caches: --measure {measure} takes {most}")
    module, open_cache = import_module("analysis.similarity"), import_module("cache").Cache
    for folder in caches:
        expect(folder, CACHE)
    opened, chosen = [open_cache(folder) for folder in caches], _numbers(layers)
    how: dict[str, Any] = {"tier": tier, "memory_gb": memory_gb}
    if measure == "cca":
        named = [name for name in (target or DEFAULT_TARGETS).split(",") if name]
        targets = {f"layer {name}" if name.isdigit() else name: int(name) if name.isdigit() else name for name in named}
        cca = {}
        for name, wanted in targets.items():
            try:
                cca[name] = module.cca_with(opened[0], wanted, chosen, where, audio_root=audio_root, seed=seed, **how)
            except ProbeError as error:
                if target is not None:  # it was asked for
                    raise
                console.print(f"Without {name}: {error}", markup=False)
        if not cca:
            raise ProbeError(f"{caches[0]}: none of {DEFAULT_TARGETS} can be measured. Name others with --target")
        table = pd.concat(cca, names=["target"]).reset_index()
        _print(pd.DataFrame({name: one["value"] for name, one in cca.items()}))
        _save(file, lambda: module.target_curves(cca), table)
        return
    other = opened[1] if len(opened) > 1 else None
    if measure == "cka":
        table = module.cka(opened[0], chosen, other, where=where, seed=seed, **how)
    else:
        table = module.pwcca(opened[0], chosen, other, where=where, variance=variance, **how)
    if len(table.columns) < 16:
        _print(table)
    _save(file, lambda: module.similarity_map(table), table.reset_index())


def transfer(
    caches: Annotated[list[Path], typer.Argument(metavar="CACHE...", help="Caches, of one or several backbones.")],
    runs: Annotated[
        list[Path] | None,
        typer.Option("--run", metavar="RUN", help="Run of each cache, in order: how well the scores foretell it."),
    ] = None,
    file: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Table: .csv or .parquet.")] = None,
    layers: Layers = None,
    split: Annotated[str, typer.Option(help="Split whose labels are used.")] = "train",
    target: Annotated[str, typer.Option(help="Column that says the class.")] = "label",
    scores: Annotated[
        str, typer.Option(metavar="LIST", help="Which; LogME alone takes about two thirds of the time of all.")
    ] = "logme,h_score,transrate,gbc",
    tier: Tier = "pooled",
    raw: Annotated[
        bool, typer.Option("--raw", help="Features as they are, as published, instead of standardised.")
    ] = False,
    memory_gb: MemoryGB = 2.0,
) -> None:
    """Score layers without training: LogME, H-score, TransRate, GBC; higher promises a better probe.

    \b
    probe transfer results/demo.cache --run results/demo.run
    probe transfer wavlm.cache hubert.cache whisper.cache --out scores.csv
    """
    if file:
        _check_kind(file, TABLES)
    module, open_cache = import_module("analysis.transferability"), import_module("cache").Cache
    for folder in caches:
        expect(folder, CACHE)
    for folder in runs or ():
        expect(folder, RUN)
    opened = [open_cache(folder) for folder in caches]
    table = module.transfer_scores(
        opened if len(opened) > 1 else opened[0],
        _numbers(layers),
        {"split": split},
        target=target,
        scores=[name for name in scores.split(",") if name],
        standardize=not raw,
        tier=tier,
        memory_gb=memory_gb,
    )
    _print(table)
    if "transrate" in table:
        out.print("TransRate: each class centred by its own mean and weighted by its size; beside it shuffled labels.")
    if runs:
        run = import_module("probing.runs").Run
        found = module.predicts([run(folder) for folder in runs] if len(runs) > 1 else run(runs[0]), table)
        out.print("\nRank correlation with the probes' EER on eval, 1 where the higher score has the lower EER:")
        _print(found.set_index(["over", "score"]))
    if file:
        _save(file, None, table.reset_index())


def describe(
    folder: CacheFolder,
    file: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Table: .csv or .parquet.")] = None,
    layers: Layers = None,
    split: Annotated[str, typer.Option(help="Split whose labels are coded.")] = "train",
    seeds: Annotated[int, typer.Option(min=1, help="Orders of the utterances.")] = 3,
    memory_gb: MemoryGB = 2.0,
) -> None:
    """Say how few bits the labels take given each layer: minimum description length, online code.

    Compression is about 1 where a layer tells nothing, or, on small sets, as low as the controls: labels shuffled
    within each portion, and the class frequencies alone.

    \b
    probe describe results/demo.cache
    """
    if file:
        _check_kind(file, TABLES)
    expect(folder, CACHE)
    table = import_module("analysis.controls").description_length(
        import_module("cache").Cache(folder),
        _numbers(layers),
        {"split": split},
        seeds=range(seeds),
        memory_gb=memory_gb,
    )
    _print(table)
    if file:
        _save(file, None, table.reset_index())


def inspect(
    where: Annotated[Path, typer.Argument(metavar="RUN", help="A run, or a folder of probe export.")],
    utterance: Annotated[str, typer.Argument(metavar="AUDIO_OR_ID", help="An audio file, or an id of the cache.")],
    file: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Picture (.png, .svg, .pdf) or table (.csv, .parquet).")
    ],
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="As weighted-sum+linear-depth-06 or linear-layer-06 [default: as probe score]."
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="Where ids are looked up [default: the run's].")
    ] = None,
    audio_root: AudioRoot = None,
    device: Device = "cpu",
) -> None:
    """Show which part of an utterance speaks for bona fide or for spoof, under its waveform and spectrogram.

    \b
    probe inspect results/demo.run recording.wav --out recording.png
    probe inspect results/demo.run SOME_ID --head linear-layer-04 --out some.png
    """
    _check_kind(file, (*PICTURES, *TABLES))
    expect(where, RUN, EXPORT)
    module = import_module("analysis.inspection")
    found = module.inspect(where, utterance, head=head, cache=folder, audio_root=audio_root, device=device)
    out.print(f"{found.head}: {found.utterance}, log odds of bona fide {found.score:.2f}", markup=False)
    if found.note:
        console.print(f"Note: {found.note}.", markup=False)
    _save(file, lambda: module.activation_picture(found)[0], found.activation)


def _numbers(layers: str | None) -> list[int] | None:
    try:
        return [int(part) for part in layers.split(",") if part] if layers else None
    except ValueError:
        raise ProbeError(f"--layers {layers}: expected numbers with commas between, as 0,4,8") from None


def _check_kind(file: Path, kinds: tuple[str, ...]) -> None:
    if file.suffix not in kinds:
        raise ProbeError(f"--out {file}: expected a name that ends in {', '.join(kinds)}")
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise ProbeError(f"--out {file}: expected a file in a folder that is there. Name another")


def _save(file: Path, draw: Any, table: pd.DataFrame) -> None:
    """Write a picture, or its table, by the suffix of the name; whole or not at all."""
    drawn = io.BytesIO()
    if file.suffix in PICTURES:
        draw().figure.savefig(drawn, format=file.suffix[1:], dpi=150)
    with replaced(file) as partial:
        if file.suffix in PICTURES:
            partial.write_bytes(drawn.getvalue())
        elif file.suffix == ".csv":
            table.to_csv(partial, index=False)
        else:
            table.rename(columns=str).to_parquet(partial, index=False)
    out.print(f"Written: {file}", markup=False)


def _print(table: pd.DataFrame) -> None:
    shown = Table(box=None, header_style="bold")
    flat = table.reset_index()
    for name in flat.columns:
        shown.add_column(str(name), justify="left" if flat[name].dtype == object else "right")
    for row in flat.itertuples(index=False):
        shown.add_row(*(f"{x:.4g}" if isinstance(x, float) else str(x) for x in row))
    print_whole(shown)
