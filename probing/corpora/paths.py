"""Where the paths of a manifest lead: relative to a folder, or absolute, anywhere on disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cache.errors import ProbeError, argument
from probing.corpora.corpus import ids_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Places:
    """The audio of a manifest.

    Attributes:
        root: folder that all paths start from.
        paths: from there, as they are written; one that does not lie below it is left for
            `normalise` to refuse.
        ids: utterance ids made of the paths. They do not depend on where on a disk the audio is:
            those below the folder of the manifest start there, those of absolute paths elsewhere at
            the deepest folder that has them all.
    """

    root: Path
    paths: pd.Series[str]
    ids: pd.Series[str]


def places_of(column: pd.Series[str], manifest: Path, audio_root: Path | None = None) -> Places:
    """Find the root of the paths of a manifest.

    Relative paths start from the folder of the manifest. Absolute ones may lie anywhere: if some
    lie elsewhere, the root is the deepest folder that has all. An `audio_root` given is the root,
    and all have to lie below it; whatever symbolic links lead there.

    Raises:
        ProbeError: none lies below the root given.
    """
    given = Path(os.path.abspath(audio_root or manifest.parent))
    root = given.resolve()
    found = _from(column, given, root)
    elsewhere = [path for path in found if os.path.isabs(path)]
    if not elsewhere:
        return _places(root, found, found, column.index)
    common = os.path.commonpath([os.path.dirname(path) for path in elsewhere])
    if audio_root is not None:
        if len(elsewhere) == len(found):
            raise ProbeError(
                f"{manifest}, row 1: path outside the corpus's root folder {elsewhere[0]!r}: it "
                f"does not lie below {root}. Name the folder that holds the audio: "
                f"{argument('audio_root', common)}"
            )
        return _places(root, found, found, column.index)
    top = common if len(elsewhere) == len(found) else os.path.commonpath([root, common])
    below = os.path.relpath(root, top)
    paths = []
    names = []
    for path in found:
        if os.path.isabs(path):
            paths.append(os.path.relpath(path, top))
            names.append(os.path.relpath(path, common))
        else:
            leaves = os.path.normpath(path).split(os.sep)[0] in (os.curdir, os.pardir)
            paths.append(path if leaves else os.path.join(below, path))
            names.append(path)
    return _places(Path(top), paths, names, column.index)


def _places(root: Path, paths: Sequence[str], names: Sequence[str], index: pd.Index) -> Places:
    import pandas as pd

    normal = [os.path.normpath(name).replace(os.sep, "/") for name in names]
    return Places(
        root, pd.Series(paths, index, dtype=str), ids_of(pd.Series(normal, index, dtype=str))
    )


def _from(column: pd.Series[str], given: Path, root: Path) -> list[str]:
    """The paths from the root on, absolute ones too if they lie below it."""
    folders: dict[str, str] = {}  # of absolute paths, resolved
    found = []
    for path in column:
        if os.path.isabs(path):
            path = os.path.normpath(path)
            folder, file = os.path.split(path)
            if folder not in folders:
                folders[folder] = os.path.realpath(folder)
            places = (Path(folder), given), (Path(folder), root), (Path(folders[folder]), root)
            path = next(
                (
                    str(place.relative_to(top) / file)
                    for place, top in places
                    if place.is_relative_to(top)
                ),
                path,
            )
        found.append(path)
    return found
