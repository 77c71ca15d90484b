"""Targets: what layers are correlated with, as numbers for every row of a view."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.caches.views import View
from analysis.caches.waveforms import Waveforms
from cache import ProbeError
from cache.errors import argument
from probing.audio import MEASURES
from probing.audio.mel import WINDOW, mel_bands
from probing.progress import progress_line

TARGETS = ("mel", "speaker", "attack", "label", "trivial")
Target: TypeAlias = str | int | pd.DataFrame
HEARD = ("utterance_id", "path", "n_frames")
Matrix = NDArray[np.float64]


def target_of(v: View, target: Target, audio_root: Path | None = None, fewest: int = 1) -> Matrix:
    """Numbers (rows, width) for the rows of a view; NaN in rows of which the target is not known.

    Args:
        v: the view.
        target: `mel`: 40 logarithmic mel bands of the audio at mean 0 and variance 1, of the frame
            or their mean over time; `speaker`, `attack`, `label`: one column a class; `trivial`:
            duration, level, bandwidth, noise floor; a number: that layer; a DataFrame: your own
            numbers, by utterance id.
        audio_root: for `mel`, where the audio is now.
        fewest: utterances of a class; the smaller ones count as unknown.

    Raises:
        ProbeError: no such target, one class only, or no audio.

    >>> from analysis.caches.views import view
    >>> from cache import Cache
    >>> target_of(view(Cache("results/demo.cache"), [0]), "label").shape
    (56, 2)
    """
    if isinstance(target, pd.DataFrame):
        return np.repeat(_own(v, target), v.counts(), axis=0)
    if isinstance(target, int):
        if target not in v.cache.layers:
            raise ProbeError(
                f"{v.cache.folder}: no layer {target}, only "
                f"{v.cache.layers[0]}..{v.cache.layers[-1]}"
            )
        return np.concatenate([rows[0].astype(np.float64) for _, rows in v.blocks([target], 1.0)])
    if target == "mel":
        return _mel(v, audio_root)
    if target == "trivial":
        return np.repeat(v.table[list(MEASURES)].to_numpy(np.float64), v.counts(), axis=0)
    if target in TARGETS:
        return np.repeat(_classes(v, target, fewest), v.counts(), axis=0)
    raise ProbeError(
        f"target {target!r}: expected one of "
        f"{', '.join(TARGETS)}, a layer, or a table by utterance id"
    )


def _own(v: View, table: pd.DataFrame) -> Matrix:
    if table.index.has_duplicates:
        twice = table.index[table.index.duplicated()][0]
        raise ProbeError(f"target: {twice} is there twice. Expected one row an utterance")
    numbers = table.select_dtypes("number").reindex(v.table["utterance_id"]).to_numpy(np.float64)
    if not numbers.shape[1] or np.isnan(numbers).any(axis=1).all():
        raise ProbeError(
            "target: a table without numbers for these "
            "utterances. Expected utterance ids as its index"
        )
    return np.asarray(numbers)


def _classes(v: View, column: str, fewest: int) -> Matrix:
    values = v.table[column].astype(str)
    known = (values != "") & (values != "unknown") & (values.map(values.value_counts()) >= fewest)
    one_hot = pd.get_dummies(values.where(known), dtype=float)
    if one_hot.shape[1] < 2:
        raise ProbeError(
            f"{v.cache.folder}: {one_hot.shape[1]} {column}s have {fewest} or more of these "
            "utterances, expected two or more. Take other utterances "
            f"with {argument('where')}, or another target"
        )
    one_hot[~known] = np.nan
    return np.asarray(one_hot.to_numpy(np.float64))


def _mel(v: View, audio_root: Path | None) -> Matrix:
    audio = Waveforms(v.cache, audio_root)
    rows = []
    with progress_line("Mel bands", len(v.table), "utterances") as line:
        for i, (name, path, n_frames) in enumerate(
            zip(*(v.table[key] for key in HEARD), strict=True)
        ):
            waveform = audio.load(name, path)
            waveform = (waveform - waveform.mean()) / max(float(waveform.std()), 1e-7)
            bands = mel_bands(np.pad(waveform, (0, max(0, WINDOW - len(waveform))))).astype(
                np.float64
            )
            if v.tier == "pooled":
                rows.append(bands.mean(axis=0, keepdims=True))
            else:  # the nearest in time; the bands' frames need not be the model's
                rows.append(
                    bands[
                        ((v.picked[i] + 0.5) * len(bands) / n_frames)
                        .astype(int)
                        .clip(0, len(bands) - 1)
                    ]
                )
            line.advance(1)
    return np.concatenate(rows)
