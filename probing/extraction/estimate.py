"""The estimate of what an extraction will take, compared with the disk before it starts."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cache.errors import ProbeError, argument
from cache.manifest import Manifest
from cache.quantization import bytes_of
from probing.audio import SAMPLING_RATE, Cropping, stated_seconds
from probing.backbones import Backbone
from probing.progress import duration, several, size

SAMPLED_HEADERS = 256


@dataclass(frozen=True)
class Estimate:
    """What the pending utterances will need.

    Attributes:
        tier_bytes: tier name -> bytes; `pooled` is exact, `frames` is from the lengths of a sample
            of the files.
    """

    n_utterances: int
    audio_seconds: float
    tier_bytes: dict[str, int]
    free_bytes: int

    def __str__(self) -> str:
        tiers = ", ".join(f"{tier} {size(n_bytes)}" for tier, n_bytes in self.tier_bytes.items())
        utterances = several(self.n_utterances, "utterance")
        audio = duration(self.audio_seconds)
        return f"{utterances}, about {audio} of audio; {tiers}; {size(self.free_bytes)} free"

    def check(self, folder: Path) -> None:
        """Raise ProbeError if the disk cannot hold it."""
        needed = sum(self.tier_bytes.values())
        if needed > self.free_bytes:
            raise ProbeError(
                f"{folder}: {self}. That does not fit. Free some space, name a folder on another "
                f"disk, or leave {argument('frames')} out (the pooled "
                "tier is all that linear probes need)."
            )


def estimate(
    folder: Path,
    root: Path,
    rows: pd.DataFrame,
    backbone: Backbone,
    cropping: Cropping,
    manifest: Manifest,
) -> Estimate:
    """Estimate the extraction of some rows into a folder, from at most 256 file headers."""
    chosen = rows.iloc[
        np.unique(np.linspace(0, len(rows) - 1, min(SAMPLED_HEADERS, len(rows))).astype(int))
    ]
    lengths = [n for path in chosen["path"] if (n := n_samples_of(root / path, cropping))]
    mean_samples = float(np.mean(lengths)) if lengths else float(cropping.n_samples())
    mean_frames = (
        float(np.mean([backbone.n_frames(max(n, backbone.min_samples)) for n in lengths]))
        if lengths
        else 0.0
    )
    values = {"pooled": 2 * len(rows), "frames": mean_frames * len(rows)}
    tier_bytes = {
        tier: int(values[tier] * len(manifest.layers) * bytes_of(dtype, manifest.dim))
        for tier, dtype in manifest.tiers.items()
    }
    free = shutil.disk_usage(folder).free
    return Estimate(len(rows), mean_samples * len(rows) / SAMPLING_RATE, tier_bytes, free)


def n_samples_of(path: Path, cropping: Cropping) -> int:
    """16 kHz samples that the model will see of a file, by its header; 0 if it does not say.

    0 as well if the file cannot be read.
    """
    if cropping.seconds is not None:
        return cropping.n_samples()
    seconds = stated_seconds(path, cropping.n_samples() / SAMPLING_RATE)
    return int((seconds or 0.0) * SAMPLING_RATE)
