"""A small corpus of real speech, a small model, and the comparison of the caches made from them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from cache import Cache
from probing.corpora import Corpus, load_corpus
from probing.extraction import Machine, Options

DEMO = Path(sys.modules["probing.corpora"].__file__ or "").parent / "demo" / "audio"
LENGTHS = (
    4000,
    5321,
    6400,
    6400,
    7777,
    8001,
    9600,
    9600,
    9600,
    11111,
    12345,
    13000,
    14003,
    15999,
    16000,
    16321,
)
TOLERANCE = 1e-4  # of the RMS of the layer


def quiet(text: str) -> None:
    """Take what would be printed."""


def speech(i: int, n_samples: int) -> np.ndarray:
    """The middle of a clip of the demo corpus."""
    samples = _decoded(i)
    start = max(0, (len(samples) - n_samples) // 2)
    return np.resize(samples[start : start + n_samples], n_samples)


@cache
def _decoded(i: int) -> np.ndarray:
    samples, _ = soundfile.read(sorted(DEMO.glob("*.opus"))[7 * i], dtype="float32")
    return samples


def write_clips(folder: Path) -> None:
    """16 clips of 0.25 to 1 s, some of the same length, in several formats."""
    folder.mkdir(parents=True)
    for name, content in _clips().items():
        (folder / name).write_bytes(content)


@cache
def _clips() -> dict[str, bytes]:
    """The files of `write_clips`, encoded once."""
    files = {}
    for i, n_samples in enumerate(LENGTHS):
        kind = ("wav", "flac", "wav", "ogg")[i % 4]
        encoded = BytesIO()
        soundfile.write(encoded, speech(i, n_samples), 16000, format=kind)
        files[f"clip é{i:02d}.{kind}"] = encoded.getvalue()
    return files


def manifest_of(folder: Path, names: Iterable[str] | None = None) -> Path:
    """Write a manifest beside a folder of audio; every third utterance is in `dev`."""
    paths = sorted(path.name for path in folder.iterdir()) if names is None else list(names)
    rows = [
        {
            "path": f"{folder.name}/{name}",
            "utterance_id": name.replace(" ", "_"),
            "label": ("bonafide", "spoof")[i % 2],
            "speaker": f"s{i % 3}",
            "split": ("train", "train", "dev")[i % 3],
        }
        for i, name in enumerate(paths)
    ]
    path = folder.with_suffix(".csv")
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def corpus_in(folder: Path, **which: object) -> Corpus:
    return load_corpus(str(manifest_of(folder)), **which)  # type: ignore[arg-type]


def machine(**how: float) -> Machine:
    return Machine("cpu", **{"batch_size": 4, "workers": 2, "shard_size": 4, **how})  # type: ignore[arg-type]


def with_frames(backbone: Path, **what: object) -> Options:
    return Options(**{"backbone": str(backbone), "frames": True, "frames_dtype": "float32", **what})  # type: ignore


def assert_same(
    left: Cache, right: Cache, tolerance: float = TOLERANCE, places: bool = True
) -> None:
    """Two caches hold the same table and, within rounding, the same hidden states; rows matched by
    id.
    """
    columns = [name for name in right.utterances.columns if places or name not in ("shard", "row")]
    pd.testing.assert_frame_equal(left.utterances[columns], right.utterances[columns])
    pd.testing.assert_frame_equal(left.failures, right.failures)
    assert left.finished == right.finished
    for k in right.layers:
        for tier in right.tiers:
            one, other = (cache.layer(k, tier)[0].astype(np.float64) for cache in (left, right))
            scale = np.sqrt(np.mean(other**2))
            assert np.abs(one - other).max() <= tolerance * scale, f"{tier} of layer {k}"


def extracted(cache: Cache) -> int:
    """Utterances that the last session ran through the model."""
    return int(cache.manifest.history[-1]["utterances"])


def run_cli(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit code of `probe ARGUMENTS`."""
    from analysis.commands.app import main

    monkeypatch.setattr(sys, "argv", ["probe", *arguments])
    try:
        main()
    except SystemExit as error:
        return int(error.code or 0)
    return 0
