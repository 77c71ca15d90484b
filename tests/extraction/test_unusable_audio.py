"""Files that cannot be used are listed with the reason, and the rest is extracted."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from small_extraction import (
    DEMO,
    corpus_in,
    extracted,
    machine,
    manifest_of,
    quiet,
    run_cli,
    speech,
    with_frames,
)

from cache import Cache, ProbeError, verify
from probing.extraction import Options, extract, repair


def cut(suffix: str, share: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        soundfile.write(path, speech(3, 16000), 16000, format=suffix.upper())
        os.truncate(path, int(share * path.stat().st_size))

    return write


def wave(samples: np.ndarray, rate: int = 16000, **how: str) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, samples, rate, **how)


def with_nan(n: int) -> np.ndarray:
    samples = speech(2, 8000)
    samples[100 : 100 + n] = np.nan
    return samples


GOOD: dict[str, Callable[[Path], None]] = {
    "stereo 44.1 kHz.wav": wave(
        np.stack([np.resize(speech(i, 12000), 33075) for i in (1, 2)], axis=1), 44100
    ),
    "telephone.flac": wave(speech(1, 6000), 8000),
    "music.mp3": wave(speech(2, 12000), 16000),
    "höflich 語.ogg": wave(speech(3, 9000)),
    "demo.opus": lambda path: shutil.copy(sorted(DEMO.glob("*.opus"))[0], path) and None,
    "just long enough.wav": wave(speech(4, 400)),
    "24 bits.wav": wave(speech(5, 5000), subtype="PCM_24"),
}
BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty.wav": (lambda path: path.write_bytes(b"") and None, "empty: the file has no bytes"),
    "no samples.wav": (wave(np.zeros(0, np.float32)), "empty: no samples"),
    "silent.wav": (wave(np.zeros(8000, np.float32)), "silent"),
    "nearly silent.wav": (wave(np.full(8000, 1e-5, np.float32), subtype="FLOAT"), "silent"),
    "nan.wav": (wave(with_nan(3), subtype="FLOAT"), "3 samples are NaN or infinite"),
    "infinite.wav": (
        wave(np.full(8000, np.inf, np.float32), subtype="FLOAT"),
        "8000 samples are NaN or infinite",
    ),
    "too short.wav": (
        wave(speech(1, 399)),
        "too short: 399 samples at 16 kHz, the model needs 400",
    ),
    "text.wav": (
        lambda path: path.write_text("RIFF is what this is not") and None,
        "not decodable",
    ),
    "headerless.raw": (
        lambda path: path.write_bytes(bytes(range(256)) * 99) and None,
        r"not decodable: samples without",
    ),
    "noise.au": (
        lambda path: path.write_bytes(bytes(range(256)) * 99) and None,
        "not decodable: there is no header",
    ),
    "folder.wav": (lambda path: path.mkdir(), "a folder, not a file"),
    **{f"cut {x:.2f}.wav": (cut("wav", x), "truncated") for x in (0.02, 0.5, 0.99)},
    **{
        f"cut {x:.2f}.flac": (cut("flac", x), "truncated|not decodable")
        for x in (0.005, 0.3, 0.7, 0.98)
    },
    **{
        f"cut {x:.2f}.ogg": (cut("ogg", x), "truncated|not decodable")
        for x in (0.01, 0.3, 0.7, 0.98)
    },
}


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("awkward") / "audio"
    folder.mkdir()
    for name, write in {**GOOD, **{name: bad for name, (bad, _) in BAD.items()}}.items():
        write(folder / name)
    return folder


@pytest.fixture(scope="module")
def extracted_awkward(
    awkward: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory
) -> Cache:
    folder = tmp_path_factory.mktemp("awkward-cache") / "c"
    return extract(folder, corpus_in(awkward), with_frames(backbone), machine(), say=quiet)


@pytest.mark.parametrize("name", BAD)
def test_an_unusable_file_is_listed_with_the_reason(name: str, extracted_awkward: Cache) -> None:
    listed = pd.read_csv(extracted_awkward.folder / "failures.csv").set_index("path")["reason"]
    assert pd.Series([listed[f"audio/{name}"]]).str.match(BAD[name][1]).all(), listed[
        f"audio/{name}"
    ]


def test_every_other_file_is_extracted(extracted_awkward: Cache) -> None:
    assert sorted(extracted_awkward.utterances["path"]) == sorted(f"audio/{name}" for name in GOOD)
    assert len(extracted_awkward.failures) == len(BAD)
    assert extracted_awkward.finished
    assert verify(extracted_awkward.folder) == []
    assert np.isfinite(extracted_awkward.pooled()).all()


def test_lengths_are_counted_in_samples_at_16_khz(extracted_awkward: Cache) -> None:
    n_samples = extracted_awkward.utterances.set_index("path")["n_samples"]
    assert n_samples["audio/stereo 44.1 kHz.wav"] == 12000
    assert n_samples["audio/telephone.flac"] == 12000
    assert n_samples["audio/just long enough.wav"] == 400


def test_a_file_that_vanishes_is_listed_as_missing(backbone: Path, tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    for i in range(2):
        soundfile.write(tmp_path / f"audio/{i}.wav", speech(i, 5000), 16000)
    corpus = corpus_in(tmp_path / "audio")
    (tmp_path / "audio/1.wav").unlink()
    cache = extract(tmp_path / "c", corpus, Options(str(backbone)), machine(), say=quiet)
    assert list(cache.failures["reason"]) == ["missing: no such file"]
    assert len(cache) == 1


def test_a_cache_of_nothing_but_failures_is_finished_and_empty(
    backbone: Path, tmp_path: Path
) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio/a.wav").write_bytes(b"")
    said: list[str] = []
    cache = extract(
        tmp_path / "c",
        corpus_in(tmp_path / "audio"),
        Options(str(backbone)),
        machine(),
        say=said.append,
    )
    assert (len(cache), cache.finished, len(cache.failures)) == (0, True, 1)
    assert "1 of 1 utterance could not be used (1 empty)" in said[-1]
    assert "probe cache repair" in said[-1]
    assert verify(tmp_path / "c") == []


def test_strict_stops_with_exit_code_2_and_a_later_run_without_it_completes(
    awkward: Path, backbone: Path, extracted_awkward: Cache, tmp_path: Path, monkeypatch, capsys
) -> None:
    command = [
        "extract",
        str(tmp_path / "c"),
        "--corpus",
        str(manifest_of(awkward)),
        "--backbone",
        str(backbone),
    ]
    command += ["--frames", "--frames-dtype", "float32", "--shard-size", "4"]
    assert run_cli([*command, "--strict"], monkeypatch) == 2
    message = capsys.readouterr().err
    assert "--strict: " in message
    assert "Traceback" not in message
    assert not Cache(tmp_path / "c").finished
    assert run_cli(command, monkeypatch) == 0
    cache = Cache(tmp_path / "c")
    pd.testing.assert_frame_equal(cache.utterances, extracted_awkward.utterances)
    pd.testing.assert_frame_equal(cache.failures, extracted_awkward.failures)


def test_a_mended_file_is_added_by_repair_and_nothing_else_is_run(
    backbone: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "audio"
    folder.mkdir()
    for i in range(6):
        soundfile.write(folder / f"{i}.wav", speech(i, 5000 + 800 * i), 16000)
    good = (folder / "2.wav").read_bytes()
    for name in ("2.wav", "5.wav"):
        (folder / name).write_bytes(b"")
    corpus, options = corpus_in(folder), with_frames(backbone)
    extract(tmp_path / "c", corpus, options, machine(), say=quiet)
    (folder / "2.wav").write_bytes(good)
    cache = repair(tmp_path / "c", machine=machine(), say=quiet)
    assert extracted(cache) == 1
    assert list(cache.failures["utterance_id"]) == ["5.wav"]
    fresh = extract(tmp_path / "d", corpus, options, machine(), say=quiet)
    pd.testing.assert_frame_equal(cache.utterances, fresh.utterances)
    np.testing.assert_allclose(cache.pooled(), fresh.pooled(), rtol=1e-4, atol=1e-5)
    assert verify(tmp_path / "c") == []


@pytest.mark.filterwarnings("ignore:overflow")  # of the measures, on a clip that loud
def test_hidden_states_that_are_not_finite_are_listed_and_the_rest_is_kept(
    backbone: Path, tmp_path: Path
) -> None:
    (tmp_path / "audio").mkdir()
    for i in range(3):
        soundfile.write(tmp_path / f"audio/{i}.wav", speech(i, 5000), 16000, "FLOAT")
    soundfile.write(
        tmp_path / "audio/loud.wav", np.float32(3e38) * np.sign(speech(4, 5000)), 16000, "FLOAT"
    )
    corpus = corpus_in(tmp_path / "audio")
    options = with_frames(backbone, normalize="off")
    cache = extract(tmp_path / "c", corpus, options, machine(), say=quiet)
    assert dict(zip(cache.failures["utterance_id"], cache.failures["reason"], strict=True)) == {
        "loud.wav": "hidden states are not finite: NaN or infinite values in 4 of 4 layers"
    }
    assert len(cache) == 3
    with pytest.raises(ProbeError, match=r"strict=True: loud\.wav: hidden states are not finite"):
        extract(tmp_path / "d", corpus, options, machine(), strict=True, say=quiet)
    with pytest.raises(
        ProbeError,
        match=r"on_nonfinite=stop: loud\.wav: hidden states are not finite.*nonfinite=mark",
    ):
        extract(tmp_path / "d", corpus, options, machine(on_nonfinite="stop"), say=quiet)
    assert (
        len(extract(tmp_path / "d", corpus, options, machine(on_nonfinite="mark"), say=quiet)) == 3
    )
    quieter = replace(
        corpus, utterances=corpus.utterances[corpus.utterances["utterance_id"] != "loud.wav"]
    )
    same = extract(tmp_path / "e", quieter, options, machine(), say=quiet)
    np.testing.assert_allclose(cache.pooled(), same.pooled(), rtol=1e-4, atol=1e-5)
