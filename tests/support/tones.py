"""A corpus of tones whose splice times are known by formula: what each moment holds follows from a
seed.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

PITCHES = {"low": 300.0, "middle": 900.0, "high": 2700.0}
SPLITS = ("train", "train", "dev", "eval")


def write_tones(
    folder: Path, n: int = 4, rate: int = 22_050, seed: int = 0
) -> tuple[Path, pd.DataFrame]:
    """Write n clips of six tones, 60 to 200 ms each, and a manifest; gives it and the intervals of
    the tones.
    """
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(n):
        labels = generator.permutation([*PITCHES, *PITCHES])
        edges = np.concatenate([[0.0], np.cumsum(generator.integers(60, 200, len(labels)) / 1000)])
        times = np.arange(round(edges[-1] * rate)) / rate
        which = np.searchsorted(edges, times, side="right") - 1
        pitches = np.array([PITCHES[label] for label in labels])
        samples = 0.3 * np.sin(2 * np.pi * pitches[which] * times) + generator.normal(
            0, 1e-3, len(times)
        )
        soundfile.write(folder / f"tone {i}.wav", samples.astype(np.float32), rate)
        rows += [
            (f"tone {i}", a, b, label)
            for a, b, label in zip(edges[:-1], edges[1:], labels, strict=True)
        ]
    table = pd.DataFrame(rows, columns=["utterance_id", "start", "end", "label"])
    manifest = folder / "manifest.csv"
    corpus = {
        "path": [f"tone {i}.wav" for i in range(n)],
        "label": [("bonafide", "spoof")[i % 2] for i in range(n)],
        "speaker": [f"s{i}" for i in range(n)],
        "split": [SPLITS[i % 4] for i in range(n)],
    }
    pd.DataFrame(corpus).to_csv(manifest, index=False)
    return manifest, table
