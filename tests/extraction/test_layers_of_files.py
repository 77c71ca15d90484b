"""The layers of a few files without a cache are those that a cache has of them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_extraction import TOLERANCE, machine, quiet, speech, with_frames
from tiny_models import build

from cache import Cache, ProbeError
from probing.audio import Cropping, load_audio
from probing.corpora import Corpus
from probing.extraction import Options, extract, layers, layers_of
from probing.extraction.states import UnusableStates


def files_of(corpus: Corpus) -> dict[str, Path]:
    table = corpus.utterances
    return {
        name: corpus.root / path
        for name, path in zip(table["utterance_id"], table["path"], strict=True)
    }


@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_they_are_what_extract_caches(
    batch_size: int, frames: bool, backbone: Path, corpus: Corpus, undisturbed: Cache
) -> None:
    options = with_frames(backbone, frames=frames)
    found = dict(
        layers_of(files_of(corpus), options.load_backbone("cpu"), options, batch_size=batch_size)
    )
    assert list(found) == list(corpus.utterances["utterance_id"])
    for k in undisturbed.layers:
        values, table = undisturbed.layer(k, "frames" if frames else "pooled")
        ends = (
            np.cumsum(undisturbed.utterances["n_frames"])
            if frames
            else np.arange(1, len(table) + 1)
        )
        for name, cached in zip(
            undisturbed.utterances["utterance_id"], np.split(values, ends[:-1]), strict=True
        ):
            ours = found[name][k] if frames else found[name][k][None]
            assert ours.dtype == cached.dtype
            assert ours.shape == cached.shape
            assert np.abs(ours - cached).max() <= TOLERANCE * np.sqrt(
                np.mean(values.astype(np.float64) ** 2)
            )


@pytest.mark.parametrize(
    ("family", "what"),
    [
        ("wavlm-group", {"seconds": 0.6, "pooled_dtype": "float16"}),
        ("data2vec-audio", {"max_seconds": 0.5}),
        ("whisper", {"max_seconds": 3}),
        ("wavlm", {"drop": "blocks:2,3", "normalize": "off"}),
    ],
)
def test_they_are_bit_for_bit_so_one_at_a_time(
    family: str, what: dict, corpus: Corpus, tmp_path: Path
) -> None:
    options = Options(str(build(family, tmp_path / family)), **what)
    cache = extract(tmp_path / "cache", corpus, options, machine(batch_size=1), say=quiet)
    found = dict(layers_of(files_of(corpus), options.load_backbone("cpu"), options, batch_size=1))
    ours = np.stack([found[name] for name in cache.utterances["utterance_id"]], axis=1)
    for k in cache.layers:
        assert np.array_equal(ours[k], cache.layer(k)[0])


def test_files_of_no_use_are_told_and_the_rest_comes_in_order(
    backbone: Path, tmp_path: Path
) -> None:
    options = Options(str(backbone))
    model = options.load_backbone("cpu")
    names = ["long one.wav", "silent.wav", "gone.wav", "short.flac", "text.wav"]
    soundfile.write(tmp_path / names[0], speech(1, 16000), 16000)
    soundfile.write(tmp_path / names[1], np.zeros(8000), 16000)
    soundfile.write(tmp_path / names[3], speech(2, 6000), 16000)
    (tmp_path / names[4]).write_text("no audio")
    told: list[tuple[str, str]] = []
    found = layers_of(
        [tmp_path / n for n in names], model, options, on_failure=lambda *what: told.append(what)
    )
    assert [Path(name).name for name, _ in found] == ["long_one", "short"]
    assert [(Path(name).name, reason.split(":")[0]) for name, reason in told] == [
        ("silent", "silent"),
        ("gone", "missing"),
        ("text", "not decodable"),
    ]
    assert list(layers_of([], model, options)) == []
    with pytest.raises(ProbeError, match="Name each file once"):
        layers_of([str(tmp_path / "a.wav"), tmp_path / "a.flac"], model, options)


def test_samples_do_as_well_as_a_file(backbone: Path, tmp_path: Path) -> None:
    options = Options(str(backbone))
    model = options.load_backbone("cpu")
    soundfile.write(tmp_path / "a.wav", speech(1, 9000), 16000)
    samples = load_audio(tmp_path / "a.wav", Cropping())
    stereo = np.stack([samples, samples], axis=1).astype(np.float64)
    told: list[str] = []
    given = [tmp_path / "a.wav", samples, stereo, np.zeros(0), np.full(8000, np.nan), samples[:300]]
    found = list(
        layers_of(
            given,
            model,
            options,
            on_failure=lambda name, reason: told.append(f"{name} {reason[:5]}"),
        )
    )
    assert [name for name, _ in found][1:] == ["1", "2"]
    assert all(np.array_equal(found[0][1], values) for _, values in found[1:])
    assert told == ["3 empty", "4 8000 ", "5 too s"]


def test_hidden_states_that_are_not_finite_cost_only_their_file(
    backbone: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, files = Options(str(backbone)), files_of(corpus)
    bad, real = list(files)[3], layers.states_of

    def states_of(batch, *rest):  # type: ignore[no-untyped-def]
        if bad in batch:
            raise UnusableStates({bad: "hidden states are not finite"})
        return real(batch, *rest)

    monkeypatch.setattr(layers, "states_of", states_of)
    monkeypatch.setattr(layers, "BATCHES_SORTED", 2)
    told: list[tuple[str, str]] = []
    found = layers_of(
        files,
        options.load_backbone("cpu"),
        options,
        batch_size=4,
        on_failure=lambda *what: told.append(what),
    )
    assert [name for name, _ in found] == [name for name in files if name != bad]
    assert told == [(bad, "hidden states are not finite")]
