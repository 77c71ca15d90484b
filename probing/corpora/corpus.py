"""A corpus: a table of utterances, a root folder, and the checks every corpus goes through."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cache.errors import OptionError, ProbeError, argument
from cache.manifest import PLACE_COLUMNS
from probing.audio import MEASURES, STAMPS
from probing.corpora.splits import split_called
from probing.labels import BONAFIDE, LABELS, SPOOF

if TYPE_CHECKING:
    import pandas as pd

# what tables of caches, runs and evaluations add to the columns of a corpus
RESERVED = (*PLACE_COLUMNS, *MEASURES, *STAMPS, "part", "score")
NOT_IN_IDS = r"[\s\x00-\x1f\x7f-\x9f]"  # white space and control characters


@dataclass(frozen=True)
class Corpus:
    """Utterances, and what is known of them.

    Attributes:
        name: short name for tables and figures.
        spec: what to give `load_corpus` to read it again, independent of the working directory.
        root: folder that `path` starts from.
        utterances: one row each: `utterance_id`, `path` (relative to root, with /), `split`,
            `label` (`bonafide` or `spoof`, or any other words, or empty), `speaker`, `attack` (`-`
            for bona fide), then whatever columns the corpus has beside these.
        notes: what a person should know of what was read, such as files that were passed over; a
            sentence each.

    >>> from probing.corpora import read_corpus
    >>> sorted(read_corpus("demo").utterances["label"].unique())
    ['bonafide', 'spoof']
    """

    name: str
    spec: str
    root: Path
    utterances: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.utterances)

    def only(self, splits: Sequence[str]) -> Corpus:
        """The corpus cut down to some of its splits."""
        found = sorted(self.utterances["split"].unique())
        splits = [split_called(split, found) for split in splits]
        for split in splits:
            if split not in found:
                raise OptionError(
                    "split", split, f"{self.name} has no such split, only {', '.join(found)}"
                )
        rows = self.utterances["split"].isin(splits)
        return replace(self, utterances=self.utterances[rows].reset_index(drop=True))

    def missing(self) -> pd.DataFrame:
        """The rows of `utterances` whose audio file is not there."""
        folders: dict[str, set[str]] = {}

        def there(path: str) -> bool:
            folder, name = os.path.split(path)
            if folder not in folders:
                try:
                    folders[folder] = set(os.listdir(self.root / folder))
                except OSError:
                    folders[folder] = set()
            return name in folders[folder]

        return self.utterances[[not there(path) for path in self.utterances["path"]]]

    def check_files(self) -> None:
        """Raise ProbeError, naming the first few rows, where audio files are not there."""
        missing = self.missing()
        if len(missing):
            rows = missing.head().itertuples()
            shown = "\n".join(
                f"  row {row.Index + 1} ({row.utterance_id}): {row.path}" for row in rows
            )
            raise ProbeError(
                f"{self.name}: {len(missing)} of {len(self)} audio files are not below "
                f"{self.root}:\n{shown}\nExpected every file the corpus lists. Check the root, "
                f"or take the splits you have with {argument('split')}."
            )


def normalise(table: pd.DataFrame, where: str, *, spoofing: bool = False) -> pd.DataFrame:
    """Bring the columns every corpus has into their form, and check them row by row.

    A label is a word for bona fide or spoof in every row, or in none: then labels stay the text
    they are, empty if the table has none. Some rows with such a word and some without are a
    mistake in most tables.

    Args:
        table: `path` at least, all text; row i is reported as row i + 1.
        where: what to call the table in messages.
        spoofing: whether the labels are known to be of spoofing, so that no other word passes.

    Raises:
        ProbeError: unknown label among those of spoofing, empty or duplicate id, path outside the
            root, a column of RESERVED.
    """
    import pandas as pd

    def refuse(rows: pd.Series[bool], what: str, column: str, instead: str = "") -> None:
        if rows.any():
            i = int(rows.to_numpy().argmax())
            raise ProbeError(
                f"{where}, row {i + 1}: {what} "
                f"{table[column].iloc[i]!r} ({int(rows.sum())} such rows){instead}"
            )

    table = table.reset_index(drop=True)
    if table.empty:
        raise ProbeError(f"{where}: no rows. Expected one row per utterance.")
    for column in table.columns:
        if column in RESERVED:
            raise ProbeError(
                f"{where}: column {column!r} is used by the cache itself, or by the tables made "
                f"from it; give it another name, as own_{column}"
            )
    label = table["label"].str.strip() if "label" in table else pd.Series("", table.index, str)
    trial = label.str.lower().map(LABELS)
    if spoofing or trial.notna().any():
        words = ", ".join(LABELS)
        refuse(
            trial.isna(),
            f"unknown label (expected one of {words}; for other labels call the column class)",
            "label",
        )
        label = trial
    paths = pd.Series(
        [os.path.normpath(path).replace(os.sep, "/") for path in table["path"]], table.index, str
    )
    refuse(table["path"].str.strip() == "", "empty path", "path", ". Name a file, or drop the row")
    outside = [path in (".", "..") or path.startswith(("/", "../")) for path in paths]
    refuse(
        pd.Series(outside, table.index),
        "path outside the corpus's root folder",
        "path",
        f". Write it from there on, or absolute without {argument('audio_root')}",
    )
    refuse(table["path"].str.contains("\0", regex=False), "null character in path", "path")
    columns = {
        "utterance_id": table["utterance_id"] if "utterance_id" in table else ids_of(paths),
        "path": paths,
        "split": table.get("split", "all"),
        "label": label,
        "speaker": table.get("speaker", ""),
        "attack": table.get("attack", ""),
    }
    others = {name: table[name] for name in table.columns if name not in columns}
    table = pd.DataFrame({**columns, **others})
    table.loc[table["label"] == BONAFIDE, "attack"] = "-"
    table.loc[(table["label"] == SPOOF) & table["attack"].isin(["", "-"]), "attack"] = "unknown"
    refuse(table["utterance_id"].str.strip() == "", "empty utterance_id", "utterance_id")
    odd = table["utterance_id"].str.contains(NOT_IN_IDS, regex=True)
    refuse(odd, "white space or control character in utterance_id", "utterance_id")
    refuse(table["utterance_id"].duplicated(), "duplicate utterance_id", "utterance_id")
    return table


def ids_of(paths: pd.Series[str]) -> pd.Series[str]:
    """Utterance ids for paths: without the suffix, and with _ for white space."""
    import pandas as pd

    stems = [os.path.splitext(path)[0] for path in paths]
    return pd.Series(stems, paths.index, str).str.replace(NOT_IN_IDS, "_", regex=True)
