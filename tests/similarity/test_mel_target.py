"""The mel target is the audio's own, on the rows of the cache."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hand_made import write_cache
from small_extraction import corpus_in, machine, quiet, run_cli, with_frames, write_clips
from tiny_models import build

from analysis.caches.views import view
from analysis.caches.waveforms import Waveforms
from analysis.similarity import cca_with
from analysis.similarity.targets import target_of
from cache import Cache, ProbeError
from probing.audio.mel import mel_bands
from probing.extraction import extract


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("mel")
    write_clips(folder / "audio")
    options = with_frames(build("wavlm", folder / "model"))
    return extract(folder / "c", corpus_in(folder / "audio"), options, machine(), say=quiet)


def test_bands_of_frames_and_their_means(cache: Cache) -> None:
    frames = view(cache, tier="frames", frames_per_utterance=10_000)
    found = target_of(frames, "mel")
    assert found.shape == (cache.utterances["n_frames"].sum(), 40)
    ends = np.cumsum(cache.utterances["n_frames"])
    for i, row in enumerate(cache.utterances.itertuples()):
        waveform = Waveforms(cache).load(row.utterance_id, row.path)
        bands = mel_bands((waveform - waveform.mean()) / waveform.std())
        assert len(bands) == row.n_frames  # this model's frames are those of the bands
        assert np.allclose(found[ends[i] - len(bands) : ends[i]], bands, atol=1e-5)
        assert np.allclose(target_of(view(cache), "mel")[i], bands.mean(axis=0), atol=1e-4)
    means = pd.DataFrame(target_of(view(cache), "mel"), index=cache.utterances["utterance_id"])
    pd.testing.assert_frame_equal(
        cca_with(cache, "mel", splits=3), cca_with(cache, means, splits=3)
    )


def test_audio_that_is_gone_is_told(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="audio_root=DIR"):
        cca_with(cache, "mel", audio_root=tmp_path / "gone")
    with pytest.raises(ProbeError, match="missing: no such file"):
        cca_with(cache, "mel", audio_root=tmp_path)


def test_a_default_target_that_does_not_fit_is_passed_over_with_a_note(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    folder = write_cache(tmp_path / "c.cache")  # no audio
    command = ["similarity", str(folder), "--measure", "cca", "--out", str(tmp_path / "x.csv")]
    assert run_cli([*command, "--target", "mel"], monkeypatch) == 2
    assert run_cli(command, monkeypatch) == 0
    assert "Without mel: " in capsys.readouterr().err
    assert set(pd.read_csv(tmp_path / "x.csv")["target"]) >= {"attack", "trivial"}


def test_what_is_wrong_for_every_target_is_said_once(tmp_path: Path, monkeypatch, capsys) -> None:
    folder = write_cache(tmp_path / "c.cache")
    command = ["similarity", str(folder), "--measure", "cca", "--out", str(tmp_path / "x.csv")]
    for words, reason in {
        ("--where", "split == 'nowhere'"): "no utterances for --where \"split == 'nowhere'\"",
        ("--where", "split =="): "--where 'split ==': invalid syntax",
        ("--layers", "99"): "no layer 99",
    }.items():
        assert run_cli([*command, *words], monkeypatch) == 2
        said = capsys.readouterr().err
        assert reason in said
        assert "Without" not in said
    assert run_cli([*command, "--where", "index < 12"], monkeypatch) == 2
    assert "Take other utterances with --where, or another target" in capsys.readouterr().err
