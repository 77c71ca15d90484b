"""Audio: any file to 16 kHz mono, or the reason why not."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from probing.audio import MEASURES, SAMPLING_RATE, Cropping, UnusableAudio, load_audio, measure

WHOLE = Cropping()


def tone(rate: int, seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(
        np.float32
    )


def reason(path: Path, cropping: Cropping = WHOLE, min_samples: int = 400) -> str:
    with pytest.raises(UnusableAudio) as error:
        load_audio(path, cropping, min_samples)
    return str(error.value)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_any_format_and_rate_gives_the_same_tone_at_16_khz(
    tmp_path: Path, rate: int, suffix: str
) -> None:
    path = tmp_path / f"tön {rate}.{suffix}"
    soundfile.write(path, tone(rate), rate)
    waveform = load_audio(path, WHOLE)
    assert waveform.dtype == np.float32
    assert len(waveform) == pytest.approx(SAMPLING_RATE, abs=2500 if suffix == "mp3" else 1)
    spectrum = np.abs(np.fft.rfft(waveform[4000:12000]))
    assert np.argmax(spectrum) * 2 == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(waveform[4000:12000] ** 2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_opus_of_the_demo_corpus_is_read() -> None:
    path = min((Path(__file__).parents[2] / "probing/corpora/demo/audio").glob("*.opus"))
    assert len(load_audio(path, WHOLE)) == soundfile.info(path).frames


def test_channels_are_averaged(tmp_path: Path) -> None:
    left = tone(16000)
    soundfile.write(
        tmp_path / "stereo.wav", np.stack([left, 0 * left], axis=1), 16000, subtype="FLOAT"
    )
    assert np.allclose(load_audio(tmp_path / "stereo.wav", WHOLE), left / 2, atol=1e-7)


def test_long_clips_are_cut_to_their_beginning_and_short_ones_left_alone(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16000, 3.0), 16000, subtype="FLOAT")
    whole = load_audio(tmp_path / "a.wav", WHOLE)
    assert len(whole) == 48000
    assert (load_audio(tmp_path / "a.wav", Cropping(max_seconds=1.5)) == whole[:24000]).all()


def test_cutting_reads_the_same_samples_as_cutting_the_whole_after_resampling(
    tmp_path: Path,
) -> None:
    soundfile.write(tmp_path / "a.flac", tone(44100, 3.0), 44100)
    whole = load_audio(tmp_path / "a.flac", WHOLE)
    assert np.allclose(
        load_audio(tmp_path / "a.flac", Cropping(max_seconds=1.0)), whole[:16000], atol=1e-4
    )


@given(st.integers(1, 100_000))
def test_exact_seconds_crop_or_repeat_from_the_start(n: int) -> None:
    waveform = np.arange(1, n + 1, dtype=np.float32)
    cut = Cropping(seconds=4.0375).apply(waveform)
    assert len(cut) == 64_600
    assert (cut == waveform[np.arange(64_600) % n]).all()


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_cut_short_is_found(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).normal(0, 0.1, 48000)
    soundfile.write(path, noise, 16000)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert reason(path).startswith(("truncated", "not decodable"))


def test_a_wav_of_unknown_length_is_not_taken_for_a_cut_one(tmp_path: Path) -> None:
    path = tmp_path / "stream.wav"
    soundfile.write(path, tone(16000), 16000)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(load_audio(path, WHOLE)) == 16000


def test_reasons_say_what_is_wrong(tmp_path: Path) -> None:
    write = {
        "none.wav": None,
        "no-bytes.wav": b"",
        "text.wav": b"this is not audio at all, whatever its name says",
    }
    for name, content in write.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "no-samples.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "silent.flac", np.zeros(16000), 16000)
    soundfile.write(tmp_path / "short.wav", tone(16000, 0.02), 16000)
    broken = tone(16000)
    broken[7:9] = np.nan, np.inf
    soundfile.write(tmp_path / "nan.wav", broken, 16000, subtype="FLOAT")
    found = {path: reason(tmp_path / path) for path in (*write, "folder.wav", "no-samples.wav")}
    assert found["none.wav"] == "missing: no such file"
    assert found["no-bytes.wav"] == "empty: the file has no bytes"
    assert found["text.wav"].startswith("not decodable: ")
    assert found["folder.wav"] == "a folder, not a file"
    assert found["no-samples.wav"] == "empty: no samples"
    assert reason(tmp_path / "silent.flac") == "silent: no sample above one 16-bit step"
    assert reason(tmp_path / "short.wav") == "too short: 320 samples at 16 kHz, the model needs 400"
    assert reason(tmp_path / "nan.wav") == "2 samples are NaN or infinite"


def test_measures_of_known_signals() -> None:
    quiet, loud = tone(16000, hertz=1000), tone(16000, hertz=1000)
    quiet[8000:] *= 1e-3
    values = measure(loud)
    assert tuple(values) == MEASURES
    assert values["audio_seconds"] == 1.0
    assert values["audio_level_db"] == pytest.approx(20 * np.log10(0.3 / np.sqrt(2)), abs=0.01)
    assert values["audio_bandwidth_hz"] == pytest.approx(1000, abs=2)
    assert values["audio_noise_floor_db"] == pytest.approx(values["audio_level_db"], abs=0.1)
    assert measure(quiet)["audio_noise_floor_db"] == pytest.approx(
        values["audio_level_db"] - 60, abs=0.1
    )


@given(st.integers(1, 700))
def test_measures_are_finite_for_any_length(n: int) -> None:
    noise = np.random.default_rng(n).normal(0, 0.1, n).astype(np.float32)
    for loudness in (1.0, 1e30):
        assert np.isfinite(list(measure(noise * np.float32(loudness)).values())).all()
