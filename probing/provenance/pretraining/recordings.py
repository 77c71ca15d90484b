"""The recordings, decoded once: a mapped array of 16-bit samples, and a table of clips."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from cache.errors import ProbeError, argument
from probing.audio import SAMPLING_RATE
from probing.progress import progress_line
from probing.threads import Threads

from .speakers import assign, judged_speakers

FULL_SCALE = 32767


class DataMissing(ProbeError, FileNotFoundError):
    """The recordings are not where they were said to be."""


@dataclass(frozen=True)
class Recordings:
    """Decoded clips.

    Attributes:
        samples: (n,) int16, all clips one after the other, 16 kHz.
        table: one row per clip: path, speaker, source, lang, licence, part (train, heldout,
            judged), start, length.
    """

    samples: NDArray[np.int16]
    table: pd.DataFrame

    def clip(self, row: int) -> NDArray[np.float32]:
        """Give one clip, normalised to mean 0 and variance 1 as the model takes it."""
        start = int(self.table["start"].iat[row])
        length = int(self.table["length"].iat[row])
        return normalised(self.samples[start : start + length].astype(np.float32))

    def length(self, row: int) -> int:
        """Count the samples of one clip."""
        return int(self.table["length"].iat[row])

    def rows(self, part: str) -> NDArray[np.int64]:
        """List the rows of a part."""
        return np.flatnonzero(self.table["part"].to_numpy() == part)


def normalised(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring a waveform to mean 0 and variance 1, as Wav2Vec2FeatureExtractor does."""
    centred = waveform - waveform.mean()
    return np.asarray(centred / np.sqrt(centred.var() + 1e-7), dtype=np.float32)


def open_recordings(shared: Path, work: Path, demo_table: Path) -> Recordings:
    """Decode the unlabelled set into the work folder, or open what an earlier run decoded there.

    Args:
        shared: folder that holds data/unlabelled and data/speech-dev.
        work: folder of this training.
        demo_table: the demo corpus' table, whose eval speakers are left out.

    Raises:
        DataMissing: no such data, or a clip that cannot be decoded.
    """
    metas = [
        shared / "data" / "unlabelled" / "meta.csv",
        shared / "data" / "speech-dev" / "meta.csv",
    ]
    for meta in metas:
        if not meta.is_file():
            raise DataMissing(
                f"no {meta.name} in {meta.parent}. Give the folder that "
                f"holds data/unlabelled: {argument('shared')}"
            )
    table_path = work / "recordings.csv"
    samples_path = work / "recordings.i16"
    if not table_path.is_file():
        _decode(metas, demo_table, table_path, samples_path)
    table = pd.read_csv(table_path)
    expected = hashlib.sha256(metas[0].read_bytes()).hexdigest()
    if table["meta_sha256"].iat[0] != expected:
        raise DataMissing(
            f"{table_path} was decoded from another {metas[0]}. Give a "
            f"new {argument('work')} folder, or delete it."
        )
    return Recordings(np.memmap(samples_path, dtype=np.int16, mode="r"), table)


def _decode(metas: list[Path], demo_table: Path, table_path: Path, samples_path: Path) -> None:
    table = pd.read_csv(metas[0]).sort_values("path", ignore_index=True)
    table["meta_sha256"] = hashlib.sha256(metas[0].read_bytes()).hexdigest()
    parts = assign(
        table["speaker"].value_counts().to_dict(), judged_speakers([demo_table, metas[1]])
    )
    table["part"] = table["speaker"].map(parts)
    # never decoded: nothing can leak
    table = table[table["part"] != "judged"].reset_index(drop=True)
    starts = []
    lengths = []
    at = 0
    table_path.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(samples_path, "wb") as file,
        Threads(2) as pool,
        progress_line("decoding", len(table), "clips") as line,
    ):
        for samples in pool.map(_read, [metas[0].parent / name for name in table["path"]]):
            file.write(samples.tobytes())
            starts.append(at)
            lengths.append(len(samples))
            at += len(samples)
            line.advance(1)
    table["start"], table["length"] = starts, lengths
    partial = table_path.with_suffix(".partial")
    table.to_csv(partial, index=False)
    os.replace(partial, table_path)


def _read(path: Path) -> NDArray[np.int16]:
    try:
        # some clips end a few samples early
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataMissing(f"{path}: {error}. Fetch the data again.") from error
    if rate != SAMPLING_RATE or len(samples) == 0:
        raise DataMissing(
            f"{path}: {len(samples)} samples at {rate} Hz; expected {SAMPLING_RATE} Hz."
        )
    return np.asarray(np.round(np.clip(samples.mean(axis=1), -1, 1) * FULL_SCALE), dtype=np.int16)
