"""Audio files to score, each under the name of an utterance."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from cache.errors import ProbeError
from probing.audio import SUFFIXES
from probing.corpora.corpus import ids_of
from probing.corpora.folders import files_below, is_audio, passed_over
from probing.serving.candidates import ServingError


def audio_files(
    given: Sequence[Path], say: Callable[[str], None] = lambda text: None
) -> dict[str, Path]:
    """Audio files, and those in folders, by name: stems if all differ, else paths.

    Names are those of utterances.

    Raises:
        ServingError: nothing there, or no audio.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     size = Path(folder, "clip.wav").write_bytes(b"RIFF")
    ...     list(audio_files([Path(folder)]))
    ['clip']
    """
    found: dict[str, Path] = {}
    for path in given:
        if path.is_dir():
            names = sorted(files_below(path))
            paths = [path / name for name in names if is_audio(name)]
            others = passed_over(names)
            if not paths:
                why = f" ({others})" if others else ""
                raise ServingError(
                    f"{path}: no audio in there, and no cache{why}. "
                    f"Expected files in {', '.join(SUFFIXES)}"
                )
            if others:
                say(f"Note: {path}: {others}")
        elif path.exists():
            paths = [path]
        else:
            raise ServingError(
                f"{path}: no such file or folder. Name a cache, audio files, or folders of them"
            )
        found.update({os.path.abspath(path): path for path in paths})
    table = pd.Series([str(path) for path in found.values()], dtype=str)
    names = ids_of(table.map(os.path.basename))
    if names.duplicated().any():
        names = ids_of(table)
    if names.duplicated().any():
        twice = table[names.duplicated()].iloc[0]
        raise ProbeError(
            f"{twice}: there is another file of that name. Rename one, or score them apart"
        )
    return dict(zip(names, found.values(), strict=True))
