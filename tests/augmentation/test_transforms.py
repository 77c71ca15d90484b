"""Every transform keeps what it promises on real speech: length, time, level, SNR; and all is
finite.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from probing.audio import Cropping, load_audio
from probing.augmentation import Augmentation, TransformError
from probing.augmentation.codecs import CODERS, Coding

SPEECH = next(
    iter(sorted((Path(__file__).parents[2] / "probing/corpora/demo/audio").rglob("*.opus")))
)
RANGES = [
    "rawboost:4",
    "noise:white@0",
    "noise:pink",
    "clip:0.1-0.9",
    "gain:-6-6",
    "resample:8000",
    "codec:mulaw,alaw",
]


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return load_audio(SPEECH, Cropping(2.0))


def through(text: str, waveform: np.ndarray, utterance: str = "a", **by: int) -> np.ndarray:
    return Augmentation.of(text).apply(
        waveform, seed=by.get("seed", 0), utterance=utterance, epoch=by.get("epoch", 0)
    )


def snr(clean: np.ndarray, noisy: np.ndarray) -> float:
    difference = noisy.astype(np.float64) - clean
    return float(10 * np.log10(np.sum(clean.astype(np.float64) ** 2) / np.sum(difference**2)))


def lag(clean: np.ndarray, late: np.ndarray) -> int:
    n = len(clean)
    products = np.fft.irfft(np.fft.rfft(late, 2 * n) * np.conj(np.fft.rfft(clean, 2 * n)))
    found = int(np.argmax(products))
    return found if found < n else found - 2 * n


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3000), st.floats(0, 2), st.integers(0, 9), st.sampled_from(RANGES))
def test_lengths_stay_and_all_is_finite(n: int, level: float, seed: int, text: str) -> None:
    x = (level * np.random.default_rng(seed).uniform(-1, 1, n)).astype(np.float32)
    made = through(text, x, seed=seed)
    assert made.shape == x.shape
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    if text.startswith("clip"):
        assert np.abs(made).max() <= np.abs(x).max()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 2000), st.sampled_from([1, 2, 5, 8]), st.integers(0, 9))
def test_rawboost_keeps_the_peak_at_one(n: int, algorithm: int, seed: int) -> None:
    x = np.random.default_rng(seed).uniform(-2, 2, n).astype(np.float32)
    assert np.abs(through(f"rawboost:{algorithm}", x, seed=seed)).max() <= 1 + 1e-6


@pytest.mark.parametrize("source", ["white", "pink"])
def test_noise_has_its_snr_and_is_the_same_at_every_snr(speech: np.ndarray, source: str) -> None:
    loud, soft = (through(f"noise:{source}@{ratio}", speech) - speech for ratio in (0, 20))
    assert snr(speech, speech + loud) == pytest.approx(0, abs=1e-3)
    assert snr(speech, speech + soft) == pytest.approx(20, abs=1e-2)
    np.testing.assert_allclose(loud / 10, soft, atol=1e-6)


def test_pink_noise_falls_by_3_db_an_octave() -> None:
    noise = through("noise:pink@0", np.ones(1 << 16, np.float32)) - 1
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [power[low : 2 * low].mean() for low in (256, 1024, 4096, 16384)]
    np.testing.assert_allclose(np.diff(10 * np.log10(octaves)), -6.02, atol=1)


def test_musan_folders_have_their_usual_snr_and_only_the_piece_is_read(
    tmp_path: Path, speech: np.ndarray
) -> None:
    for i, kind in enumerate(("noise", "music", "speech")):
        (tmp_path / kind / "a").mkdir(parents=True)
        tone = np.sin(2 * np.pi * (200 + 1000 * i) * np.arange(32000) / 16000)
        soundfile.write(tmp_path / kind / "a" / "x.wav", tone, 16000)
    usual = {200: (0, 15), 1200: (5, 15), 2200: (10, 30)}
    found = set()
    for seed in range(12):
        made = through(f"noise:{tmp_path}", speech, seed=seed)
        pitch = int(np.argmax(np.abs(np.fft.rfft(made - speech))) * 16000 / len(speech))
        kind = min(usual, key=lambda known: abs(known - pitch))
        found.add(kind)
        assert usual[kind][0] - 0.01 <= snr(speech, made) <= usual[kind][1] + 0.01
    assert found == set(usual)
    assert snr(speech, through(f"noise:{tmp_path}@3", speech)) == pytest.approx(3, abs=0.01)


def test_a_folder_is_known_by_its_files_and_not_by_its_place(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "x.wav", np.ones(100 if name != "c" else 200) / 2, 16000)
    first, second, third = (
        Augmentation.of(f"noise:{tmp_path / name}@5").identity() for name in "abc"
    )
    assert first == second != third


def test_a_broken_file_of_a_folder_is_named(tmp_path: Path, speech: np.ndarray) -> None:
    (tmp_path / "x.wav").write_bytes(b"RIFF no more")
    for text in (f"noise:{tmp_path}@5", f"reverb:{tmp_path}"):
        with pytest.raises(TransformError, match=r"x\.wav: .*Mend or remove it"):
            through(text, speech)


def test_a_silent_folder_of_noise_is_refused(tmp_path: Path, speech: np.ndarray) -> None:
    soundfile.write(tmp_path / "x.wav", np.zeros(9000), 16000)
    with pytest.raises(TransformError, match=r"are silent\. Remove the silent files"):
        through(f"noise:{tmp_path}@5", speech)


@pytest.mark.parametrize("coder", CODERS)
def test_codecs_keep_the_time_and_most_of_the_speech(speech: np.ndarray, coder: str) -> None:
    if coder == "g722":
        pytest.importorskip("av")
    made = through(f"codec:{coder}", speech)
    assert len(made) == len(speech)
    assert abs(lag(speech, made)) <= 1
    assert snr(speech, made) > 6


def test_a_lower_bit_rate_makes_fewer_bytes_and_keeps_the_time(speech: np.ndarray) -> None:
    for coder, rates in {"opus": (8, 32), "mp3": (16, 24, 64)}.items():
        sizes = [
            len(Coding(coder, kbit).encoded(speech)) * 8 / (len(speech) / 16) for kbit in rates
        ]
        np.testing.assert_allclose(sizes, rates, rtol=0.5)  # headers weigh most in the lowest rate
        assert all(
            abs(lag(speech, through(f"codec:{coder}@{kbit}", speech))) <= 1 for kbit in rates
        )


def test_a_codec_keeps_the_level_of_a_loud_waveform(speech: np.ndarray) -> None:
    loud = speech / np.abs(speech).max() * 3
    assert snr(loud, through("codec:opus@64", loud)) > 10


@pytest.mark.parametrize(("room", "seconds"), [("small", 0.15), ("large", 0.4)])
def test_rooms_keep_the_power_and_have_a_tail(room: str, seconds: float) -> None:
    pytest.importorskip("pyroomacoustics")
    click = np.zeros(16000, np.float32)
    click[0] = 1
    made = through(f"reverb:{room}", click)
    energy = np.cumsum(made.astype(np.float64)[::-1] ** 2)[::-1]
    assert energy[0] == pytest.approx(1, rel=1e-5)
    assert np.abs(made[0]) > 0.05  # the direct path comes first
    assert 10 * np.log10(energy[int(seconds * 16000)]) > -60


def test_impulse_responses_of_a_folder_are_taken_from_their_direct_path_on(
    tmp_path: Path, speech: np.ndarray
) -> None:
    response = np.zeros(4000)
    response[700], response[1500] = 0.5, 0.25
    # two channels of an array; their mean would be the response of no place
    soundfile.write(tmp_path / "x.wav", np.stack([response, np.roll(response, 40)], axis=1), 16000)
    expected = speech + 0.5 * np.pad(speech, (800, 0))[: len(speech)]
    expected *= np.linalg.norm(speech) / np.linalg.norm(expected)
    np.testing.assert_allclose(through(f"reverb:{tmp_path}", speech), expected, atol=1e-3)


def test_speed_divides_the_length_and_raises_the_pitch() -> None:
    tone = np.sin(2 * np.pi * 500 * np.arange(16000) / 16000).astype(np.float32)
    made = through("speed:1.25", tone)
    assert len(made) == 12800
    assert np.argmax(np.abs(np.fft.rfft(made))) * 16000 / len(made) == pytest.approx(625, abs=2)


def test_resampling_to_8_khz_leaves_nothing_above_4_khz() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    power = np.abs(np.fft.rfft(through("resample:8000", noise))) ** 2
    assert power[4200:].sum() < 1e-4 * power[:3500].sum()


def test_gain_and_clipping_follow_their_equations(speech: np.ndarray) -> None:
    np.testing.assert_allclose(through("gain:-6", speech), speech * 10 ** (-6 / 20), rtol=1e-6)
    limit = 0.3 * np.abs(speech).max()
    np.testing.assert_allclose(
        through("clip:0.3", speech), np.clip(speech, -limit, limit), atol=1e-7
    )


@pytest.mark.parametrize(
    ("package", "text"), [("pyroomacoustics", "reverb:small"), ("av", "codec:g722")]
)
def test_a_package_that_is_missing_is_named_before_the_work(
    monkeypatch: pytest.MonkeyPatch, package: str, text: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(TransformError, match=rf"{package}.*pip install 'speech-layer-probe\["):
        Augmentation.of(text).check()
