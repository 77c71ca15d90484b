"""Corpora by folders: `[SPLIT/]{real,fake}/[ATTACK/]...`, as FoR has it, or just audio."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cache.errors import ProbeError
from probing.corpora.corpus import NOT_IN_IDS, Corpus, ids_of, normalise
from probing.corpora.manifest import notes_on_labels
from probing.corpora.protocol import ProtocolMissing
from probing.corpora.published import Known, classes
from probing.corpora.splits import SPLITS, common_splits
from probing.labels import LABELS, SPOOF

if TYPE_CHECKING:
    import pandas as pd


def read_folder(root: Path, name: str | None = None) -> Corpus:
    """Read the audio files below folders called real, fake, bonafide, ..., or all if none is.

    The folders above these name the split (`training`, `validation` and `testing` are train, dev
    and eval), the folder below a fake one the attack. Without such folders there are no labels: the
    first folder called train, dev, eval or as others call these is the split, and the column
    `folder` has the name of the next one below, which may be a speaker or a class; or else of the
    first above. Hidden files and folders are passed over; other files too, and `notes` counts them.

    Args:
        root: folder that holds `real/` and `fake/`, or splits that do, or audio.
        name: what to call a published corpus, which has to have labels; default the folder's name.

    Raises:
        ProbeError: no audio file is there.
    """
    from probing.audio import SUFFIXES

    root = root.resolve()
    if not root.is_dir():
        raise ProbeError(f"{root}: no such folder. Expected one that holds audio")
    closed: list[str] = []
    found = sorted(files_below(root, closed.append))
    audio = [path for path in found if is_audio(path)]
    for path in audio:
        if not path.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in path):
            raise ProbeError(
                f"{root}: the name {os.fsencode(path)!r} is not "
                "UTF-8. Rename it, then run this again."
            )
    notes = [passed_over(found)] if passed_over(found) else []
    if closed:
        shown = ", ".join(sorted(closed)[:5]) + (", ..." if len(closed) > 5 else "")
        notes.append(f"folders that cannot be read were passed over: {shown}")
    table = _labelled(audio)
    if len(table) and len(table) < len(audio):
        notes.append(
            f"{len(audio) - len(table)} audio files are not below "
            "real/ or fake/ and were passed over"
        )
    if table.empty and audio and name is None:
        table = _unlabelled(audio)
    if table.empty:
        why = f" ({'; '.join(notes)})" if notes else ""
        raise ProbeError(
            f"{root}: no audio below real/ or fake/{why}. Expected files ending in "
            f"{', '.join(SUFFIXES)}: for labels in "
            "[SPLIT/]{real,fake}/..., without in [SPLIT/]...; for other layouts write a manifest "
            "with the columns path,label"
        )
    ids = ids_of(table["path"])
    same = ids.duplicated(keep=False)
    table["utterance_id"] = ids.where(~same, table["path"].str.replace(NOT_IN_IDS, "_", regex=True))
    table["split"], on_splits = common_splits(table["split"])
    spec = f"{name or 'folder'}:{root}"
    table = normalise(table, str(root))
    return Corpus(
        name or root.name,
        spec,
        root=root,
        utterances=table,
        notes=(*notes, *on_splits, *notes_on_labels(table)),
    )


def _labelled(audio: list[str]) -> pd.DataFrame:
    """The files below folders that name a label; columns `path`, `split`, `label`, `attack`."""
    import pandas as pd

    rows = []
    for path in audio:
        *folders, _ = parts = Path(path).parts
        depth = next((i for i, folder in enumerate(folders) if folder.lower() in LABELS), None)
        if depth is not None:
            label = LABELS[folders[depth].lower()]
            below = folders[depth + 1 :]
            attack = below[0] if below and label == SPOOF else ""
            rows.append(("/".join(parts), "/".join(folders[:depth]) or "all", label, attack))
    return pd.DataFrame(rows, columns=["path", "split", "label", "attack"])


def _unlabelled(audio: list[str]) -> pd.DataFrame:
    """All files; columns `path`, `split`, `folder`."""
    import pandas as pd

    rows = []
    for path in audio:
        *folders, _ = parts = Path(path).parts
        depth = next((i for i, folder in enumerate(folders) if folder.casefold() in SPLITS), None)
        split = "all" if depth is None else folders[depth]
        others = folders if depth is None else folders[depth + 1 :] or folders[:depth]
        rows.append(("/".join(parts), split, others[0] if others else ""))
    return pd.DataFrame(rows, columns=["path", "split", "folder"])


def read_for(root: Path, name: str = "for") -> Corpus:
    """Read Fake-or-Real (Reimao and Tzerpos, SpeD 2019): `SPLIT/{real,fake}/`.

    Its splits are training, validation and testing.

    Raises:
        ProbeError: one of its folders is missing.
    """
    for split in ("training", "validation", "testing"):
        for label in ("real", "fake"):
            if not (root / split / label).is_dir():
                raise ProtocolMissing(
                    f"{root / split / label}: no such folder. Expected "
                    f"{{training,validation,testing}}/{{real,fake}}/ below {name}:ROOT; ROOT is "
                    "one of the versions of FoR, as for-norm"
                )
    return read_folder(root, name)


def is_audio(name: str) -> bool:
    """Whether a name ends as one of a format that can be decoded.

    >>> is_audio("a/clip.flac"), is_audio("a/notes.txt")
    (True, False)
    """
    from probing.audio import SUFFIXES

    return name.lower().endswith(SUFFIXES)


def passed_over(names: list[str]) -> str:
    """How many of the files have other suffixes, in words; empty if none has."""
    counts = Counter(
        os.path.splitext(name)[1].lower() or "no suffix" for name in names if not is_audio(name)
    )
    if not counts:
        return ""
    shown = ", ".join(
        f"{n} {suffix}"
        for suffix, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:8]
    )
    others = f" and {len(counts) - 8} more kinds" if len(counts) > 8 else ""
    n = counts.total()
    what = "file of another kind was" if n == 1 else "files of other kinds were"
    return f"{n} {what} passed over: {shown}{others}"


def files_below(root: Path, closed: Callable[[str], object] = lambda folder: None) -> Iterator[str]:
    """Files below a folder, relative to it, without hidden ones.

    Links are followed, but no folder is entered twice. `closed` is given the folders that cannot be
    read.
    """

    def pass_over(error: OSError) -> None:
        closed(os.path.relpath(error.filename, root))

    seen = set()
    for folder, folders, files in os.walk(root, onerror=pass_over, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in files:
            if not name.startswith("."):
                yield os.path.relpath(os.path.join(folder, name), root)


CORPORA = (
    Known(
        "for-norm",
        "Fake-or-Real, the normalised version; train, dev, eval",
        read=partial(read_for, name="for-norm"),
        download="for-norm.tar.gz from https://bil.eecs.yorku.ca/datasets; "
        "unpack it, ROOT is the folder for-norm",
        published=classes(train=(26941, 26927), dev=(5400, 5398), eval=(2264, 2370)),
    ),
    Known(
        "for",
        "Fake-or-Real, any other version; train, dev, eval",
        read_for,
        "a version of FoR from https://bil.eecs.yorku.ca/datasets; "
        "unpack it, ROOT is the folder that holds training",
    ),
    Known(
        "folder",
        "your own audio in [SPLIT/]{real,fake}/[ATTACK/], or without these",
        read_folder,
        "nothing: ROOT holds real and fake, or splits that do, or audio alone",
    ),
)
