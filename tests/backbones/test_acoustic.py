"""Acoustic features stand in the place of a backbone: one layer, the same in any batch, counted and
refused alike.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import scipy.signal

from cache import Cache, ProbeError
from probing.backbones import load_backbone
from probing.backbones.costs import costs

CLIP = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)


@pytest.mark.parametrize(("name", "dim", "window"), [("log-mel", 80, 400), ("lfcc", 60, 320)])
def test_one_layer_with_as_many_frames_as_it_says_whatever_the_batch(
    name: str, dim: int, window: int
) -> None:
    backbone = load_backbone(name, device="cpu")
    assert (backbone.n_layers, backbone.dim, backbone.min_samples, backbone.padding) == (
        0,
        dim,
        window,
        "exact",
    )
    lengths = (16000, window, window + 159, window + 160, 9999)
    together = backbone.hidden_states([CLIP[:n] for n in lengths])
    for i, n in enumerate(lengths):
        alone = backbone.replica().hidden_states([CLIP[:n]])
        assert (
            alone.n_frames
            == [together.n_frames[i]]
            == [(n - window) // 160 + 1]
            == [backbone.n_frames(n)]
        )
        assert together.clip(i).shape == (1, backbone.n_frames(n), dim)
        np.testing.assert_allclose(together.clip(i), alone.clip(0), atol=1e-5)


def test_log_mel_is_the_log_of_filtered_power_spectra() -> None:
    found = load_backbone("log-mel", device="cpu").hidden_states([CLIP]).clip(0)[0].numpy()
    frame = scipy.fft.rfft(
        CLIP[160 * 7 : 160 * 7 + 400] * scipy.signal.get_window("hann", 400), 512
    )
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82) / 2595) - 1)
    hertz = np.arange(257) * 16000 / 512
    for i in (5, 40, 79):
        filtered = np.interp(hertz, edges[i : i + 3], [0, 1, 0]) @ np.abs(frame) ** 2
        assert found[7, i] == pytest.approx(np.log(max(filtered, 1e-10)), abs=1e-4)


def test_lfcc_are_cosine_transforms_with_their_slopes() -> None:
    found = load_backbone("lfcc", device="cpu").hidden_states([CLIP]).clip(0)[0].numpy()
    frame = scipy.fft.rfft(
        CLIP[160 * 9 : 160 * 9 + 320] * scipy.signal.get_window("hamming", 320, fftbins=False), 512
    )
    edges, hertz = np.linspace(0, 8000, 22), np.arange(257) * 16000 / 512
    energies = [
        np.interp(hertz, edges[i : i + 3], [0, 1, 0]) @ np.abs(frame) ** 2 for i in range(20)
    ]
    np.testing.assert_allclose(
        found[9, :20], scipy.fft.dct(np.log(energies), norm="ortho"), atol=1e-4
    )
    for k in (20, 40):
        slope = np.polyfit(np.arange(-3, 4), found[6:13, k - 20 : k], 1)[0]
        np.testing.assert_allclose(found[9, k : k + 20], slope, atol=1e-4)


def test_silence_is_finite() -> None:
    for name in ("log-mel", "lfcc"):
        assert (
            load_backbone(name, device="cpu")
            .hidden_states([np.zeros(800, np.float32)])
            .clip(0)
            .isfinite()
            .all()
        )


def test_they_are_costed_and_told_apart(tmp_path: Path) -> None:
    backbones = [load_backbone(name, device="cpu") for name in ("log-mel", "lfcc")]
    assert len({backbone.fingerprint()["weights_sha256"] for backbone in backbones}) == 2
    table = costs(backbones[0], repeats=1)
    assert table["depth"].tolist() == [0]
    assert table["macs"].item() == backbones[0].n_frames(64000) * (400 * 514 + 257 * 80)
    with pytest.raises(ProbeError, match="nothing to save"):
        backbones[0].save(tmp_path / "x")


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ProbeError, match="no weights to draw"):
        load_backbone("random:lfcc")
    with pytest.raises(ProbeError, match="as it is"):
        load_backbone("log-mel", normalize="on")


def test_a_baseline_is_extracted_swept_and_drawn_beside_a_backbone(tmp_path: Path) -> None:
    import analysis
    from probing.corpora import load_corpus
    from probing.extraction import Options, extract
    from probing.sweep import SweepOptions, sweep

    corpus = load_corpus("demo")
    few = corpus.utterances.groupby(["split", "label"]).head(8).reset_index(drop=True)
    corpus = replace(corpus, utterances=few)
    cache = extract(
        tmp_path / "c", corpus, Options(backbone="lfcc", max_seconds=1.0), say=lambda text: None
    )
    assert isinstance(cache, Cache)
    assert (cache.layers, cache.dim) == ([0], 60)
    run = sweep(
        cache, tmp_path / "r", SweepOptions(resamples=100, strengths=(0.1,)), say=lambda text: None
    )
    assert run.sentence.startswith("lfcc has one layer: eval EER ")
    assert len(analysis.load(run).costs) == 1
    assert analysis.layer_curve(run).get_lines()
