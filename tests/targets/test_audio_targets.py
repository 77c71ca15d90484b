"""Targets from the audio: sounds of known pitch, level, slope and noise give these values."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from small_extraction import DEMO

from cache import ProbeError
from cache.errors import OptionError
from probing.audio import Cropping, load_audio
from probing.corpora import load_corpus
from probing.targets.audio import AUDIO_TARGETS, FRAME_TARGETS, audio_targets, frame_targets

pytest.importorskip("parselmouth")
RATE = 16000
TIME = np.arange(2 * RATE) / RATE
RNG = np.random.default_rng(0)


def voice(f0: np.ndarray | float, slope: float = -12.0) -> np.ndarray:
    """Harmonics below 7 kHz with a slope in dB an octave, at random phases."""
    f0 = np.broadcast_to(f0, TIME.shape)
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    rng = np.random.default_rng(1)
    parts = (
        (k * f0 < 7000) * k ** (slope / 20 / np.log10(2)) * np.sin(k * phase + rng.uniform(0, 6))
        for k in range(1, 80)
    )
    return unit(sum(parts))


def unit(samples: np.ndarray) -> np.ndarray:
    return (0.1 * samples / np.std(samples)).astype(np.float32)


def noise(slope: float = 0.0) -> np.ndarray:
    """Gaussian noise with a slope in dB an octave."""
    spectrum = np.fft.rfft(np.random.default_rng(2).standard_normal(len(TIME)))
    hertz = np.maximum(np.fft.rfftfreq(len(TIME), 1 / RATE), 20)
    return unit(np.fft.irfft(spectrum * hertz ** (slope / 20 / np.log10(2)), len(TIME)))


def measured(tmp_path: Path, *clips: np.ndarray, **options) -> pd.DataFrame:
    paths = {}
    for i, samples in enumerate(clips):
        paths[f"u{i}"] = tmp_path / f"{i}.wav"
        soundfile.write(paths[f"u{i}"], samples, RATE, subtype="FLOAT")
    return audio_targets(list(AUDIO_TARGETS), paths, **options).set_index("utterance_id")


@pytest.mark.parametrize("f0", [70, 120, 220, 400])
def test_f0_of_a_steady_voice_is_exact_to_a_cent(tmp_path: Path, f0: float) -> None:
    row = measured(tmp_path, voice(f0)).loc["u0"]
    assert abs(1200 * np.log2(row["f0"] / f0)) < 1
    assert row["voicing"] == 1
    assert row["duration"] == 2
    assert row["energy"] == pytest.approx(-20, abs=0.01)


def test_f0_of_frames_follows_a_glide_and_ends_with_the_voice() -> None:
    f0 = 100 * 3 ** (TIME / 2)
    samples = np.concatenate([voice(f0), 1e-4 * RNG.standard_normal(RATE).astype(np.float32)])
    times = np.arange(0.01, 3.0, 0.02)
    found = frame_targets("f0", samples, times)
    inner = (times > 0.05) & (times < 1.95)
    assert np.abs(1200 * np.log2(found[inner] / (100 * 3 ** (times[inner] / 2)))).max() < 10
    assert np.isnan(found[times > 2.05]).all()
    assert np.isnan(found[times < 0.02]).all()
    voiced = frame_targets("voicing", samples, times)
    assert (voiced[inner] == 1).all()
    assert (voiced[(times > 2.05) & (times < 2.97)] == 0).all()
    assert np.isnan(voiced[times > 2.99]).all()


def test_noise_has_no_pitch_and_a_clip_shorter_than_a_window_no_frame(tmp_path: Path) -> None:
    table = measured(tmp_path, noise(), noise()[:700])
    assert table["f0"].isna().all()
    assert table["voicing"]["u0"] == 0
    assert np.isnan(table["voicing"]["u1"])
    assert np.isfinite(table.loc["u1", ["energy", "tilt", "duration"]].astype(float)).all()
    assert np.isnan(frame_targets("f0", noise()[:700], [0.01, 0.02])).all()


@pytest.mark.parametrize("slope", [0.0, -3.0, -6.0, -12.0])
def test_tilt_is_the_slope_of_the_spectrum(tmp_path: Path, slope: float) -> None:
    table = measured(tmp_path, noise(slope), voice(150, slope), 0.01 * voice(110, slope))
    assert table["tilt"]["u0"] == pytest.approx(slope, abs=0.15)
    assert table["tilt"]["u1"] == pytest.approx(slope, abs=1)
    assert table["tilt"]["u2"] == pytest.approx(slope, abs=1)
    frames = frame_targets("tilt", noise(slope), np.arange(0.05, 1.95, 0.02))
    assert frames.mean() == pytest.approx(slope, abs=0.5)


@pytest.mark.parametrize("ratio", [0, 10, 20])
def test_snr_is_that_of_the_noise_that_was_added(tmp_path: Path, ratio: float) -> None:
    speech = voice(150) * (TIME % 0.5 < 0.4)
    added = RNG.standard_normal(len(TIME)).astype(np.float32)
    added *= np.sqrt(np.mean(speech**2) / np.mean(added**2)) * 10 ** (-ratio / 20)
    assert measured(tmp_path, speech + added)["snr"]["u0"] == pytest.approx(ratio, abs=1)
    frames = frame_targets("snr", speech + added, np.array([0.2, 0.45]))
    assert frames[0] > 10 * np.log10(10 ** (ratio / 10))
    assert abs(frames[1]) < 1.5


def test_levels_of_frames_are_of_25_ms_around_them() -> None:
    samples = np.repeat(np.array([0.1, 0.01], np.float32), RATE // 2)
    found = frame_targets("energy", samples, [0.0, 0.25, 0.4874, 0.5, 0.5126, 1.0, -0.01, 1.01])
    assert found[:6] == pytest.approx([-20, -20, -20, 10 * np.log10(0.00505), -40, -40], abs=1e-3)
    assert np.isnan(found[6:]).all()


def test_numbers_depend_neither_on_workers_nor_on_order_nor_on_other_files() -> None:
    paths = {path.stem: path for path in sorted(DEMO.glob("*.opus"))[:40]}
    one = audio_targets(list(AUDIO_TARGETS), paths)
    two = audio_targets(list(AUDIO_TARGETS), dict(reversed(paths.items())), n_workers=2)
    pd.testing.assert_frame_equal(one, two.iloc[::-1].reset_index(drop=True), check_exact=True)
    alone = audio_targets(["f0"], {one["utterance_id"][7]: paths[one["utterance_id"][7]]})
    assert alone["f0"][0] == one["f0"][7]
    assert one[list(AUDIO_TARGETS)].notna().mean().min() > 0.9
    assert one["f0"].dropna().between(60, 400).all()


def test_the_mean_over_frames_is_that_of_the_clip_but_for_edges() -> None:
    samples = load_audio(sorted(DEMO.glob("*.opus"))[0], Cropping())
    times = np.arange(0.03, len(samples) / RATE - 0.03, 0.005)
    f0 = frame_targets("f0", samples, times)
    whole = audio_targets(["f0", "energy"], {"u": sorted(DEMO.glob("*.opus"))[0]})
    assert np.nanmean(f0) == pytest.approx(whole["f0"][0], rel=0.02)
    power = np.mean(10 ** (frame_targets("energy", samples, times) / 10))
    assert 10 * np.log10(power) == pytest.approx(whole["energy"][0], abs=0.3)


def test_a_corpus_and_what_the_model_saw(tmp_path: Path) -> None:
    corpus = load_corpus("demo", splits=["dev"])
    first = corpus.utterances.head(3)
    table = audio_targets(
        ["duration"], corpus.__class__("few", "few", corpus.root, first), cropping=Cropping(0.5)
    )
    assert list(table["utterance_id"]) == list(first["utterance_id"])
    assert list(table["duration"]) == [0.5] * 3


def test_files_that_cannot_be_used_are_counted_not_lost(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    good = sorted(DEMO.glob("*.opus"))[0]
    table = audio_targets(
        ["energy"], {"a": tmp_path / "empty.wav", "b": good, "c": tmp_path / "none.wav"}
    )
    assert list(table["energy"].isna()) == [True, False, True]
    assert table.attrs["failures"] == {
        "a": "empty: the file has no bytes",
        "c": "missing: no such file",
    }
    with pytest.raises(ProbeError, match=r"1 files, and none can be used, as .*none.wav: missing"):
        audio_targets(["energy"], {"c": tmp_path / "none.wav"})


def test_a_wrong_target_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = voice(100)
    with pytest.raises(
        OptionError, match="target=pitch: expected f0, voicing, energy, tilt, snr or duration"
    ):
        audio_targets(["pitch"], {"a": "a.wav"})
    with pytest.raises(
        OptionError, match="target=duration: expected f0, voicing, energy, tilt or snr"
    ):
        frame_targets("duration", samples, [0.1])
    with pytest.raises(OptionError, match="n_workers=0"):
        audio_targets(["f0"], {"a": "a.wav"}, n_workers=0)
    with pytest.raises(ProbeError, match="0 utterances"):
        audio_targets(["f0"], {})
    with pytest.raises(ProbeError, match="finite numbers"):
        frame_targets("f0", samples, [np.nan])
    for name in FRAME_TARGETS:
        assert frame_targets(name, samples, []).shape == (0,)
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(
        ProbeError, match=r"Install it: pip install -c constraints.txt -e '\.\[pitch\]'"
    ):
        audio_targets(["energy", "f0"], {"a": "a.wav"})
