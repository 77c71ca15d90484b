"""Manifests: a table of one's own, `path,label` and optionally `utterance_id,speaker,attack,split` and conditions."""

import os
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa

from cache.bounds import read_arrow
from cache.errors import ProbeError, argument
from probing.corpora.corpus import Corpus, normalise
from probing.corpora.protocol import is_tsv, read_csv, with_columns
from probing.corpora.splits import common_splits
from probing.rows import stripped

SUFFIXES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")
NAMELESS_INDEX = re.compile(r"__index_level_\d+__")


def is_manifest(path: Path) -> bool:
    """Whether a file is named as a manifest is."""
    return path.name.lower().endswith(SUFFIXES)


def read_manifest(path: Path, *, name: str | None = None, audio_root: Path | None = None) -> Corpus:
    """Read a csv, tsv or parquet manifest; paths in it are relative to its folder, or to `audio_root`.

    Absolute paths are taken where they lie below that folder, whatever symbolic links lead there. Further columns
    (codec, language, ...) are kept as text, a missing value as an empty one. White space at either end of a text does
    not count. Splits may be spelled as others do (`Train`, `val`, `test`); see `probing.corpora.splits`.

    Raises:
        ProbeError: the file cannot be read, a column is missing, there twice or one that our tables add, or a row is at
            fault.
    """
    if not path.exists():
        raise ProbeError(f"{path}: no such manifest. Expected a file with the columns path,label")
    if path.suffix.lower() == ".parquet":
        table = _parquet(path)
    else:
        table = read_csv(path, ("path", "label"), "\t" if is_tsv(path) else ",")
    given = Path(os.path.abspath(audio_root or path.parent))
    root = given.resolve()
    table["path"] = _relative(table["path"], given, root, path)
    notes: list[str] = []
    if "split" in table:
        table["split"], notes = common_splits(table["split"])
    spec = "demo" if name == "demo" else str(path.resolve())
    ending = next(suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix))
    name = name or f"{path.resolve().parent.name}/{path.name[: -len(ending)]}"
    return Corpus(name, spec, root, normalise(table, str(path)), tuple(notes))


def _relative(column: "pd.Series[str]", given: Path, root: Path, manifest: Path) -> "pd.Series[str]":
    """The paths as they are from the root, absolute ones too; ProbeError where one of these does not lie below it."""
    folders: dict[str, str] = {}  # of absolute paths, resolved
    found = []
    for path in column:
        if os.path.isabs(path):
            folder, file = os.path.split(os.path.normpath(path))
            if folder not in folders:
                folders[folder] = os.path.realpath(folder)
            places = (Path(folder), given), (Path(folder), root), (Path(folders[folder]), root)
            path = next(
                (str(place.relative_to(top) / file) for place, top in places if place.is_relative_to(top)), path
            )
        found.append(path)
    outside = [path for path in found if os.path.isabs(path)]
    if len(outside) == len(found) and outside:
        top = os.path.commonpath([os.path.dirname(path) for path in outside])
        if top != os.path.sep:
            raise ProbeError(
                f"{manifest}, row 1: path outside the corpus's root folder {outside[0]!r}: it does not lie below "
                f"{root}. Name the folder that holds the audio: {argument('audio_root', top)}"
            )
    return pd.Series(found, column.index, str)


def _parquet(path: Path) -> pd.DataFrame:
    """A parquet table as text: whole numbers without a decimal point, a named index of pandas as a column."""
    # Not by pandas: it drops the index, and makes 7.0 of 7 where another value of the column is missing.
    try:
        table = read_arrow(path)
        names = [stripped(name) for name in table.column_names]
        kept = [i for i, name in enumerate(names) if not NAMELESS_INDEX.fullmatch(name)]
        with_columns(pd.DataFrame(columns=[names[i] for i in kept]), ("path", "label"), path)
        columns = {names[i]: _texts(table.column(i)) for i in kept}
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        if isinstance(error, ProbeError):
            raise
        raise ProbeError(f"{path}: cannot be read as {path.suffix} ({error})") from None
    return pd.DataFrame(columns, dtype=str)


def _texts(column: pa.ChunkedArray) -> list[str]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type) or pa.types.is_string(column.type):
        column.validate(full=True)
        column = column.cast(pa.large_string())  # raises where its bytes are no text
    return ["" if value is None or value != value else stripped(str(value)) for value in column.to_pylist()]
