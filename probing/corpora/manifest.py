"""Manifests: your own table, `path` and optionally label, speaker, attack, split and others.

`utterance_id` is one of these, and every other column is a condition.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cache.errors import ProbeError, as_flag
from probing.corpora.corpus import Corpus, normalise
from probing.corpora.json_lines import read_json_lines
from probing.corpora.parquet import read_parquet_columns
from probing.corpora.paths import places_of
from probing.corpora.protocol import is_tsv, read_csv
from probing.corpora.splits import common_splits
from probing.labels import are_of_spoofing
from probing.rows import stripped

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (
    *(".csv", ".tsv", ".parquet", ".jsonl", ".json"),
    *(".csv.gz", ".tsv.gz", ".jsonl.gz", ".json.gz"),
)
# what the column of paths may be called; by NeMo, Hugging Face and others
PATHS = ("path", "audio_filepath", "file_name", "filename", "audio", "wav")


def is_manifest(path: Path) -> bool:
    """Whether a file is named as a manifest is."""
    return path.name.lower().endswith(SUFFIXES)


def read_manifest(path: Path, *, name: str | None = None, audio_root: Path | None = None) -> Corpus:
    """Read a manifest: csv, tsv, parquet, or one JSON object a line.

    Relative paths in it start from its folder, or from `audio_root`; absolute ones may lie
    anywhere, or below `audio_root` if that is given, whatever symbolic links lead there. The column
    may have another name of PATHS, as `audio_filepath`. Further columns (codec, language, ...) are
    kept as text, a missing value as an empty one. White space at either end of a text does not
    count. Splits may be spelled as others do (`Train`, `val`, `test`); see
    `probing.corpora.splits`.

    Raises:
        ProbeError: the file cannot be read, the column of paths is missing, a column is there twice
            or one that our tables add, or a row is at fault.
    """
    if not path.exists():
        raise ProbeError(
            f"{path}: no such manifest. Expected a file with the column path, and others as label"
        )
    kind = path.name.lower().removesuffix(".gz")
    if kind.endswith(".parquet"):
        table = _parquet(path)
    elif kind.endswith((".jsonl", ".json")):
        table = read_json_lines(path, ("path",), _called)
        _refuse_parts(table, path)
    else:
        table = read_csv(path, ("path",), "\t" if is_tsv(path) else ",", _called)
    places = places_of(table["path"], path, audio_root)
    table["path"] = places.paths
    if "utterance_id" not in table:
        table["utterance_id"] = places.ids
    notes: list[str] = []
    if "split" in table:
        table["split"], notes = common_splits(table["split"])
    table = normalise(table, str(path))
    spec = "demo" if name == "demo" else str(path.resolve())
    ending = next(suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix))
    name = name or f"{path.resolve().parent.name}/{path.name[: -len(ending)]}"
    return Corpus(
        name, spec, root=places.root, utterances=table, notes=tuple(notes + notes_on_labels(table))
    )


def notes_on_labels(table: pd.DataFrame) -> list[str]:
    """A sentence if no label says bona fide or spoof: a sweep needs a target then."""
    if are_of_spoofing(table["label"]):
        return []
    found = sorted(set(table["label"]) - {""})
    if not found:
        return [f"there are no labels; a sweep needs {as_flag('target', 'COLUMN')}"]
    shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
    return [
        f"the labels are not of bona fide and spoof ({shown}); a sweep needs "
        f"{as_flag('target', 'label')}"
    ]


def _called(names: list[str]) -> list[str]:
    """The names of columns, with `path` for the only one that is another word for it."""
    found = [name for name in names if name in PATHS]
    return ["path" if name in PATHS else name for name in names] if len(found) == 1 else names


def _refuse_parts(table: pd.DataFrame, manifest: Path) -> None:
    """Raise ProbeError if a row is a part of a file, as in NeMo: it would be read whole."""
    import pandas as pd

    if "offset" not in table:
        return
    starts = pd.to_numeric(table["offset"], errors="coerce").fillna(0)
    if starts.any():
        i = int(starts.ne(0).to_numpy().argmax())
        raise ProbeError(
            f"{manifest}, row {i + 1}: offset {table['offset'].iloc[i]!r}: expected 0, files are "
            f"read whole ({int(starts.ne(0).sum())} such rows). Cut the files into one for each "
            "row, or leave the key out"
        )


def _parquet(path: Path) -> pd.DataFrame:
    """A parquet table as text: whole numbers without a decimal point."""
    import pandas as pd

    columns = read_parquet_columns(path, ("path",), _called)
    if any(isinstance(value, dict) for value in columns["path"]):
        raise ProbeError(
            f"{path}: holds the audio itself, not paths of files. Say that it does: hf:{path}"
        )
    texts = {
        name: ["" if value is None else stripped(str(value)) for value in of]
        for name, of in columns.items()
    }
    return pd.DataFrame(texts, dtype=str)
