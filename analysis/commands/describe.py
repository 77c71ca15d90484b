"""The command `probe describe`."""

from importlib import import_module
from typing import Annotated

import typer

from analysis.commands.arguments import CacheFolder, TableFile
from analysis.commands.features import Classes, Features
from analysis.commands.files import TABLES, check_suffix, is_output, save
from analysis.commands.parameters import Only, with_options
from analysis.commands.printing import print_frame
from analysis.runs.kinds import CACHE, expect


@with_options
def describe(
    folder: CacheFolder,
    file: TableFile = None,
    *,
    classes: Classes,
    seeds: Annotated[int, typer.Option(min=1, help="Orders of the utterances.")] = 3,
    features: Annotated[Features, Only("layers", "memory_gb")],
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
    from cache import Cache

    what = {
        "cache": Cache(folder),
        "layers": features.layers,
        "where": {"split": classes.split},
        "target": classes.target,
        "labels": classes.labels,
        "seeds": range(seeds),
    }
    # refuses what cannot be coded before PyTorch is loaded
    import_module("analysis.controls.labels").coded_labels(**what)
    describe = import_module("analysis.controls.description").description_length
    table = describe(**what, memory_gb=features.memory_gb)
    if not is_output(file):
        print_frame(table)
    if file:
        save(file, None, table.reset_index())
