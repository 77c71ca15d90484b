"""The command `probe similarity`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.commands.arguments import (
    CacheAudio,
    Layers,
    MemoryGB,
    Seed,
    Tier,
    Where,
)
from analysis.commands.files import PICTURES, TABLES, check_suffix, is_output, save
from analysis.commands.lists import whole
from analysis.commands.printing import print_frame
from analysis.runs.kinds import CACHE, expect
from cache.errors import OptionError, ProbeError, argument
from probing.progress import console

DEFAULT_TARGETS = "mel,speaker,attack,trivial"


def similarity(
    caches: Annotated[
        list[Path], typer.Argument(metavar="CACHE [CACHE]", help="One cache, or two over the same utterances.")
    ],
    file: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Picture (.png, .svg, .pdf) or table (.csv, .parquet); - is csv."
        ),
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
    audio_root: CacheAudio = None,
    memory_gb: MemoryGB = 2.0,
    seed: Seed = 0,
) -> None:
    """Say how alike layers are: each with each, with those of another model, or with what is known of the audio.

    \b
    probe similarity results/demo.cache --out cka.png
    probe similarity results/demo.cache results/random.cache --measure pwcca --out pwcca.csv
    probe similarity results/demo.cache --measure cca --target speaker,attack,0 --out cca.png
    """
    check_suffix(file, (*PICTURES, *TABLES))
    if measure not in ("cka", "pwcca", "cca"):
        raise OptionError("measure", measure, "expected cka, pwcca or cca")
    if len(caches) > (1 if measure == "cca" else 2):
        most = "one cache" if measure == "cca" else "one cache or two"
        raise ProbeError(f"{len(caches)} caches: {argument('measure', measure)} takes {most}")
    for folder in caches:
        expect(folder, CACHE)
    chosen = whole("layers", layers)
    import pandas as pd

    from cache import Cache

    module = import_module("analysis.similarity")
    opened = [Cache(folder) for folder in caches]
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
            raise ProbeError(
                f"{caches[0]}: none of {DEFAULT_TARGETS} can be measured. Name others with {argument('target')}"
            )
        table = pd.concat(cca, names=["target"]).reset_index()
        if not is_output(file):
            print_frame(pd.DataFrame({name: one["value"] for name, one in cca.items()}))
        save(file, lambda: module.target_curves(cca), table)
        return
    other = opened[1] if len(opened) > 1 else None
    if measure == "cka":
        table = module.cka(opened[0], chosen, other, where=where, seed=seed, **how)
    else:
        table = module.pwcca(opened[0], chosen, other, where=where, variance=variance, **how)
    if len(table.columns) < 16 and not is_output(file):
        print_frame(table)
    save(file, lambda: module.similarity_map(table), table.reset_index())
