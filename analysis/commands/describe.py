"""The command `probe describe`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.arguments import (
    CacheFolder,
    Labels,
    Layers,
    MemoryGB,
)
from analysis.commands.files import TABLES, check_suffix, is_output, save
from analysis.commands.lists import whole
from analysis.commands.printing import print_frame
from analysis.runs.kinds import CACHE, expect


def describe(
    folder: CacheFolder,
    file: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Table: .csv, .parquet, .tex or .md; - is csv."
        ),
    ] = None,
    layers: Layers = None,
    split: Annotated[str, typer.Option(help="Split whose labels are coded.")] = "train",
    target: Annotated[
        str,
        typer.Option(
            metavar="COLUMN", help="Column whose classes are coded, of the corpus or of --labels."
        ),
    ] = "label",
    labels: Labels = None,
    seeds: Annotated[int, typer.Option(min=1, help="Orders of the utterances.")] = 3,
    memory_gb: MemoryGB = 2.0,
) -> None:
    """Say how few bits the labels take given each layer: minimum description length, online code.

    Compression is about 1 where a layer tells nothing, or, on small sets, as low as the controls:
    labels shuffled within each portion, and the class frequencies alone.

    \b
    probe describe results/demo.cache
    probe describe mine.cache --target lang
    """
    if file:
        check_suffix(file, TABLES)
    expect(folder, CACHE)
    chosen = whole("layers", layers)
    from cache import Cache

    table = import_module("analysis.controls").description_length(
        Cache(folder),
        chosen,
        {"split": split},
        target=target,
        labels=labels or "",
        seeds=range(seeds),
        memory_gb=memory_gb,
    )
    if not is_output(file):
        print_frame(table)
    if file:
        save(file, None, table.reset_index())
