"""Utterances of which stretches are spoofed, at known samples: clips of a labelled corpus, spliced.

    python tests/benchmarks/spliced_corpus.py ../shared/data/speech-dev/meta.csv FOLDER \
        [--utterances 300] [--seed 0]

The list needs the columns path (relative to it), label, speaker and split. Each new utterance is a
human clip into which one to three stretches of 0.2 to 1 s of other clips of its split are set, at
the level of what they replace; in two of three utterances these are spoofs, in the third they are
human too, so that a splice alone says nothing. FOLDER then holds audio/*.flac, manifest.csv (an
utterance is spoof if any of it is) and stretches.csv: `utterance_id,start, end,label` of every
moment. The same seed gives the same files.

    probe extract c --corpus FOLDER/manifest.csv --frames
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

RATE = 16_000
SPLITS = ("train", "dev", "eval")
LABEL_OF = ("spoof", "spoof", "bonafide")


def clip_of(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE, f"{path}: {rate} Hz"
    assert samples.ndim == 1, f"{path}: {samples.ndim} channels"
    return samples


def spliced(
    base: np.ndarray, donors: list[tuple[np.ndarray, str]], generator: np.random.Generator
) -> tuple[np.ndarray, list[tuple[int, int, str]]]:
    """A clip with a stretch of each donor in it; and the stretches (samples) that are
    not its own.
    """
    out = base.copy()
    room = len(base) // len(donors)
    found = []
    for i, (donor, label) in enumerate(donors):
        n = int(min(generator.integers(RATE // 5, RATE), len(donor), room - 2))
        start = i * room + int(generator.integers(0, room - n))
        source = int(generator.integers(0, len(donor) - n + 1))
        piece = donor[source : source + n]
        level = np.sqrt(np.mean(base[start : start + n] ** 2) / max(float(np.mean(piece**2)), 1e-8))
        out[start : start + n] = np.clip(piece * min(level, 4.0), -1, 1)
        found.append((start, start + n, label))
    return out, found


def make(listed: Path, folder: Path, n: int, seed: int) -> pd.DataFrame:
    """Write the corpus; gives the table of stretches."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    table = pd.read_csv(listed, dtype=str)
    manifest, rows = [], []
    for i in range(n):
        split = SPLITS[(0, 0, 1, 2)[i % 4]]
        label = LABEL_OF[i // 4 % 3]
        own = table[table["split"] == split]
        human = own[own["label"] == "bonafide"]
        chosen = human.iloc[int(generator.integers(len(human)))]
        base = clip_of(listed.parent / chosen["path"])
        others = own[(own["label"] == label) & (own["path"] != chosen["path"])]
        most = max(1, min(3, len(base) // RATE))
        picked = others.iloc[
            generator.integers(len(others), size=int(generator.integers(1, most + 1)))
        ]
        donors = [(clip_of(listed.parent / path), label) for path in picked["path"]]
        samples, found = spliced(base, donors, generator)
        name = f"spliced-{i:04d}"
        soundfile.write(folder / f"audio/{name}.flac", samples, RATE)
        attacks = "+".join(sorted(set(picked["attack"]))) if label == "spoof" else "-"
        manifest.append((f"audio/{name}.flac", name, label, chosen["speaker"], attacks, split))
        edge = 0
        for start, end, kind in [*found, (len(samples), len(samples), "")]:
            if start > edge:
                rows.append((name, edge / RATE, start / RATE, "bonafide"))
            if end > start:
                rows.append((name, start / RATE, end / RATE, kind))
            edge = end
    columns = ["path", "utterance_id", "label", "speaker", "attack", "split"]
    pd.DataFrame(manifest, columns=columns).to_csv(folder / "manifest.csv", index=False)
    stretches = pd.DataFrame(rows, columns=["utterance_id", "start", "end", "label"])
    stretches.to_csv(folder / "stretches.csv", index=False)
    return stretches


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("listed", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--utterances", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    stretches = make(given.listed, given.folder, given.utterances, given.seed)
    seconds = (
        (stretches["end"] - stretches["start"]).groupby(stretches["label"]).sum().round(1).to_dict()
    )
    print(f"{given.folder}: {stretches['utterance_id'].nunique()} utterances, seconds {seconds}")


if __name__ == "__main__":
    main()
