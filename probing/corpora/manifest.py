"""Manifests: a table of one's own, `path,label` and optionally `utterance_id,speaker,attack,split`."""

from pathlib import Path

import pandas as pd

from cache.errors import ProbeError
from cache.table import PLACE_COLUMNS
from probing.audio import MEASURES
from probing.corpora.corpus import Corpus, normalise

SUFFIXES = (".csv", ".tsv", ".parquet")


def read_manifest(path: Path, *, name: str | None = None, audio_root: Path | None = None) -> Corpus:
    """Read a csv, tsv or parquet manifest; paths in it are relative to its folder, or to `audio_root`.

    Absolute paths are taken where they lie below that folder. Further columns are kept.

    Raises:
        ProbeError: the file cannot be read, a column is missing, or a row is at fault.
    """
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path).astype(str)
        else:
            separator = "\t" if path.suffix.lower() == ".tsv" else ","
            table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise ProbeError(f"{path}: no such manifest. Expected a file with the columns path,label") from None
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise ProbeError(f"{path}: cannot be read as {path.suffix} ({error})") from None
    missing = [column for column in ("path", "label") if column not in table.columns]
    if missing:
        raise ProbeError(f"{path}: no column {missing[0]!r}. Expected path,label; found {','.join(table.columns)}")
    reserved = [column for column in table.columns if column in (*PLACE_COLUMNS, *MEASURES)]
    if reserved:
        raise ProbeError(f"{path}: column {reserved[0]!r} is used by the cache itself; give it another name")
    root = (audio_root or path.parent).resolve()
    table["path"] = table["path"].map(lambda text: _below(text, root))
    spec = "demo" if name == "demo" else str(path.resolve())
    return Corpus(name or f"{path.resolve().parent.name}/{path.stem}", spec, root, normalise(table, str(path)))


def _below(path: str, root: Path) -> str:
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path
