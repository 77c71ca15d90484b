"""What changed since a cache was begun is noticed when the same command goes on: audio, versions,
the model.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file, save_file
from small_extraction import (
    assert_same,
    corpus_in,
    extracted,
    machine,
    quiet,
    run_cli,
    speech,
    with_frames,
    write_clips,
)

from cache import Cache, FingerprintMismatch, ProbeError, verify
from cache.manifest import load_manifest
from probing.audio import STAMPS, stamp
from probing.corpora import Corpus
from probing.extraction import Options, extract, repair

CHANGED = "clip é04.wav"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, backbone: Path) -> Path:
    """A corpus and its cache, beside each other."""
    home = tmp_path_factory.mktemp("made")
    write_clips(home / "audio")
    extract(home / "c", corpus_in(home / "audio"), with_frames(backbone), machine(), say=quiet)
    return home


@pytest.fixture
def begun(made: Path, tmp_path: Path, backbone: Path) -> tuple[Path, Corpus, Options]:
    """A cache of a corpus that a test may change."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    folder, corpus = tmp_path / "c", corpus_in(tmp_path / "audio")
    manifest = load_manifest(folder)
    here = {"corpus": corpus.name, "corpus_spec": corpus.spec, "audio_root": str(corpus.root)}
    replace(manifest, about=manifest.about | here).save(folder)
    return folder, corpus, with_frames(backbone)


def test_audio_that_changed_is_named_and_repair_takes_only_that(begun, tmp_path: Path) -> None:
    folder, corpus, options = begun
    path = tmp_path / "audio" / CHANGED
    old = path.stat()
    soundfile.write(path, speech(7, 7777), 16000)  # as long as before
    assert path.stat().st_size == old.st_size
    before = {file.name: file.read_bytes() for file in folder.glob("shard-*")}
    with pytest.raises(
        ProbeError, match=r"the audio of 1 utterance .* is not what was extracted: clip_é04\.wav\."
    ) as said:
        extract(folder, corpus, options, machine(), say=quiet)
    assert f"probe cache repair {folder}" in str(said.value)
    assert {file.name: file.read_bytes() for file in folder.glob("shard-*")} == before
    mended = repair(folder, corpus, machine(), say=quiet)
    assert extracted(mended) == 1
    assert_same(mended, extract(tmp_path / "new", corpus, options, machine(), say=quiet))
    assert verify(folder) == []
    extract(folder, corpus, options, machine(), say=quiet)


def test_audio_of_another_length_is_noticed_though_its_time_was_put_back(
    begun, tmp_path: Path
) -> None:
    folder, corpus, options = begun
    path = tmp_path / "audio" / CHANGED
    times = path.stat()
    soundfile.write(path, speech(7, 9999), 16000)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ProbeError, match="is not what was extracted"):
        extract(folder, corpus, options, machine(), say=quiet)


def test_a_copied_corpus_is_the_same_and_is_read_again_once_only(
    begun, tmp_path: Path, monkeypatch
) -> None:
    folder, corpus, options = begun
    shutil.copytree(tmp_path / "audio", tmp_path / "copy" / "audio", copy_function=shutil.copyfile)
    for i, path in enumerate(sorted((tmp_path / "copy" / "audio").iterdir())):
        os.utime(path, (i, 1_000_000_000 + i))
    moved = replace(corpus, root=tmp_path / "copy")
    extract(folder, moved, options, machine(), say=quiet)
    times = Cache(folder).utterances["file_mtime_us"]
    assert times.between(1e15, 1.1e15).all()
    opened = []
    monkeypatch.setattr(
        "probing.extraction.changes.stamp", lambda path: opened.append(path) or stamp(path)
    )
    extract(folder, moved, options, machine(), say=quiet)
    assert not opened
    assert verify(folder) == []


def test_what_is_kept_of_a_file_is_exact(begun, tmp_path: Path) -> None:
    table = Cache(begun[0]).utterances
    for path, *kept in table[["path", *STAMPS]].itertuples(index=False):
        file = tmp_path / path
        now = dict(zip(STAMPS, kept, strict=True))
        assert now == stamp(file)
        assert now["file_bytes"] == file.stat().st_size
        assert int(now["file_mtime_us"]) == file.stat().st_mtime_ns // 1000


@pytest.mark.parametrize("what", ["transformers", "torch", "decoder", "resampler"])
def test_another_version_is_refused_with_both_values(what: str, begun) -> None:
    folder, corpus, options = begun
    manifest = load_manifest(folder)
    replace(manifest, fingerprint={**manifest.fingerprint, what: "0.0.1"}).save(folder)
    with pytest.raises(FingerprintMismatch, match=f"{what}: cache '0.0.1', this command '"):
        extract(folder, corpus, options, machine(), say=quiet)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"max_seconds": 0.5}, "crop"), ({"normalize": "on"}, "normal"), ({"seconds": 0.5}, "crop")],
)
def test_another_preprocessing_is_refused(change: dict[str, object], named: str, begun) -> None:
    folder, corpus, options = begun
    with pytest.raises(FingerprintMismatch, match=named):
        extract(folder, corpus, replace(options, **change), machine(), say=quiet)


def test_other_weights_under_the_same_name_are_refused(
    begun, backbone: Path, tmp_path: Path
) -> None:
    folder, corpus, options = begun
    model = shutil.copytree(backbone, tmp_path / "model")
    weights = load_file(model / "model.safetensors")
    weights["encoder.layers.0.layer_norm.bias"] += 1e-3
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(FingerprintMismatch, match="weights"):
        extract(folder, corpus, replace(options, backbone=str(model)), machine(), say=quiet)


def test_the_command_says_so_with_exit_code_2(begun, tmp_path: Path, monkeypatch, capsys) -> None:
    folder, corpus, options = begun
    soundfile.write(tmp_path / "audio" / CHANGED, np.zeros(9000) + 0.1, 16000)
    command = [
        "extract",
        str(folder),
        "--corpus",
        corpus.spec,
        "--backbone",
        options.backbone,
        "--frames",
    ]
    assert run_cli([*command, "--frames-dtype", "float32", "--device", "cpu"], monkeypatch) == 2
    assert "is not what was extracted" in capsys.readouterr().err
