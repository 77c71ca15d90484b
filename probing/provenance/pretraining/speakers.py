"""Speakers that the model may be trained on: none of eval, and some kept to measure it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

# One person under two names: the Spanish prompts were spoken by the speaker of the English ones.
SAME_PERSON = {"asterisk-es_mx": "asterisk-AllisonSmith"}


def person(speaker: str) -> str:
    """Reduce a speaker's name to the person, however a corpus spells it.

    `asterisk-CarloFlora_it`, `asterisk-CarloFlora` and the conversion `asterisk-CarloFlora_it+vc`
    are one person.
    """
    plain = unicodedata.normalize("NFKD", speaker).encode("ascii", "ignore").decode()
    plain = plain.split("+")[0]
    plain = SAME_PERSON.get(plain, plain)
    return re.sub(r"_[a-z]{2}$", "", plain)


def judged_speakers(tables: Iterable[Path]) -> set[str]:
    """Collect the persons of the eval splits, spoofed ones included.

    Args:
        tables: CSV files with the columns speaker and split.
    """
    judged: set[str] = set()
    for path in tables:
        rows = pd.read_csv(path)
        judged |= {person(name) for name in rows.loc[rows["split"] == "eval", "speaker"]}
    return judged


def held_out_readers(n_clips: Mapping[str, int]) -> set[str]:
    """Choose the LibriSpeech readers that the model never hears.

    Those with several clips, who can be told apart by linear probes, and every twelfth of the
    source, by name.

    Args:
        n_clips: of each speaker of the unlabelled set.
    """
    readers = sorted(name for name in n_clips if name.startswith("LibriSpeech-"))
    return {name for name in readers if n_clips[name] >= 5} | set(readers[::12])


def assign(n_clips: Mapping[str, int], judged: set[str]) -> dict[str, str]:
    """Put every speaker into train, heldout or judged.

    Held-out readers stay so where an eval split judges them as well: the model hears neither kind.

    Args:
        n_clips: of each speaker of the unlabelled set.
        judged: persons that the eval splits judge.

    Returns:
        The part of each name.
    """
    heldout = held_out_readers(n_clips)
    return {
        name: "heldout" if name in heldout else "judged" if person(name) in judged else "train"
        for name in sorted(n_clips)
    }
