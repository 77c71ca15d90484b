"""Corpora whose folders say what is in them: `[SPLIT/]{real,fake}/[ATTACK/]...`, as FoR has it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from cache.errors import ProbeError
from probing.corpora.corpus import LABELS, NOT_IN_IDS, SPOOF, Corpus, ids_of, normalise
from probing.corpora.protocol import ProtocolMissing
from probing.corpora.splits import SPLITS

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64")


def read_folder(root: Path, name: str | None = None) -> Corpus:
    """Read a folder tree: the audio files below folders called real, fake, bonafide, spoof, ...

    The folders above these name the split (`training`, `validation` and `testing` are train, dev and eval), the folder
    below a fake one the attack. Hidden files and folders are passed over.

    Args:
        root: folder that holds `real/` and `fake/`, or splits that do.
        name: what to call the corpus; default the folder's name.

    Raises:
        ProbeError: no audio file is below such a folder.
    """
    root = root.resolve()
    rows = []
    for path in sorted(_audio_files(root)):
        if not path.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in path):
            raise ProbeError(f"{root}: the name {os.fsencode(path)!r} is not UTF-8. Rename it, then run this again.")
        *folders, _ = parts = Path(path).parts
        depth = next((i for i, folder in enumerate(folders) if folder.lower() in LABELS), None)
        if depth is None:
            continue
        above, below = "/".join(folders[:depth]), folders[depth + 1 :]
        label = LABELS[folders[depth].lower()]
        attack = below[0] if below and label == SPOOF else ""
        split = SPLITS.get(above.lower(), above or "all")
        rows.append(("/".join(parts), split, label, attack))
    if not rows:
        raise ProbeError(
            f"{root}: no audio below real/ or fake/. Expected [SPLIT/]{{real,fake}}/... with files ending in "
            f"{', '.join(SUFFIXES)}; for other layouts write a manifest with the columns path,label"
        )
    table = pd.DataFrame(rows, columns=["path", "split", "label", "attack"])
    ids = ids_of(table["path"])
    same = ids.duplicated(keep=False)
    table["utterance_id"] = ids.where(~same, table["path"].str.replace(NOT_IN_IDS, "_", regex=True))
    spec = f"{name or 'folder'}:{root}"
    return Corpus(name or root.name, spec, root, normalise(table, str(root)))


def read_for(root: Path, name: str = "for") -> Corpus:
    """Read Fake-or-Real (Reimao and Tzerpos, SpeD 2019): `{training,validation,testing}/{real,fake}/`.

    Raises:
        ProbeError: one of its folders is missing.
    """
    for split in ("training", "validation", "testing"):
        for label in ("real", "fake"):
            if not (root / split / label).is_dir():
                raise ProtocolMissing(
                    f"{root / split / label}: no such folder. Expected {{training,validation,testing}}/{{real,fake}}/ "
                    f"below {name}:ROOT; ROOT is one of the versions of FoR, as for-norm"
                )
    return read_folder(root, name)


def _audio_files(root: Path) -> Iterator[str]:
    """Audio files below a folder, as paths relative to it; links are followed, but no folder is entered twice."""
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in files:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield os.path.relpath(os.path.join(folder, name), root)
