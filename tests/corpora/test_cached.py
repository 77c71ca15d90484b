"""The audio behind a cache is found where it was, or beside the cache that was moved with it."""

from dataclasses import replace
from pathlib import Path

import corpus_trees as trees
import pytest
from random_store import Recipe, names

from cache import Cache, ProbeError
from cache.manifest import load_manifest
from probing.corpora.cached import audio_of, load_as_it_was

IDS = names(4)


def made(folder: Path, root: Path, cache: Path) -> Path:
    """A cache and its audio, moved together from `before` to `after`."""
    audio = folder / "before" / root
    audio.mkdir(parents=True)
    for name in IDS:
        (audio / f"{name}.wav").write_bytes(b"RIFF")
    there = folder / "before" / cache
    Recipe().write(there, IDS)
    about = {"backbone": "none", "corpus": "c", "corpus_spec": "c.csv", "audio_root": str(audio)}
    replace(load_manifest(there), about=about).save(there)
    assert audio_of(Cache(there)) == audio
    (folder / "before").rename(folder / "after")
    return folder / "after" / cache


@pytest.mark.parametrize("root", ["audio", "."], ids=["beside the cache", "around the cache"])
def test_audio_that_was_moved_with_its_cache_is_found(tmp_path: Path, root: str) -> None:
    cache = made(tmp_path, Path(root), Path("c.cache"))
    assert audio_of(Cache(cache)) == tmp_path / "after" / root


def test_a_folder_of_other_audio_beside_the_cache_is_not_taken(tmp_path: Path) -> None:
    cache = made(tmp_path, Path("audio"), Path("c.cache"))
    (tmp_path / "after" / "audio").rename(tmp_path / "elsewhere")
    (tmp_path / "after" / "audio").mkdir()
    with pytest.raises(ProbeError, match=r"not beside it\. Say where: audio_root=DIR"):
        audio_of(Cache(cache))
    assert audio_of(Cache(cache), tmp_path / "elsewhere") == tmp_path / "elsewhere"
    with pytest.raises(ProbeError, match=f"{tmp_path}/gone: the audio of .* is not there. Say"):
        audio_of(Cache(cache), tmp_path / "gone")


def test_a_cache_that_does_not_say_where_its_audio_was_has_none_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = made(tmp_path, Path("audio"), Path("c.cache"))
    about = {"backbone": "none", "corpus": "c", "corpus_spec": "c.csv"}
    replace(load_manifest(cache), about=about).save(cache)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProbeError, match=r"^the audio of .* is not there"):
        audio_of(Cache(cache))


def test_a_corpus_is_read_again_with_its_root_only_where_that_says_something(
    tmp_path: Path,
) -> None:
    trees.write_audio(tmp_path / "audio/real/a.wav", tmp_path / "audio/fake/b.wav")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/m.csv").write_text("path\nreal/a.wav\n")
    root = tmp_path / "audio"
    for spec in (f"folder:{root}", str(tmp_path / "lists/m.csv")):
        assert load_as_it_was(spec, root).root == root
    with pytest.raises(ProbeError, match="is for manifests"):
        load_as_it_was(f"folder:{root}", tmp_path)
