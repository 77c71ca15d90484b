"""Names in alignments and the utterances they mean."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

import pandas as pd

from probing.audio import SUFFIXES


def matched(
    names: Collection[str], utterances: pd.DataFrame
) -> tuple[dict[str, str], list[str], list[str]]:
    """Find the utterance that each name means.

    A name is that of an utterance if it is its id, or else the end of the path of its audio,
    without the suffix, in whole folders: `SA1` or `DR1/FCJF0/SA1` for `TRAIN/DR1/FCJF0/SA1.WAV`. A
    name that begins with other folders than the path is compared without them. The longest end
    counts, and only if one name and one utterance have it.

    Args:
        names: as files of alignments have them.
        utterances: `utterance_id` and, if there are paths, `path`.

    Returns:
        Name -> utterance id; the names that mean no utterance; and those that could be one of
        several, or that share an utterance with another name. Both lists are sorted.

    >>> table = pd.DataFrame({"utterance_id": ["u1", "u2"], "path": ["a/x.wav", "b/x.wav"]})
    >>> matched(["u1", "b/x", "x", "y"], table)
    ({'b/x': 'u2', 'u1': 'u1'}, ['y'], ['x'])
    """
    ids = utterances["utterance_id"].tolist()
    paths = utterances["path"].tolist() if "path" in utterances else [f"{name}.wav" for name in ids]
    exact = set(ids)
    owners: dict[str, set[str]] = {}
    for name, path in zip(ids, paths, strict=True):
        for end in _ends(_stem(os.path.splitext(path)[0])):
            owners.setdefault(end, set()).add(name)
    sharers: dict[str, set[str]] = {}
    for name in names:
        for end in _ends(_stem(name)):
            sharers.setdefault(end, set()).add(name)
    found: dict[str, str] = {}
    unknown = list[str]()
    unclear = list[str]()
    for name in sorted(names):
        if name in exact:
            found[name] = name
            continue
        shared = next((end for end in _ends(_stem(name)) if end in owners), None)
        if shared is None:
            unknown.append(name)
        elif len(owners[shared]) == 1 and len(sharers[shared]) == 1:
            found[name] = min(owners[shared])
        else:
            unclear.append(name)
    meant: dict[str, list[str]] = {}
    for name, utterance in found.items():
        meant.setdefault(utterance, []).append(name)
    doubled = {
        name for group in meant.values() if len(group) > 1 for name in group if name not in exact
    }
    kept = {name: utterance for name, utterance in found.items() if name not in doubled}
    return kept, unknown, sorted([*unclear, *doubled])


def _stem(path: str) -> str:
    """A path without suffixes of audio files, of which some corpora have two: SA1.WAV.wav."""
    stem, suffix = os.path.splitext(path)
    return _stem(stem) if suffix.lower() in SUFFIXES else path


def _ends(path: str) -> Iterator[str]:
    """A path, then without its first folder, and so on to its last name."""
    parts = [part for part in path.replace(os.sep, "/").split("/") if part not in ("", ".")]
    for i in range(len(parts)):
        yield "/".join(parts[i:])
