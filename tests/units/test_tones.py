"""From audio to labelled frames: the tone that a frame sees is the tone that its label names."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_extraction import machine, quiet
from tones import PITCHES, write_tones

from cache import Cache
from cache.manifest import load_manifest
from cache.timing import ENTRY
from probing.alignments import read_alignments
from probing.extraction import Options, extract
from probing.units import unit_features, units_of


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cache, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("tones")
    manifest, table = write_tones(folder / "audio")
    table.to_csv(folder / "tones.csv", index=False)
    options = Options(backbone="log-mel", frames=True, frames_dtype="int8")
    cache = extract(folder / "c", str(manifest), options, machine(), say=quiet)
    return cache, read_alignments(folder / "tones.csv", cache.utterances).table


def loudest(features: np.ndarray) -> list[str]:
    """The tone nearest to the loudest of 80 mel bands."""
    mel = (features.argmax(axis=1) + 1) * 2595 * np.log10(1 + 8000 / 700) / 81
    pitch = 700 * (10 ** (mel / 2595) - 1)
    names = list(PITCHES)
    return [
        names[np.abs(np.log(hertz / np.array(list(PITCHES.values())))).argmin()] for hertz in pitch
    ]


def test_every_frame_sees_the_tone_that_its_label_names(tones: tuple[Cache, pd.DataFrame]) -> None:
    cache, table = tones
    units = units_of(cache, table, "frame").table
    assert len(units) == cache.utterances["n_frames"].sum()
    times = np.array(
        [
            cache.frame_times(name)[i]
            for name, i in zip(units["utterance_id"], units["first_frame"], strict=True)
        ]
    )
    clear = np.minimum(times - units["start"], units["end"] - times) > 0.001
    found = pd.Series(loudest(unit_features(cache, 0, units)))
    assert (found == units["label"])[clear].all()
    assert clear.mean() > 0.9


@pytest.mark.parametrize("unit", ["segment", "middle"])
def test_every_segment_sees_its_tone(unit: str, tones: tuple[Cache, pd.DataFrame]) -> None:
    cache, table = tones
    units = units_of(cache, table, unit).table
    assert list(units["label"]) == list(table["label"])
    assert loudest(unit_features(cache, 0, units)) == list(units["label"])


def test_the_timing_is_beside_the_fingerprint_and_caches_without_it_have_it_too(
    tones: tuple[Cache, pd.DataFrame], tmp_path: Path
) -> None:
    cache, _ = tones
    assert cache.about[ENTRY] == {"hop": 160, "centre": 200.0, "sampling_rate": 16000}
    assert ENTRY not in cache.fingerprint
    name = cache.utterances["utterance_id"][0]
    times = cache.frame_times(name)
    manifest = load_manifest(cache.folder)
    replace(
        manifest, about={key: value for key, value in manifest.about.items() if key != ENTRY}
    ).save(cache.folder)
    before = Cache(cache.folder)
    assert before.id == cache.id
    np.testing.assert_array_equal(before.frame_times(name), times)
    manifest.save(cache.folder)
