"""Manifests: a table of one's own, `path,label` and optionally `utterance_id,speaker,attack,split` and conditions."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from cache.bounds import TooLarge, read_parquet
from cache.errors import ProbeError
from cache.table import PLACE_COLUMNS
from probing.audio import MEASURES, STAMPS
from probing.corpora.corpus import Corpus, normalise
from probing.corpora.protocol import read_csv, with_columns

SUFFIXES = (".csv", ".tsv", ".parquet")


def read_manifest(path: Path, *, name: str | None = None, audio_root: Path | None = None) -> Corpus:
    """Read a csv, tsv or parquet manifest; paths in it are relative to its folder, or to `audio_root`.

    Absolute paths are taken where they lie below that folder. Further columns (codec, language, ...) are kept as text,
    a missing value as an empty one.

    Raises:
        ProbeError: the file cannot be read, a column is missing, or a row is at fault.
    """
    if not path.exists():
        raise ProbeError(f"{path}: no such manifest. Expected a file with the columns path,label")
    if path.suffix.lower() == ".parquet":
        table = with_columns(_parquet(path), ("path", "label"), path)
    else:
        table = read_csv(path, ("path", "label"), "\t" if path.suffix.lower() == ".tsv" else ",")
    reserved = [column for column in table.columns if column in (*PLACE_COLUMNS, *MEASURES, *STAMPS)]
    if reserved:
        raise ProbeError(f"{path}: column {reserved[0]!r} is used by the cache itself; give it another name")
    root = (audio_root or path.parent).resolve()
    table["path"] = table["path"].map(lambda text: _below(text, root))
    spec = "demo" if name == "demo" else str(path.resolve())
    return Corpus(name or f"{path.resolve().parent.name}/{path.stem}", spec, root, normalise(table, str(path)))


def _below(path: str, root: Path) -> str:
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


def _parquet(path: Path) -> pd.DataFrame:
    try:
        table = read_parquet(path)
        text = table.astype(object).astype(str).where(table.notna(), "")
        for name in text.columns:
            text[name].str.encode("utf-8")  # raises where its bytes are no text
    except TooLarge:
        raise
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise ProbeError(f"{path}: cannot be read as {path.suffix} ({error})") from None
    return text
