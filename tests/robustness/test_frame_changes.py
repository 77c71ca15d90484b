"""Planted truth: what is done to the frames of chosen layers is what is said of them, and of no
other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.robustness import changes
from analysis.robustness.changes import FrameChanges, changes_of_frames
from cache import Cache
from cache.manifest import Manifest
from cache.writer import CacheWriter
from probing.audio import MEASURES
from probing.robustness import parse_grid

LENGTHS = (1, 7, 30, 12)
DIM, LAYERS = 16, (0, 1, 2)
GRID = parse_grid("noise:white@0; gain:-20; speed:0.9")
RATIO = 0.6


def frames_of(seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.normal(size=(len(LAYERS), n, DIM)) for n in LENGTHS]


def write(
    folder: Path, clips: list[np.ndarray], tiers: tuple[str, ...] = ("pooled", "frames")
) -> Cache:
    names = [f"u{i}" for i in range(len(clips))]
    corpus = pd.DataFrame(
        {"utterance_id": names, "path": names, "split": "eval", "label": "spoof", "speaker": names}
    )
    about = {"backbone": "by hand", "random_weights": False, "corpus": "hand"}
    manifest = Manifest(
        {"made": folder.name}, LAYERS, DIM, dict.fromkeys(tiers, "float32"), MEASURES, about
    )
    with CacheWriter(folder, manifest, corpus, shard_size=3) as writer:
        for index, table in list(writer.pending()):
            mine = [clips[names.index(name)] for name in table["utterance_id"]]
            lengths = [clip.shape[1] for clip in mine]
            measures = {name: np.zeros(len(mine)) for name in MEASURES}
            shard = writer.start_shard(
                index, list(table["utterance_id"]), [320 * n for n in lengths], lengths, measures
            )
            for layer in LAYERS:
                pooled = np.stack([[clip[layer].mean(0), clip[layer].std(0)] for clip in mine])
                shard.write(0, "pooled", layer, pooled.astype(np.float32), len(mine))
                if "frames" in tiers:
                    shard.write(
                        0,
                        "frames",
                        layer,
                        np.concatenate([c[layer] for c in mine]).astype(np.float32),
                        len(mine),
                    )
            writer.finish_shard(index, shard, {})
    return Cache(folder)


def turned(clips: list[np.ndarray]) -> list[np.ndarray]:
    """Layer 1 with noise at right angles to every frame, RATIO of its norm: a known ratio, and a
    known cosine.
    """
    generator = np.random.default_rng(1)
    made = [clip.copy() for clip in clips]
    for clip in made:
        x = clip[1]
        noise = generator.normal(size=x.shape)
        noise -= x * ((noise * x).sum(1) / (x * x).sum(1))[:, None]
        clip[1] += (
            RATIO * noise * (np.linalg.norm(x, axis=1) / np.linalg.norm(noise, axis=1))[:, None]
        )
    return made


def compared(clean: Cache, **views: Cache) -> FrameChanges:
    names = dict(
        zip(("noise", "gain", "speed"), (condition.name for condition in GRID), strict=True)
    )
    of_views = {names[name]: (cache, cache.utterances) for name, cache in views.items()}
    return changes_of_frames(LAYERS, (clean, clean.utterances), of_views, GRID)


@pytest.mark.parametrize("at_once", [2**22, 5 * DIM * len(LAYERS)])
def test_noise_in_the_frames_of_a_layer_is_found_in_that_layer_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(changes, "VALUES_AT_ONCE", at_once)
    clips = frames_of()
    clean = write(tmp_path / "clean", clips)
    found = compared(
        clean, noise=write(tmp_path / "noisy", turned(clips)), gain=write(tmp_path / "same", clips)
    )
    assert found.left_out == {}
    for name, layer in found.values:
        ratio, cosine = found.values[name, layer].values()
        planted = name == "noise:white@0" and layer == 1
        assert ratio == pytest.approx(RATIO if planted else 0, abs=1e-5)
        assert cosine == pytest.approx(1 / np.sqrt(1 + RATIO**2) if planted else 1, abs=1e-5)
    assert len(found.values) == 2 * len(LAYERS)


def test_frames_are_compared_with_those_at_the_same_time(tmp_path: Path) -> None:
    """Frames in another order have the same mean and deviation: pooled vectors do not tell, frames
    do.
    """
    clips = frames_of()
    clean = write(tmp_path / "clean", clips)
    shuffled = write(tmp_path / "turned", [clip[:, ::-1] for clip in clips])
    pooled = changes.pooled_changes(1, (clean, clean.utterances), (shuffled, shuffled.utterances))
    assert pooled["noise_to_signal"] == pytest.approx(0, abs=1e-5)
    found = compared(clean, noise=shuffled).values["noise:white@0", 1]
    expected = [np.linalg.norm(clip[1, ::-1] - clip[1]) / np.linalg.norm(clip[1]) for clip in clips]
    assert found["frames_noise_to_signal"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert found["frames_cosine"] < 0.6


def test_what_has_no_frame_at_the_same_time_is_left_out_and_said(tmp_path: Path) -> None:
    clips = frames_of()
    clean = write(tmp_path / "clean", clips)
    shorter = write(tmp_path / "short", [clip[:, : max(1, clip.shape[1] - 1)] for clip in clips])
    found = compared(clean, noise=shorter, speed=write(tmp_path / "same", clips))
    assert found.values == {}
    assert found.left_out == {
        "noise:white@0": "3 utterances have another number of frames than the clean ones",
        "speed:0.9": "it moves time",
    }


def test_without_frames_nothing_is_said_of_them(tmp_path: Path) -> None:
    clips = frames_of()
    clean = write(tmp_path / "clean", clips)
    assert compared(clean, gain=write(tmp_path / "pooled", clips, ("pooled",))) == FrameChanges(
        {}, {}
    )
