"""What two parts of a sweep share: persons, files, and audio of the same bytes.

Classes of too few utterances are found here too.

A probe that was trained or chosen on a person, or on the very recording, that it is measured on may
know the person and not the task. Evaluation sets may share what they like with each other. A bona
fide and a spoofed utterance of one person inside one part are no leak, and an unknown speaker is
nobody.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from cache.errors import OptionError, argument
from probing.speakers import known_speakers
from probing.sweep.split import EVAL, Split
from probing.targets.metrics import BINARY
from probing.targets.task import CLIP

# utterances of a class in a part; with fewer, one of them moves an error rate by more than 5 points
FEWEST = 20
SPEAKER = "speaker"
NAME = "speaker name"
FILE = "file"
AUDIO = "audio"
CRC = "file_crc32"
BYTES = "file_bytes"


@dataclass(frozen=True)
class Leak:
    """Something that two parts share.

    kind: `speaker`; `speaker name`, of speakers of different corpora, who may be others of the same
        name; `file`, the same path; `audio`, another path with the same size and CRC-32.
    parts: the two, as `train` and `eval`.
    shared: how many speakers, files or recordings are in both.
    utterances: of each part that these are.
    example: the first of them.
    """

    kind: str
    parts: tuple[str, str]
    shared: int
    utterances: tuple[int, int]
    example: str

    @property
    def certain(self) -> bool:
        """Whether it is one person or recording beyond doubt."""
        return self.kind != NAME

    @property
    def sentence(self) -> str:
        """What is shared, with counts."""
        (one, other), (n, m) = self.parts, self.utterances
        what = {
            SPEAKER: f"{self.shared} speakers",
            NAME: f"{self.shared} names of speakers, of two corpora and so maybe of others,",
            FILE: f"{self.shared} audio files",
            AUDIO: f"{self.shared} recordings, byte for byte under other names,",
        }[self.kind]
        return (
            f"{one} and {other} share {what} as {self.example}: "
            f"{n:,} utterances of {one}, {m:,} of {other}"
        )


def find_leaks(splits: Mapping[str, Split]) -> list[Leak]:
    """What parts share, in the order of the parts; see `Leak`.

    Args:
        splits: part -> utterances, from `read_splits`.
    """
    splits = _folds(splits)
    splits = {part: _utterances(split) for part, split in splits.items()}
    identities = {part: _identities(split) for part, split in splits.items()}
    found = []
    for one, other in combinations(splits, 2):
        if splits[one].name == splits[other].name == EVAL:
            continue
        same_corpus = splits[one].cache_corpus == splits[other].cache_corpus
        in_file = [pd.Series(False, index=identities[part].index) for part in (one, other)]
        for kind in (SPEAKER, FILE, AUDIO):
            pair = [identities[part][kind] for part in (one, other)]
            shared = set(pair[0].dropna()) & set(pair[1].dropna())
            rows = [column.isin(shared) for column in pair]
            if kind == FILE:
                in_file = rows
            if kind == AUDIO:  # the same file has the same bytes, which is said once
                rows = [chosen & ~known for chosen, known in zip(rows, in_file, strict=True)]
                shared = set(pair[0][rows[0]]) & set(pair[1][rows[1]])
                rows = [
                    column.isin(shared) & chosen for column, chosen in zip(pair, rows, strict=True)
                ]
            # who are to be known again
            if shared and not (kind == SPEAKER and splits[one].task.target == SPEAKER):
                name = NAME if kind == SPEAKER and not same_corpus else kind
                labels = identities[one]["utterance_id" if kind == AUDIO else kind][rows[0]]
                counts = int(rows[0].sum()), int(rows[1].sum())
                found.append(
                    Leak(
                        name,
                        (one, other),
                        shared=len(shared),
                        utterances=counts,
                        example=str(labels.min()),
                    )
                )
    return found


def _utterances(split: Split) -> Split:
    """The utterances that units are of, which share what units share."""
    return replace(split, table=split.table.drop_duplicates(CLIP)) if split.unit else split


def _folds(splits: Mapping[str, Split]) -> Mapping[str, Split]:
    """The parts; of a cross-validation, whose parts are the same utterances in turn, the folds."""
    split = splits["train"]
    folds = split.folds
    if folds is None:
        return splits
    found = {}
    for fold in np.unique(folds):
        name = f"fold {fold}"
        found[name] = replace(split, name=name, table=split.table[folds == fold])
    return found


def few_utterances(splits: Mapping[str, Split]) -> list[str]:
    """A sentence for each class of a part that has fewer than FEWEST utterances."""
    return list(_few(splits))


def refuse_leaks(leaks: list[Leak]) -> None:
    """Raise ProbeError if two parts share a person or a recording beyond doubt."""
    certain = [leak.sentence for leak in leaks if leak.certain]
    if certain:
        raise OptionError(
            "strict",
            True,
            "parts of the sweep share what they should not.\n  "
            + "\n  ".join(certain)
            + "\nName other "
            f"splits ({argument('train')}, {argument('dev')}, {argument('eval')}), or leave out "
            f"{argument('strict', True)} to train all the same",
        )


def as_records(leaks: list[Leak]) -> list[dict[str, Any]]:
    """Leaks as the record of a run has them."""
    return [{**asdict(leak), "sentence": leak.sentence} for leak in leaks]


def _few(splits: Mapping[str, Split]) -> Iterator[str]:
    for part, split in splits.items():
        if split.task.name != BINARY:
            continue
        words = ("bona fide", "spoofed") if split.task.is_spoofing else split.task.words
        for label, n in zip(
            words, (int(split.target.sum()), int((~split.target).sum())), strict=True
        ):
            if n < FEWEST:
                yield (
                    f"{part} has only {n} {label} utterances, of which "
                    f"each is {100 / n:.0f} % of an error rate"
                )


def _identities(split: Split) -> pd.DataFrame:
    """What tells a person, a file and its bytes, a row an utterance.

    Missing where it is not known.
    """
    table = split.table
    speakers = table["speaker"].where(known_speakers(table["speaker"]))
    found = pd.DataFrame(
        {"utterance_id": table["utterance_id"], SPEAKER: speakers.map(str, na_action="ignore")}
    )
    found[FILE] = _files(split)
    found[AUDIO] = None
    if CRC in table and BYTES in table:
        known = table[CRC].notna() & table[BYTES].notna() & (table[BYTES] > 0)
        pairs = (
            table.loc[known, BYTES].astype(np.int64).astype(str)
            + "-"
            + table.loc[known, CRC].astype(np.int64).map(str)
        )
        found.loc[known, AUDIO] = pairs
    return found


def _files(split: Split) -> list[str]:
    """Absolute paths, through the links of folders where these are still there.

    They are as they were given if a cache knows no root.
    """
    root = str(split.cache.about.get("audio_root") or "")
    folders: dict[str, str] = {}
    found = []
    for path in split.table["path"]:
        folder, name = os.path.split(os.path.normpath(os.path.join(root, path)))
        if folder not in folders:
            folders[folder] = os.path.realpath(folder) if root else f"{split.cache_corpus}:{folder}"
        found.append(os.path.join(folders[folder], name))
    return found
